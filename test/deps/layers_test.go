package deps

import (
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"testing"
)

const module = "redoubt.dev/redoubt/"

// layers is the table of ARCHITECTURE, low to high. A package imports only packages of
// lower layers; within a layer only what sameLayer allows. A name that ends in /* stands
// for all packages below it. The longest name that fits counts.
var layers = [][]string{
	0:  {"sentry/abi", "sentry/addr", "sentry/errno", "sentry/lock", "sentry/klog", "sentry/wait", "sentry/creds", "sentry/ktime", "sentry/limits", "sentry/signal", "sentry/arch", "sentry/seccomp", "sentry/state", "sentry/version"},
	1:  {"sentry/kctx", "sentry/usermem", "gofer/wire", "gofer/wire/*"},
	2:  {"sentry/memmap", "sentry/strace", "gofer", "gofer/*"},
	3:  {"sentry/pages", "sentry/platform", "sentry/futex", "vfs", "vfs/*"},
	4:  {"sentry/mm", "sentry/mm/*", "sentry/sysv", "sentry/fdtable", "sentry/socket", "sentry/socket/*", "sentry/platform/*", "fsimpl/*"},
	5:  {"sentry/loader"},
	6:  {"sentry/kernel", "sentry/kernel/*"},
	7:  {"fsimpl/procfs", "fsimpl/sysfs", "fsimpl/devfs", "fsimpl/devpts", "fsimpl/signalfd", "fsimpl/pidfd", "fsimpl/nsfs", "fsimpl/cgroupfs", "fsimpl/mqueue"},
	8:  {"sentry/syscalls", "sentry/syscalls/*"},
	9:  {"boot", "boot/*"},
	10: {"runsc", "runsc/*"},
	11: {"test/*"},
}

// forbidden lists edges that no layer number explains well enough, with the reason.
var forbidden = []struct{ from, to, reason string }{
	{"vfs", "sentry/mm", "vfs and mm never see each other: they meet in memmap"},
	{"vfs/*", "sentry/mm", "vfs and mm never see each other: they meet in memmap"},
	{"sentry/mm", "vfs", "vfs and mm never see each other: they meet in memmap"},
	{"sentry/kernel", "sentry/syscalls", "kernel calls a dispatch function that boot installs"},
	{"sentry/kernel", "fsimpl/*", "boot registers the filesystem types; kernel knows vfs only"},
	{"gofer", "sentry/kernel", "the gofer is the other side of a trust line"},
	{"gofer", "vfs", "the gofer is the other side of a trust line"},
	{"gofer/*", "vfs", "the gofer is the other side of a trust line"},
	{"fsimpl/*", "gofer", "goferfs and the gofer share gofer/wire and nothing else"},
}

// goferMay is all of the project that the gofer may import.
var goferMay = []string{"gofer/wire", "gofer/wire/*", "gofer/*", "sentry/abi", "sentry/errno", "sentry/klog"}

// sameLayer are the edges allowed inside one layer.
var sameLayer = []struct{ from, to, reason string }{
	{"sentry/*", "sentry/abi", "numbers and layouts are below everything"},
	{"sentry/*", "sentry/errno", "errors are below everything"},
	{"sentry/*", "sentry/addr", "addresses are below everything"},
	{"sentry/*", "sentry/lock", "locks are below everything"},
	{"sentry/*", "sentry/klog", "the log is below everything"},
	{"sentry/*", "sentry/wait", "wait queues need nothing but locks"},
	{"sentry/arch", "sentry/signal", "a signal frame holds a signal"},
	{"sentry/usermem", "sentry/kctx", "user memory is copied for somebody"},
	{"sentry/kctx", "sentry/usermem", "a context carries the memory it acts on"},
	{"gofer", "gofer/*", "parts of one server"},
	{"gofer/*", "gofer/wire", "both ends share the wire"},
	{"vfs/*", "vfs", "the suite tests vfs"},
	{"vfs", "sentry/pages", "vfs is the upper half of its layer"},
	{"vfs", "sentry/futex", "vfs is the upper half of its layer"},
	{"sentry/platform", "sentry/pages", "a platform maps page ranges"},
	{"sentry/platform/*", "sentry/platform/*", "platforms share parts"},
	{"sentry/mm/*", "sentry/mm", "its tests help others"},
	{"sentry/sysv", "sentry/mm", "a segment is attached to an address space"},
	{"fsimpl/*", "fsimpl/*", "one filesystem may build on another"},
	{"fsimpl/*", "sentry/fdtable", "a descriptor table is what proc and pidfd show"},
	{"fsimpl/*", "sentry/socket", "sockets are files too"},
	{"sentry/socket", "fsimpl/*", "a socket's node lives in a filesystem"},
	{"sentry/socket/*", "fsimpl/*", "a socket's node lives in a filesystem"},
	{"sentry/socket/*", "sentry/socket", "families belong to sockets"},
	{"sentry/socket", "sentry/socket/*", "sockets register their families"},
	{"sentry/socket/*", "sentry/socket/*", "families share parts"},
	{"sentry/socket", "sentry/fdtable", "messages carry descriptors"},
	{"sentry/kernel", "sentry/kernel/*", "parts of the kernel"},
	{"sentry/kernel/*", "sentry/kernel/*", "parts of the kernel"},
	{"sentry/kernel/*", "sentry/kernel", "parts of the kernel"},
	{"sentry/syscalls", "sentry/syscalls/*", "parts of the call table"},
	{"boot", "boot/*", "parts of boot"},
	{"boot/*", "boot/*", "parts of boot"},
	{"runsc", "runsc/*", "parts of the command"},
	{"runsc/*", "runsc/*", "parts of the command"},
	{"test/*", "test/*", "tests share the runner"},
}

