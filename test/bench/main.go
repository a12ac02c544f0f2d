// Command bench times the same programs natively, under runsc, and under any other runtime
// given by a flag, and prints one table with the ratio of each column to the native one.
//
//	go run ./test/bench [-runs 5] [-only NAME] [-runtime LABEL='COMMAND do-like arguments']...
//
// Runs are interleaved, so that drift of the machine hits every column alike; a row is the
// median. Use an otherwise idle machine, and compare columns of one run only.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"redoubt.dev/redoubt/test/run"
)

// column is one way of running a program; args go before the program's own.
type column struct {
	label string
	args  []string
	oci   bool // args are an OCI runtime; the program is put in a bundle over /
}

type columns []column

func (c *columns) String() string { return fmt.Sprint(*c) }

func (c *columns) Set(s string) error {
	label, cmd, ok := strings.Cut(s, "=")
	if !ok {
		return fmt.Errorf("want LABEL=COMMAND")
	}
	*c = append(*c, column{label, strings.Fields(cmd), true})
	return nil
}

// walls are timed as a whole, start of the sandbox included, in milliseconds.
var walls = []struct{ name, needs, script string }{
	{"start_true", "", "true"},
	{"python_start", "/usr/bin/python3", "/usr/bin/python3 -c 'import json, re, subprocess'"},
	{"python_cpu", "/usr/bin/python3", "/usr/bin/python3 -c 'x = 0\nfor i in range(3000000): x += i * i'"},
	{"shell_200_forks", "", "i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i + 1)); done"},
	{"gcc_compile", "/usr/bin/gcc", "printf '#include <stdio.h>\\n#include <stdlib.h>\\nint main(){puts(\"x\");}' > a.c && gcc -O2 a.c -o a && ./a >/dev/null"},
	{"tar_small_files", "", "tar cf - /usr/share/perl /usr/share/perl5 2>/dev/null | wc -c >/dev/null"},
	{"find_usr_share", "", "find /usr/share -type f -size +100k | wc -l >/dev/null"},
	{"small_files_2000", "", "i=0; while [ $i -lt 2000 ]; do echo x > f$i; i=$((i + 1)); done; rm -rf f*"},
	{"sqlite_200_commits", "/usr/bin/sqlite3", "(echo 'create table t(a, b);'; i=0; while [ $i -lt 200 ]; do echo \"insert into t values($i, 'x');\"; i=$((i + 1)); done) | sqlite3 t.db"},
	{"dd_1g_tmp", "", "dd if=/dev/zero of=z bs=1M count=1024 2>/dev/null; rm z"},
	{"git_commit_200", "/usr/bin/git", "git init -q . && for i in $(seq 200); do echo $i > f$i; done && git add . && git -c user.name=a -c user.email=a@b commit -qm x"},
}

func main() {
	runs := flag.Int("runs", 5, "runs per row")
	only := flag.String("only", "", "only rows whose name contains this")
	runsc := flag.String("runsc", filepath.Join(run.Root(), "bin", "runsc"), "path of runsc")
	flags := flag.String("flags", "", "global flags for runsc")
	var more columns
	flag.Var(&more, "runtime", "another OCI runtime as LABEL='COMMAND WITH GLOBAL FLAGS' (repeatable)")
	flag.Parse()
	abs, err := filepath.Abs(*runsc)
	check(err)
	cols := append([]column{{"native", nil, false}, {"runsc", append(append([]string{abs}, strings.Fields(*flags)...), "do"), false}}, more...)

	micro := filepath.Join(run.Root(), "test", "out", "micro")
	check(os.MkdirAll(filepath.Dir(micro), 0o755))
	if out, err := exec.Command("gcc", "-O2", "-w", "-static", "-pthread", "-o", micro, filepath.Join(run.Root(), "test", "bench", "micro", "micro.c")).CombinedOutput(); err != nil {
		check(fmt.Errorf("compiling micro.c: %w\n%s", err, out))
	}

	t := &table{cols: cols, values: map[string]map[string][]float64{}}
	for _, w := range walls {
		if !strings.Contains(w.name, *only) {
			continue
		}
		if _, err := os.Stat(w.needs); w.needs != "" && err != nil {
			fmt.Fprintf(os.Stderr, "%s: %s is missing\n", w.name, w.needs)
			continue
		}
		for r := range *runs + 1 { // the first round only warms caches
			for _, c := range cols {
				took, _, err := c.run(w.script)
				if err != nil {
					fmt.Fprintf(os.Stderr, "%s under %s: %v\n", w.name, c.label, err)
				} else if r > 0 {
					t.add(w.name+" ms", c.label, took.Seconds()*1000)
				}
			}
		}
	}
	if strings.Contains("micro", *only) || *only == "" {
		for range (*runs + 1) / 2 {
			for _, c := range cols {
				_, out, err := c.run(micro + " .")
				if err != nil {
					fmt.Fprintf(os.Stderr, "micro under %s: %v\n", c.label, err)
				}
				for _, line := range strings.Split(out, "\n") {
					f := strings.Fields(line)
					if len(f) == 2 {
						if v, err := strconv.ParseFloat(f[1], 64); err == nil {
							t.add(f[0]+" ns", c.label, v)
						}
					}
				}
			}
		}
	}
	if strings.Contains("idle_memory", *only) || *only == "" {
		for _, c := range cols {
			if kb, err := c.memory(); err == nil {
				t.add("idle_memory kB", c.label, kb)
			}
		}
	}
	t.print()
}

