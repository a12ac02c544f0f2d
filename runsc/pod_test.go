package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// startDetached runs a container that stays.
func startDetached(t *testing.T, root, id, b string) error {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{"runsc", "--root", root, "--overlay2", "root:memory", "run", "--detach", "--bundle", b, id}
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Run(); err != nil {
		out, _ := os.ReadFile(f.Name())
		return fmt.Errorf("starting %s: %w: %s", id, err, out)
	}
	return nil
}

// in says what a container of a pod is.
func in(kind, sandbox string) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Annotations = map[string]string{"io.kubernetes.cri.container-type": kind, "io.kubernetes.cri.sandbox-id": sandbox}
	}
}

func loaded(t *testing.T, root, id string) *container {
	t.Helper()
	c, err := loadContainer(&config{root: root}, id, false)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestPodAnnotations makes the containers of a pod the way Kubernetes' runtimes
// do.
func TestPodAnnotations(t *testing.T) {
	root := t.TempDir()
	run := func(id string, args []string, edits ...func(*specs.Spec)) {
		t.Helper()
		b := hostBundle(t, args, func(s *specs.Spec) {
			for _, e := range edits {
				e(s)
			}
		})
		if err := startDetached(t, root, id, b); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { sandboxed(t, root, "delete", "--force", id) })
	}
	sh := func(id, script string) string {
		t.Helper()
		_, out, errOut := sandboxed(t, root, "exec", id, "sh", "-c", script)
		return strings.TrimSpace(out + errOut)
	}
	run("pause", []string{"sleep", "1111"}, in("sandbox", "pause"))
	run("web", []string{"python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory", "/etc", "8123"}, in("container", "pause"))
	run("job", []string{"sleep", "2222"}, in("container", "pause"), func(s *specs.Spec) { s.Hostname = "job" })
	for _, id := range []string{"web", "job"} {
		if c := loaded(t, root, id); c.Within != "pause" || !c.Sandbox.alive() || !c.Gofer.alive() {
			t.Fatalf("%s is not in the pod's sandbox: %+v", id, c.saved)
		}
	}

	// One network; files, processes and names of their own.
	const client = "import time,urllib.request\nfor i in range(100):\n  try:\n    print(urllib.request.urlopen('http://127.0.0.1:8123/hostname').status); break\n  except OSError: time.sleep(0.05)\n"
	want(t, "the web server, seen from job", sh("job", "python3 -c '"+strings.ReplaceAll(client, "'", `"`)+"'"), 200)
	sh("web", "echo secret > /tmp/mine; mkdir /web")
	want(t, "the file of web in job", sh("job", "ls /tmp/mine /web 2>/dev/null; ls -d /proc/*/root/web 2>/dev/null; echo"), "")
	want(t, "host name of job", sh("job", "hostname"), "job")
	for _, id := range []string{"pause", "web", "job"} {
		procs := sh(id, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
		for other, word := range map[string]string{"pause": "1111", "web": "http.server", "job": "2222"} {
			if strings.Contains(procs, word) != (other == id) {
				t.Errorf("processes seen in %s: %s", id, procs)
			}
		}
		want(t, "first process of "+id, sh(id, "kill -0 1 && echo 1"), 1)
	}

	// A container that shares the processes of another.
	run("debug", []string{"sleep", "3333"}, in("container", "pause"), func(s *specs.Spec) {
		for i := range s.Linux.Namespaces {
			if n := &s.Linux.Namespaces[i]; n.Type == specs.PIDNamespace {
				n.Path = fmt.Sprintf("/proc/%d/ns/pid", loaded(t, root, "job").Sandbox.PID)
			}
		}
	})
	if out := sh("debug", "cat /proc/1/cmdline | tr '\\0' ' '"); !strings.Contains(out, "2222") {
		t.Errorf("process 1 seen by one that shares them: %q", out)
	}
	if out := sh("debug", "kill -9 -1; echo no"); out != "no" {
		_ = out // it may be among the killed
	}
	eventually(t, root, "debug", statusStopped)
	eventually(t, root, "job", statusRunning) // number 1 is spared

	// Limits are each container's own.
	run("small", []string{"sh", "-c", "while :; do sleep 0.1; done"}, in("container", "pause"), func(s *specs.Spec) {
		n := int64(8)
		s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &n}}
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup"})
	})
	const many = "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.3 & done 2>&1; wait"
	if out := sh("small", many); !strings.Contains(strings.ToLower(out), "fork") {
		t.Errorf("ten processes where eight are allowed: %q", out)
	}
	time.Sleep(500 * time.Millisecond) // those that run end
	want(t, "limit shown in small", sh("small", "read n < /sys/fs/cgroup/pids.max; echo $n"), 8)
	want(t, "ten processes in job", sh("job", many), "")
	if code, _, errOut := sandboxed(t, root, "update", "--pids-limit", "100", "small"); code != 0 {
		t.Error(errOut)
	}
	want(t, "ten processes in small, after an update", sh("small", many), "")
	sandboxed(t, root, "delete", "--force", "small")

	// Pausing one leaves the others.
	if code, _, errOut := sandboxed(t, root, "pause", "job"); code != 0 {
		t.Error(errOut)
	}
	want(t, "state of job", status(t, root, "job"), statusPaused)
	want(t, "state of web", status(t, root, "web"), statusRunning)
	want(t, "output in web", sh("web", "echo runs"), "runs")
	if code, _, errOut := sandboxed(t, root, "resume", "job"); code != 0 {
		t.Error(errOut)
	}
	want(t, "output in job", sh("job", "echo runs"), "runs")

	// So does the end of one, and its id is free again.
	web := loaded(t, root, "web")
	sandboxed(t, root, "kill", "web", "KILL")
	eventually(t, root, "web", statusStopped)
	_, out, _ := sandboxed(t, root, "wait", "web")
	if !strings.Contains(out, `"exitStatus": 137`) {
		t.Errorf("status of web: %s", out)
	}
	want(t, "state of job", status(t, root, "job"), statusRunning)
	if !web.Gofer.waitGone(5000) {
		t.Error("the gofer of web outlives it")
	}
	for range 3 {
		if code, _, errOut := sandboxed(t, root, "delete", "--force", "web"); code != 0 {
			t.Errorf("deleting web: %s", errOut)
		}
		run("web", []string{"sh", "-c", "while :; do sleep 0.01 & done"}, in("container", "pause"))
	}
	if c := loaded(t, root, "job"); c.Sandbox.signal(9) == nil {
		eventually(t, root, "job", statusStopped)
	}
	if out := sh("pause", "cat /proc/meminfo | head -1"); !strings.Contains(out, "MemTotal") {
		t.Errorf("the sandbox container answers %q", out)
	}

	// A gofer's death ends its container, deleting the first one all.
	run("last", []string{"sleep", "4444"}, in("container", "pause"))
	loaded(t, root, "last").Gofer.signal(9)
	eventually(t, root, "last", statusStopped)
	want(t, "state of pause", status(t, root, "pause"), statusRunning)
	if code, _, errOut := sandboxed(t, root, "delete", "--force", "pause"); code != 0 {
		t.Error(errOut)
	}
	eventually(t, root, "web", statusStopped)
	if code, _, errOut := sandboxed(t, root, "delete", "web"); code != 0 {
		t.Errorf("deleting what lost its sandbox: %s", errOut)
	}
}

