// Package run builds the cases of test/cases, runs them on the host's Linux and inside the
// sandbox, and says where the two part.
//
// A Case is one C file with the transcript Linux gave beside it. Run starts one driver
// process (test/run/driver) for many cases, natively or inside one sandbox, so that a few
// hundred cases cost a few sandbox starts. The package knows nothing of what a case tests.
package run

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Case is one program of test/cases.
type Case struct {
	Name    string // family/name
	Source  string
	Golden  string // transcript file
	Program string // built program, set by Build
}

// Result is what one case did on one leg.
type Result struct {
	Output string // its transcript, ending in its exit status when that is not 0
	Took   time.Duration
}

// Root returns the top of the source tree.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Find lists the cases whose name contains pattern, in order of name.
func Find(pattern string) ([]*Case, error) {
	dir := filepath.Join(Root(), "test", "cases")
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.c"))
	if err != nil {
		return nil, fmt.Errorf("listing cases: %w", err)
	}
	sort.Strings(files)
	var cases []*Case
	for _, f := range files {
		rel, _ := filepath.Rel(dir, f)
		name := strings.TrimSuffix(rel, ".c")
		if strings.Contains(name, pattern) {
			cases = append(cases, &Case{Name: name, Source: f, Golden: strings.TrimSuffix(f, ".c") + ".out"})
		}
	}
	return cases, nil
}

// flags returns the compiler's arguments for a source text. A first line `// gcc: ARGS` adds to them.
func flags(name, text string) []string {
	f := []string{"-w", "-O0", "-fno-pie", "-no-pie", "-static", "-pthread"}
	if strings.HasPrefix(name, "bare/") {
		f = []string{"-w", "-O1", "-fno-pie", "-no-pie", "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector"}
	}
	if line, ok := strings.CutPrefix(text, "// gcc: "); ok {
		line, _, _ = strings.Cut(line, "\n")
		f = append(f, strings.Fields(line)...)
	}
	return f
}

// compile builds one source into test/out under a name made from its content.
func compile(name, source string) (string, error) {
	text, err := os.ReadFile(source)
	if err != nil {
		return "", fmt.Errorf("reading case: %w", err)
	}
	args := flags(name, string(text))
	h := sha256.New()
	h.Write(text)
	fmt.Fprint(h, args)
	if header, err := os.ReadFile(filepath.Join(Root(), "test", "cases", "case.h")); err == nil {
		h.Write(header)
	}
	base := strings.ReplaceAll(name, "/", "-")
	out := filepath.Join(Root(), "test", "out", base+"."+hex.EncodeToString(h.Sum(nil))[:10], base)
	if _, err := os.Stat(out); err == nil {
		return out, nil
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return "", fmt.Errorf("making output directory: %w", err)
	}
	tmp := out + "." + strconv.Itoa(os.Getpid())
	defer os.Remove(tmp)
	args = append([]string{"-I", filepath.Join(Root(), "test", "cases"), "-o", tmp, source}, args...)
	if b, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("compiling %s: %w\n%s", name, err, b)
	}
	if err := os.Rename(tmp, out); err != nil {
		return "", fmt.Errorf("keeping built case: %w", err)
	}
	return out, nil
}

