package goferfs

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/gofer"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

type world struct {
	t    testing.TB
	dir  string
	sys  *vfs.System
	ns   *vfs.Namespace
	fs   *Super
	ctx  kctx.Ctx
	lane int
}

func pair(t testing.TB, typ int) (int, int) {
	p, err := unix.Socketpair(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return p[0], p[1]
}

// start serves dir and mounts it.
func start(t testing.TB, dir, cache string, ro bool, onDeath func()) *world {
	t.Helper()
	root, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	c9, s9 := pair(t, unix.SOCK_STREAM)
	cl, sl := pair(t, unix.SOCK_SEQPACKET)
	done := make(chan error, 1)
	go func() { done <- gofer.Serve([]gofer.Mount{{Root: root, Conn: s9, Donate: sl, ReadOnly: ro}}) }()
	w := &world{t: t, dir: dir, sys: vfs.NewSystem(), ctx: kctx.Background(creds.NewRoot(creds.NewRootNS())), lane: sl}
	w.sys.RegisterType(New(w.sys))
	fs, err := w.sys.NewSuper(w.ctx, "gofer", "9p", vfs.MountOpts{ReadOnly: ro, Internal: Conn{RFD: c9, WFD: c9, DonationFD: cl, Cache: cache, OnDeath: onDeath}})
	if err != nil {
		t.Fatal(err)
	}
	w.fs = fs.(*Super)
	w.ns = w.sys.NewNamespace(w.ctx, fs, "gofer", 0)
	t.Cleanup(func() {
		fs.Release()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			t.Error("the gofer does not end")
		}
		unix.Close(root)
	})
	return w
}

func (w *world) op(path string) vfs.Op {
	r := w.ns.Root()
	return vfs.Op{Sys: w.sys, NS: w.ns, Root: r, Start: r, Path: path}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) read(path string) string {
	w.t.Helper()
	f, err := w.sys.OpenAt(w.ctx, w.op(path), unix.O_RDONLY, 0)
	w.must(err)
	defer f.DecRef(w.ctx)
	buf := make([]byte, 1<<16)
	n, err := f.Read(w.ctx, usermem.Bytes(buf))
	w.must(err)
	return string(buf[:n])
}

func (w *world) write(path, data string, flags uint32) {
	w.t.Helper()
	f, err := w.sys.OpenAt(w.ctx, w.op(path), unix.O_WRONLY|flags, 0640)
	w.must(err)
	defer f.DecRef(w.ctx)
	if n, err := f.Write(w.ctx, usermem.Bytes([]byte(data))); err != nil || n != int64(len(data)) {
		w.t.Fatal(n, err)
	}
}

func (w *world) list(path string) []string {
	w.t.Helper()
	f, err := w.sys.OpenAt(w.ctx, w.op(path), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	w.must(err)
	defer f.DecRef(w.ctx)
	var l []string
	w.must(f.Readdir(w.ctx, func(d vfs.Dirent) bool {
		if d.Name != "." && d.Name != ".." {
			l = append(l, d.Name)
		}
		return true
	}))
	sort.Strings(l)
	return l
}

func both(t *testing.T, fn func(t *testing.T, w *world)) {
	for _, c := range []string{"exclusive", "remote_revalidating"} {
		t.Run(c, func(t *testing.T) { fn(t, start(t, t.TempDir(), c, false, nil)) })
	}
}

func TestReadWriteCreate(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		os.WriteFile(w.dir+"/a", []byte("hello"), 0644)
		if s := w.read("/a"); s != "hello" {
			t.Fatal(s)
		}
		w.write("/new", "one", unix.O_CREAT|unix.O_EXCL)
		w.write("/new", "two", unix.O_APPEND)
		if b, _ := os.ReadFile(w.dir + "/new"); string(b) != "onetwo" {
			t.Fatalf("%q", b)
		}
		st, err := w.sys.StatAt(w.ctx, w.op("/new"))
		w.must(err)
		if st.Size != 6 || st.Mode != unix.S_IFREG|0640 || st.Nlink != 1 {
			t.Fatalf("%+v", st)
		}
		if s := w.read("/new"); s != "onetwo" {
			t.Fatal(s)
		}
		w.write("/new", "x", unix.O_TRUNC)
		if s := w.read("/new"); s != "x" {
			t.Fatal(s)
		}
		w.must(w.sys.SetStatAt(w.ctx, w.op("/new"), vfs.SetStat{Mask: vfs.SetMode | vfs.SetUID, Mode: 0600, UID: 77}))
		st, _ = w.sys.StatAt(w.ctx, w.op("/new"))
		if st.Mode&07777 != 0600 || st.UID != 77 {
			t.Fatalf("%+v", st)
		}
		if _, err := w.sys.OpenAt(w.ctx, w.op("/none"), 0, 0); err != errno.ENOENT {
			t.Fatal(err)
		}
		w.must(w.sys.UnlinkAt(w.ctx, w.op("/new")))
		if _, err := os.Stat(w.dir + "/new"); !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if _, err := w.sys.OpenAt(w.ctx, w.op("/new"), 0, 0); err != errno.ENOENT {
			t.Fatal(err)
		}
	})
}

