# The ordinary file tools.
d=$(mktemp -d /tmp/image.XXXXXX) && cd "$d" || exit 1
trap "cd /; rm -rf $d" EXIT
seq 1000 | sort -R | sort -n | md5sum
seq 100000 | wc
yes | head -1000 | uniq -c | tr -s ' '
printf 'b 2\na 1\n' | sort | cut -d' ' -f2 | paste -sd+
mkdir -p a/b/c && touch a/b/c/f && ln -s f a/b/c/l && ln a/b/c/f a/h
stat -c '%n %F %a %h %s' a/b/c/f a/b/c/l a/h
cp -a a z && diff -r a z && echo same
mv z y && ls -R y
chmod 640 y/h && ls -l y/h | cut -c1-10
rm -r y && ls
dd if=/dev/zero of=big bs=1M count=20 status=none && ls -s --block-size=1M big | cut -d' ' -f1
sha256sum big
split -b 5M big part. && ls part.* && cat part.* | cmp - big && echo equal
truncate -s 1G sparse && stat -c %s sparse
df . >/dev/null && du -s a | cut -f2
touch -d '2001-02-03 04:05:06' f && stat -c %y f
date -u -d @0
tail -c 3 <(echo abcdef)
readlink -f a/b/../b/c/l | sed "s,$d,D,"
mkfifo p && (echo through > p &) && cat p
env -i A=1 env
nice -n 5 nice
test -w /dev/null && echo writable
tac <(seq 3)
base64 <<< hello
od -An -tx1 <<< hi
tee x y < <(echo tee) && cat x y
id -u
basename /a/b.c .c
expr 3 \* 4
shuf -i 1-10 | sort -n | head -2
install -m 755 x bin && stat -c %a bin
