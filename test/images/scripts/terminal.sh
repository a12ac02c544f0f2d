# Programs under a pseudo-terminal: script(1) and Python's pty.
# needs: python3
d=$(mktemp -d /tmp/image.XXXXXX) && cd "$d" || exit 1
trap "cd /; rm -rf $d" EXIT
python3 - <<'P'
import pty, os, sys, time, select
def run(argv, feed, wait=b""):
    pid, fd = pty.fork()
    if pid == 0: os.execvp(argv[0], argv)
    out = b""
    for f in feed:
        while f[0] not in out: out += os.read(fd, 1000)
        os.write(fd, f[1])
    try:
        while True:
            b = os.read(fd, 1000)
            if not b: break
            out += b
    except OSError: pass
    return out, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(run(["sh", "-c", "stty size; test -t 1 && echo tty; exit 6"], []))
print(run(["sh", "-c", "echo ready; read x; echo got $x"], [(b"ready", b"line\n")]))
print(run(["sh", "-c", "trap 'echo INT; exit 9' INT; echo ready; sleep 5 & wait"], [(b"ready", b"\x03")]))
print(run(["sh", "-c", "echo ready; cat; echo eof"], [(b"ready", b"abc\n"), (b"abc\r\nabc", b"\x04")]))
print(run(["bash", "--norc", "-i", "-c", "set -m; sleep 5 & jobs | tr -d '0-9'; kill %1; wait; echo done"], [])[1])
print(run(["sh", "-c", "stty -echo raw; echo ready; head -c 3 | od -An -c"], [(b"ready", b"\x03\x04z")]))
P