// Build compiles the cases, as many at a time as there are processors.
func Build(cases []*Case) error {
	var wg sync.WaitGroup
	slots := make(chan bool, runtime.NumCPU())
	errs := make([]error, len(cases))
	for i, c := range cases {
		wg.Add(1)
		slots <- true
		go func() {
			defer wg.Done()
			c.Program, errs[i] = compile(c.Name, c.Source)
			<-slots
		}()
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Leg is a way of running cases: natively, or inside a sandbox.
type Leg struct {
	Runsc   string        // path of runsc; empty means native
	Flags   []string      // global flags of runsc
	Limit   time.Duration // for one case
	Shards  int           // drivers at a time
	Verbose io.Writer     // what the driver or runsc said on standard error; may be nil
}

// Run runs built cases and returns their results by name. A sandbox that dies or hangs
// costs the case it was at; the rest is run in a new one.
func (l *Leg) Run(cases []*Case) (map[string]Result, error) {
	driver, err := compile("driver", filepath.Join(Root(), "test", "run", "driver", "driver.c"))
	if err != nil {
		return nil, err
	}
	results := make(map[string]Result)
	var mu sync.Mutex
	var wg sync.WaitGroup
	shards := max(l.Shards, 1)
	for s := range shards {
		var mine []*Case
		for i := s; i < len(cases); i += shards {
			mine = append(mine, cases[i])
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			for len(mine) > 0 {
				done := l.batch(driver, mine, func(name string, r Result) {
					mu.Lock()
					results[name] = r
					mu.Unlock()
				})
				mine = mine[done:]
			}
		}()
	}
	wg.Wait()
	return results, nil
}

// batch runs one driver over cases and returns how many have a result (always at least one).
func (l *Leg) batch(driver string, cases []*Case, report func(string, Result)) int {
	dir := filepath.Join("/tmp", fmt.Sprintf("case-%d-%d", os.Getpid(), time.Now().UnixNano()))
	args := []string{driver, "-isolate"}
	if l.Runsc != "" {
		args = append(append([]string{l.Runsc}, l.Flags...), "do", driver, "-alone")
	} else {
		os.MkdirAll(dir, 0o755)
		defer os.RemoveAll(dir)
	}
	args = append(args, fmt.Sprint(l.Limit.Seconds()), dir)
	for _, c := range cases {
		args = append(args, c.Name, c.Program)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		report(cases[0].Name, Result{Output: fmt.Sprintf("[cannot start: %v]\n", err)})
		return 1
	}
	kill := func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	stuck := time.AfterFunc(l.Limit+20*time.Second, kill)
	r := bufio.NewReader(out)
	done, began := 0, time.Now()
	var text strings.Builder
	for done < len(cases) {
		line, err := r.ReadString('\n')
		// Output without a last newline has the END mark on its own line's tail.
		head, mark, found := strings.Cut(line, "\x01")
		text.WriteString(head)
		if found {
			f := strings.Fields(mark)
			switch {
			case len(f) == 2 && f[0] == "BEGIN":
				text.Reset()
				began = time.Now()
				stuck.Reset(l.Limit + 20*time.Second)
			case len(f) >= 3 && f[0] == "END" && f[1] == cases[done].Name:
				if how := strings.Join(f[2:], " "); how != "exit 0" {
					fmt.Fprintf(&text, "[%s]\n", how)
				}
				report(cases[done].Name, Result{Output: text.String(), Took: time.Since(began)})
				text.Reset()
				done++
			default:
				text.WriteString(mark)
			}
		}
		if err != nil {
			break
		}
	}
	// A sandbox gets a moment to leave by itself.
	last := time.AfterFunc(5*time.Second, kill)
	werr := cmd.Wait()
	last.Stop()
	stuck.Stop()
	if done < len(cases) {
		tail := stderr.String()
		if len(tail) > 4000 {
			tail = tail[:1500] + "\n...\n" + tail[len(tail)-2500:]
		}
		fmt.Fprintf(&text, "[leg died: %v] %s\n", werr, tail)
		report(cases[done].Name, Result{Output: text.String(), Took: time.Since(began)})
		done++
	}
	if l.Verbose != nil {
		io.Copy(l.Verbose, &stderr)
	}
	return done
}

// Known is the list of accepted differences: known[case][platform] is the reason.
type Known map[string]map[string]string

// ReadKnown reads test/known.txt. A platform of * stands for all.
func ReadKnown() (Known, error) {
	b, err := os.ReadFile(filepath.Join(Root(), "test", "known.txt"))
	if err != nil {
		return nil, fmt.Errorf("reading known differences: %w", err)
	}
	k := Known{}
	for n, line := range strings.Split(string(b), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.SplitN(line, "\t", 3)
		if len(f) != 3 || strings.TrimSpace(f[2]) == "" {
			return nil, fmt.Errorf("known.txt line %d: want case, platform, reason between tabs", n+1)
		}
		if k[f[0]] == nil {
			k[f[0]] = map[string]string{}
		}
		k[f[0]][f[1]] = f[2]
	}
	return k, nil
}

// Reason says why a case may differ on a platform; "" if it may not.
func (k Known) Reason(name, platform string) string {
	for _, p := range []string{platform, "*"} {
		if r := k[name][p]; r != "" {
			return r
		}
	}
	// A name may be a pattern, for tests that differ for one reason.
	for pattern, reasons := range k {
		if !strings.Contains(pattern, "*") {
			continue
		}
		if ok, _ := path.Match(pattern, name); !ok {
			continue
		}
		if r := reasons[platform]; r != "" {
			return r
		}
		return reasons["*"]
	}
	return ""
}

// Diff shows two transcripts side by side where they differ, with a little around it;
// "" if they are the same.
func Diff(wantTitle, want, gotTitle, got string) string {
	if want == got {
		return ""
	}
	a, b := strings.Split(strings.TrimSuffix(want, "\n"), "\n"), strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	pairs := align(a, b)
	near := make([]bool, len(pairs))
	for i, p := range pairs {
		if p[0] == p[1] {
			continue
		}
		for j := max(0, i-2); j <= min(len(pairs)-1, i+1); j++ {
			near[j] = true
		}
	}
	const width = 72
	var s strings.Builder
	fmt.Fprintf(&s, "   %-*s | %s\n", width, wantTitle, gotTitle)
	gap, shown := false, 0
	for i, p := range pairs {
		if !near[i] {
			gap = true
			continue
		}
		if gap {
			s.WriteString("   ...\n")
			gap = false
		}
		mark := "  "
		if p[0] != p[1] {
			mark = "! "
		}
		fmt.Fprintf(&s, " %s%-*s | %s\n", mark, width, p[0], p[1])
		if shown++; shown > 60 {
			s.WriteString("   (more differs)\n")
			break
		}
	}
	return s.String()
}

// align pairs the lines of two texts by their longest common subsequence.
func align(a, b []string) [][2]string {
	if len(a)*len(b) > 4_000_000 {
		a, b = a[:min(len(a), 2000)], b[:min(len(b), 2000)]
	}
	l := make([][]int, len(a)+1)
	for i := range l {
		l[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				l[i][j] = l[i+1][j+1] + 1
			} else {
				l[i][j] = max(l[i+1][j], l[i][j+1])
			}
		}
	}
	var out [][2]string
	var left, right []string
	flush := func() {
		for i := range max(len(left), len(right)) {
			p := [2]string{"(nothing)", "(nothing)"}
			if i < len(left) {
				p[0] = left[i]
			}
			if i < len(right) {
				p[1] = right[i]
			}
			out = append(out, p)
		}
		left, right = nil, nil
	}
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i] == b[j]:
			flush()
			out = append(out, [2]string{a[i], b[j]})
			i, j = i+1, j+1
		case l[i+1][j] >= l[i][j+1]:
			left = append(left, a[i])
			i++
		default:
			right = append(right, b[j])
			j++
		}
	}
	left, right = append(left, a[i:]...), append(right, b[j:]...)
	flush()
	return out
}