func TestTree(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.must(w.sys.MkdirAt(w.ctx, w.op("/d"), 0755))
		w.must(w.sys.MkdirAt(w.ctx, w.op("/d/e"), 0755))
		w.write("/d/e/f", "deep", unix.O_CREAT)
		w.must(w.sys.SymlinkAt(w.ctx, "e/f", w.op("/d/l")))
		if s := w.read("/d/l"); s != "deep" {
			t.Fatal(s)
		}
		w.must(w.sys.RenameAt(w.ctx, w.op("/d/e"), w.op("/g"), 0))
		if s := w.read("/g/f"); s != "deep" {
			t.Fatal(s)
		}
		if _, err := w.sys.OpenAt(w.ctx, w.op("/d/e/f"), 0, 0); err != errno.ENOENT {
			t.Fatal(err)
		}
		w.must(w.sys.LinkAt(w.ctx, w.op("/g/f"), w.op("/h")))
		a, err := w.sys.StatAt(w.ctx, w.op("/g/f"))
		w.must(err)
		b, err := w.sys.StatAt(w.ctx, w.op("/h"))
		w.must(err)
		if a.Ino != b.Ino || a.Nlink != 2 || b.Nlink != 2 {
			t.Fatalf("%+v %+v", a, b)
		}
		w.write("/h", "via h", unix.O_TRUNC)
		if s := w.read("/g/f"); s != "via h" {
			t.Fatal(s)
		}
		w.must(w.sys.UnlinkAt(w.ctx, w.op("/g/f")))
		if s := w.read("/h"); s != "via h" {
			t.Fatal(s)
		}
		if st, err := w.fs.Statfs(w.ctx); err != nil || st.Bsize == 0 || st.Type != v9fsMagic || w.fs.p9root == nil {
			t.Fatalf("%+v %v", st, err)
		}
		if got := fmt.Sprint(w.list("/")); got != "[d g h]" {
			t.Fatal(got)
		}
		w.must(w.sys.RmdirAt(w.ctx, w.op("/g")))
		if err := w.sys.RmdirAt(w.ctx, w.op("/d")); err != errno.ENOTEMPTY {
			t.Fatal(err)
		}
		w.must(w.sys.MknodAt(w.ctx, w.op("/fifo"), unix.S_IFIFO|0600, vfs.Dev{}))
		if got := fmt.Sprint(w.list("/")); got != "[d fifo h]" {
			t.Fatal(got)
		}
	})
}

func TestUnlinkedButOpen(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		f, err := w.sys.OpenAt(w.ctx, w.op("/t"), unix.O_RDWR|unix.O_CREAT, 0600)
		w.must(err)
		defer f.DecRef(w.ctx)
		w.must(w.sys.UnlinkAt(w.ctx, w.op("/t")))
		if n, err := f.Write(w.ctx, usermem.Bytes([]byte("still"))); n != 5 || err != nil {
			t.Fatal(n, err)
		}
		st, err := f.Stat(w.ctx)
		w.must(err)
		if st.Size != 5 || st.Nlink != 0 {
			t.Fatalf("%+v", st)
		}
		buf := make([]byte, 10)
		if n, err := f.Pread(w.ctx, usermem.Bytes(buf), 0); err != nil || string(buf[:n]) != "still" {
			t.Fatal(n, err)
		}
	})
}

func TestListingsBig(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		var want []string
		for i := range 700 {
			n := fmt.Sprintf("file-with-a-long-name-%04d", i)
			want = append(want, n)
			os.WriteFile(w.dir+"/"+n, nil, 0600)
		}
		os.MkdirAll(w.dir+"/zz/y/x", 0755)
		os.WriteFile(w.dir+"/zz/y/x/w", []byte("w"), 0600)
		want = append(want, "zz")
		for range 2 {
			if got := w.list("/"); strings.Join(got, ",") != strings.Join(want, ",") {
				t.Fatal(len(got), len(want))
			}
		}
		if s := w.read("/zz/y/x/w"); s != "w" {
			t.Fatal(s)
		}
		for _, n := range want[:100] {
			if s := w.read("/" + n); s != "" {
				t.Fatal(s)
			}
		}
	})
}

