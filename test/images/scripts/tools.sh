# ps, top, free, uptime, df, mount, hostname and their like read /proc and /sys.
# needs: ps
d=$(mktemp -d /tmp/image.XXXXXX) && cd "$d" || exit 1
trap "cd /; rm -rf $d" EXIT
ps -o pid= -p $$ | tr -d ' ' | grep -cx $$
ps -ef | grep -q '[b]ash' && echo found
free | awk 'NR == 2 {print ($2 > 0)}'
uptime | grep -c 'load average'
df -P / | awk 'NR == 2 {print NF, $6}'
mount | grep -c ' on /proc '
uname -s -m
nproc | awk '{print ($1 > 0)}'
cat /proc/self/mountinfo | awk '$5 == "/" {n++} END {print (n > 0)}'
grep -c . /proc/cpuinfo | awk '{print ($1 > 1)}'
test -r /sys/devices/system/cpu/online && echo cpus
getconf PAGESIZE
stat -f -c %T /proc
pgrep -x no-such-program; echo $?
top -b -n1 2>/dev/null | grep -c '^Tasks'
hostname | wc -l
