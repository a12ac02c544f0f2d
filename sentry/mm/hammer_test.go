package mm_test

import (
	"math/rand"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/mm"
)

// TestHammer has threads of one space map, copy, unmap and fork at once. Each
// owns a slot of addresses, whose contents it checks.
func TestHammer(t *testing.T) {
	w_ := newWorld(t)
	p := w_.space()
	var wg sync.WaitGroup
	for g := 0; g < 4; g++ {
		p.IncUsers()
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer p.DecUsers(ctx)
			rnd := rand.New(rand.NewSource(int64(g)))
			base := uint64(0x30000000 + g<<24)
			for i := 0; i < 300; i++ {
				n := uint64(1+rnd.Intn(30)) * page
				if _, err := p.MMap(ctx, mm.MMapOpts{Addr: base, Length: n, Prot: rw, Flags: anon | unix.MAP_FIXED}); err != nil {
					t.Error(err)
					return
				}
				buf := make([]byte, n)
				for j := range buf {
					buf[j] = byte(i)
				}
				if _, err := p.CopyOut(base, buf); err != nil {
					t.Error(err)
					return
				}
				if i%10 == 0 {
					c, err := p.Fork(ctx)
					if err != nil {
						t.Error(err)
						return
					}
					c.CopyOut(base, make([]byte, n))
					c.DecUsers(ctx)
				}
				p.WithBlocks(base, n, true, func(bs [][]byte) (int64, error) {
					for _, b := range bs {
						b[0] = byte(i)
					}
					return int64(n), nil
				})
				got := make([]byte, n)
				if _, err := p.CopyIn(base, got); err != nil {
					t.Error(err)
					return
				}
				for j := range got {
					if got[j] != byte(i) {
						t.Errorf("round %d: byte %d is %d", i, j, got[j])
						return
					}
				}
				if rnd.Intn(2) == 0 {
					p.Munmap(ctx, base, n)
				}
			}
		}()
	}
	wg.Wait()
	p.check()
	p.DecUsers(ctx)
	w_.mem.FlushFreed()
	if u := w_.mem.Usage(); u != 0 {
		t.Errorf("%d bytes left", u)
	}
}
