package fdtable

import (
	"math/rand"
	"sync"
	"testing"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/vfs"
)

var (
	ctx = kctx.Background(creds.NewRoot(creds.NewRootNS()))
	sys = vfs.NewSystem()
)

type ops struct {
	vfs.StreamBase
	released *int
}

func (o ops) Release(kctx.Ctx, *vfs.File) { *o.released++ }

func newFile(released *int) *vfs.File {
	return vfs.NewAnonFile(sys, "anon_inode:[test]", ops{released: released}, 2)
}

func TestTable(t *testing.T) {
	released := 0
	tab := New()
	for want := int32(0); want < 100; want++ {
		fd, err := tab.Install(ctx, newFile(&released), 0, want%2 == 0, 1000)
		if err != nil || fd != want {
			t.Fatalf("install: %d %v, want %d", fd, err, want)
		}
	}
	if _, err := tab.Install(ctx, newFile(&released), 0, false, 100); err != errno.EMFILE {
		t.Errorf("over the limit: %v", err)
	}
	if err := tab.Close(ctx, 50); err != nil || released != 1 {
		t.Errorf("close: %v, released %d", err, released)
	}
	if _, err := tab.Get(50); err != errno.EBADF {
		t.Errorf("get of a closed one: %v", err)
	}
	if fd, _ := tab.Install(ctx, newFile(&released), 0, false, 1000); fd != 50 {
		t.Errorf("lowest free is %d, want 50", fd)
	}
	if fd, _ := tab.Install(ctx, newFile(&released), 300, false, 1000); fd != 300 {
		t.Errorf("from 300 on: %d", fd)
	}
	c := tab.Fork()
	if c.Len() != 101 || tab.Len() != 101 {
		t.Errorf("copy has %d, original %d", c.Len(), tab.Len())
	}
	c.CloseOnExec(ctx)
	if n := c.Len(); n != 52 {
		t.Errorf("%d left after exec, want 52", n)
	}
	if released != 1 {
		t.Errorf("files of the original released: %d", released)
	}
	tab.CloseRange(ctx, 10, 1<<32-1, false)
	if tab.Len() != 10 {
		t.Errorf("%d left after close_range", tab.Len())
	}
	if err := tab.InstallAt(ctx, newFile(&released), 3, true, 1000); err != nil || !tab.Cloexec(3) {
		t.Errorf("dup2: %v", err)
	}
	tab.DecRef(ctx)
	c.DecRef(ctx)
	if released != 103 {
		t.Errorf("released %d of 103", released)
	}
}

func TestHammer(t *testing.T) {
	tab := New()
	var wg sync.WaitGroup
	for g := 0; g < 4; g++ {
		wg.Add(1)
		go func(seed int64) {
			defer wg.Done()
			rng := rand.New(rand.NewSource(seed))
			for i := 0; i < 3000; i++ {
				fd := int32(rng.Intn(200))
				switch rng.Intn(4) {
				case 0:
					n := 0
					tab.Install(ctx, newFile(&n), fd, false, 1000)
				case 1:
					n := 0
					tab.InstallAt(ctx, newFile(&n), fd, true, 1000)
				case 2:
					tab.Close(ctx, fd)
				default:
					if f, err := tab.Get(fd); err == nil {
						f.DecRef(ctx)
					}
				}
			}
		}(int64(g))
	}
	wg.Wait()
	n := 0
	for range tab.List() {
		n++
	}
	if n != tab.Len() {
		t.Errorf("%d listed, %d counted", n, tab.Len())
	}
	tab.DecRef(ctx)
}

func BenchmarkGet(b *testing.B) {
	n := 0
	tab := New()
	tab.Install(ctx, newFile(&n), 0, false, 10)
	for b.Loop() {
		f, _ := tab.Get(0)
		f.DecRef(ctx)
	}
}
