# busybox applets.
# needs: busybox
d=$(mktemp -d /tmp/image.XXXXXX) && cd "$d" || exit 1
trap "cd /; rm -rf $d" EXIT
busybox sh -c 'echo $((1+2)); for i in a b; do echo $i; done | busybox sort -r'
busybox seq 5 | busybox awk '{s+=$1} END {print s}'
busybox tar cf x.tar /etc/passwd 2>/dev/null; busybox tar tf x.tar
busybox find /etc -maxdepth 1 -name passwd
busybox dd if=/dev/zero bs=1k count=3 2>/dev/null | busybox wc -c
busybox vi --help 2>&1 | busybox head -1 | busybox cut -c1-7
busybox md5sum /etc/passwd | busybox wc -c
