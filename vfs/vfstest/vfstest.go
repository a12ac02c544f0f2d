// Package vfstest is a suite of checks that every writable file system must
// pass, run by the file systems' own tests.
package vfstest

import (
	"bytes"
	"fmt"
	"sort"
	"testing"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

// Root returns credentials of root for a test.
func Root() kctx.Ctx { return kctx.Background(creds.NewRoot(creds.NewRootNS())) }

// suite is one run.
type suite struct {
	t    *testing.T
	ctx  kctx.Ctx
	sys  *vfs.System
	ns   *vfs.Namespace
	root vfs.Path
}

// Options say what a file system does not do.
type Options struct {
	NoXattr, NoTmpfile, NoExchange, NoMknod bool
}

// Run mounts a fresh instance from mk as a root for each check.
func Run(t *testing.T, mk func(t *testing.T, ctx kctx.Ctx, sys *vfs.System) vfs.Super, o Options) {
	for _, c := range []struct {
		name string
		skip bool
		fn   func(*suite)
	}{
		{"Contents", false, contents}, {"Names", false, names}, {"Rename", false, rename}, {"Exchange", o.NoExchange, exchange},
		{"Links", false, links}, {"Readdir", false, readdir}, {"Attributes", false, attributes}, {"Unlinked", false, unlinked},
		{"Xattr", o.NoXattr, xattr}, {"Tmpfile", o.NoTmpfile, tmpfile}, {"Mknod", o.NoMknod, mknod}, {"Permissions", false, permissions},
	} {
		if c.skip {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			s := &suite{t: t, ctx: Root(), sys: vfs.NewSystem()}
			s.ns = s.sys.NewNamespace(s.ctx, mk(t, s.ctx, s.sys), "test", 0)
			s.root = s.ns.Root()
			c.fn(s)
			s.root.DecRef()
			s.ns.DecRef()
		})
	}
}

func (s *suite) op(p string) vfs.Op {
	return vfs.Op{Sys: s.sys, NS: s.ns, Root: s.root, Start: s.root, Path: p}
}

func (s *suite) is(what string, got, want error) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("%s: %v, Linux: %v", what, got, want)
	}
}

func (s *suite) open(p string, flags uint32) *vfs.File {
	s.t.Helper()
	f, err := s.sys.OpenAt(s.ctx, s.op(p), flags, 0o644)
	if err != nil {
		s.t.Fatalf("opening %s: %v", p, err)
	}
	return f
}

func (s *suite) write(p, data string) {
	s.t.Helper()
	f := s.open(p, unix.O_CREAT|unix.O_TRUNC|unix.O_WRONLY)
	if n, err := f.Write(s.ctx, usermem.Bytes([]byte(data))); err != nil || int(n) != len(data) {
		s.t.Fatalf("writing %s: %d %v", p, n, err)
	}
	f.DecRef(s.ctx)
}

func (s *suite) read(p string) string {
	s.t.Helper()
	f, err := s.sys.OpenAt(s.ctx, s.op(p), unix.O_RDONLY, 0)
	if err != nil {
		return err.Error()
	}
	defer f.DecRef(s.ctx)
	return s.readFile(f)
}

func (s *suite) readFile(f *vfs.File) string {
	var b bytes.Buffer
	buf := make([]byte, 4096)
	for {
		n, err := f.Pread(s.ctx, usermem.Bytes(buf), int64(b.Len()))
		if err != nil {
			return err.Error()
		}
		if n == 0 {
			return b.String()
		}
		b.Write(buf[:n])
	}
}

func (s *suite) stat(p string) vfs.Stat {
	s.t.Helper()
	st, err := s.sys.StatAt(s.ctx, vfs.Op{Sys: s.sys, NS: s.ns, Root: s.root, Start: s.root, Path: p, Flags: vfs.OpNoFollow})
	if err != nil {
		s.t.Errorf("stat %s: %v", p, err)
	}
	return st
}

func (s *suite) want(what string, got, want any) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("%s: %v, Linux: %v", what, got, want)
	}
}

func contents(s *suite) {
	s.write("/f", "hello")
	s.want("contents", s.read("/f"), "hello")
	f := s.open("/f", unix.O_RDWR)
	defer f.DecRef(s.ctx)
	f.Pwrite(s.ctx, usermem.Bytes([]byte("X")), 10000)
	s.want("size behind a hole", s.stat("/f").Size, uint64(10001))
	s.want("hole", s.readFile(f), "hello"+string(make([]byte, 9995))+"X")
	s.is("truncate", f.Truncate(s.ctx, 3), nil)
	s.want("truncated", s.readFile(f), "hel")
	s.is("extend", f.Truncate(s.ctx, 6), nil)
	s.want("extended", s.readFile(f), "hel\x00\x00\x00")
	a := s.open("/f", unix.O_WRONLY|unix.O_APPEND)
	a.Write(s.ctx, usermem.Bytes([]byte("end")))
	a.DecRef(s.ctx)
	s.want("appended", s.read("/f"), "hel\x00\x00\x00end")
	n, err := f.Seek(s.ctx, 0, unix.SEEK_END)
	s.is("seek", err, nil)
	s.want("end", n, int64(9))
	s.write("/f", "")
	s.want("O_TRUNC", s.stat("/f").Size, uint64(0))
}

