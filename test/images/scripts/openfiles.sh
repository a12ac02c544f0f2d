# Ten thousand files open at once.
# needs: python3
d=$(mktemp -d /tmp/image.XXXXXX) && cd "$d" || exit 1
trap "cd /; rm -rf $d" EXIT
ulimit -n 12000 && python3 - <<'P'
import os, select
fd = [os.open(f"f{i % 100}", os.O_CREAT | os.O_RDWR) for i in range(10000)]; print(len(fd), len(set(fd)))
e = select.epoll(); r = [os.pipe() for _ in range(500)]
[e.register(x[0], select.EPOLLIN) for x in r]; [os.write(x[1], b"x") for x in r[::5]]; print(len(e.poll(1, 1000)))
[os.close(x) for x in fd]; print(os.open("/dev/null", os.O_RDONLY) == min(fd))
P
