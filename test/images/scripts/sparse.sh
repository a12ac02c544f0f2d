# A 4 GiB sparse mapping and a large sparse file.
# needs: python3
d=$(mktemp -d /tmp/image.XXXXXX) && cd "$d" || exit 1
trap "cd /; rm -rf $d" EXIT
python3 - <<'P'
import mmap, os
m = mmap.mmap(-1, 4 << 30)
for i in range(0, 4 << 30, 64 << 20): m[i] = 7
print(sum(m[i] for i in range(0, 4 << 30, 32 << 20)))
f = os.open("s", os.O_RDWR | os.O_CREAT); os.ftruncate(f, 1 << 40); os.pwrite(f, b"end", (1 << 40) - 3)
print(os.pread(f, 5, (1 << 40) - 3), os.fstat(f).st_blocks < 100, os.lseek(f, 0, os.SEEK_DATA) > (1 << 39))
P
