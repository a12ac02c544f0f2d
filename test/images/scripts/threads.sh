# A thousand threads in one process.
# needs: python3
# slow
d=$(mktemp -d /tmp/image.XXXXXX) && cd "$d" || exit 1
trap "cd /; rm -rf $d" EXIT
python3 - <<'P'
import threading, os
threading.stack_size(128 * 1024)
e = threading.Event(); n = [0]; l = threading.Lock()
def f():
    with l: n[0] += 1
    e.wait()
t = [threading.Thread(target=f) for _ in range(1000)]
[x.start() for x in t]
while n[0] < 1000: pass
print(len(os.listdir("/proc/self/task")))
e.set(); [x.join() for x in t]; print(n[0], threading.active_count())
P
