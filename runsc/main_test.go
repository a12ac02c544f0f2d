package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"redoubt.dev/redoubt/boot"
)

// TestMain makes the test binary stand in for runsc: as the helpers that
// spawn starts from /proc/self/exe, and as the command itself for runRunsc.
func TestMain(m *testing.M) {
	switch os.Args[0] {
	case "runsc-boot":
		boot.Main(false)
	case "runsc-gofer":
		boot.GoferMain(false)
	case "runsc":
		os.Exit(realMain(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// runRunsc runs the command in a process of its own.
func runRunsc(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = append([]string{"runsc"}, args...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	if _, ok := err.(*exec.ExitError); err != nil && !ok {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// bundle writes a bundle whose configuration was changed by edit.
func bundle(t *testing.T, edit func(*specs.Spec)) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "rootfs"), 0o755); err != nil {
		t.Fatal(err)
	}
	spec := defaultSpec()
	spec.Process.Terminal = false
	if edit != nil {
		edit(spec)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), mustJSON(spec), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestBadInput(t *testing.T) {
	plain := bundle(t, nil)
	malformed := bundle(t, nil)
	if err := os.WriteFile(filepath.Join(malformed, "config.json"), []byte("{\"ociVersion\": "), 0o644); err != nil {
		t.Fatal(err)
	}
	edited := func(f func(*specs.Spec)) []string { return []string{"run", "--bundle", bundle(t, f), "c1"} }
	for _, c := range []struct {
		name string
		args []string
		text string
	}{
		{"no arguments", nil, "usage: runsc"},
		{"unknown command", []string{"frobnicate"}, "unknown command \"frobnicate\""},
		{"unknown global flag", []string{"--frob", "list"}, "unknown flag --frob"},
		{"unknown flag", []string{"run", "--frob", "c1"}, "unknown flag --frob"},
		{"bad platform", []string{"--platform=vax", "list"}, "--platform=vax"},
		{"bad network", []string{"--network=moon", "list"}, "--network=moon"},
		{"bad overlay", []string{"--overlay2=some", "list"}, "--overlay2=some"},
		{"no id", []string{"create"}, "exactly one container id"},
		{"two ids", []string{"create", "a", "b"}, "exactly one container id"},
		{"id with a slash", []string{"run", "--bundle", plain, "a/b"}, "invalid container id"},
		{"id of dots", []string{"run", "--bundle", plain, ".."}, "invalid container id"},
		{"empty id", []string{"run", "--bundle", plain, ""}, "cannot be empty"},
		{"no bundle", []string{"run", "--bundle", "/nonexistent", "c1"}, "no such file or directory"},
		{"malformed bundle", []string{"run", "--bundle", malformed, "c1"}, "parsing"},
		{"wrong version", edited(func(s *specs.Spec) { s.Version = "9" }), "ociVersion"},
		{"no root", edited(func(s *specs.Spec) { s.Root = nil }), "no root.path"},
		{"missing rootfs", edited(func(s *specs.Spec) { s.Root.Path = "gone" }), "no such file or directory"},
		{"rootfs is a file", edited(func(s *specs.Spec) { s.Root.Path = "config.json" }), "not a directory"},
		{"no process", edited(func(s *specs.Spec) { s.Process = nil }), "no process"},
		{"no args", edited(func(s *specs.Spec) { s.Process.Args = nil }), "process.args"},
		{"relative cwd", edited(func(s *specs.Spec) { s.Process.Cwd = "tmp" }), "absolute path"},
		{"no cwd", edited(func(s *specs.Spec) { s.Process.Cwd = "" }), "cwd property must not be empty"},
		{"NUL in an argument", edited(func(s *specs.Spec) { s.Process.Args = []string{"a\x00b"} }), "NUL byte"},
		{"rlimit twice", edited(func(s *specs.Spec) {
			s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE"}, {Type: "RLIMIT_NOFILE"}}
		}), "given twice"},
		{"unknown mount type", edited(func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/x", Type: "zfs"})
		}), "unknown mount type \"zfs\""},
		{"missing bind source", edited(func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/x", Type: "bind", Source: "/nonexistent/dir"})
		}), "no such file or directory"},
		{"terminal without console socket", []string{"create", "--bundle", bundle(t, func(s *specs.Spec) { s.Process.Terminal = true }), "c1"}, "without setting console socket"},
		{"console socket without terminal", []string{"create", "--bundle", plain, "--console-socket", "/x", "c1"}, "cannot use console socket"},
		{"state of nothing", []string{"state", "gone"}, "does not exist"},
		{"kill nothing", []string{"kill", "gone", "KILL"}, "does not exist"},
		{"delete nothing", []string{"delete", "gone"}, "does not exist"},
		{"start nothing", []string{"start", "gone"}, "does not exist"},
		{"exec in nothing", []string{"exec", "gone", "true"}, "does not exist"},
		{"exec without a command", []string{"exec", "gone"}, "a command or --process"},
		{"bad signal", []string{"kill", "gone", "SIGWHAT"}, "unknown signal"},
		{"do without a command", []string{"do"}, "a command is needed"},
		{"do with a bad volume", []string{"do", "--volume", "nonsense", "true"}, "SRC:DST"},
		{"do with a missing root", []string{"do", "--root", "/nonexistent", "true"}, "no such file or directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			code, out, errOut := runRunsc(t, append([]string{"--root", root}, c.args...)...)
			if code == 0 {
				t.Errorf("it succeeded: %s", out)
			}
			if !strings.Contains(errOut, c.text) {
				t.Errorf("standard error is %q, want %q in it", errOut, c.text)
			}
			if left, _ := os.ReadDir(root); len(left) != 0 {
				t.Errorf("it left %v", left)
			}
		})
	}
}

func TestGoodInput(t *testing.T) {
	root := t.TempDir()
	for _, c := range []struct {
		args []string
		text string
	}{
		{[]string{"--version"}, "spec: " + specVersion},
		{[]string{"help"}, "run one command in a sandbox"},
		{[]string{"run", "--help"}, "--no-pivot"},
		{[]string{"--root", root, "list"}, "STATUS"},
		{[]string{"--root", root, "list", "--format", "json"}, "[]"},
		{[]string{"--root", root, "--systemd-cgroup", "--log-format", "json", "--rootless=false", "list", "-q"}, ""},
		{[]string{"features"}, "\"ociVersionMax\""},
		{[]string{"--root", root, "delete", "--force", "gone"}, ""},
	} {
		code, out, errOut := runRunsc(t, c.args...)
		if code != 0 || !strings.Contains(out, c.text) {
			t.Errorf("runsc %v: status %d, output %q, error %q", c.args, code, out, errOut)
		}
	}
}

func TestLogForEngines(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "log.json")
	runRunsc(t, "--root", dir, "--log", log, "--log-format", "json", "state", "gone")
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	var line struct{ Level, Msg, Time string }
	if err := json.Unmarshal(b, &line); err != nil {
		t.Fatalf("log %q: %v", b, err)
	}
	if line.Level != "error" || !strings.Contains(line.Msg, "does not exist") || line.Time == "" {
		t.Errorf("log line is %+v", line)
	}
}

func TestRootReadOnly(t *testing.T) {
	b := bundle(t, nil)
	_, _, errOut := runRunsc(t, "--root", "/proc/redoubt", "run", "--bundle", b, "c1")
	if !strings.Contains(errOut, "making the state directory") {
		t.Errorf("error is %q", errOut)
	}
}

func TestStore(t *testing.T) {
	cfg := &config{root: t.TempDir()}
	c, err := newContainer(cfg, "one")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newContainer(cfg, "one"); err == nil || !strings.Contains(err.Error(), "already exists") {
		t.Errorf("a locked id was given again: %v", err)
	}
	// A creator that died before it wrote a state leaves nothing of worth.
	c.release()
	if c, err = newContainer(cfg, "one"); err != nil {
		t.Fatalf("taking over a stateless directory: %v", err)
	}
	c.Status, c.Creator = statusCreating, procOf(os.Getpid())
	if err := c.save(); err != nil {
		t.Fatal(err)
	}
	if got := c.status(); got != statusCreating {
		t.Errorf("status is %s while the creator lives", got)
	}
	c.Creator.Start++ // another process with the same pid
	if got := c.status(); got != statusStopped {
		t.Errorf("status is %s after the creator died", got)
	}
	c.release()
	if _, err := newContainer(cfg, "one"); err == nil {
		t.Error("an id with a state was given again")
	}
	l, err := loadContainer(cfg, "one", true)
	if err != nil {
		t.Fatal(err)
	}
	if l.ID != "one" || l.Status != statusCreating {
		t.Errorf("loaded %+v", l.saved)
	}
	l.release()
	if ids, err := listIDs(cfg); err != nil || len(ids) != 1 {
		t.Errorf("ids are %v, error %v", ids, err)
	}
	for i := 0; i < 2; i++ {
		if err := deleteContainer(cfg, "one", true); err != nil {
			t.Errorf("deletion %d: %v", i+1, err)
		}
	}
	if _, err := os.Stat(c.dir); err == nil {
		t.Error("the directory is still there")
	}
}

func TestDeleteUnreadableState(t *testing.T) {
	cfg := &config{root: t.TempDir()}
	dir := filepath.Join(cfg.root, "bad")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, stateFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := deleteContainer(cfg, "bad", false); err == nil {
		t.Error("deleted without --force")
	}
	if err := deleteContainer(cfg, "bad", true); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the directory is still there")
	}
}

