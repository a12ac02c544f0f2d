// Package fuzz compares whole system-call behaviour with the host's Linux:
// programs that call much, print what came back, and must print the same
// inside the sandbox. known.txt lists what differs, with the reason.
package fuzz

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"redoubt.dev/redoubt/test/run"
)

// build compiles one of the programs.
func build(t *testing.T, name string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), name)
	cmd := exec.Command("gcc", "-O1", "-w", "-static", "-o", out, filepath.Join("programs", name+".c"))
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, b)
	}
	// The sandbox reads it as any user.
	os.Chmod(filepath.Dir(out), 0o755)
	return out
}

// leg runs a command in an empty directory on tmpfs and returns its lines.
func leg(t *testing.T, dir string, args ...string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.WaitDelay = time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, errs.String())
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func native(t *testing.T, args ...string) []string {
	dir, err := os.MkdirTemp("/dev/shm", "redoubt-fuzz-")
	if err != nil {
		t.Skip(err)
	}
	defer os.RemoveAll(dir)
	return leg(t, dir, append([]string{"unshare", "-fpmuin", "--mount-proc", "--kill-child"}, args...)...)
}

func sandbox(t *testing.T, args ...string) []string {
	runsc := os.Getenv("REDOUBT_RUNSC")
	if runsc == "" {
		runsc = filepath.Join(run.Root(), "bin", "runsc")
	}
	if _, err := os.Stat(runsc); err != nil {
		t.Skipf("%s is missing (run make)", runsc)
	}
	return leg(t, "/", append([]string{runsc, "do", "--cwd", "/dev/shm"}, args...)...)
}

// known reads the patterns of lines that may differ.
func known(t *testing.T) []*regexp.Regexp {
	t.Helper()
	f, err := os.Open("known.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var l []*regexp.Regexp
	for s := bufio.NewScanner(f); s.Scan(); {
		pat, reason, ok := strings.Cut(s.Text(), "\t")
		if pat == "" || pat[0] == '#' {
			continue
		}
		if !ok || reason == "" {
			t.Fatalf("known.txt: %q has no reason", pat)
		}
		l = append(l, regexp.MustCompile(pat))
	}
	return l
}

// diff returns "native ~ sandbox" of the lines that differ and are not known.
func diff(t *testing.T, a, b []string) []string {
	t.Helper()
	if len(a) != len(b) {
		t.Fatalf("%d lines on Linux, %d in the sandbox; the last: %q, %q", len(a), len(b), a[len(a)-1], b[len(b)-1])
	}
	pats := known(t)
	var l []string
lines:
	for i := range a {
		if a[i] == b[i] {
			continue
		}
		for _, p := range pats {
			if p.MatchString(a[i]) {
				continue lines
			}
		}
		l = append(l, a[i]+"  ~  "+b[i])
	}
	return l
}

// TestProbe calls every system call with many combinations of arguments.
func TestProbe(t *testing.T) {
	prog := build(t, "probe")
	args := []string{prog, "-n", "16"}
	d := diff(t, native(t, args...), sandbox(t, args...))
	if len(d) == 0 {
		return
	}
	// A loaded machine lets timers fire early: only what differs again counts.
	first := map[string]bool{}
	for _, x := range d {
		first[strings.SplitN(x, ") = ", 2)[0]] = true
		args = append(args, strings.SplitN(x, "(", 2)[0])
	}
	for _, x := range diff(t, native(t, args...), sandbox(t, args...)) {
		if first[strings.SplitN(x, ") = ", 2)[0]] {
			t.Error(x)
		}
	}
}

// TestHistory makes random sequences of calls from seeds.
func TestHistory(t *testing.T) {
	prog := build(t, "history")
	args := []string{prog, "1", "200"}
	d := diff(t, native(t, args...), sandbox(t, args...))
	seen := map[string]bool{}
	for _, x := range d {
		// What follows the first difference of a history follows from it.
		if seed := strings.SplitN(x, ".", 2)[0]; !seen[seed] {
			seen[seed] = true
			t.Error(x)
		}
	}
}
