package overlayfs

import (
	"fmt"
	"sort"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/fsimpl/tmpfs"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/pages"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

// tree is a mounted file system to work on by path.
type tree struct {
	t   testing.TB
	sys *vfs.System
	ns  *vfs.Namespace
	fs  vfs.Super
	ctx kctx.Ctx
}

func (w *tree) op(path string) vfs.Op {
	r := w.ns.Root()
	return vfs.Op{Sys: w.sys, NS: w.ns, Root: r, Start: r, Path: path}
}

func (w *tree) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *tree) want(err, want error) {
	w.t.Helper()
	if err != want {
		w.t.Fatalf("got %v, want %v", err, want)
	}
}

func (w *tree) write(path, data string) {
	w.t.Helper()
	f, err := w.sys.OpenAt(w.ctx, w.op(path), unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC, 0644)
	w.must(err)
	defer f.DecRef(w.ctx)
	_, err = f.Write(w.ctx, usermem.Bytes([]byte(data)))
	w.must(err)
}

func (w *tree) read(path string) string {
	w.t.Helper()
	f, err := w.sys.OpenAt(w.ctx, w.op(path), unix.O_RDONLY, 0)
	w.must(err)
	defer f.DecRef(w.ctx)
	return w.readFile(f)
}

func (w *tree) readFile(f *vfs.File) string {
	buf := make([]byte, 4096)
	n, err := f.Pread(w.ctx, usermem.Bytes(buf), 0)
	w.must(err)
	return string(buf[:n])
}

