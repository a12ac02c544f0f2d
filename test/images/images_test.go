package images

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"redoubt.dev/redoubt/test/run"
)

var (
	only       = flag.String("script", "", "run only scripts whose name contains this")
	nativeOnly = flag.Bool("native-only", os.Getenv("REDOUBT_NATIVE_ONLY") != "", "leave the sandbox out")
	runsc      = flag.String("runsc", filepath.Join(run.Root(), "bin", "runsc"), "path of runsc")
	platform   = flag.String("platform", "systrap", "platform to run on")
)

// script is one file of scripts/: lines `# needs: PROGRAM...` name what must be installed,
// `# slow` marks one that -short leaves out, `# limit: SECONDS` sets its time limit.
type script struct {
	name, path string
	needs      []string
	slow       bool
	limit      time.Duration
}

func load(t *testing.T) []script {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(run.Root(), "test", "images", "scripts", "*.sh"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	sort.Strings(files)
	var all []script
	for _, f := range files {
		s := script{name: strings.TrimSuffix(filepath.Base(f), ".sh"), path: f, limit: 60 * time.Second}
		if !strings.Contains(s.name, *only) {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(text), "\n") {
			if rest, ok := strings.CutPrefix(line, "# needs: "); ok {
				s.needs = strings.Fields(rest)
			}
			if rest, ok := strings.CutPrefix(line, "# limit: "); ok {
				var n int
				fmt.Sscan(rest, &n)
				s.limit = time.Duration(n) * time.Second
			}
			s.slow = s.slow || line == "# slow"
		}
		all = append(all, s)
	}
	return all
}

// start runs one script on one leg and returns its transcript with the exit status.
func (s script) start(native bool) (string, time.Duration) {
	limit := s.limit
	args := []string{"/bin/bash", s.path}
	if !native {
		limit *= 3
		args = append([]string{*runsc, "--platform=" + *platform, "do"}, args...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + path(), "HOME=/root", "LC_ALL=C", "TZ=UTC", "GOCACHE=" + goEnv("GOCACHE"), "GOROOT=" + goEnv("GOROOT"), "GOFLAGS=-mod=mod", "GOTOOLCHAIN=local", "GOPROXY=off", "GIT_CONFIG_NOSYSTEM=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	began := time.Now()
	out, err := cmd.CombinedOutput()
	text := string(out)
	if !strings.HasSuffix(text, "\n") && text != "" {
		text += "\n"
	}
	switch {
	case ctx.Err() != nil:
		text += fmt.Sprintf("[timeout after %v]\n", limit)
	case err != nil:
		text += fmt.Sprintf("[%v]\n", err)
	}
	return text, time.Since(began)
}

// path keeps version managers out of the way: the system's programs, and Go.
func path() string {
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:" + filepath.Join(goEnv("GOROOT"), "bin")
}

var goEnv = func() func(string) string {
	var mu sync.Mutex
	seen := map[string]string{}
	return func(name string) string {
		mu.Lock()
		defer mu.Unlock()
		if v, ok := seen[name]; ok {
			return v
		}
		out, err := exec.Command("go", "env", name).Output()
		if err != nil && name == "GOROOT" {
			out = []byte(runtime.GOROOT())
		}
		seen[name] = strings.TrimSpace(string(out))
		return seen[name]
	}
}()

// TestImages runs every script on both legs.
func TestImages(t *testing.T) {
	known, err := run.ReadKnown()
	if err != nil {
		t.Fatal(err)
	}
	sandbox := !*nativeOnly
	if _, err := os.Stat(*runsc); err != nil {
		t.Logf("%s is missing (run make): native leg only", *runsc)
		sandbox = false
	}
	for _, s := range load(t) {
		t.Run(s.name, func(t *testing.T) {
			if s.slow && testing.Short() {
				t.Skip("slow")
			}
			for _, n := range s.needs {
				if _, err := exec.LookPath(n); err != nil {
					t.Skipf("%s is not installed", n)
				}
			}
			want, took := s.start(true)
			if strings.Contains(want, "[timeout after") {
				t.Fatalf("fails natively:\n%s", want)
			}
			if !sandbox {
				t.Logf("native %v\n%s", took.Round(time.Millisecond), want)
				return
			}
			got, ours := s.start(false)
			reason := known.Reason("images/"+s.name, *platform)
			d := run.Diff("what Linux did", want, "what the sandbox did", got)
			switch {
			case d == "" && reason != "":
				t.Errorf("passes, but known.txt lists it (%s): remove the line", reason)
			case d != "" && reason != "":
				t.Skipf("known: %s", reason)
			case d != "":
				t.Errorf("differs from Linux:\n%s", d)
			}
			t.Logf("native %v, sandbox %v", took.Round(time.Millisecond), ours.Round(time.Millisecond))
		})
	}
}
