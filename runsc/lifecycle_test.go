package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// host makes a bundle over the host's own root with a throw-away layer.
func hostBundle(t *testing.T, args []string, edit func(*specs.Spec)) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	if cgoEnabled {
		t.Skip("needs a binary built with CGO_ENABLED=0")
	}
	return bundle(t, func(s *specs.Spec) {
		s.Root.Path = "/"
		s.Process.Args = args
		if edit != nil {
			edit(s)
		}
	})
}

// sandboxed runs a command with the flags these tests share.
func sandboxed(t *testing.T, root string, args ...string) (int, string, string) {
	t.Helper()
	return runRunsc(t, append([]string{"--root", root, "--overlay2", "root:memory"}, args...)...)
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func status(t *testing.T, root, id string) string {
	t.Helper()
	_, out, _ := sandboxed(t, root, "state", id)
	var st struct{ Status string }
	json.Unmarshal([]byte(out), &st)
	return st.Status
}

// eventually waits for a status.
func eventually(t *testing.T, root, id, st string) {
	t.Helper()
	for i := 0; i < 100; i++ {
		if status(t, root, id) == st {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("%s is %s, want %s", id, status(t, root, id), st)
}

func TestRunStatus(t *testing.T) {
	root := t.TempDir()
	for _, c := range []struct {
		args []string
		code int
		out  string
		err  string
	}{
		{[]string{"/bin/echo", "hi"}, 0, "hi\n", ""},
		{[]string{"sh", "-c", "exit 7"}, 7, "", ""},
		{[]string{"sh", "-c", "sh -c 'kill -9 $$'; exit $?"}, 137, "", ""},
		{[]string{"no-such-command"}, 127, "", "executable file not found in $PATH"},
		{[]string{"/no/such/file"}, 127, "", "no such file or directory"},
		{[]string{"/etc/passwd"}, 126, "", "permission denied"},
		{[]string{"sh", "-c", "echo $HOME; pwd; hostname; id -u"}, 0, "/root\n/\nrunsc\n0\n", ""},
	} {
		code, out, errOut := sandboxed(t, root, "run", "--bundle", hostBundle(t, c.args, nil), "c1")
		if code != c.code || out != c.out || !strings.Contains(errOut, c.err) {
			t.Errorf("%v: status %d, output %q, error %q", c.args, code, out, errOut)
		}
	}
	if left, _ := os.ReadDir(root); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestLifecycle(t *testing.T) {
	root := t.TempDir()
	b := hostBundle(t, []string{"sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done"}, func(s *specs.Spec) {
		s.Annotations = map[string]string{"a": "b"}
	})
	pidFile := filepath.Join(t.TempDir(), "pid")
	create := func(id string) (int, string) {
		// The sandbox outlives the command: it must not hold our pipes.
		cmd := exec.Command("/proc/self/exe")
		cmd.Args = []string{"runsc", "--root", root, "--overlay2", "root:memory", "create", "--bundle", b, "--pid-file", pidFile, id}
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout, cmd.Stderr = f, f
		cmd.Run()
		out, _ := os.ReadFile(f.Name())
		return cmd.ProcessState.ExitCode(), string(out)
	}
	defer sandboxed(t, root, "delete", "--force", "c1")
	code, out := create("c1")
	want(t, "status of create", code, 0)
	want(t, "output of create", out, "")
	want(t, "state", status(t, root, "c1"), statusCreated)
	code, out = create("c1")
	if code == 0 || !strings.Contains(out, "already exists") {
		t.Errorf("creating it twice: status %d, output %q", code, out)
	}
	if b, err := os.ReadFile(pidFile); err != nil || len(b) == 0 {
		t.Errorf("pid file: %q, %v", b, err)
	}
	_, _, errOut := sandboxed(t, root, "delete", "no-such")
	if !strings.Contains(errOut, "does not exist") {
		t.Errorf("deleting nothing: %q", errOut)
	}
	code, _, errOut = sandboxed(t, root, "start", "c1")
	want(t, "status of start", code, 0)
	want(t, "error of start", errOut, "")
	want(t, "state", status(t, root, "c1"), statusRunning)
	if code, _, errOut = sandboxed(t, root, "start", "c1"); code == 0 || !strings.Contains(errOut, "running state") {
		t.Errorf("starting it twice: %q", errOut)
	}
	if code, _, errOut = sandboxed(t, root, "delete", "c1"); code == 0 || !strings.Contains(errOut, "not stopped") {
		t.Errorf("deleting it while it runs: %q", errOut)
	}
	code, out, _ = sandboxed(t, root, "exec", "--cwd", "/tmp", "--env", "A=1", "c1", "sh", "-c", "pwd; echo $A; exit 9")
	want(t, "status of exec", code, 9)
	want(t, "output of exec", out, "/tmp\n1\n")
	code, out, _ = sandboxed(t, root, "exec", "--user", "1:2", "c1", "id")
	if code != 0 || !strings.Contains(out, "uid=1") || !strings.Contains(out, "gid=2") {
		t.Errorf("exec as another user: %q", out)
	}
	code, _, errOut = sandboxed(t, root, "exec", "c1", "no-such-command")
	want(t, "status of a missing command", code, 127)
	if !strings.Contains(errOut, "executable file not found in $PATH") {
		t.Errorf("error of a missing command: %q", errOut)
	}
	_, out, _ = sandboxed(t, root, "ps", "c1")
	if !strings.Contains(out, "trap 'exit 3'") {
		t.Errorf("ps: %q", out)
	}
	code, _, _ = sandboxed(t, root, "pause", "c1")
	want(t, "status of pause", code, 0)
	want(t, "state", status(t, root, "c1"), statusPaused)
	if code, _, errOut = sandboxed(t, root, "exec", "c1", "true"); code == 0 || !strings.Contains(errOut, "paused") {
		t.Errorf("exec while paused: %q", errOut)
	}
	code, _, _ = sandboxed(t, root, "resume", "c1")
	want(t, "status of resume", code, 0)
	_, out, _ = sandboxed(t, root, "list", "-q")
	want(t, "list", out, "c1\n")
	code, _, _ = sandboxed(t, root, "kill", "c1", "TERM")
	want(t, "status of kill", code, 0)
	eventually(t, root, "c1", statusStopped)
	_, out, _ = sandboxed(t, root, "wait", "c1")
	if !strings.Contains(out, "\"exitStatus\": 3") {
		t.Errorf("wait: %q", out)
	}
	if code, _, errOut = sandboxed(t, root, "kill", "c1", "TERM"); code == 0 || !strings.Contains(errOut, "container not running") {
		t.Errorf("killing a dead one: %q", errOut)
	}
	if code, _, errOut = sandboxed(t, root, "exec", "c1", "true"); code == 0 || !strings.Contains(errOut, "container not running") {
		t.Errorf("exec in a dead one: %q", errOut)
	}
	code, _, _ = sandboxed(t, root, "delete", "c1")
	want(t, "status of delete", code, 0)
	_, _, errOut = sandboxed(t, root, "state", "c1")
	if !strings.Contains(errOut, "does not exist") {
		t.Errorf("state of a deleted one: %q", errOut)
	}
}

func TestHooks(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	log := filepath.Join(dir, "log")
	hook := func(stage string) []specs.Hook {
		return []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c",
			"read -r first; cat >/dev/null; echo " + stage + " >> " + log}}}
	}
	b := hostBundle(t, []string{"sh", "-c", "test -e /from-hook && echo hook ran inside"}, func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{
			Prestart:        hook("prestart"), //nolint:staticcheck // still called by engines
			CreateRuntime:   hook("createRuntime"),
			CreateContainer: hook("createContainer"),
			StartContainer:  []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "grep -q c1 && touch /from-hook"}}},
			Poststart:       hook("poststart"),
			Poststop:        hook("poststop"),
		}
	})
	code, out, errOut := sandboxed(t, root, "run", "--bundle", b, "c1")
	if code != 0 || out != "hook ran inside\n" {
		t.Errorf("status %d, output %q, error %q", code, out, errOut)
	}
	got, _ := os.ReadFile(log)
	want(t, "order of hooks", strings.Join(strings.Fields(string(got)), " "), "prestart createRuntime createContainer poststart poststop")

	b = hostBundle(t, []string{"true"}, func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "echo out of luck; exit 1"}}}}
	})
	code, _, errOut = sandboxed(t, root, "run", "--bundle", b, "c1")
	if code == 0 || !strings.Contains(errOut, "out of luck") {
		t.Errorf("failing hook: status %d, error %q", code, errOut)
	}
	if left, _ := os.ReadDir(root); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestConfiguration(t *testing.T) {
	root, vol := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(vol, "in"), []byte("kept\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		script string
		edit   func(*specs.Spec)
		out    string
	}{
		{"read-only root", "touch /x 2>/dev/null || echo refused", func(s *specs.Spec) { s.Root.Readonly = true }, "refused\n"},
		{"bind", "cat /vol/in; echo new > /vol/out", func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/vol", Type: "bind", Source: vol, Options: []string{"rbind"}})
		}, "kept\n"},
		{"read-only bind", "cat /vol/in; touch /vol/x 2>/dev/null || echo refused", func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/vol", Type: "bind", Source: vol, Options: []string{"rbind", "ro"}})
		}, "kept\nrefused\n"},
		{"bind of a file", "cat /tmp/a/b/file", func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/tmp/a/b/file", Type: "bind", Source: filepath.Join(vol, "in"), Options: []string{"bind"}})
		}, "kept\n"},
		{"tmpfs with copy-up", "test -e /etc/passwd && touch /etc/passwd && stat -f -c %T /etc", func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/etc", Type: "tmpfs", Source: "tmpfs", Options: []string{"tmpcopyup"}})
		}, "tmpfs\n"},
		{"limits", "ulimit -n", func(s *specs.Spec) {
			s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 77, Hard: 88}}
		}, "77\n"},
		{"umask", "umask", func(s *specs.Spec) { m := uint32(0o27); s.Process.User.Umask = &m }, "0027\n"},
		{"additional groups", "id -G", func(s *specs.Spec) { s.Process.User.AdditionalGids = []uint32{5, 6} }, "0 5 6\n"},
		{"working directory is made", "pwd", func(s *specs.Spec) { s.Process.Cwd = "/made/for/us" }, "/made/for/us\n"},
		{"masked path", "cat /proc/keys", func(s *specs.Spec) { s.Linux.MaskedPaths = []string{"/proc/keys"} }, ""},
		{"read-only path", "echo 1 2>/dev/null > /proc/sys/kernel/hostname || echo refused", nil, "refused\n"},
		{"domain name", "cat /proc/sys/kernel/domainname", func(s *specs.Spec) { s.Domainname = "example" }, "example\n"},
		{"sysctl", "cat /proc/sys/kernel/msgmax", func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"kernel.msgmax": "1234"} }, "1234\n"},
		{"no new privileges", "grep NoNewPrivs /proc/self/status", nil, "NoNewPrivs:\t1\n"},
		{"capabilities", "grep CapEff /proc/self/status", nil, "CapEff:\t0000000020000420\n"},
		{"seccomp", "chmod 600 /tmp 2>/dev/null || echo refused", func(s *specs.Spec) {
			s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{
				{Names: []string{"chmod", "fchmodat", "fchmodat2"}, Action: specs.ActErrno}}}
		}, "refused\n"},
		{"device", "stat -c '%F %t:%T' /dev/mine", func(s *specs.Spec) {
			s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/mine", Type: "c", Major: 1, Minor: 3}}
		}, "character special file 1:3\n"},
		{"oom score", "cat /proc/self/oom_score_adj", func(s *specs.Spec) { n := 321; s.Process.OOMScoreAdj = &n }, "321\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errOut := sandboxed(t, root, "run", "--bundle", hostBundle(t, []string{"sh", "-c", c.script}, c.edit), "c1")
			if out != c.out {
				t.Errorf("status %d, output %q, error %q, want output %q", code, out, errOut, c.out)
			}
		})
	}
	if b, _ := os.ReadFile(filepath.Join(vol, "out")); string(b) != "new\n" {
		t.Errorf("what was written to the volume is %q", b)
	}
}