func (w *tree) ls(path string) string {
	w.t.Helper()
	f, err := w.sys.OpenAt(w.ctx, w.op(path), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	w.must(err)
	defer f.DecRef(w.ctx)
	var l []string
	w.must(f.Readdir(w.ctx, func(d vfs.Dirent) bool {
		if d.Name != "." && d.Name != ".." {
			op := w.op(path + "/" + d.Name)
			op.Flags |= vfs.OpNoFollow
			st, err := w.sys.StatAt(w.ctx, op)
			w.must(err)
			if st.Ino != d.Ino || vfs.DirentType(st.Mode) != d.Type {
				w.t.Errorf("%s/%s: listed as %x %d, is %x %o", path, d.Name, d.Ino, d.Type, st.Ino, st.Mode)
			}
			l = append(l, d.Name)
		}
		return true
	}))
	sort.Strings(l)
	return strings.Join(l, " ")
}

func newSystem(t testing.TB) (*vfs.System, kctx.Ctx) {
	sys := vfs.NewSystem()
	mem, err := pages.NewMemory("test")
	if err != nil {
		t.Fatal(err)
	}
	sys.RegisterType(tmpfs.NewType(sys, mem))
	sys.RegisterType(New(sys))
	return sys, kctx.Background(creds.NewRoot(creds.NewRootNS()))
}

func newTmpfs(t testing.TB, sys *vfs.System, ctx kctx.Ctx) *tree {
	fs, err := sys.NewSuper(ctx, "t", "tmpfs", vfs.MountOpts{Data: "mode=755"})
	if err != nil {
		t.Fatal(err)
	}
	return &tree{t, sys, sys.NewNamespace(ctx, fs, "t", 0), fs, ctx}
}

// stack makes an overlay over lower layers that fill has filled, topmost first.
func stack(t testing.TB, fill ...func(w *tree)) (o, upper *tree, lowers []*tree) {
	sys, ctx := newSystem(t)
	upper = newTmpfs(t, sys, ctx)
	ls := Layers{Upper: &Layer{Super: upper.fs}}
	for _, f := range fill {
		l := newTmpfs(t, sys, ctx)
		f(l)
		lowers = append(lowers, l)
		ls.Lowers = append(ls.Lowers, Layer{Super: l.fs})
	}
	fs, err := sys.NewSuper(ctx, "overlay", "overlay", vfs.MountOpts{Internal: ls})
	if err != nil {
		t.Fatal(err)
	}
	return &tree{t, sys, sys.NewNamespace(ctx, fs, "overlay", 0), fs, ctx}, upper, lowers
}

func standard(t testing.TB) (o, upper *tree, lowers []*tree) {
	return stack(t,
		func(w *tree) {
			w.must(w.sys.MkdirAt(w.ctx, w.op("/d"), 0755))
			w.write("/d/mid", "mid")
			w.write("/both", "mid's")
		},
		func(w *tree) {
			w.must(w.sys.MkdirAt(w.ctx, w.op("/d"), 0700))
			w.write("/d/low", "low")
			w.write("/both", "low's")
			w.write("/f", "lower f")
			w.must(w.sys.MkdirAt(w.ctx, w.op("/e"), 0755))
			w.write("/e/x", "x")
			w.must(w.sys.SymlinkAt(w.ctx, "d/low", w.op("/l")))
		})
}

func TestMerge(t *testing.T) {
	o, _, _ := standard(t)
	if s := o.ls("/"); s != "both d e f l" {
		t.Fatal(s)
	}
	if s := o.ls("/d"); s != "low mid" {
		t.Fatal(s)
	}
	if s := o.read("/both") + o.read("/d/low") + o.read("/d/mid") + o.read("/l"); s != "mid'slowmidlow" {
		t.Fatal(s)
	}
	st, err := o.sys.StatAt(o.ctx, o.op("/d"))
	o.must(err)
	if st.Mode&0777 != 0755 {
		t.Fatalf("%o", st.Mode)
	}
}

func TestCopyUp(t *testing.T) {
	o, upper, lowers := standard(t)
	before, err := o.sys.StatAt(o.ctx, o.op("/d/low"))
	o.must(err)
	r, err := o.sys.OpenAt(o.ctx, o.op("/d/low"), unix.O_RDONLY, 0)
	o.must(err)
	defer r.DecRef(o.ctx)
	f, err := o.sys.OpenAt(o.ctx, o.op("/d/low"), unix.O_WRONLY|unix.O_APPEND, 0)
	o.must(err)
	_, err = f.Write(o.ctx, usermem.Bytes([]byte("+up")))
	o.must(err)
	f.DecRef(o.ctx)
	if s := o.read("/d/low") + upper.read("/d/low") + lowers[1].read("/d/low") + o.readFile(r); s != "low+uplow+uplowlow+up" {
		t.Fatal(s)
	}
	after, err := o.sys.StatAt(o.ctx, o.op("/d/low"))
	o.must(err)
	if before.Ino != after.Ino || before.Dev != after.Dev {
		t.Fatal("the file got another number")
	}
	if s := o.ls("/d"); s != "low mid" {
		t.Fatal(s)
	}
	o.must(o.sys.SetStatAt(o.ctx, o.op("/f"), vfs.SetStat{Mask: vfs.SetMode, Mode: 0600}))
	st, _ := o.sys.StatAt(o.ctx, o.op("/f"))
	if st.Mode&07777 != 0600 || o.read("/f") != "lower f" {
		t.Fatalf("%o", st.Mode)
	}
	if s := o.ls("/"); s != "both d e f l" {
		t.Fatal(s)
	}
}

func TestRemove(t *testing.T) {
	o, _, _ := standard(t)
	o.must(o.sys.UnlinkAt(o.ctx, o.op("/both")))
	o.must(o.sys.UnlinkAt(o.ctx, o.op("/d/low")))
	o.want(o.sys.RmdirAt(o.ctx, o.op("/d")), errno.ENOTEMPTY)
	o.must(o.sys.UnlinkAt(o.ctx, o.op("/d/mid")))
	o.must(o.sys.RmdirAt(o.ctx, o.op("/d")))
	if s := o.ls("/"); s != "e f l" {
		t.Fatal(s)
	}
	_, err := o.sys.StatAt(o.ctx, o.op("/d"))
	o.want(err, errno.ENOENT)
	// What comes back shows nothing of what was below.
	o.must(o.sys.MkdirAt(o.ctx, o.op("/d"), 0755))
	if s := o.ls("/d"); s != "" {
		t.Fatal(s)
	}
	o.write("/both", "new")
	if s := o.read("/both"); s != "new" {
		t.Fatal(s)
	}
	if s := o.ls("/"); s != "both d e f l" {
		t.Fatal(s)
	}
	o.must(o.sys.RmdirAt(o.ctx, o.op("/d")))
	if s := o.ls("/"); s != "both e f l" {
		t.Fatal(s)
	}
}

func TestRename(t *testing.T) {
	o, _, _ := standard(t)
	o.must(o.sys.RenameAt(o.ctx, o.op("/f"), o.op("/e/g"), 0))
	if s := o.read("/e/g"); s != "lower f" {
		t.Fatal(s)
	}
	if s := o.ls("/") + "|" + o.ls("/e"); s != "both d e l|g x" {
		t.Fatal(s)
	}
	o.want(o.sys.RenameAt(o.ctx, o.op("/d"), o.op("/h"), 0), errno.EXDEV)
	o.must(o.sys.RenameAt(o.ctx, o.op("/e/g"), o.op("/both"), 0))
	if s := o.read("/both"); s != "lower f" {
		t.Fatal(s)
	}
	o.must(o.sys.MkdirAt(o.ctx, o.op("/n"), 0755))
	o.write("/n/1", "one")
	o.must(o.sys.RenameAt(o.ctx, o.op("/n"), o.op("/m"), 0))
	o.must(o.sys.UnlinkAt(o.ctx, o.op("/e/x")))
	o.must(o.sys.RenameAt(o.ctx, o.op("/m"), o.op("/e"), 0)) // over an emptied merged directory
	if s := o.ls("/e"); s != "1" {
		t.Fatal(s)
	}
	o.must(o.sys.RenameAt(o.ctx, o.op("/both"), o.op("/l"), unix.RENAME_EXCHANGE))
	if s := o.read("/l"); s != "lower f" {
		t.Fatal(s)
	}
	if s := o.ls("/"); s != "both d e l" {
		t.Fatal(s)
	}
}

func TestLink(t *testing.T) {
	o, _, _ := standard(t)
	o.must(o.sys.LinkAt(o.ctx, o.op("/f"), o.op("/d/f2")))
	o.write("/f", "changed")
	if s := o.read("/d/f2"); s != "changed" {
		t.Fatal(s)
	}
	a, _ := o.sys.StatAt(o.ctx, o.op("/f"))
	b, _ := o.sys.StatAt(o.ctx, o.op("/d/f2"))
	if a.Ino != b.Ino || a.Nlink != 2 || b.Nlink != 2 {
		t.Fatalf("%+v\n%+v", a, b)
	}
	o.must(o.sys.UnlinkAt(o.ctx, o.op("/f")))
	if s := o.read("/d/f2") + o.ls("/"); s != "changedboth d e l" {
		t.Fatal(s)
	}
}

func TestUnlinkedLowerFile(t *testing.T) {
	o, _, _ := standard(t)
	f, err := o.sys.OpenAt(o.ctx, o.op("/f"), unix.O_RDONLY, 0)
	o.must(err)
	defer f.DecRef(o.ctx)
	o.must(o.sys.UnlinkAt(o.ctx, o.op("/f")))
	o.must(o.sys.SetStatPath(o.ctx, f.Path(), vfs.SetStat{Mask: vfs.SetMode, Mode: 0}))
	if s := o.readFile(f); s != "lower f" {
		t.Fatal(s)
	}
	st, _ := f.Stat(o.ctx)
	if st.Nlink != 0 {
		t.Fatalf("%+v", st)
	}
	_, err = o.sys.StatAt(o.ctx, o.op("/f"))
	o.want(err, errno.ENOENT)
}

func TestManyLayers(t *testing.T) {
	var fill []func(*tree)
	for n := range 130 {
		fill = append(fill, func(w *tree) {
			w.must(w.sys.MkdirAt(w.ctx, w.op("/d"), 0755))
			w.write(fmt.Sprintf("/d/f%03d", n), "x")
			w.write("/d/same", fmt.Sprint(n))
		})
	}
	o, _, _ := stack(t, fill...)
	if s := o.ls("/d"); len(strings.Fields(s)) != 131 {
		t.Fatal(s)
	}
	if s := o.read("/d/same"); s != "0" {
		t.Fatal(s)
	}
}

func TestReadOnly(t *testing.T) {
	sys, ctx := newSystem(t)
	l := newTmpfs(t, sys, ctx)
	l.write("/f", "f")
	fs, err := sys.NewSuper(ctx, "overlay", "overlay", vfs.MountOpts{Internal: Layers{Lowers: []Layer{{Super: l.fs}}}})
	l.must(err)
	o := &tree{t, sys, sys.NewNamespace(ctx, fs, "overlay", 0), fs, ctx}
	o.want(o.sys.UnlinkAt(o.ctx, o.op("/f")), errno.EROFS)
	o.want(o.sys.MkdirAt(o.ctx, o.op("/g"), 0755), errno.EROFS)
	if s := o.read("/f"); s != "f" {
		t.Fatal(s)
	}
}

func TestTmpfile(t *testing.T) {
	o, _, _ := standard(t)
	f, err := o.sys.OpenAt(o.ctx, o.op("/e"), unix.O_TMPFILE|unix.O_RDWR, 0600)
	o.must(err)
	defer f.DecRef(o.ctx)
	_, err = f.Write(o.ctx, usermem.Bytes([]byte("tmp")))
	o.must(err)
	o.must(o.sys.LinkPath(o.ctx, f.Path(), o.op("/named")))
	if s := o.read("/named"); s != "tmp" {
		t.Fatal(s)
	}
}

func BenchmarkCreateUnlink(b *testing.B) {
	o, _, _ := standard(b)
	for b.Loop() {
		f, err := o.sys.OpenAt(o.ctx, o.op("/e/new"), unix.O_WRONLY|unix.O_CREAT, 0600)
		o.must(err)
		f.DecRef(o.ctx)
		o.must(o.sys.UnlinkAt(o.ctx, o.op("/e/new")))
	}
}

// guest is a caller with a root, as a task is.
type guest struct {
	kctx.Ctx
	w *tree
}

func (g guest) PathOp(path string) (vfs.Op, func()) { return g.w.op(path), func() {} }

func TestNamedLayers(t *testing.T) {
	sys, ctx := newSystem(t)
	w := newTmpfs(t, sys, ctx)
	for _, d := range []string{"/l1", "/l:2", "/u", "/w"} {
		w.must(sys.MkdirAt(ctx, w.op(d), 0755))
	}
	w.write("/l1/a", "1")
	w.write("/l:2/a", "2")
	w.write("/l:2/b", "b")
	g := guest{ctx, w}
	mount := func(opts string) (vfs.Super, error) {
		return sys.NewSuper(g, "overlay", "overlay", vfs.MountOpts{Data: opts})
	}
	for opts, want := range map[string]error{
		"": errno.EINVAL, "lowerdir=/none": errno.ENOENT, "lowerdir=/l1,what": errno.EINVAL,
		"lowerdir=/l1,upperdir=/u": errno.EINVAL, "lowerdir=/l1/a": errno.ENOTDIR,
	} {
		if _, err := mount(opts); err != want {
			t.Errorf("%s: %v, want %v", opts, err, want)
		}
	}
	fs, err := mount(`lowerdir=/l1:/l\:2,upperdir=/u,workdir=/w`)
	w.must(err)
	o := &tree{t, sys, sys.NewNamespace(ctx, fs, "overlay", 0), fs, ctx}
	if s := o.ls("/") + o.read("/a") + o.read("/b"); s != "a b1b" {
		t.Fatal(s)
	}
	o.write("/b", "new")
	o.must(o.sys.UnlinkAt(o.ctx, o.op("/a")))
	if s := w.read("/u/b") + w.read("/l:2/b"); s != "newb" {
		t.Fatal(s)
	}
	st, err := sys.StatAt(ctx, w.op("/u/a"))
	if err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != (vfs.Dev{}) {
		t.Fatal("no whiteout", err, st)
	}
}