func TestRevalidate(t *testing.T) {
	w := start(t, t.TempDir(), "remote_revalidating", false, nil)
	os.WriteFile(w.dir+"/a", []byte("1"), 0600)
	if s := w.read("/a"); s != "1" {
		t.Fatal(s)
	}
	os.WriteFile(w.dir+"/b", []byte("22"), 0600)
	os.Rename(w.dir+"/b", w.dir+"/a")
	if s := w.read("/a"); s != "22" {
		t.Fatal(s)
	}
	os.Remove(w.dir + "/a")
	if _, err := w.sys.OpenAt(w.ctx, w.op("/a"), 0, 0); err != errno.ENOENT {
		t.Fatal(err)
	}
}

func TestReadOnly(t *testing.T) {
	w := start(t, t.TempDir(), "exclusive", true, nil)
	os.WriteFile(w.dir+"/a", []byte("1"), 0600)
	if s := w.read("/a"); s != "1" {
		t.Fatal(s)
	}
	if _, err := w.fs.root.Create(w.ctx, "x", 0600); err != errno.EROFS {
		t.Fatal(err)
	}
	i, err := w.fs.root.Lookup(w.ctx, "a")
	w.must(err)
	if err := i.SetStat(w.ctx, vfs.SetStat{Mask: vfs.SetMode, Mode: 0777}); err != errno.EROFS {
		t.Fatal(err)
	}
	if err := i.(*inode).fetchFD(unix.O_RDWR); err != errno.EROFS {
		t.Fatal(err)
	}
	if err := w.fs.root.Unlink(w.ctx, "a", i); err != errno.EROFS {
		t.Fatal(err)
	}
}

func TestXattr(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		os.WriteFile(w.dir+"/a", nil, 0600)
		i, err := w.fs.root.Lookup(w.ctx, "a")
		w.must(err)
		if _, err := i.GetXattr(w.ctx, "user.x"); err != errno.ENODATA {
			t.Fatal(err)
		}
		if err := i.SetXattr(w.ctx, "user.x", "v", 0); err == errno.EOPNOTSUPP {
			t.Skip("no xattrs here")
		}
		if v, err := i.GetXattr(w.ctx, "user.x"); v != "v" || err != nil {
			t.Fatal(v, err)
		}
		l, _ := i.ListXattr(w.ctx)
		if len(l) != 1 || l[0] != "user.x" {
			t.Fatal(l)
		}
		w.must(i.RemoveXattr(w.ctx, "user.x"))
		if _, err := i.GetXattr(w.ctx, "user.x"); err != errno.ENODATA {
			t.Fatal(err)
		}
	})
}

type nobody struct{ got []memmap.Range }

func (n *nobody) Invalidate(ar memmap.Range, private bool) { n.got = append(n.got, ar) }

func TestMap(t *testing.T) {
	w := start(t, t.TempDir(), "exclusive", false, nil)
	os.WriteFile(w.dir+"/a", make([]byte, 3*4096+7), 0600)
	f, err := w.sys.OpenAt(w.ctx, w.op("/a"), unix.O_RDWR, 0)
	w.must(err)
	m, err := f.Mmap(w.ctx)
	w.must(err)
	n := &nobody{}
	ar := memmap.Range{Start: 0x10000, End: 0x20000}
	w.must(m.AddMapping(n, ar, 0, true))
	f.DecRef(w.ctx)
	tr, err := m.Translate(w.ctx, memmap.Range{Start: 0, End: 4096}, memmap.Range{Start: 0, End: 0x10000}, true)
	w.must(err)
	if len(tr) != 1 || tr[0].Source != (memmap.Range{Start: 0, End: 4 * 4096}) || !tr[0].Write {
		t.Fatalf("%+v", tr)
	}
	b, err := tr[0].File.Bytes(0, 4096, true)
	w.must(err)
	copy(b, "mapped")
	if s := w.read("/a"); s[:6] != "mapped" {
		t.Fatal(s[:6])
	}
	tr[0].File.DecRef(tr[0].Source)
	w.must(w.sys.SetStatAt(w.ctx, w.op("/a"), vfs.SetStat{Mask: vfs.SetSize, Size: 5000}))
	if len(n.got) != 1 || n.got[0] != (memmap.Range{Start: 0x12000, End: 0x20000}) {
		t.Fatalf("%x", n.got)
	}
	if tr, err := m.Translate(w.ctx, memmap.Range{Start: 8192, End: 12288}, memmap.Range{Start: 0, End: 0x10000}, false); err != nil || len(tr) != 0 {
		t.Fatal(tr, err)
	}
	m.RemoveMapping(n, memmap.Range{Start: 0x11000, End: 0x12000}, 0x1000, true)
	m.RemoveMapping(n, memmap.Range{Start: 0x10000, End: 0x11000}, 0, true)
	m.RemoveMapping(n, memmap.Range{Start: 0x12000, End: 0x20000}, 0x2000, true)
	d := m.(*inode).data.Load()
	if d.hf != nil || len(d.mapped.list) != 0 || d.mapped.writable != 0 {
		t.Fatalf("%+v", d)
	}
}