func names(s *suite) {
	s.is("mkdir", s.sys.MkdirAt(s.ctx, s.op("/d"), 0o755), nil)
	s.is("mkdir again", s.sys.MkdirAt(s.ctx, s.op("/d"), 0o755), errno.EEXIST)
	s.is("mkdir in nothing", s.sys.MkdirAt(s.ctx, s.op("/x/y"), 0o755), errno.ENOENT)
	s.write("/d/f", "x")
	s.is("mkdir in a file", s.sys.MkdirAt(s.ctx, s.op("/d/f/y"), 0o755), errno.ENOTDIR)
	s.is("unlink a directory", s.sys.UnlinkAt(s.ctx, s.op("/d")), errno.EISDIR)
	s.is("rmdir of a file", s.sys.RmdirAt(s.ctx, s.op("/d/f")), errno.ENOTDIR)
	s.is("rmdir full", s.sys.RmdirAt(s.ctx, s.op("/d")), errno.ENOTEMPTY)
	s.is("unlink", s.sys.UnlinkAt(s.ctx, s.op("/d/f")), nil)
	s.is("unlink again", s.sys.UnlinkAt(s.ctx, s.op("/d/f")), errno.ENOENT)
	s.is("rmdir", s.sys.RmdirAt(s.ctx, s.op("/d")), nil)
	_, err := s.sys.StatAt(s.ctx, s.op("/d"))
	s.is("stat of nothing", err, errno.ENOENT)
	s.is("again", s.sys.MkdirAt(s.ctx, s.op("/d"), 0o755), nil)
	long := "/" + string(bytes.Repeat([]byte("n"), 255))
	s.write(long, "long")
	s.want("a name of 255 bytes", s.read(long), "long")
	s.want("256 bytes", s.read(long+"n"), "ENAMETOOLONG")
}

func rename(s *suite) {
	s.sys.MkdirAt(s.ctx, s.op("/a"), 0o755)
	s.sys.MkdirAt(s.ctx, s.op("/b"), 0o755)
	s.write("/a/f", "one")
	s.write("/b/g", "two")
	s.is("rename", s.sys.RenameAt(s.ctx, s.op("/a/f"), s.op("/b/g"), 0), nil)
	s.want("replaced", s.read("/b/g"), "one")
	s.want("gone", s.read("/a/f"), "ENOENT")
	s.write("/a/f", "three")
	s.is("NOREPLACE", s.sys.RenameAt(s.ctx, s.op("/a/f"), s.op("/b/g"), unix.RENAME_NOREPLACE), errno.EEXIST)
	s.is("file over directory", s.sys.RenameAt(s.ctx, s.op("/a/f"), s.op("/b"), 0), errno.EISDIR)
	s.is("directory over file", s.sys.RenameAt(s.ctx, s.op("/b"), s.op("/a/f"), 0), errno.ENOTDIR)
	s.is("into itself", s.sys.RenameAt(s.ctx, s.op("/a"), s.op("/a/x"), 0), errno.EINVAL)
	s.is("over a full directory", s.sys.RenameAt(s.ctx, s.op("/a"), s.op("/b"), 0), errno.ENOTEMPTY)
	s.is("to itself", s.sys.RenameAt(s.ctx, s.op("/a/f"), s.op("/a/f"), 0), nil)
	s.is("of nothing", s.sys.RenameAt(s.ctx, s.op("/none"), s.op("/x"), 0), errno.ENOENT)
	s.sys.MkdirAt(s.ctx, s.op("/e"), 0o755)
	s.is("directory over an empty one", s.sys.RenameAt(s.ctx, s.op("/a"), s.op("/e"), 0), nil)
	s.want("moved along", s.read("/e/f"), "three")
}

func exchange(s *suite) {
	s.sys.MkdirAt(s.ctx, s.op("/d"), 0o755)
	s.write("/d/in", "in")
	s.write("/f", "file")
	s.is("exchange", s.sys.RenameAt(s.ctx, s.op("/d"), s.op("/f"), unix.RENAME_EXCHANGE), nil)
	s.want("file", s.read("/d"), "file")
	s.want("directory", s.read("/f/in"), "in")
	s.is("with nothing", s.sys.RenameAt(s.ctx, s.op("/d"), s.op("/x"), unix.RENAME_EXCHANGE), errno.ENOENT)
}