func TestParseSignal(t *testing.T) {
	for in, want := range map[string]int{"9": 9, "KILL": 9, "SIGTERM": 15, "term": 15, "RTMIN": 34, "SIGRTMIN+3": 37, "RTMAX-1": 63, "64": 64} {
		if got, err := parseSignal(in); err != nil || int(got) != want {
			t.Errorf("%s gives %d, error %v", in, got, err)
		}
	}
	for _, in := range []string{"", "SIG", "65", "-1", "RTMIN+99", "WHAT"} {
		if got, err := parseSignal(in); err == nil {
			t.Errorf("%q gives %d", in, got)
		}
	}
}

func TestCgroupPath(t *testing.T) {
	for _, c := range []struct {
		in      string
		systemd bool
		want    string
	}{
		{"/docker/abc", false, "/docker/abc"},
		{"docker/abc", false, "/docker/abc"},
		{"system.slice:docker:abc", true, "/system.slice/docker-abc.scope"},
		{"user-1000.slice:libpod:abc", true, "/user.slice/user-1000.slice/libpod-abc.scope"},
	} {
		got, err := cgroupPath(c.in, c.systemd)
		if err != nil || got != c.want {
			t.Errorf("%s gives %s, error %v", c.in, got, err)
		}
	}
	for _, in := range []string{"../x", "/a/../../x"} {
		if got, err := cgroupPath(in, false); err == nil {
			t.Errorf("%s gives %s", in, got)
		}
	}
}

func TestMergeEnv(t *testing.T) {
	got := fmt.Sprint(mergeEnv([]string{"A=1", "B=2"}, []string{"B=3", "C=4"}))
	if got != "[A=1 B=3 C=4]" {
		t.Errorf("environment is %s", got)
	}
}
