# Five hundred processes at once.
# slow
d=$(mktemp -d /tmp/image.XXXXXX) && cd "$d" || exit 1
trap "cd /; rm -rf $d" EXIT
for i in $(seq 500); do sleep 30 & done
ps --ppid $$ -o comm= | grep -c '^sleep$'
kill $(jobs -p)
wait 2>/dev/null
ps --ppid $$ -o comm= | grep -c '^sleep$'
for i in $(seq 300); do /bin/true; done
echo "forks $?"
seq 200 | xargs -P 8 -n 1 sh -c 'exit 0' && echo xargs