type pkg struct {
	ImportPath string
	Name       string
	Doc        string
	Dir        string
	Imports    []string
	GoFiles    []string
}

func root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// packages lists the packages of the tree.
func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Name,Doc,Dir,Imports,GoFiles", "./...")
	cmd.Dir = root()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func fits(pattern, name string) bool {
	if dir, ok := strings.CutSuffix(pattern, "/*"); ok {
		return strings.HasPrefix(name, dir+"/")
	}
	return pattern == name
}

// layerOf finds the layer of a package by the longest name that fits; -1 if there is none.
func layerOf(name string) int {
	best, layer := -1, -1
	for i, names := range layers {
		for _, n := range names {
			if fits(n, name) && len(n) > best {
				best, layer = len(n), i
			}
		}
	}
	return layer
}

func judge(from, to string) error {
	for _, f := range forbidden {
		if fits(f.from, from) && fits(f.to, to) {
			return fmt.Errorf("%s imports %s: %s", from, to, f.reason)
		}
	}
	if from == "gofer" || strings.HasPrefix(from, "gofer/") {
		for _, g := range goferMay {
			if fits(g, to) {
				return nil
			}
		}
		return fmt.Errorf("%s imports %s: the gofer imports nothing of the sentry but numbers, errors and the log", from, to)
	}
	a, b := layerOf(from), layerOf(to)
	switch {
	case a < 0:
		return fmt.Errorf("%s is in no layer: add it to the table, and to ARCHITECTURE", from)
	case b < 0:
		return fmt.Errorf("%s is in no layer: add it to the table, and to ARCHITECTURE", to)
	case b < a:
		return nil
	case b > a:
		return fmt.Errorf("%s (layer %d) imports %s (layer %d): imports go downwards only", from, a, to, b)
	}
	for _, s := range sameLayer {
		if fits(s.from, from) && fits(s.to, to) {
			return nil
		}
	}
	return fmt.Errorf("%s imports %s: both are in layer %d", from, to, a)
}

func TestLayers(t *testing.T) {
	seen := map[string]bool{}
	var errs []string
	for _, p := range packages(t) {
		from := strings.TrimPrefix(p.ImportPath, module)
		for _, i := range p.Imports {
			to, ours := strings.CutPrefix(i, module)
			if !ours {
				continue
			}
			if err := judge(from, to); err != nil && !seen[err.Error()] {
				seen[err.Error()] = true
				errs = append(errs, err.Error())
			}
		}
	}
	sort.Strings(errs)
	for _, e := range errs {
		t.Error(e)
	}
}

// TestJudge proves that the rules refuse what they are there to refuse.
func TestJudge(t *testing.T) {
	for _, bad := range [][2]string{
		{"vfs", "sentry/mm"}, {"sentry/mm", "vfs"}, {"sentry/kernel", "sentry/syscalls"},
		{"sentry/kernel", "fsimpl/tmpfs"}, {"gofer", "sentry/kernel"}, {"sentry/errno", "sentry/kernel"},
		{"sentry/abi", "sentry/creds"}, {"fsimpl/goferfs", "gofer"},
	} {
		if judge(bad[0], bad[1]) == nil {
			t.Errorf("%s may import %s", bad[0], bad[1])
		}
	}
	for _, good := range [][2]string{
		{"sentry/kernel", "sentry/mm"}, {"boot", "sentry/syscalls"}, {"fsimpl/tmpfs", "vfs"}, {"gofer", "gofer/wire"},
	} {
		if err := judge(good[0], good[1]); err != nil {
			t.Error(err)
		}
	}
}

// gvisorMay are the packages of the network stack's module that may be used.
var gvisorMay = []string{"gvisor.dev/gvisor/pkg/tcpip", "gvisor.dev/gvisor/pkg/buffer", "gvisor.dev/gvisor/pkg/waiter", "gvisor.dev/gvisor/pkg/state"}

func TestForeignImports(t *testing.T) {
	for _, p := range packages(t) {
		for _, i := range p.Imports {
			if i == "C" {
				t.Errorf("%s uses cgo", p.ImportPath)
			}
			if !strings.HasPrefix(i, "gvisor.dev/") {
				continue
			}
			ok := false
			for _, m := range gvisorMay {
				ok = ok || i == m || strings.HasPrefix(i, m+"/")
			}
			if !ok {
				t.Errorf("%s imports %s: of that module only the network stack is used", p.ImportPath, i)
			}
		}
	}
}
