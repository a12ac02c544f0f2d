package gofer

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/gofer/wire"
	"redoubt.dev/redoubt/sentry/errno"
)

func newTestTree(t testing.TB, ro bool) (*tree, string) {
	dir := t.TempDir()
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	tr, err := newTree(Mount{Root: fd, ReadOnly: ro})
	if err != nil {
		t.Fatal(err)
	}
	return tr, dir
}

func Test9P(t *testing.T) {
	tr, dir := newTestTree(t, false)
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.SetNonblock(p[0], true)
	unix.SetNonblock(p[1], true)
	go serve9P(tr, os.NewFile(uintptr(p[1]), "9p"))
	c, err := p9.NewClient(os.NewFile(uintptr(p[0]), "9p"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	root, err := c.Attach("/")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.Mkdir("d", 0755, 3, 4); err != nil {
		t.Fatal(err)
	}
	_, d, err := root.Walk([]string{"d"})
	if err != nil {
		t.Fatal(err)
	}
	_, nd, _ := root.Walk([]string{"d"})
	f, _, _, err := nd.Create("f", p9.ReadWrite, 0640, 3, 4)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := f.WriteAt([]byte("data"), 0); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	buf := make([]byte, 8)
	if n, err := f.ReadAt(buf, 0); string(buf[:n]) != "data" || err != nil && err != io.EOF {
		t.Fatal(n, err)
	}
	f.Close()
	var st unix.Stat_t
	unix.Stat(dir+"/d/f", &st)
	if st.Mode != unix.S_IFREG|0640 || st.Uid != 3 || st.Gid != 4 {
		t.Fatalf("%+v", st)
	}
	if err := d.RenameAt("f", root, "g"); err != nil {
		t.Fatal(err)
	}
	_, o, _ := root.Walk(nil)
	if _, _, err := o.Open(p9.ReadOnly); err != nil {
		t.Fatal(err)
	}
	l, err := o.Readdir(0, 4096)
	if err != nil || len(l) != 2 {
		t.Fatal(l, err)
	}
	os.Symlink("/etc", dir+"/l")
	if _, _, err := root.Walk([]string{"l", "passwd"}); err == nil {
		t.Fatal("walked through a link")
	}
	if _, _, err := root.Walk([]string{".."}); err == nil {
		t.Fatal("walked up")
	}
	unix.Mkfifo(dir+"/p", 0600)
	_, pf, err := root.Walk([]string{"p"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := pf.Open(p9.ReadOnly); err != linux.ENXIO {
		t.Fatal(err)
	}
	if err := root.UnlinkAt("g", 0); err != nil {
		t.Fatal(err)
	}
}

func call(tr *tree, op wire.Op, path string, args func(e *wire.Enc)) error {
	var e, out wire.Enc
	if args != nil {
		args(&e)
	}
	fd, err := tr.call(wire.Request{Op: op, Path: path, Args: wire.Dec{B: e.B}}, &out)
	if fd >= 0 {
		unix.Close(fd)
	}
	return errno.FromHost(err)
}

func TestReadOnly(t *testing.T) {
	tr, dir := newTestTree(t, true)
	os.WriteFile(dir+"/f", nil, 0666)
	for op := wire.OpStat; op <= wire.OpOpenMany; op++ {
		if changes>>op&1 == 0 {
			continue
		}
		if err := call(tr, op, "f", nil); err != errno.EROFS {
			t.Error(op, err)
		}
	}
	for _, fl := range []uint32{unix.O_WRONLY, unix.O_RDWR, unix.O_TRUNC} {
		if err := call(tr, wire.OpOpen, "f", func(e *wire.Enc) { e.U32(fl) }); err != errno.EROFS {
			t.Error(fl, err)
		}
	}
}

// TestRace renames a directory to and fro while links take its place: no call
// may reach what is outside.
func TestRace(t *testing.T) {
	tr, dir := newTestTree(t, false)
	out := t.TempDir()
	os.WriteFile(out+"/f", []byte("outside"), 0644)
	os.Mkdir(dir+"/d", 0755)
	os.WriteFile(dir+"/d/f", []byte("in"), 0644)
	os.Symlink(out, dir+"/evil")
	stop, done := make(chan bool), make(chan bool)
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				unix.Renameat2(unix.AT_FDCWD, dir+"/d", unix.AT_FDCWD, dir+"/evil", unix.RENAME_EXCHANGE)
			}
		}
	}()
	for n := range 3000 {
		var a wire.Attr
		if fd, err := tr.openData("d/f", unix.O_RDONLY, &a); err == nil {
			if a.Size != 2 {
				t.Fatal("reached a file outside")
			}
			unix.Close(fd)
		}
		call(tr, wire.OpCreate, fmt.Sprint("d/new", n), func(e *wire.Enc) { e.U32(0600); e.U32(0); e.U32(0) })
	}
	close(stop)
	<-done
	if l, _ := os.ReadDir(out); len(l) != 1 {
		t.Fatal("made files outside")
	}
}

func FuzzCall(f *testing.F) {
	f.Add(wire.NewRequest(wire.OpStat, "a").B)
	f.Add(wire.NewRequest(wire.OpRename, "a").B)
	tr, _ := newTestTree(f, false)
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, ok := wire.ParseRequest(b); ok && r.Op != wire.OpList && r.Op != wire.OpOpenMany && r.Op != wire.OpSync {
			var out wire.Enc
			if fd, _ := tr.call(r, &out); fd >= 0 {
				unix.Close(fd)
			}
		}
	})
}