// TestConsoleSocket plays an engine that asks for a terminal.
func TestConsoleSocket(t *testing.T) {
	root := t.TempDir()
	b := hostBundle(t, []string{"sh", "-c", "tty; stty size; read x; trap 'stty size; exit' WINCH; echo got $x; while :; do sleep 0.05; done"}, func(s *specs.Spec) {
		s.Process.Terminal = true
		s.Process.ConsoleSize = &specs.Box{Height: 24, Width: 80}
	})
	sock := filepath.Join(t.TempDir(), "s")
	l, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(l)
	if err := unix.Bind(l, &unix.SockaddrUnix{Name: sock}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(l, 1); err != nil {
		t.Fatal(err)
	}
	masters := make(chan int, 1)
	go func() {
		c, _, err := unix.Accept(l)
		if err != nil {
			masters <- -1
			return
		}
		var p [64]byte
		oob := make([]byte, 64)
		_, n, _, _, _ := unix.Recvmsg(c, p[:], oob, 0)
		msgs, _ := unix.ParseSocketControlMessage(oob[:n])
		fds, _ := unix.ParseUnixRights(&msgs[0])
		masters <- fds[0]
	}()
	if code, _, errOut := sandboxed(t, root, "run", "--detach", "--bundle", b, "--console-socket", sock, "c1"); code != 0 {
		t.Fatal(errOut)
	}
	defer sandboxed(t, root, "delete", "--force", "c1")
	m := os.NewFile(uintptr(<-masters), "master")
	defer m.Close()
	m.WriteString("hello\r")
	var text strings.Builder
	buf := make([]byte, 4096)
	deadline := time.Now().Add(10 * time.Second)
	for !strings.Contains(text.String(), "got hello") && time.Now().Before(deadline) {
		n, err := m.Read(buf)
		if err != nil {
			break
		}
		text.Write(buf[:n])
	}
	unix.IoctlSetWinsize(int(m.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 132})
	for !strings.Contains(text.String(), "50 132") && time.Now().Before(deadline) {
		n, err := m.Read(buf)
		if err != nil {
			break
		}
		text.Write(buf[:n])
	}
	for _, w := range []string{"/dev/pts/0\r\n", "24 80\r\n", "got hello\r\n", "50 132\r\n"} {
		if !strings.Contains(text.String(), w) {
			t.Errorf("the terminal showed %q, want %q in it", text.String(), w)
		}
	}
}

func TestDo(t *testing.T) {
	hostBundle(t, nil, nil)
	vol := t.TempDir()
	for _, c := range []struct {
		args []string
		code int
		out  string
	}{
		{[]string{"echo", "hi"}, 0, "hi\n"},
		{[]string{"sh", "-c", "exit 5"}, 5, ""},
		{[]string{"sh", "-c", "kill -9 $$"}, 137, ""},
		{[]string{"no-such-command"}, 127, ""},
		{[]string{"--cwd", "/usr", "pwd"}, 0, "/usr\n"},
		{[]string{"--env", "A=b", "sh", "-c", "echo $A"}, 0, "b\n"},
		{[]string{"--uid", "1", "--gid", "2", "sh", "-c", "id -u; id -g"}, 0, "1\n2\n"},
		{[]string{"--hostname", "box", "hostname"}, 0, "box\n"},
		{[]string{"sh", "-c", "echo x > /redoubt-was-here && cat /redoubt-was-here"}, 0, "x\n"},
		{[]string{"--volume", vol + ":/vol", "sh", "-c", "echo y > /vol/f"}, 0, ""},
		{[]string{"--volume", vol + ":/vol:ro", "sh", "-c", "cat /vol/f; echo z > /vol/f || echo refused"}, 0, "y\nrefused\n"},
	} {
		code, out, errOut := runRunsc(t, append([]string{"do"}, c.args...)...)
		if code != c.code || out != c.out {
			t.Errorf("do %v: status %d, output %q, error %q", c.args, code, out, errOut)
		}
	}
	if _, err := os.Stat("/redoubt-was-here"); err == nil {
		t.Error("a write reached the host")
	}
	if b, _ := os.ReadFile(filepath.Join(vol, "f")); string(b) != "y\n" {
		t.Errorf("the volume has %q", b)
	}
}

// TestPod makes two containers that share a network namespace: the second is
// made in the first one's sandbox.
func TestPod(t *testing.T) {
	root := t.TempDir()
	first := hostBundle(t, []string{"python3", "-m", "http.server", "--bind", "127.0.0.1", "8123"}, func(s *specs.Spec) {
		s.Process.Cwd = "/etc"
	})
	start := func(id, b string) {
		t.Helper()
		cmd := exec.Command("/proc/self/exe")
		cmd.Args = []string{"runsc", "--root", root, "--overlay2", "root:memory", "run", "--detach", "--bundle", b, id}
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout, cmd.Stderr = f, f
		if err := cmd.Run(); err != nil {
			out, _ := os.ReadFile(f.Name())
			t.Fatalf("starting %s: %v: %s", id, err, out)
		}
	}
	start("first", first)
	defer sandboxed(t, root, "delete", "--force", "first")
	cfg := &config{root: root}
	c, err := loadContainer(cfg, "first", false)
	if err != nil {
		t.Fatal(err)
	}
	netns := fmt.Sprintf("/proc/%d/ns/net", c.Sandbox.PID)
	join := func(s *specs.Spec) {
		s.Hostname = "second"
		for i := range s.Linux.Namespaces {
			if s.Linux.Namespaces[i].Type == specs.NetworkNamespace {
				s.Linux.Namespaces[i].Path = netns
			}
		}
	}
	const client = "import time,urllib.request\nfor i in range(100):\n  try:\n    print(urllib.request.urlopen('http://127.0.0.1:8123/hostname').status); break\n  except OSError: time.sleep(0.05)\n"
	code, out, errOut := sandboxed(t, root, "run", "--bundle",
		hostBundle(t, []string{"sh", "-c", "hostname; echo pid $$; touch /mine; python3 -c \"$1\"; exit 4", "sh", client}, join), "second")
	if code != 4 || out != "second\npid 1\n200\n" {
		t.Errorf("in the pod: status %d, output %q, error %q", code, out, errOut)
	}
	want(t, "state of the first", status(t, root, "first"), statusRunning)

	start("third", hostBundle(t, []string{"sleep", "1000"}, join))
	code, out, _ = sandboxed(t, root, "exec", "third", "sh", "-c", "test -e /mine || echo not mine; exit 6")
	if code != 6 || out != "not mine\n" {
		t.Errorf("exec in the third: status %d, output %q", code, out)
	}
	_, out, _ = sandboxed(t, root, "ps", "third")
	if strings.Contains(out, "http.server") || !strings.Contains(out, "sleep 1000") {
		t.Errorf("processes of the third: %q", out)
	}
	sandboxed(t, root, "kill", "third", "KILL")
	eventually(t, root, "third", statusStopped)
	code, _, errOut = sandboxed(t, root, "delete", "third")
	if code != 0 {
		t.Errorf("deleting the third: %q", errOut)
	}
	start("fourth", hostBundle(t, []string{"sleep", "1000"}, join))
	if code, _, errOut = sandboxed(t, root, "delete", "--force", "fourth"); code != 0 {
		t.Errorf("deleting the fourth by force: %q", errOut)
	}
	want(t, "state of the first", status(t, root, "first"), statusRunning)
	start("fifth", hostBundle(t, []string{"sleep", "1000"}, join))
	sandboxed(t, root, "kill", "first", "KILL")
	eventually(t, root, "first", statusStopped)
	eventually(t, root, "fifth", statusStopped)
	if code, _, errOut = sandboxed(t, root, "delete", "fifth"); code != 0 {
		t.Errorf("deleting what lost its sandbox: %q", errOut)
	}
}
