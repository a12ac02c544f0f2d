package hostfd

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

var ctx = kctx.Background(creds.NewRoot(creds.NewRootNS()))

func TestPipe(t *testing.T) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	sys := vfs.NewSystem()
	r, err := New(ctx, sys, p[0])
	if err != nil {
		t.Fatal(err)
	}
	if r.Ready(wait.In) != 0 {
		t.Error("empty pipe is readable")
	}
	got := make(chan string)
	go func() {
		b := make([]byte, 10)
		n, _ := r.Read(ctx, usermem.Bytes(b)) // blocks in the sentry, not on the host
		got <- string(b[:n])
	}()
	time.Sleep(20 * time.Millisecond)
	unix.Write(p[1], []byte("hello"))
	if s := <-got; s != "hello" {
		t.Errorf("%q", s)
	}
	if fl, _ := unix.FcntlInt(uintptr(p[0]), unix.F_GETFL, 0); fl&unix.O_NONBLOCK != 0 {
		t.Error("the host's description was made non-blocking")
	}
	unix.Close(p[1])
	if n, err := r.Read(ctx, usermem.Bytes(make([]byte, 4))); n != 0 || err != nil {
		t.Errorf("at the end: %d %v", n, err)
	}
	r.DecRef(ctx)
	if _, err := unix.FcntlInt(uintptr(p[0]), unix.F_GETFL, 0); err != unix.EBADF {
		t.Error("descriptor left open")
	}
}

func TestRegular(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	os.WriteFile(name, []byte("0123456789"), 0o600)
	h, _ := os.OpenFile(name, os.O_RDWR, 0)
	defer h.Close()
	fd, _ := unix.Dup(int(h.Fd()))
	sys := vfs.NewSystem()
	f, err := New(ctx, sys, fd)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 3)
	f.Read(ctx, usermem.Bytes(b))
	if off, _ := h.Seek(0, io.SeekCurrent); off != 3 {
		t.Errorf("the shared offset is %d", off)
	}
	if n, err := f.Pread(ctx, usermem.Bytes(b), 7); n != 3 || err != nil || string(b) != "789" {
		t.Errorf("pread: %d %v %q", n, err, b)
	}
	if off, err := f.Seek(ctx, -1, unix.SEEK_END); off != 9 || err != nil {
		t.Errorf("seek: %d %v", off, err)
	}
	f.Write(ctx, usermem.Bytes([]byte("xy")))
	if s, _ := os.ReadFile(name); string(s) != "012345678xy" {
		t.Errorf("%q", s)
	}
	f.DecRef(ctx)
}

func TestFullPipe(t *testing.T) {
	var p [2]int
	unix.Pipe2(p[:], unix.O_CLOEXEC)
	defer unix.Close(p[0])
	w, err := New(ctx, vfs.NewSystem(), p[1])
	if err != nil {
		t.Fatal(err)
	}
	w.SetFlags(unix.O_NONBLOCK)
	total := int64(0)
	for {
		n, err := w.Write(ctx, usermem.Bytes(make([]byte, 100000)))
		if err == errno.EAGAIN {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	if total != 65536 {
		t.Errorf("took %d bytes", total)
	}
}