func TestDeath(t *testing.T) {
	dead := make(chan bool, 1)
	w := start(t, t.TempDir(), "remote_revalidating", false, func() { dead <- true })
	unix.Shutdown(w.lane, unix.SHUT_RDWR)
	if _, err := w.sys.OpenAt(w.ctx, w.op("/x"), 0, 0); err != errno.ENOTCONN {
		t.Fatal(err)
	}
	select {
	case <-dead:
	case <-time.After(time.Second):
		t.Fatal("OnDeath was not called")
	}
}

func TestEscape(t *testing.T) {
	top := t.TempDir()
	os.MkdirAll(top+"/in/sub", 0755)
	os.WriteFile(top+"/secret", []byte("secret"), 0644)
	os.Symlink(top, top+"/in/abs")
	os.Symlink("..", top+"/in/rel")
	w := start(t, filepath.Join(top, "in"), "exclusive", false, nil)
	for _, l := range []string{"abs", "rel"} {
		i, err := w.fs.root.Lookup(w.ctx, l)
		w.must(err)
		if err := i.(*inode).fetchFD(0); err == nil {
			t.Fatal("opened a link")
		}
		// A client that claims the link is a directory.
		i.(*inode).dir = &directory{}
		if _, err := i.(*inode).askChild("secret"); err != errno.ELOOP {
			t.Fatal(err)
		}
	}
	for _, p := range []string{"..", "../secret", "sub/../../secret", "/etc/passwd", "sub//x", "sub/.", "abs/secret", "a\x00b"} {
		i := &inode{fs: w.fs, parent: w.fs.root, name: p}
		i.mode.Store(unix.S_IFREG)
		if err := i.fetchFD(0); err == nil {
			t.Fatal("escaped by", p)
		}
	}
}

func BenchmarkStatCall(b *testing.B) {
	w := start(b, b.TempDir(), "remote_revalidating", false, nil)
	os.WriteFile(w.dir+"/a", nil, 0600)
	for b.Loop() {
		i, err := w.fs.root.Lookup(w.ctx, "a")
		w.must(err)
		i.Release()
	}
}

func BenchmarkOpenClose(b *testing.B) {
	w := start(b, b.TempDir(), "exclusive", false, nil)
	os.WriteFile(w.dir+"/a", nil, 0600)
	for b.Loop() {
		f, err := w.sys.OpenAt(w.ctx, w.op("/a"), 0, 0)
		w.must(err)
		f.DecRef(w.ctx)
	}
}

func BenchmarkFindUsrShare(b *testing.B) {
	for b.Loop() {
		w := start(b, "/usr/share", "exclusive", true, nil)
		n := 0
		var walk func(p string)
		walk = func(p string) {
			f, err := w.sys.OpenAt(w.ctx, w.op(p+"/"), unix.O_RDONLY|unix.O_DIRECTORY, 0)
			w.must(err)
			var dirs, all []string
			w.must(f.Readdir(w.ctx, func(d vfs.Dirent) bool {
				if d.Name != "." && d.Name != ".." {
					if d.Type == unix.DT_DIR {
						dirs = append(dirs, p+"/"+d.Name)
					}
					all = append(all, p+"/"+d.Name)
				}
				return true
			}))
			f.DecRef(w.ctx)
			for _, x := range all {
				op := w.op(x)
				op.Flags |= vfs.OpNoFollow
				if _, err := w.sys.StatAt(w.ctx, op); err != nil {
					b.Fatal(x, err)
				}
				n++
			}
			for _, x := range dirs {
				walk(x)
			}
		}
		walk("")
		b.ReportMetric(float64(n), "files")
	}
}
