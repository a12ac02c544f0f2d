package hostile

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sandbox is a running `runsc do`, as seen from the host.
type sandbox struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	boot  int
	gofer int
	stubs []int
}

// start runs a program in a sandbox and waits for its first line.
func start(t *testing.T, args ...string) *sandbox {
	t.Helper()
	s := &sandbox{cmd: exec.Command(runsc(), append([]string{"do"}, args...)...)}
	s.cmd.Dir = "/"
	s.cmd.Env = append(os.Environ(), "HOSTILE_SECRET=of-the-caller")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// A descriptor of the host's root that the caller leaves open by mistake.
	leak, err := os.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer leak.Close()
	s.cmd.ExtraFiles = []*os.File{leak, leak, leak, leak, leak, leak, leak, leak}
	s.in, _ = s.cmd.StdinPipe()
	out, _ := s.cmd.StdoutPipe()
	s.out = bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.in.Close()
		done := time.AfterFunc(20*time.Second, func() { s.cmd.Process.Kill() })
		s.cmd.Wait()
		done.Stop()
	})
	if line, err := s.out.ReadString('\n'); err != nil {
		t.Fatalf("the program said %q: %v", line, err)
	}
	s.find()
	if s.boot == 0 || s.gofer == 0 || len(s.stubs) == 0 {
		t.Fatalf("not all processes of the sandbox were found: %+v", s)
	}
	return s
}

// find looks for the sandbox's processes.
func (s *sandbox) find() {
	s.stubs = nil
	var down func(pid int, below bool)
	down = func(pid int, below bool) {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
		for _, f := range files {
			b, _ := os.ReadFile(f)
			for _, c := range strings.Fields(string(b)) {
				var child int
				fmt.Sscan(c, &child)
				name, _ := os.ReadFile("/proc/" + c + "/comm")
				switch strings.TrimSpace(string(name)) {
				case "runsc-boot":
					s.boot = child
				case "runsc-gofer":
					s.gofer = child
				default:
					if below {
						s.stubs = append(s.stubs, child)
					}
				}
				down(child, true)
			}
		}
	}
	down(s.cmd.Process.Pid, false)
}

func status(pid int) map[string]string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	m := map[string]string{}
	for l := range strings.Lines(string(b)) {
		k, v, _ := strings.Cut(l, ":")
		m[k] = strings.TrimSpace(v)
	}
	return m
}

func fds(pid int) map[string]string {
	m := map[string]string{}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, f := range files {
		if to, err := os.Readlink(f); err == nil {
			m[filepath.Base(f)] = to
		}
	}
	return m
}

// TestConfinement looks at a sandbox with the eyes of the host.
func TestConfinement(t *testing.T) {
	s := start(t, "/bin/sh", "-c", "cat /etc/passwd >/dev/null; ls -l / >/dev/null; echo ready; read x")
	none := "0000000000000000"
	for _, p := range append([]int{s.boot, s.gofer}, s.stubs...) {
		st := status(p)
		who := fmt.Sprintf("process %d (%s)", p, st["Name"])
		for _, ns := range []string{"user", "pid", "mnt", "net", "ipc", "uts"} {
			theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", p, ns))
			ours, _ := os.Readlink("/proc/self/ns/" + ns)
			if err != nil || theirs == ours {
				t.Errorf("%s: %s namespace is the host's (%v)", who, ns, err)
			}
		}
		caps := none
		if p == s.gofer {
			caps = "000000008800001f" // goferCaps of boot/confine.go
		}
		for _, c := range []struct{ field, want string }{{"CapInh", none}, {"CapPrm", caps}, {"CapEff", caps}, {"CapAmb", none},
			{"NoNewPrivs", "1"}, {"Seccomp", "2"}, {"Groups", ""}} {
			if st[c.field] != c.want {
				t.Errorf("%s: %s is %q, want %q", who, c.field, st[c.field], c.want)
			}
		}
		if p != s.gofer && !strings.HasPrefix(st["Uid"], "65534\t65534\t65534\t65534") {
			t.Errorf("%s: runs as %s", who, st["Uid"])
		}
		env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p))
		if strings.Contains(string(env), "HOSTILE_SECRET") || strings.Contains(string(env), "PATH=") {
			t.Errorf("%s: has the caller's environment: %q", who, env)
		}
		lim, _ := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p))
		for l := range strings.Lines(string(lim)) {
			if f := strings.Fields(l); strings.HasPrefix(l, "Max core file size") && (f[4] != "0" || f[5] != "0") {
				t.Errorf("%s: may dump core: %s", who, l)
			}
		}
		dir := fmt.Sprintf("/proc/%d/root/", p)
		var fs syscall.Statfs_t
		const tmpfs, readOnly = 0x01021994, 1
		if err := syscall.Statfs(dir, &fs); err != nil || fs.Type != tmpfs || fs.Flags&readOnly == 0 {
			t.Errorf("%s: root is no read-only tmpfs: type %#x, flags %#x, %v", who, fs.Type, fs.Flags, err)
		}
		if l, err := os.ReadDir(dir); err != nil || p != s.gofer && len(l) > 0 {
			t.Errorf("%s: root is not empty: %v, %v", who, l, err)
		}
		mounts, _ := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", p))
		if n := strings.Count(string(mounts), "\n"); p != s.gofer && n != 1 {
			t.Errorf("%s: sees %d mounts", who, n)
		}
		for n, to := range fds(p) {
			info, _ := os.Stat(fmt.Sprintf("/proc/%d/fd/%s", p, n))
			stub := p != s.boot && p != s.gofer
			switch {
			case stub && !strings.HasPrefix(to, "socket:"):
				t.Errorf("%s: a stub holds %s -> %s", who, n, to)
			case p == s.boot && to == "/":
				t.Errorf("%s: descriptor %s is the host's root", who, n)
			case p == s.gofer && info != nil && info.IsDir() && !strings.HasPrefix(to, "/0"):
				t.Errorf("%s: descriptor %s is the directory %s", who, n, to)
			case strings.HasPrefix(to, "/dev/") && to != "/dev/null":
				t.Errorf("%s: descriptor %s is %s", who, n, to)
			}
		}
	}
	for n, to := range fds(s.boot) {
		info, _ := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%s", s.boot, n))
		var flags int
		for l := range strings.Lines(string(info)) {
			fmt.Sscanf(l, "flags: %o", &flags)
		}
		// "/0/..." is what the gofer opened: read-only, as nothing was opened to be written.
		if strings.HasPrefix(to, "/0/") && flags&syscall.O_ACCMODE != syscall.O_RDONLY {
			t.Errorf("descriptor %s, %s, is open for writing", n, to)
		}
	}
}

// TestNothingLeaks opens, maps, forks and ends threads many times and compares
// what the sandbox holds on the host with what it held before.
func TestNothingLeaks(t *testing.T) {
	p := program(t, "bomb")
	few := start(t, p, "churn", "200")
	many := start(t, p, "churn", "4000")
	a, b := len(fds(few.boot)), len(fds(many.boot))
	if b > a+12 {
		t.Errorf("the sentry holds %d host descriptors after 4000 rounds, %d after 200", b, a)
	}
	if a, b := len(fds(few.gofer)), len(fds(many.gofer)); b > a+6 {
		t.Errorf("the gofer holds %d host descriptors after 4000 rounds, %d after 200", b, a)
	}
	if a, b := len(few.stubs), len(many.stubs); b > a+6 {
		t.Errorf("there are %d stubs after 4000 rounds, %d after 200", b, a)
	}
}
