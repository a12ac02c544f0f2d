package devpts

import (
	"testing"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

var ctx = kctx.Background(creds.NewRoot(creds.NewRootNS()))

// A pair without a kernel: no sessions, no signals.
func TestPair(t *testing.T) {
	sys := vfs.NewSystem()
	RegisterDevices(sys)
	fs, err := (&Type{Sys: sys}).Mount(ctx, "devpts", vfs.MountOpts{Data: "mode=620,ptmxmode=666,newinstance"})
	if err != nil {
		t.Fatal(err)
	}
	ns := sys.NewNamespace(ctx, fs, "devpts", 0)
	op := func(path string) vfs.Op {
		return vfs.Op{Sys: sys, NS: ns, Root: ns.Root(), Start: ns.Root(), Path: path}
	}
	m, err := sys.OpenAt(ctx, op("ptmx"), unix.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sys.OpenAt(ctx, op("0"), unix.O_RDWR|unix.O_NOCTTY, 0); err != errno.EIO {
		t.Errorf("locked slave: %v", err)
	}
	m.Ops().(*master).p.locked = false
	s, err := sys.OpenAt(ctx, op("0"), unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	st, _ := s.Stat(ctx)
	if st.Rdev != (vfs.Dev{Major: 136}) || st.Mode != unix.S_IFCHR|0o620 {
		t.Errorf("stat %+v", st)
	}
	put := func(f *vfs.File, s string) {
		t.Helper()
		if n, err := f.Write(ctx, usermem.Bytes([]byte(s))); n != int64(len(s)) || err != nil {
			t.Fatalf("write %q: %d %v", s, n, err)
		}
	}
	get := func(f *vfs.File) (string, error) {
		b := make([]byte, 100)
		n, err := f.Read(ctx, usermem.Bytes(b))
		return string(b[:n]), err
	}
	put(m, "ab")
	if _, err := get(s); err != errno.EAGAIN {
		t.Errorf("half a line: %v", err)
	}
	put(m, "\n")
	if l, _ := get(s); l != "ab\n" {
		t.Errorf("line %q", l)
	}
	if e, _ := get(m); e != "ab\r\n" {
		t.Errorf("echo %q", e)
	}
	put(s, "out\n")
	if o, _ := get(m); o != "out\r\n" {
		t.Errorf("output %q", o)
	}
	s.DecRef(ctx)
	if _, err := get(m); err != errno.EIO {
		t.Errorf("master without a slave: %v", err)
	}
	if m.Ready(wait.In)&wait.Hup == 0 {
		t.Error("no hangup on the master")
	}
	s, _ = sys.OpenAt(ctx, op("0"), unix.O_RDWR|unix.O_NOCTTY, 0)
	m.DecRef(ctx)
	if l, err := get(s); l != "" || err != nil {
		t.Errorf("slave without a master: %q %v", l, err)
	}
	if _, err := s.Write(ctx, usermem.Bytes([]byte("x"))); err != errno.EIO {
		t.Errorf("slave without a master: %v", err)
	}
	s.DecRef(ctx)
	if _, err := sys.StatAt(ctx, op("0")); err != errno.ENOENT {
		t.Errorf("name left: %v", err)
	}
}
