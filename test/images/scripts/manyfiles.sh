# A directory of a hundred thousand files.
# needs: python3
# limit: 100
# slow
d=$(mktemp -d /tmp/image.XXXXXX) && cd "$d" || exit 1
trap "cd /; rm -rf $d" EXIT
python3 - <<'P'
import os
os.mkdir("d")
for i in range(100000): os.close(os.open(f"d/{i}", os.O_CREAT | os.O_WRONLY))
n = os.listdir("d"); print(len(n), len(set(n)))
for i in range(0, 100000, 2): os.unlink(f"d/{i}")
print(sum(1 for _ in os.scandir("d")), os.path.exists("d/99999"), os.path.exists("d/4"))
P
ls d | wc -l; rm -r d; ls