// command prepares a script in an empty directory of its own.
func (c column) command(script string) (*exec.Cmd, func()) {
	script = `d=$(mktemp -d /tmp/bench.XXXXXX) && cd "$d" || exit 1; trap 'cd /; rm -rf "$d"' EXIT; ` + "\n" + script
	args := append(append([]string{}, c.args...), "/bin/sh", "-c", script)
	clean := func() {}
	if c.oci {
		dir, err := os.MkdirTemp("", "bench-bundle-")
		check(err)
		clean = func() { os.RemoveAll(dir) }
		check(bundle(dir, script))
		args = append(append([]string{}, c.args...), "run", "--bundle", dir, filepath.Base(dir))
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = "/"
	return cmd, clean
}

func (c column) run(script string) (time.Duration, string, error) {
	cmd, clean := c.command(script)
	defer clean()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	began := time.Now()
	err := cmd.Run()
	took := time.Since(began)
	if err != nil {
		s := errs.String()
		err = fmt.Errorf("%w: %s", err, s[max(0, len(s)-300):])
	}
	return took, out.String(), err
}

// bundle writes an OCI bundle whose root is the host's, read-only, with a fresh /tmp.
func bundle(dir, script string) error {
	spec := map[string]any{
		"ociVersion": "1.0.2",
		"process":    map[string]any{"user": map[string]any{"uid": 0, "gid": 0}, "args": []string{"/bin/sh", "-c", script}, "env": []string{"PATH=" + os.Getenv("PATH"), "HOME=/root"}, "cwd": "/"},
		"root":       map[string]any{"path": "/", "readonly": true},
		"mounts": []map[string]any{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
			{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"},
		},
		"linux": map[string]any{"namespaces": []map[string]any{{"type": "pid"}, {"type": "mount"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}}},
	}
	b, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "config.json"), b, 0o644)
}

// memory sums the proportional set sizes of all processes of an idle program.
func (c column) memory() (float64, error) {
	cmd, clean := c.command("exec sleep 3")
	defer clean()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	time.Sleep(1500 * time.Millisecond)
	kids := map[int][]int{}
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range procs {
		pid, _ := strconv.Atoi(filepath.Base(p))
		b, err := os.ReadFile(p + "/stat")
		if err != nil {
			continue
		}
		f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		parent, _ := strconv.Atoi(f[1])
		kids[parent] = append(kids[parent], pid)
	}
	total := 0.0
	for todo := []int{cmd.Process.Pid}; len(todo) > 0; todo = todo[1:] {
		todo = append(todo, kids[todo[0]]...)
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", todo[0]))
		for _, line := range strings.Split(string(b), "\n") {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
				kb, _ := strconv.ParseFloat(f[1], 64)
				total += kb
			}
		}
	}
	return total, cmd.Wait()
}

// table collects values by row and column.
type table struct {
	cols   []column
	rows   []string
	values map[string]map[string][]float64
}

func (t *table) add(row, col string, v float64) {
	if t.values[row] == nil {
		t.values[row] = map[string][]float64{}
		t.rows = append(t.rows, row)
	}
	t.values[row][col] = append(t.values[row][col], v)
}

func (t *table) print() {
	fmt.Printf("%-26s", "median")
	for _, c := range t.cols {
		fmt.Printf("%13s", c.label)
	}
	for _, c := range t.cols[1:] {
		fmt.Printf("%20s", c.label+"/native")
	}
	fmt.Println()
	for _, row := range t.rows {
		fmt.Printf("%-26s", row)
		base := median(t.values[row]["native"])
		for _, c := range t.cols {
			if v := t.values[row][c.label]; len(v) > 0 {
				fmt.Printf("%13.1f", median(v))
			} else {
				fmt.Printf("%13s", "-")
			}
		}
		for _, c := range t.cols[1:] {
			if v := t.values[row][c.label]; len(v) > 0 && base > 0 {
				fmt.Printf("%20.2f", median(v)/base)
			} else {
				fmt.Printf("%20s", "-")
			}
		}
		fmt.Println()
	}
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := append([]float64{}, v...)
	sort.Float64s(s)
	return s[len(s)/2]
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
