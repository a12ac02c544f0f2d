package vfs_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/fsimpl/tmpfs"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/pages"
	"redoubt.dev/redoubt/vfs"
)

type tree struct {
	t    *testing.T
	ctx  kctx.Ctx
	sys  *vfs.System
	ns   *vfs.Namespace
	root vfs.Path
}

func newTree(t *testing.T) *tree {
	mem, err := pages.NewMemory("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mem.Close)
	e := &tree{t: t, ctx: kctx.Background(creds.NewRoot(creds.NewRootNS())), sys: vfs.NewSystem()}
	e.sys.RegisterType(tmpfs.NewType(e.sys, mem))
	fs, err := e.sys.NewSuper(e.ctx, "root", "tmpfs", vfs.MountOpts{Data: "size=1g,nr_inodes=100000"})
	if err != nil {
		t.Fatal(err)
	}
	e.ns = e.sys.NewNamespace(e.ctx, fs, "root", 0)
	e.root = e.ns.Root()
	return e
}

func (e *tree) op(p string) vfs.Op {
	return vfs.Op{Sys: e.sys, NS: e.ns, Root: e.root, Start: e.root, Path: p}
}

func (e *tree) ok(what string, err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatalf("%s: %v", what, err)
	}
}

func (e *tree) is(what string, got, want error) {
	e.t.Helper()
	if got != want {
		e.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func (e *tree) mkdir(l ...string) {
	e.t.Helper()
	for _, p := range l {
		e.ok("mkdir "+p, e.sys.MkdirAt(e.ctx, e.op(p), 0o755))
	}
}

func (e *tree) mount(p string) {
	e.t.Helper()
	e.ok("mount "+p, e.sys.MountAt(e.ctx, "src", e.op(p), "tmpfs", 0, vfs.MountOpts{}))
}

func (e *tree) exists(p string) bool {
	_, err := e.sys.StatAt(e.ctx, e.op(p))
	return err == nil
}

func TestMountAndUmount(t *testing.T) {
	e := newTree(t)
	e.mkdir("/a", "/a/below")
	e.mount("/a")
	if e.exists("/a/below") {
		t.Error("mount does not hide")
	}
	e.mkdir("/a/on")
	e.is("rmdir of a mount point", e.sys.RmdirAt(e.ctx, e.op("/a")), errno.EBUSY)
	p, err := e.sys.Walk(e.ctx, e.op("/a/on"))
	e.ok("walk", err)
	if s := p.String(e.root); s != "/a/on" {
		t.Errorf("path %q", s)
	}
	e.is("busy", e.sys.Umount(e.ctx, e.op("/a"), 0), errno.EBUSY)
	up := e.op("../..")
	up.Start = p
	q, err := e.sys.Walk(e.ctx, up)
	e.ok("walk up", err)
	if q != e.root {
		t.Errorf("../.. of /a/on is %s", q.String(e.root))
	}
	q.DecRef()
	p.DecRef()
	e.ok("umount", e.sys.Umount(e.ctx, e.op("/a"), 0))
	if !e.exists("/a/below") {
		t.Error("umount did not uncover")
	}
	e.is("not mounted", e.sys.Umount(e.ctx, e.op("/a"), 0), errno.EINVAL)
	e.mount("/a")
	f, err := e.sys.OpenAt(e.ctx, e.op("/a/f"), unix.O_CREAT|unix.O_WRONLY, 0o600)
	e.ok("create", err)
	e.is("read-only with a writer", e.sys.Remount(e.ctx, e.op("/a"), vfs.MountReadOnly, "", false), errno.EBUSY)
	f.DecRef(e.ctx)
	e.ok("read-only", e.sys.Remount(e.ctx, e.op("/a"), vfs.MountReadOnly, "", false))
	e.is("mkdir read-only", e.sys.MkdirAt(e.ctx, e.op("/a/x"), 0), errno.EROFS)
}

func TestBindAndPropagation(t *testing.T) {
	e := newTree(t)
	e.mkdir("/a", "/b", "/c", "/a/m")
	e.mount("/a")
	e.mkdir("/a/m")
	e.ok("shared", e.sys.SetPropagation(e.ctx, e.op("/a"), unix.MS_SHARED))
	e.ok("bind", e.sys.BindMount(e.ctx, e.op("/a"), e.op("/b"), false))
	e.ok("bind", e.sys.BindMount(e.ctx, e.op("/a"), e.op("/c"), false))
	e.ok("slave", e.sys.SetPropagation(e.ctx, e.op("/c"), unix.MS_SLAVE))
	e.mount("/a/m")
	e.mkdir("/a/m/x")
	if !e.exists("/b/m/x") || !e.exists("/c/m/x") {
		t.Error("no propagation to the peer or the slave")
	}
	infos := map[string]vfs.MountInfo{}
	for _, m := range e.ns.Mounts(e.root) {
		infos[m.Point] = m
	}
	if infos["/a"].Shared == 0 || infos["/a"].Shared != infos["/b"].Shared || infos["/c"].Master != infos["/a"].Shared {
		t.Errorf("groups: %+v", infos)
	}
	e.ok("umount", e.sys.Umount(e.ctx, e.op("/a/m"), 0))
	if e.exists("/b/m/x") || e.exists("/c/m/x") {
		t.Error("umount did not propagate")
	}
	e.mount("/c/m")
	e.mkdir("/c/m/y")
	if e.exists("/a/m/y") {
		t.Error("a slave's mount went to its master")
	}
	c, same := e.ns.Clone(e.ctx, e.ns.UserNS())
	r := same(e.root)
	o := vfs.Op{Sys: e.sys, NS: c, Root: r, Start: r, Path: "/b/m"}
	e.ok("mount in the copy", e.sys.MountAt(e.ctx, "src", o, "tmpfs", 0, vfs.MountOpts{}))
	o.Path = "/b/m/z"
	e.ok("mkdir in the copy", e.sys.MkdirAt(e.ctx, o, 0o755))
	if !e.exists("/a/m/z") {
		t.Error("no propagation between namespaces")
	}
	c.DecRef()
	if n := len(e.ns.Mounts(e.root)); n != 7 {
		t.Errorf("%d mounts left", n)
	}
}

func TestPivotRoot(t *testing.T) {
	e := newTree(t)
	e.mkdir("/new")
	e.mount("/new")
	e.mkdir("/new/old", "/new/in")
	old, now, err := e.sys.PivotRoot(e.ctx, e.op("/new"), e.op("/new/old"))
	e.ok("pivot_root", err)
	if old != e.root {
		t.Error("old root")
	}
	e.root = now
	if !e.exists("/in") || !e.exists("/old/new") {
		t.Error("tree after pivot_root")
	}
	e.ok("detach", e.sys.Umount(e.ctx, e.op("/old"), unix.MNT_DETACH))
	if e.exists("/old/new") {
		t.Error("old root still there")
	}
	old.DecRef()
}
