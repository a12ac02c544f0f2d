package eventfd

import (
	"encoding/binary"
	"math"
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

func read(t *testing.T, f *vfs.File) uint64 {
	t.Helper()
	var b [8]byte
	if n, err := f.Read(ctx, usermem.Bytes(b[:])); n != 8 || err != nil {
		t.Fatalf("read: %d %v", n, err)
	}
	return binary.NativeEndian.Uint64(b[:])
}

func write(f *vfs.File, v uint64) error {
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], v)
	_, err := f.Write(ctx, usermem.Bytes(b[:]))
	return err
}

func TestCounter(t *testing.T) {
	f := New(ctx, vfs.NewSystem(), 3, false, unix.O_NONBLOCK)
	if err := write(f, 4); err != nil || read(t, f) != 7 {
		t.Error("sum", err)
	}
	var b [8]byte
	if _, err := f.Read(ctx, usermem.Bytes(b[:])); err != errno.EAGAIN {
		t.Error(err)
	}
	if _, err := f.Read(ctx, usermem.Bytes(b[:7])); err != errno.EINVAL {
		t.Error(err)
	}
	if err := write(f, math.MaxUint64); err != errno.EINVAL {
		t.Error(err)
	}
	if err := write(f, math.MaxUint64-1); err != nil {
		t.Error(err)
	}
	if r := f.Ready(wait.In | wait.Out); r != wait.In {
		t.Errorf("ready %#x", r)
	}
	if err := write(f, 1); err != errno.EAGAIN {
		t.Error(err)
	}
}

func TestSemaphore(t *testing.T) {
	f := New(ctx, vfs.NewSystem(), 2, true, 0)
	if read(t, f) != 1 || read(t, f) != 1 {
		t.Error("not one at a time")
	}
	done := make(chan uint64)
	go func() {
		var b [8]byte
		f.Read(ctx, usermem.Bytes(b[:]))
		done <- binary.NativeEndian.Uint64(b[:])
	}()
	write(f, 5)
	if <-done != 1 {
		t.Error("woken reader")
	}
}
