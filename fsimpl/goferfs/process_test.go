package goferfs

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/gofer"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

// TestMain is also the gofer of benchmarks that want it in a process of its own.
func TestMain(m *testing.M) {
	if dir := os.Getenv("TEST_GOFER_DIR"); dir != "" {
		root, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err == nil {
			err = gofer.Serve([]gofer.Mount{{Root: root, Conn: 3, Donate: 4}})
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func startProcess(t testing.TB, dir string) *world {
	c9, s9 := pair(t, unix.SOCK_STREAM)
	cl, sl := pair(t, unix.SOCK_SEQPACKET)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "TEST_GOFER_DIR="+dir)
	cmd.Stderr = os.Stderr
	a, b := os.NewFile(uintptr(s9), "9p"), os.NewFile(uintptr(sl), "lane")
	cmd.ExtraFiles = []*os.File{a, b}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a.Close()
	b.Close()
	w := &world{t: t, dir: dir, sys: vfs.NewSystem(), ctx: kctx.Background(creds.NewRoot(creds.NewRootNS()))}
	w.sys.RegisterType(New(w.sys))
	fs, err := w.sys.NewSuper(w.ctx, "gofer", "9p", vfs.MountOpts{Internal: Conn{RFD: c9, WFD: c9, DonationFD: cl}})
	if err != nil {
		t.Fatal(err)
	}
	w.fs = fs.(*Super)
	w.ns = w.sys.NewNamespace(w.ctx, fs, "gofer", 0)
	t.Cleanup(func() {
		fs.Release()
		cmd.Wait()
	})
	return w
}

// walkTree visits everything below p as find does.
func (w *world) walkTree(p string, fn func(path string, st vfs.Stat)) {
	f, err := w.sys.OpenAt(w.ctx, w.op(p+"/"), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	w.must(err)
	var all []string
	w.must(f.Readdir(w.ctx, func(d vfs.Dirent) bool {
		if d.Name != "." && d.Name != ".." {
			all = append(all, p+"/"+d.Name)
		}
		return true
	}))
	f.DecRef(w.ctx)
	var dirs []string
	for _, x := range all {
		op := w.op(x)
		op.Flags |= vfs.OpNoFollow
		st, err := w.sys.StatAt(w.ctx, op)
		if err != nil {
			w.t.Fatal(x, err)
		}
		fn(x, st)
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			dirs = append(dirs, x)
		}
	}
	for _, x := range dirs {
		w.walkTree(x, fn)
	}
}

func BenchmarkFindProcess(b *testing.B) {
	for b.Loop() {
		w := startProcess(b, "/usr/share")
		n := 0
		w.walkTree("", func(string, vfs.Stat) { n++ })
		b.ReportMetric(float64(n), "files")
	}
}

func BenchmarkStatProcess(b *testing.B) {
	w := startProcess(b, "/usr")
	for b.Loop() {
		k, err := w.fs.root.askChild("share")
		w.must(err)
		k.Release()
	}
}

// BenchmarkTarProcess reads 2,300 small files, as tar does.
func BenchmarkTarProcess(b *testing.B) {
	dir := b.TempDir()
	for d := range 23 {
		os.Mkdir(dir+"/d"+strconv.Itoa(d), 0755)
		for f := range 100 {
			os.WriteFile(dir+"/d"+strconv.Itoa(d)+"/f"+strconv.Itoa(f), make([]byte, 900), 0644)
		}
	}
	buf := make([]byte, 10240)
	for b.Loop() {
		b.StopTimer()
		w := startProcess(b, dir)
		b.StartTimer()
		w.walkTree("", func(p string, st vfs.Stat) {
			if st.Mode&unix.S_IFMT != unix.S_IFREG {
				return
			}
			f, err := w.sys.OpenAt(w.ctx, w.op(p), unix.O_RDONLY, 0)
			w.must(err)
			_, err = f.Read(w.ctx, usermem.Bytes(buf))
			w.must(err)
			f.DecRef(w.ctx)
		})
	}
}
