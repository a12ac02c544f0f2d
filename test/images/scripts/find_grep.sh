# find, grep, sed, awk over a tree.
d=$(mktemp -d /tmp/image.XXXXXX) && cd "$d" || exit 1
trap "cd /; rm -rf $d" EXIT
for i in $(seq 50); do mkdir -p t/$((i % 7))/$i; seq $i > t/$((i % 7))/$i/f$i; done
find t -type f | sort | md5sum
find t -name 'f1*' -size -2 | sort | head -5
grep -rl '^42$' t | sort
grep -c . t/3/3/f3
find t -type f -exec wc -l {} + | tail -1
find t -depth -type d -empty
awk '{s += $1} END {print s}' t/*/*/f*
sed -n '2,3p;$p' t/1/50/f50
find t -newer t/1/1/f1 -type f | wc -l | awk '{print ($1 >= 0)}'
find t -type f -delete && find t | wc -l
find /usr/share/doc -maxdepth 1 2>/dev/null | wc -l | awk '{print ($1 > 5)}'