func links(s *suite) {
	s.write("/f", "x")
	s.is("link", s.sys.LinkAt(s.ctx, s.op("/f"), s.op("/g")), nil)
	s.is("link again", s.sys.LinkAt(s.ctx, s.op("/f"), s.op("/g")), errno.EEXIST)
	a, b := s.stat("/f"), s.stat("/g")
	s.want("one file", a.Ino == b.Ino && a.Nlink == 2, true)
	s.write("/g", "changed")
	s.want("through the other name", s.read("/f"), "changed")
	s.is("unlink", s.sys.UnlinkAt(s.ctx, s.op("/f")), nil)
	s.want("links", s.stat("/g").Nlink, uint32(1))
	s.sys.MkdirAt(s.ctx, s.op("/d"), 0o755)
	s.is("link of a directory", s.sys.LinkAt(s.ctx, s.op("/d"), s.op("/e")), errno.EPERM)
	s.is("symlink", s.sys.SymlinkAt(s.ctx, "../g", s.op("/d/l")), nil)
	t, err := s.sys.ReadlinkAt(s.ctx, s.op("/d/l"))
	s.is("readlink", err, nil)
	s.want("target", t, "../g")
	s.want("followed", s.read("/d/l"), "changed")
	s.want("its size", s.stat("/d/l").Size, uint64(4))
	_, err = s.sys.ReadlinkAt(s.ctx, s.op("/g"))
	s.is("readlink of a file", err, errno.EINVAL)
}

func readdir(s *suite) {
	var want []string
	for i := 0; i < 300; i++ {
		n := fmt.Sprintf("file%03d", i)
		s.write("/"+n, "")
		want = append(want, n)
	}
	want = append(want, ".", "..")
	sort.Strings(want)
	f := s.open("/", unix.O_DIRECTORY)
	defer f.DecRef(s.ctx)
	for round := 0; round < 2; round++ {
		var got []string
		for {
			n := 0
			err := f.Readdir(s.ctx, func(d vfs.Dirent) bool {
				if n == 11 {
					return false
				}
				n++
				got = append(got, d.Name)
				return true
			})
			s.is("getdents", err, nil)
			if n == 0 {
				break
			}
		}
		sort.Strings(got)
		s.want("entries", fmt.Sprint(got), fmt.Sprint(want))
		f.Seek(s.ctx, 0, unix.SEEK_SET)
	}
}

func attributes(s *suite) {
	s.write("/f", "x")
	set := func(m vfs.SetStat) error { return s.sys.SetStatAt(s.ctx, s.op("/f"), m) }
	s.is("chmod", set(vfs.SetStat{Mask: vfs.SetMode, Mode: 0o4711}), nil)
	s.want("mode", s.stat("/f").Mode, uint32(unix.S_IFREG|0o4711))
	s.is("chown", set(vfs.SetStat{Mask: vfs.SetUID | vfs.SetGID, UID: 5, GID: 6}), nil)
	st := s.stat("/f")
	s.want("owner", fmt.Sprint(st.UID, st.GID), "5 6")
	s.want("chown clears set-user-id", st.Mode, uint32(unix.S_IFREG|0o711))
	at, mt := unix.Timespec{Sec: 1000, Nsec: 5}, unix.Timespec{Sec: 2000, Nsec: 7}
	s.is("utimens", set(vfs.SetStat{Mask: vfs.SetAtime | vfs.SetMtime, Atime: at, Mtime: mt}), nil)
	st = s.stat("/f")
	s.want("times", fmt.Sprint(st.Atime, st.Mtime), fmt.Sprint(at, mt))
	s.is("truncate", set(vfs.SetStat{Mask: vfs.SetSize, Size: 100}), nil)
	s.want("size", s.stat("/f").Size, uint64(100))
	d := s.stat("/")
	s.sys.MkdirAt(s.ctx, s.op("/sub"), 0o700)
	s.want("links of a directory", s.stat("/sub").Mode, uint32(unix.S_IFDIR|0o700))
	s.want("device", s.stat("/sub").Dev, d.Dev)
}

func unlinked(s *suite) {
	f := s.open("/f", unix.O_CREAT|unix.O_RDWR)
	f.Write(s.ctx, usermem.Bytes([]byte("still")))
	s.is("unlink", s.sys.UnlinkAt(s.ctx, s.op("/f")), nil)
	s.want("contents", s.readFile(f), "still")
	f.Pwrite(s.ctx, usermem.Bytes([]byte("here")), 5)
	s.want("written", s.readFile(f), "stillhere")
	st, err := f.Stat(s.ctx)
	s.is("fstat", err, nil)
	s.want("links", st.Nlink, uint32(0))
	s.write("/f", "new")
	s.want("a new file", s.read("/f"), "new")
	f.DecRef(s.ctx)
	s.sys.MkdirAt(s.ctx, s.op("/d"), 0o755)
	d := s.open("/d", unix.O_DIRECTORY)
	s.is("rmdir", s.sys.RmdirAt(s.ctx, s.op("/d")), nil)
	in := s.op("x")
	in.Start = d.Path()
	s.is("mkdir in a removed directory", s.sys.MkdirAt(s.ctx, in, 0o755), errno.ENOENT)
	d.DecRef(s.ctx)
}

