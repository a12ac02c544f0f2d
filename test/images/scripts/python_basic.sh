# Python: files, subprocesses, signals, sockets.
# needs: python3
d=$(mktemp -d /tmp/image.XXXXXX) && cd "$d" || exit 1
trap "cd /; rm -rf $d" EXIT
python3 - <<'P'
import os, subprocess, signal, socket, tempfile, mmap, json, hashlib, select, time, errno, struct, fcntl
print(subprocess.run(["sh", "-c", "echo out; echo err >&2; exit 3"], capture_output=True))
print(subprocess.check_output("cat | tr a-z A-Z", shell=True, input=b"hello"))
try: subprocess.run(["/no/such"])
except FileNotFoundError as e: print("missing", e.errno == errno.ENOENT)
try: subprocess.run(["sleep", "5"], timeout=0.2)
except subprocess.TimeoutExpired: print("timeout")
got = []
signal.signal(signal.SIGALRM, lambda s, f: got.append(s))
signal.setitimer(signal.ITIMER_REAL, 0.05); time.sleep(0.2); print(got == [signal.SIGALRM])
with tempfile.NamedTemporaryFile() as f:
    f.write(b"x" * 8192); f.flush()
    m = mmap.mmap(f.fileno(), 0); m[0:5] = b"hello"; m.flush(); f.seek(0); print(f.read(6)); m.close()
a, b = socket.socketpair(); a.sendall(b"ping"); print(b.recv(10)); socket.send_fds(a, [b"fd"], [1]); print(socket.recv_fds(b, 10, 2)[0])
s = socket.create_server(("127.0.0.1", 0)); c = socket.create_connection(s.getsockname()); d, _ = s.accept(); c.sendall(b"tcp"); print(d.recv(9))
p = select.poll(); p.register(d, select.POLLIN); print(p.poll(10)); c.sendall(b"x"); print([e for _, e in p.poll(1000)])
e = select.epoll(); e.register(d.fileno(), select.EPOLLIN | select.EPOLLET); print(len(e.poll(1))); print(e.poll(0))
r, w = os.pipe(); pid = os.fork()
if pid == 0: os.write(w, b"child"); os._exit(4)
print(os.read(r, 9), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
os.makedirs("a/b"); open("a/b/f", "w").write("x"); print([sorted(x[2]) for x in os.walk("a")], os.stat("a/b/f").st_size, os.path.realpath("a/../a/b").endswith("a/b"))
print(len(os.listdir("/proc/self/fd")) > 3, os.getpid() > 0, os.cpu_count() > 0, len(os.urandom(16)))
print(hashlib.sha256(open("/bin/true", "rb").read()).hexdigest())
try: os.open("/etc/none", os.O_RDONLY)
except OSError as e: print(e.strerror)
print(os.get_terminal_size.__name__, os.isatty(0), time.monotonic() > 0, os.sysconf("SC_PAGE_SIZE"))
P