func TestPodErrors(t *testing.T) {
	root := t.TempDir()
	notes := func(kv ...string) func(*specs.Spec) {
		return func(s *specs.Spec) {
			s.Annotations = map[string]string{}
			for i := 0; i < len(kv); i += 2 {
				s.Annotations[kv[i]] = kv[i+1]
			}
		}
	}
	const kind, sandbox = "io.kubernetes.cri.container-type", "io.kubernetes.cri.sandbox-id"
	for _, c := range []struct {
		edit func(*specs.Spec)
		want string
	}{
		{notes(kind, "potato", sandbox, "x"), `unknown type "potato"`},
		{notes(kind, "container"), "must name its sandbox"},
		{notes(sandbox, "x"), "is given without"},
		{notes(kind, "container", sandbox, "../../etc"), "invalid container id format"},
		{notes(kind, "container", sandbox, "nosuch"), `container "c1" belongs to sandbox "nosuch": container "nosuch" does not exist`},
		{notes(kind, "container", sandbox, "c1"), "cannot belong to itself"},
		{notes(kind, "sandbox", sandbox, "other"), "name another one"},
		{notes("io.kubernetes.cri-o.ContainerType", "container", "io.kubernetes.cri-o.SandboxID", "nosuch"), "does not exist"},
		{notes(kind, "sandbox", sandbox, "c1", "io.kubernetes.cri-o.ContainerType", "container", "io.kubernetes.cri-o.SandboxID", "y"), "contradict"},
	} {
		code, _, errOut := sandboxed(t, root, "create", "--bundle", hostBundle(t, []string{"true"}, c.edit), "c1")
		if code == 0 || !strings.Contains(errOut, c.want) {
			t.Errorf("status %d, error %q, want %q", code, errOut, c.want)
		}
	}
	if err := startDetached(t, root, "c1", hostBundle(t, []string{"sleep", "1000"}, in("sandbox", "c1"))); err != nil {
		t.Fatal(err)
	}
	defer sandboxed(t, root, "delete", "--force", "c1")
	if err := startDetached(t, root, "c1", hostBundle(t, []string{"true"}, in("sandbox", "c1"))); err == nil || !strings.Contains(err.Error(), "already exists") {
		t.Errorf("a second sandbox with one id: %v", err)
	}
	if err := startDetached(t, root, "c2", hostBundle(t, []string{"no-such-program"}, in("container", "c1"))); err == nil || !strings.Contains(err.Error(), "not found in $PATH") {
		t.Errorf("a container without a program: %v", err)
	}
	time.Sleep(50 * time.Millisecond)
	if err := startDetached(t, root, "c2", hostBundle(t, []string{"sleep", "1000"}, in("container", "c1"))); err != nil {
		t.Errorf("after one that failed: %v", err)
	}
	if err := startDetached(t, root, "c3", hostBundle(t, []string{"true"}, in("container", "c2"))); err == nil || !strings.Contains(err.Error(), "no sandbox but a container") {
		t.Errorf("a container of a container: %v", err)
	}
	sandboxed(t, root, "delete", "--force", "c2")
	sandboxed(t, root, "kill", "c1", "KILL")
	eventually(t, root, "c1", statusStopped)
	if err := startDetached(t, root, "c2", hostBundle(t, []string{"true"}, in("container", "c1"))); err == nil || !strings.Contains(err.Error(), "which is stopped") {
		t.Errorf("a container of a sandbox that stopped: %v", err)
	}
}
