package kernfs

import (
	"bytes"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

type typ struct{}

func (typ) Name() string { return "test" }
func (typ) NoDev() bool  { return true }
func (typ) Mount(kctx.Ctx, string, vfs.MountOpts) (vfs.Super, error) {
	return nil, errno.EINVAL
}

type numbers struct{ fs *FS }

func (n numbers) Lookup(ctx kctx.Ctx, name string) (vfs.Inode, error) {
	if name == "7" {
		return n.fs.Text(0o444, "seven"), nil
	}
	return nil, errno.ENOENT
}

func (n numbers) List(ctx kctx.Ctx, from int64, emit func(Entry) bool) error {
	for k := max(from, 5); k < 300; k++ {
		if !emit(Entry{Key: k, Name: fmt.Sprint(k), Ino: uint64(k), Type: unix.DT_REG}) {
			break
		}
	}
	return nil
}

func TestTree(t *testing.T) {
	sys := vfs.NewSystem()
	ctx := kctx.Background(creds.NewRoot(creds.NewRootNS()))
	fs := New(sys, typ{}, 1)
	root := fs.NewDir(0o755)
	root.Dyn = numbers{fs}
	fs.RootInode = root
	count := 0
	root.AddPath("a/b/count", fs.NewFile(0o644, func(_ kctx.Ctx, w *bytes.Buffer) error {
		count++
		fmt.Fprintf(w, "count %d\n", count)
		return nil
	}, func(_ kctx.Ctx, s string) error {
		_, err := fmt.Sscan(s, &count)
		if err != nil {
			return errno.EINVAL
		}
		return nil
	}))
	root.Add("link", fs.NewLink("a/b"))
	ns := sys.NewNamespace(ctx, fs, "none", 0)
	op := func(path string) vfs.Op {
		return vfs.Op{Sys: sys, NS: ns, Root: ns.Root(), Start: ns.Root(), Path: path}
	}
	f, err := sys.OpenAt(ctx, op("link/count"), unix.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	read := func(n int) string {
		b := make([]byte, n)
		k, err := f.Read(ctx, usermem.Bytes(b))
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:k])
	}
	// A reader in pieces sees one state; from the start it sees a new one.
	if a, b, c := read(5), read(9), read(9); a+b+c != "count 1\n" {
		t.Errorf("%q %q %q", a, b, c)
	}
	f.Seek(ctx, 0, unix.SEEK_SET)
	if s := read(99); s != "count 2\n" {
		t.Errorf("%q", s)
	}
	if _, err := f.Write(ctx, usermem.Bytes([]byte("x"))); err != errno.EINVAL {
		t.Errorf("bad value: %v", err)
	}
	if _, err := f.Write(ctx, usermem.Bytes([]byte("40"))); err != nil || count != 40 {
		t.Errorf("%v %d", err, count)
	}
	f.DecRef(ctx)
	d, err := sys.OpenAt(ctx, op("/"), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for {
		n := 0
		d.Readdir(ctx, func(e vfs.Dirent) bool { // seven at a time
			if n == 7 {
				return false
			}
			n++
			names = append(names, e.Name)
			return true
		})
		if n == 0 {
			break
		}
	}
	if len(names) != 2+2+295 || names[2] != "a" || names[3] != "link" || names[4] != "5" || names[298] != "299" {
		t.Errorf("%d names: %v", len(names), names)
	}
	d.DecRef(ctx)
	if err := sys.MkdirAt(ctx, op("x"), 0o755); err != errno.EPERM {
		t.Errorf("mkdir: %v", err)
	}
	if _, err := sys.StatAt(ctx, op("8")); err != errno.ENOENT {
		t.Errorf("stat: %v", err)
	}
}
