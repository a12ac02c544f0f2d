# tar, gzip, xz and bzip2 give back what went in.
# needs: tar gzip xz
d=$(mktemp -d /tmp/image.XXXXXX) && cd "$d" || exit 1
trap "cd /; rm -rf $d" EXIT
mkdir -p s/d && seq 20000 > s/numbers && head -c 200000 /dev/zero > s/d/zeros && ln -s numbers s/l && ln s/numbers s/h && mkfifo s/p && chmod 4711 s/d/zeros
for z in '' z J; do
	tar c${z}f a.tar$z s && mkdir out$z && tar x${z}f a.tar$z -C out$z && diff -r --no-dereference s/d out$z/s/d && stat -c '%n %F %a %h' out$z/s/* | sort
done
tar tf a.tar | sort
tar cf - s | tar tvf - | wc -l
gzip -9 < s/numbers | gunzip | cmp - s/numbers && echo gzip
xz -T2 < s/numbers | xz -d | cmp - s/numbers && echo xz
tar --sparse -cf sp.tar s/d/zeros && tar xOf sp.tar | cmp - s/d/zeros && echo sparse
