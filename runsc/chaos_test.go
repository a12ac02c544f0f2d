package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestChaos runs commands in random order, several at once on the same
// containers, and kills runsc and its helpers in between. Afterwards everything
// can be deleted and nothing is left on the host. REDOUBT_CHAOS=60s makes it
// longer, REDOUBT_CHAOS_SEED repeats a run (as far as time does).
func TestChaos(t *testing.T) {
	root := t.TempDir()
	length := 8 * time.Second
	if s := os.Getenv("REDOUBT_CHAOS"); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	} else if testing.Short() {
		t.Skip("takes long")
	}
	seed := time.Now().UnixNano()
	if s := os.Getenv("REDOUBT_CHAOS_SEED"); s != "" {
		seed, _ = strconv.ParseInt(s, 10, 64)
	}
	t.Logf("seed %d", seed)

	// Two containers of their own, and a pod.
	cgroup := fmt.Sprintf("/redoubt-chaos-%d", os.Getpid())
	bundles := make(map[string]string)
	ids := []string{"a", "b", "pod", "pod1", "pod2"}
	for _, id := range ids {
		args := []string{"sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done"}
		bundles[id] = hostBundle(t, args, func(s *specs.Spec) {
			if id == "a" || id == "pod1" {
				s.Linux.CgroupsPath = cgroup + "/" + id
			}
			switch {
			case id == "pod":
				in("sandbox", "pod")(s)
			case strings.HasPrefix(id, "pod"):
				in("container", "pod")(s)
			}
		})
	}
	defer removeChaosCgroups(cgroup)
	mounts := mountsBelow(root)

	type outcome struct{ ran, ok, killed int }
	var mu sync.Mutex
	done := make(map[string]*outcome)
	command := func(killAfter time.Duration, args ...string) error {
		cmd := exec.Command("/proc/self/exe")
		cmd.Args = append([]string{"runsc", "--root", root, "--overlay2", "root:memory"}, args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		out, err := os.CreateTemp(root+"-out", "")
		if err != nil {
			return err
		}
		defer os.Remove(out.Name())
		defer out.Close()
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			return err
		}
		if killAfter > 0 {
			time.AfterFunc(killAfter, func() { cmd.Process.Kill() })
		}
		hung := time.AfterFunc(60*time.Second, func() {
			t.Errorf("%v does not end", args)
			cmd.Process.Kill()
		})
		err = cmd.Wait()
		hung.Stop()
		mu.Lock()
		o := done[args[0]]
		if o == nil {
			o = &outcome{}
			done[args[0]] = o
		}
		o.ran++
		switch {
		case err == nil:
			o.ok++
		case cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled():
			o.killed++
		}
		mu.Unlock()
		if err != nil {
			b, _ := os.ReadFile(out.Name())
			if strings.Contains(string(b), "panic") || strings.Contains(string(b), "goroutine ") {
				t.Errorf("%v: %s", args, b)
			}
			return fmt.Errorf("%w: %s", err, b)
		}
		return nil
	}
	if err := os.Mkdir(root+"-out", 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(root + "-out")

	stop := time.Now().Add(length)
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rng := rand.New(rand.NewSource(seed + int64(w)))
			for time.Now().Before(stop) {
				id := ids[rng.Intn(len(ids))]
				kill := time.Duration(0)
				if rng.Intn(6) == 0 {
					kill = time.Duration(rng.Intn(60)+1) * time.Millisecond
				}
				switch n := rng.Intn(20); {
				case n < 4:
					command(kill, "run", "--detach", "--bundle", bundles[id], id)
				case n < 6:
					command(kill, "create", "--bundle", bundles[id], id)
				case n < 8:
					command(kill, "start", id)
				case n < 9:
					command(kill, "kill", id, "TERM")
				case n < 10:
					command(kill, "kill", id, "KILL")
				case n < 11:
					command(kill, "delete", id)
				case n < 13:
					command(kill, "delete", "--force", id)
				case n < 15:
					command(kill, "exec", id, "sh", "-c", "echo hi; sleep 0.02")
				case n < 16:
					command(kill, "exec", "--detach", id, "sleep", "1000")
				case n < 17:
					command(kill, "ps", id)
				case n < 18:
					if command(kill, "pause", id) == nil && rng.Intn(4) > 0 {
						command(0, "resume", id)
					}
				case n < 19:
					command(kill, "list")
				default:
					// A helper dies.
					b, _ := os.ReadFile(filepath.Join(root, id, stateFile))
					var s saved
					if json.Unmarshal(b, &s) == nil {
						p := s.Sandbox
						if rng.Intn(2) == 0 {
							p = s.Gofer
						}
						p.signal(syscall.SIGKILL)
					}
				}
			}
		}()
	}
	wg.Wait()
	for _, id := range ids {
		if err := command(0, "delete", "--force", id); err != nil {
			t.Errorf("deleting %s: %v", id, err)
		}
	}
	for op, o := range done {
		t.Logf("%-8s %4d ran, %4d succeeded, %3d killed", op, o.ran, o.ok, o.killed)
	}

	var left []string
	for range 100 {
		left = processesOf(root)
		if len(left) == 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, l := range left {
		t.Errorf("process left: %s", l)
	}
	if ents, _ := os.ReadDir(root); len(ents) != 0 {
		for _, e := range ents {
			files, _ := os.ReadDir(filepath.Join(root, e.Name()))
			t.Errorf("state left: %s %v", e.Name(), files)
		}
	}
	if now := mountsBelow(root); now != mounts {
		t.Errorf("mounts left: %s", now)
	}
	for _, dir := range chaosCgroups(cgroup + "/*") {
		t.Errorf("cgroup left: %s", dir)
	}
}

// processesOf finds helpers by the log in the state directory that is their
// standard error, and commands by their arguments.
func processesOf(root string) (l []string) {
	ents, _ := os.ReadDir("/proc")
	for _, e := range ents {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if _, alive := startTime(pid); !alive {
			continue
		}
		args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		log, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/2", pid))
		if strings.HasPrefix(log, root) || strings.Contains(string(args), root) {
			l = append(l, fmt.Sprintf("%d %s (%s)", pid, strings.ReplaceAll(string(args), "\x00", " "), log))
		}
	}
	return l
}

func mountsBelow(root string) string {
	b, _ := os.ReadFile("/proc/self/mountinfo")
	var l []string
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, root) {
			l = append(l, line)
		}
	}
	return strings.Join(l, "")
}

func chaosCgroups(pattern string) []string {
	v2, _ := filepath.Glob(cgroupRoot + pattern)
	v1, _ := filepath.Glob(cgroupRoot + "/*" + pattern)
	var dirs []string
	for _, d := range append(v2, v1...) {
		if st, err := os.Stat(d); err == nil && st.IsDir() {
			dirs = append(dirs, d)
		}
	}
	return dirs
}

func removeChaosCgroups(cgroup string) {
	for _, dir := range append(chaosCgroups(cgroup+"/*"), chaosCgroups(cgroup)...) {
		os.Remove(dir)
	}
}