func TestSingleFile(t *testing.T) {
	name := t.TempDir() + "/f"
	os.WriteFile(name, []byte("one file"), 0644)
	fd, err := unix.Open(name, unix.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := newTree(Mount{Root: fd})
	if err != nil {
		t.Fatal(err)
	}
	var a wire.Attr
	for _, fl := range []uint32{unix.O_RDONLY, unix.O_RDWR, unix.O_WRONLY} {
		f, err := tr.openData("", fl, &a)
		if err != nil || a.Size != 8 {
			t.Fatal(fl, err, a)
		}
		unix.Close(f)
	}
	if err := call(tr, wire.OpSetAttr, "", func(e *wire.Enc) { e.SetAttr(&wire.SetAttr{Mask: wire.SetMode | wire.SetSize, Mode: 0600, Size: 3}) }); err != nil {
		t.Fatal(err)
	}
	if err := call(tr, wire.OpStat, "x", nil); err != errno.ENOTDIR {
		t.Fatal(err)
	}
}

func TestOpenedAlong(t *testing.T) {
	tr, dir := newTestTree(t, false)
	os.MkdirAll(filepath.Join(dir, "p/q"), 0o755)
	os.WriteFile(filepath.Join(dir, "p/a"), []byte("A"), 0o644)
	os.WriteFile(filepath.Join(dir, "p/q/b"), []byte("B"), 0o644)
	os.Symlink("/", filepath.Join(dir, "p/out"))
	unix.Mkfifo(filepath.Join(dir, "p/fifo"), 0o644)
	sp, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	c, s := wire.NewClient(sp[0]), wire.NewServer(sp[1])
	defer c.Close()
	go func() {
		defer s.Close()
		tr.serveLane(s)
	}()
	contents := func(fds []int) (out string) {
		for _, fd := range fds {
			b := make([]byte, 8)
			n, _ := unix.Read(fd, b)
			out += string(b[:max(n, 0)])
			unix.Close(fd)
		}
		return out
	}
	ask := func(op wire.Op, path string, names ...string) (string, error) {
		e := wire.NewRequest(op, path)
		for _, n := range names {
			e.Str(n)
		}
		_, fds, err := c.Call(e, wire.MaxFDs)
		return contents(fds), err
	}
	for _, x := range []struct {
		op    wire.Op
		path  string
		names []string
		want  string
		fails bool
	}{
		{wire.OpFind, "p", []string{"a"}, "A", false},
		{wire.OpFind, "", []string{"p", "q", "b"}, "B", false},
		{wire.OpFind, "p", []string{"q"}, "", false},
		{wire.OpFind, "p", []string{"fifo"}, "", false},
		{wire.OpFind, "p", []string{"out", "etc", "passwd"}, "", false},
		{wire.OpFind, "p", []string{"a", "b"}, "", false},
		{wire.OpFind, "p", []string{".."}, "", true},
		{wire.OpOpenMany, "p", []string{"a", "fifo", "none", "/p/q", "b", "/p", "a"}, "ABA", false},
		{wire.OpOpenMany, "p", []string{"/p/out/etc", "passwd", "/p", "a"}, "A", false},
		{wire.OpOpenMany, "p", []string{"/../etc", "passwd"}, "", true},
		{wire.OpOpenMany, "p", []string{"//etc", "passwd"}, "", true},
	} {
		if got, err := ask(x.op, x.path, x.names...); got != x.want || (err != nil) != x.fails {
			t.Errorf("%d %q %q: %q, %v", x.op, x.path, x.names, got, err)
		}
	}
}