func xattr(s *suite) {
	s.write("/f", "")
	p, err := s.sys.Walk(s.ctx, s.op("/f"))
	s.is("walk", err, nil)
	defer p.DecRef()
	s.is("set", s.sys.SetXattr(s.ctx, p, "user.a", "1", 0), nil)
	s.is("create", s.sys.SetXattr(s.ctx, p, "user.a", "2", unix.XATTR_CREATE), errno.EEXIST)
	s.is("replace", s.sys.SetXattr(s.ctx, p, "user.b", "2", unix.XATTR_REPLACE), errno.ENODATA)
	v, err := s.sys.GetXattr(s.ctx, p, "user.a")
	s.is("get", err, nil)
	s.want("value", v, "1")
	l, err := s.sys.ListXattr(s.ctx, p)
	s.is("list", err, nil)
	s.want("names", fmt.Sprint(l), "[user.a]")
	s.is("remove", s.sys.RemoveXattr(s.ctx, p, "user.a"), nil)
	_, err = s.sys.GetXattr(s.ctx, p, "user.a")
	s.is("get again", err, errno.ENODATA)
}

func tmpfile(s *suite) {
	f, err := s.sys.OpenAt(s.ctx, s.op("/"), unix.O_TMPFILE|unix.O_RDWR, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	f.Write(s.ctx, usermem.Bytes([]byte("named late")))
	s.is("link", s.sys.LinkPath(s.ctx, f.Path(), s.op("/f")), nil)
	f.DecRef(s.ctx)
	s.want("contents", s.read("/f"), "named late")
}

func mknod(s *suite) {
	for name, mode := range map[string]uint32{"/fifo": unix.S_IFIFO, "/sock": unix.S_IFSOCK, "/chr": unix.S_IFCHR, "/blk": unix.S_IFBLK} {
		s.is("mknod "+name, s.sys.MknodAt(s.ctx, s.op(name), mode|0o640, vfs.Dev{Major: 8, Minor: 1}), nil)
		st := s.stat(name)
		s.want(name, st.Mode, mode|0o640)
		if mode == unix.S_IFCHR {
			s.want("device number", st.Rdev, vfs.Dev{Major: 8, Minor: 1})
		}
	}
}

func permissions(s *suite) {
	s.sys.MkdirAt(s.ctx, s.op("/d"), 0o755)
	s.write("/d/f", "secret")
	s.sys.SetStatAt(s.ctx, s.op("/d/f"), vfs.SetStat{Mask: vfs.SetMode, Mode: 0o600})
	user := creds.NewRoot(s.ctx.Creds().UserNS).Fork()
	user.RUID, user.EUID, user.SUID, user.FSUID = 1000, 1000, 1000, 1000
	user.RGID, user.EGID, user.SGID, user.FSGID = 1000, 1000, 1000, 1000
	user.Effective, user.Permitted = 0, 0
	ctx := kctx.Background(user)
	_, err := s.sys.OpenAt(ctx, s.op("/d/f"), unix.O_RDONLY, 0)
	s.is("open", err, errno.EACCES)
	s.is("mkdir", s.sys.MkdirAt(ctx, s.op("/d/x"), 0o755), errno.EACCES)
	s.is("unlink", s.sys.UnlinkAt(ctx, s.op("/d/f")), errno.EACCES)
	s.is("chmod", s.sys.SetStatAt(ctx, s.op("/d/f"), vfs.SetStat{Mask: vfs.SetMode, Mode: 0o666}), errno.EPERM)
	s.sys.SetStatAt(s.ctx, s.op("/d"), vfs.SetStat{Mask: vfs.SetMode, Mode: 0o1777})
	s.is("unlink in a sticky directory", s.sys.UnlinkAt(ctx, s.op("/d/f")), errno.EPERM)
	f, err := s.sys.OpenAt(ctx, s.op("/d/mine"), unix.O_CREAT|unix.O_RDWR, 0o400)
	s.is("create", err, nil)
	if err == nil {
		_, err = f.Write(ctx, usermem.Bytes([]byte("x")))
		s.is("write to what was created read-only", err, nil)
		f.DecRef(ctx)
		st := s.stat("/d/mine")
		s.want("owner", fmt.Sprint(st.UID, st.GID), "1000 1000")
	}
	s.is("unlink one's own", s.sys.UnlinkAt(ctx, s.op("/d/mine")), nil)
}
