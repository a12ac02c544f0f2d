package pipefs

import (
	"bytes"
	"math/rand"
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

func TestBytes(t *testing.T) {
	r, w := New(ctx, vfs.NewSystem(), unix.O_NONBLOCK)
	rng := rand.New(rand.NewSource(1))
	var model []byte
	for i := 0; i < 20000; i++ {
		p := make([]byte, rng.Intn(9000))
		rng.Read(p)
		if rng.Intn(2) == 0 {
			n, err := w.Write(ctx, usermem.Bytes(p))
			room := 65536 - len(model)
			if err == errno.EAGAIN {
				// Pages partly read, or ended by a larger write, take room.
				if len(model) < 30000 {
					t.Fatalf("write %d with room %d: EAGAIN", len(p), room)
				}
				n = 0
			} else if err != nil || int(n) > min(len(p), room) || len(p) <= 4096 && int(n) < len(p) {
				t.Fatalf("write %d with room %d: %d %v", len(p), room, n, err)
			}
			model = append(model, p[:n]...)
		} else {
			n, err := r.Read(ctx, usermem.Bytes(p))
			if len(model) == 0 && len(p) > 0 {
				if err != errno.EAGAIN {
					t.Fatal(n, err)
				}
				continue
			}
			if err != nil || !bytes.Equal(p[:n], model[:min(len(p), len(model))]) {
				t.Fatal("read differs", n, err)
			}
			model = model[n:]
		}
	}
	w.DecRef(ctx)
	if ev := r.Ready(wait.In); ev&wait.Hup == 0 {
		t.Error("no POLLHUP after the writer closed")
	}
	r.DecRef(ctx)
}

func TestPacketsAndEnds(t *testing.T) {
	r, w := New(ctx, vfs.NewSystem(), unix.O_NONBLOCK|unix.O_DIRECT)
	w.Write(ctx, usermem.Bytes([]byte("hello")))
	w.Write(ctx, usermem.Bytes([]byte("world")))
	b := make([]byte, 3)
	if n, _ := r.Read(ctx, usermem.Bytes(b)); n != 3 || string(b) != "hel" {
		t.Errorf("first packet: %q", b[:n])
	}
	b = make([]byte, 30)
	if n, _ := r.Read(ctx, usermem.Bytes(b)); string(b[:n]) != "world" {
		t.Errorf("second packet: %q", b[:n])
	}
	r.DecRef(ctx)
	if _, err := w.Write(ctx, usermem.Bytes([]byte("x"))); err != errno.EPIPE {
		t.Errorf("write without reader: %v", err)
	}
	w.DecRef(ctx)
}

func BenchmarkWriteRead(b *testing.B) {
	r, w := New(ctx, vfs.NewSystem(), 0)
	p := make([]byte, 1)
	var buf usermem.Buf
	for b.Loop() {
		buf = *usermem.Bytes(p)
		w.Write(ctx, &buf)
		buf = *usermem.Bytes(p)
		r.Read(ctx, &buf)
	}
}
