package tmpfs

import (
	"bytes"
	"fmt"
	"math/rand"
	"testing"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/pages"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
	"redoubt.dev/redoubt/vfs/vfstest"
)

type env struct {
	t    testing.TB
	ctx  kctx.Ctx
	sys  *vfs.System
	ns   *vfs.Namespace
	root vfs.Path
	typ  *Type
}

func newEnv(t testing.TB, data string) *env {
	mem, err := pages.NewMemory("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mem.Close)
	e := &env{t: t, ctx: kctx.Background(creds.NewRoot(creds.NewRootNS())), sys: vfs.NewSystem()}
	e.typ = NewType(e.sys, mem)
	e.sys.RegisterType(e.typ)
	fs, err := e.sys.NewSuper(e.ctx, "tmpfs", "tmpfs", vfs.MountOpts{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	e.ns = e.sys.NewNamespace(e.ctx, fs, "tmpfs", 0)
	e.root = e.ns.Root()
	return e
}

func (e *env) op(p string) vfs.Op {
	return vfs.Op{Sys: e.sys, NS: e.ns, Root: e.root, Start: e.root, Path: p}
}

func (e *env) open(p string, flags uint32) *vfs.File {
	e.t.Helper()
	f, err := e.sys.OpenAt(e.ctx, e.op(p), flags, 0o644)
	if err != nil {
		e.t.Fatalf("open %s: %v", p, err)
	}
	return f
}

func TestFileAgainstModel(t *testing.T) {
	e := newEnv(t, "")
	f := e.open("/f", unix.O_RDWR|unix.O_CREAT)
	rng := rand.New(rand.NewSource(1))
	var model []byte
	base := int64(0)
	for i := 0; i < 3000; i++ {
		if i == 1500 {
			base = 2<<20 - 100<<10 // across the border of two chunks
		}
		off := rng.Int63n(200<<10) + base
		n := rng.Int63n(20 << 10)
		switch rng.Intn(5) {
		case 0:
			p := make([]byte, n)
			rng.Read(p)
			if k, err := f.Pwrite(e.ctx, usermem.Bytes(p), off); err != nil || k != n {
				t.Fatal(k, err)
			}
			if end := int(off + n); n > 0 && end > len(model) {
				model = append(model, make([]byte, end-len(model))...)
			}
			copy(model[min(int(off), len(model)):], p)
		case 1:
			if err := f.Truncate(e.ctx, off); err != nil {
				t.Fatal(err)
			}
			if int(off) <= len(model) {
				model = model[:off:off]
			} else {
				model = append(model, make([]byte, int(off)-len(model))...)
			}
		case 2:
			if n == 0 {
				continue
			}
			if err := f.Allocate(e.ctx, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, uint64(off), uint64(n)); err != nil {
				t.Fatal(err)
			}
			if int(off) < len(model) {
				clear(model[off:min(int(off+n), len(model))])
			}
		default:
			p := make([]byte, n)
			k, err := f.Pread(e.ctx, usermem.Bytes(p), off)
			if err != nil {
				t.Fatal(err)
			}
			var want []byte
			if int(off) < len(model) {
				want = model[off:min(int(off+n), len(model))]
			}
			if !bytes.Equal(p[:k], want) {
				t.Fatalf("step %d: read at %d: %d bytes, want %d", i, off, k, len(want))
			}
		}
	}
	f.DecRef(e.ctx)
	if err := e.sys.UnlinkAt(e.ctx, e.op("/f")); err != nil {
		t.Fatal(err)
	}
	if p := e.root.Mount.Super().(*Super).pages.Load(); p != 0 {
		t.Errorf("%d pages left after unlink", p)
	}
}

func TestNames(t *testing.T) {
	e := newEnv(t, "mode=755")
	check := func(what string, got, want error) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	sys, ctx := e.sys, e.ctx
	check("mkdir", sys.MkdirAt(ctx, e.op("/a"), 0o755), nil)
	check("mkdir again", sys.MkdirAt(ctx, e.op("/a/"), 0o755), errno.EEXIST)
	check("mkdir deep", sys.MkdirAt(ctx, e.op("/a/b/"), 0o755), nil)
	check("symlink", sys.SymlinkAt(ctx, "a/b", e.op("/l")), nil)
	check("loop", sys.SymlinkAt(ctx, "loop", e.op("/loop")), nil)
	e.open("/l/f", unix.O_CREAT|unix.O_WRONLY).DecRef(ctx)
	st, err := sys.StatAt(ctx, e.op("/a/b/../b/f"))
	check("stat", err, nil)
	if st.Mode != unix.S_IFREG|0o644 {
		t.Errorf("mode %o", st.Mode)
	}
	_, err = sys.StatAt(ctx, e.op("/loop"))
	check("stat loop", err, errno.ELOOP)
	_, err = sys.StatAt(ctx, e.op("/a/b/f/"))
	check("slash", err, errno.ENOTDIR)
	check("rmdir full", sys.RmdirAt(ctx, e.op("/a")), errno.ENOTEMPTY)
	check("rename into self", sys.RenameAt(ctx, e.op("/a"), e.op("/a/b/c"), 0), errno.EINVAL)
	check("link", sys.LinkAt(ctx, e.op("/a/b/f"), e.op("/g")), nil)
	check("unlink", sys.UnlinkAt(ctx, e.op("/a/b/f")), nil)
	_, err = sys.StatAt(ctx, e.op("/a/b/f"))
	check("gone", err, errno.ENOENT)
	check("rename", sys.RenameAt(ctx, e.op("/g"), e.op("/a/b/h"), 0), nil)
	check("rename dir", sys.RenameAt(ctx, e.op("/a/b"), e.op("/c"), 0), nil)
	p, err := sys.Walk(ctx, e.op("/c/h"))
	check("walk", err, nil)
	if s := p.String(e.root); s != "/c/h" {
		t.Errorf("path %q", s)
	}
	check("unlink h", sys.UnlinkAt(ctx, e.op("/c/h")), nil)
	if s := p.String(e.root); s != "/c/h (deleted)" {
		t.Errorf("path %q", s)
	}
	p.DecRef()
	check("rmdir c", sys.RmdirAt(ctx, e.op("/c")), nil)
	check("creat through dangling link", func() error {
		sys.SymlinkAt(ctx, "/a/new", e.op("/d"))
		f, err := sys.OpenAt(ctx, e.op("/d"), unix.O_CREAT|unix.O_WRONLY, 0o600)
		if err == nil {
			f.DecRef(ctx)
			_, err = sys.StatAt(ctx, e.op("/a/new"))
		}
		return err
	}(), nil)
	_, err = sys.OpenAt(ctx, e.op("/d"), unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o600)
	check("excl on link", err, errno.EEXIST)
}

func TestReaddirStable(t *testing.T) {
	e := newEnv(t, "")
	for i := 0; i < 1000; i++ {
		e.open(fmt.Sprintf("/f%d", i), unix.O_CREAT|unix.O_WRONLY).DecRef(e.ctx)
	}
	d := e.open("/", unix.O_DIRECTORY)
	seen := map[string]int{}
	for {
		n := 0
		d.Readdir(e.ctx, func(de vfs.Dirent) bool {
			if n == 7 {
				return false
			}
			n++
			seen[de.Name]++
			return true
		})
		if n == 0 {
			break
		}
		for name := range seen {
			if name[0] == 'f' {
				e.sys.UnlinkAt(e.ctx, e.op("/"+name))
			}
		}
	}
	if len(seen) != 1002 {
		t.Errorf("%d names, want 1002", len(seen))
	}
	for n, c := range seen {
		if c != 1 {
			t.Errorf("%s seen %d times", n, c)
		}
	}
}

func TestLimits(t *testing.T) {
	e := newEnv(t, "size=64k,nr_inodes=3")
	f := e.open("/a", unix.O_CREAT|unix.O_RDWR)
	n, err := f.Write(e.ctx, usermem.Bytes(make([]byte, 100<<10)))
	if n != 64<<10 || err != nil {
		t.Errorf("write: %d %v, want 65536", n, err)
	}
	if _, err = f.Write(e.ctx, usermem.Bytes([]byte("x"))); err != errno.ENOSPC {
		t.Errorf("full: %v", err)
	}
	e.open("/b", unix.O_CREAT|unix.O_RDWR)
	if _, err := e.sys.OpenAt(e.ctx, e.op("/c"), unix.O_CREAT|unix.O_RDWR, 0); err != errno.ENOSPC {
		t.Errorf("inodes: %v", err)
	}
}

func BenchmarkStat(b *testing.B) {
	e := newEnv(b, "")
	e.sys.MkdirAt(e.ctx, e.op("/usr"), 0o755)
	e.sys.MkdirAt(e.ctx, e.op("/usr/share"), 0o755)
	e.open("/usr/share/f", unix.O_CREAT|unix.O_WRONLY).DecRef(e.ctx)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.sys.StatAt(e.ctx, e.op("/usr/share/f")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenClose(b *testing.B) {
	e := newEnv(b, "")
	e.open("/f", unix.O_CREAT|unix.O_WRONLY).DecRef(e.ctx)
	b.ReportAllocs()
	for b.Loop() {
		e.open("/f", unix.O_RDONLY).DecRef(e.ctx)
	}
}

func BenchmarkCreateUnlink(b *testing.B) {
	e := newEnv(b, "")
	b.ReportAllocs()
	for b.Loop() {
		e.open("/f", unix.O_WRONLY|unix.O_CREAT).DecRef(e.ctx)
		e.sys.UnlinkAt(e.ctx, e.op("/f"))
	}
}

func BenchmarkPread4K(b *testing.B) {
	e := newEnv(b, "")
	f := e.open("/f", unix.O_RDWR|unix.O_CREAT)
	p := make([]byte, 4096)
	f.Pwrite(e.ctx, usermem.Bytes(p), 0)
	b.ReportAllocs()
	for b.Loop() {
		f.Pread(e.ctx, usermem.Bytes(p), 0)
	}
}

func TestSuite(t *testing.T) {
	vfstest.Run(t, func(t *testing.T, ctx kctx.Ctx, sys *vfs.System) vfs.Super {
		mem, err := pages.NewMemory("test")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(mem.Close)
		s, err := NewType(sys, mem).Mount(ctx, "", vfs.MountOpts{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}, vfstest.Options{})
}
