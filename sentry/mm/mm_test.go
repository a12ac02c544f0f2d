package mm_test

import (
	"math/rand"
	"testing"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/mm"
	"redoubt.dev/redoubt/sentry/mm/mmtest"
	"redoubt.dev/redoubt/sentry/pages"
	"redoubt.dev/redoubt/sentry/platform"
	"redoubt.dev/redoubt/sentry/usermem"
)

var ctx = kctx.Background(creds.NewRoot(nil))

const (
	page = 4096
	r    = platform.Read
	w    = platform.Write
	rw   = r | w
	anon = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
)

type world struct {
	t   testing.TB
	mem *pages.Memory
}

func newWorld(t testing.TB) *world {
	mem, err := pages.NewMemory("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mem.Close)
	return &world{t, mem}
}

// proc is a space with the user's view of it.
type proc struct {
	*mm.Space
	w    *world
	host *mmtest.Space
}

func (w *world) wrap(s *mm.Space) *proc { return &proc{s, w, s.Platform().(*mmtest.Space)} }

func (w *world) space() *proc {
	s, err := mm.New(&mmtest.Platform{}, w.mem)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.wrap(s)
}

// touch accesses addr as user code, taking faults; it returns the signal that
// ends it, or 0.
func (p *proc) touch(addr uint64, access platform.Prot, v byte) (byte, int32) {
	p.w.t.Helper()
	for i := 0; i < 10; i++ {
		if b, ok := p.host.Access(addr, access, v); ok {
			return b, 0
		}
		if err := p.HandleFault(ctx, addr, access); err != nil {
			return 0, err.(*mm.FaultError).Signo
		}
	}
	p.w.t.Fatalf("fault at %#x repeats", addr)
	return 0, 0
}

func (p *proc) put(addr uint64, v byte) {
	p.w.t.Helper()
	if _, sig := p.touch(addr, w, v); sig != 0 {
		p.w.t.Fatalf("write at %#x: signal %d", addr, sig)
	}
}

func (p *proc) get(addr uint64) byte {
	p.w.t.Helper()
	b, sig := p.touch(addr, r, 0)
	if sig != 0 {
		p.w.t.Fatalf("read at %#x: signal %d", addr, sig)
	}
	return b
}

func (p *proc) mmap(o mm.MMapOpts) uint64 {
	p.w.t.Helper()
	a, err := p.MMap(ctx, o)
	if err != nil {
		p.w.t.Fatal(err)
	}
	return a
}

func (p *proc) check() {
	p.w.t.Helper()
	for _, b := range p.host.Bad {
		p.w.t.Error(b)
	}
}

func TestForkIsCopyOnWrite(t *testing.T) {
	w := newWorld(t)
	p := w.space()
	a := p.mmap(mm.MMapOpts{Length: 1 << 20, Prot: rw, Flags: anon})
	p.put(a, 1)
	p.put(a+300*1024, 2)
	s, err := p.Fork(ctx)
	if err != nil {
		t.Fatal(err)
	}
	c := w.wrap(s)
	if c.get(a) != 1 || c.get(a+300*1024) != 2 {
		t.Fatal("child does not see the parent's memory")
	}
	c.put(a, 10)
	p.put(a+1, 11)
	p.put(a+900*1024, 12)
	if p.get(a) != 1 || c.get(a+1) != 0 || c.get(a+900*1024) != 0 || c.get(a) != 10 || p.get(a+300*1024) != 2 {
		t.Fatal("writes are seen by the other side")
	}
	if _, err := c.CopyOut(a+300*1024, []byte{7}); err != nil {
		t.Fatal(err)
	}
	if p.get(a+300*1024) != 2 || c.get(a+300*1024) != 7 {
		t.Fatal("CopyOut wrote to shared memory")
	}
	c.DecUsers(ctx)
	p.put(a+300*1024, 3)
	p.check()
	c.check()
	p.DecUsers(ctx)
	w.mem.FlushFreed()
	if n := w.mem.Usage(); n != 0 {
		t.Errorf("%d bytes left after both spaces are gone", n)
	}
}

func TestProtectionsAndHoles(t *testing.T) {
	w_ := newWorld(t)
	p := w_.space()
	a := p.mmap(mm.MMapOpts{Length: 4 * page, Prot: rw, Flags: anon})
	if err := p.Mprotect(ctx, a+page, page, r, 0); err != nil {
		t.Fatal(err)
	}
	if _, sig := p.touch(a+page, w, 1); sig != int32(unix.SIGSEGV) {
		t.Fatalf("write to read-only page: signal %d", sig)
	}
	if n, err := p.CopyOut(a, make([]byte, 4*page)); n != page || err != errno.EFAULT {
		t.Fatalf("CopyOut over a read-only page: %d, %v", n, err)
	}
	if err := p.Mprotect(ctx, a+page, page, rw, 0); err != nil {
		t.Fatal(err)
	}
	p.put(a+page, 5)
	if err := p.Munmap(ctx, a+2*page, page); err != nil {
		t.Fatal(err)
	}
	if _, sig := p.touch(a+2*page, r, 0); sig != int32(unix.SIGSEGV) {
		t.Fatalf("read of unmapped page: signal %d", sig)
	}
	if err := p.Mprotect(ctx, a, 4*page, r, 0); err != errno.ENOMEM {
		t.Fatalf("mprotect over a hole: %v", err)
	}
	p.check()
}

func TestDontneedMremapBrk(t *testing.T) {
	w_ := newWorld(t)
	p := w_.space()
	a := p.mmap(mm.MMapOpts{Length: 8 * page, Prot: rw, Flags: anon})
	p.put(a, 1)
	p.put(a+page, 2)
	if err := p.Madvise(ctx, a, page, unix.MADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
	if p.get(a) != 0 || p.get(a+page) != 2 {
		t.Fatal("MADV_DONTNEED")
	}
	p.mmap(mm.MMapOpts{Addr: a + 8*page, Length: page, Prot: r, Flags: anon | unix.MAP_FIXED})
	if _, err := p.Mremap(ctx, a, 8*page, 64*page, 0, 0); err != errno.ENOMEM {
		t.Fatalf("mremap without room: %v", err)
	}
	b, err := p.Mremap(ctx, a, 8*page, 64*page, unix.MREMAP_MAYMOVE, 0)
	if err != nil || b == a {
		t.Fatal(b, err)
	}
	if p.get(b+page) != 2 || p.get(b+63*page) != 0 {
		t.Fatal("mremap lost memory")
	}
	if _, sig := p.touch(a, r, 0); sig == 0 {
		t.Fatal("old range still there")
	}
	p.SetBrk(0x10000000)
	if got := p.Brk(ctx, 0x10000000+5000); got != 0x10000000+5000 {
		t.Fatalf("brk %#x", got)
	}
	p.put(0x10000000+8191, 9)
	if _, sig := p.touch(0x10000000+8192, w, 1); sig == 0 {
		t.Fatal("write beyond the break")
	}
	p.Brk(ctx, 0x10000000+100000)
	p.put(0x10000000+99999, 1)
	p.Brk(ctx, 0x10000000)
	if _, sig := p.touch(0x10000000, r, 1); sig == 0 {
		t.Fatal("heap still there")
	}
	p.check()
}

func TestGrowsDown(t *testing.T) {
	w_ := newWorld(t)
	p := w_.space()
	top := uint64(0x7f0000000000)
	p.mmap(mm.MMapOpts{Addr: top - 2*page, Length: 2 * page, Prot: rw, Flags: anon | unix.MAP_FIXED | unix.MAP_GROWSDOWN})
	p.put(top-100*page, 3)
	if _, err := p.CopyOut(top-200*page, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if p.get(top-200*page) != 'x' || p.get(top-100*page) != 3 {
		t.Fatal("stack contents")
	}
	p.check()
}

func TestSharedAnonymous(t *testing.T) {
	w_ := newWorld(t)
	p := w_.space()
	a := p.mmap(mm.MMapOpts{Length: 4 * page, Prot: rw, Flags: unix.MAP_SHARED | unix.MAP_ANONYMOUS})
	s, _ := p.Fork(ctx)
	c := w_.wrap(s)
	c.put(a+page, 42)
	if p.get(a+page) != 42 {
		t.Fatal("not shared")
	}
	k1, err1 := p.FutexKey(ctx, a+8, true)
	k2, err2 := c.FutexKey(ctx, a+8, true)
	if err1 != nil || err2 != nil || k1 != k2 {
		t.Fatal(k1, k2, err1, err2)
	}
	p.DecUsers(ctx)
	if c.get(a+page) != 42 {
		t.Fatal("gone with the parent")
	}
	c.check()
	c.DecUsers(ctx)
	w_.mem.FlushFreed()
	if n := w_.mem.Usage(); n != 0 {
		t.Errorf("%d bytes left", n)
	}
}

// TestAgainstModel makes random changes and compares every page's contents
// and rights with a model.
func TestAgainstModel(t *testing.T) {
	const n = 64
	const base = 0x20000000
	type pg struct {
		prot platform.Prot
		v    byte
		ok   bool
	}
	for seed := int64(0); seed < 30; seed++ {
		rnd := rand.New(rand.NewSource(seed))
		w_ := newWorld(t)
		type pair struct {
			p *proc
			m [n]pg
		}
		all := []*pair{{p: w_.space()}}
		for step := 0; step < 300; step++ {
			x := all[rnd.Intn(len(all))]
			i := rnd.Intn(n)
			k := 1 + rnd.Intn(n-i)
			addr, length := uint64(base+i*page), uint64(k*page)
			switch rnd.Intn(8) {
			case 0:
				prot := platform.Prot(rnd.Intn(4))
				x.p.mmap(mm.MMapOpts{Addr: addr, Length: length, Prot: prot, Flags: anon | unix.MAP_FIXED})
				for j := i; j < i+k; j++ {
					x.m[j] = pg{prot, 0, true}
				}
			case 1:
				if rnd.Intn(3) == 0 {
					x.p.Munmap(ctx, addr, length)
					for j := i; j < i+k; j++ {
						x.m[j] = pg{}
					}
				}
			case 2:
				prot := platform.Prot(rnd.Intn(4))
				x.p.Mprotect(ctx, addr, length, prot, 0)
				for j := i; j < i+k && x.m[j].ok; j++ {
					x.m[j].prot = prot
				}
			case 3, 4, 5:
				for j := i; j < min(i+k, i+20); j++ {
					v := byte(rnd.Intn(256))
					_, sig := x.p.touch(uint64(base+j*page+7), w, v)
					can := x.m[j].ok && x.m[j].prot&w != 0
					if can != (sig == 0) {
						t.Fatalf("seed %d step %d: write page %d: signal %d, model %+v", seed, step, j, sig, x.m[j])
					}
					if can {
						x.m[j].v = v
					}
				}
			case 6:
				if len(all) < 4 {
					s, err := x.p.Fork(ctx)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, &pair{w_.wrap(s), x.m})
				} else if len(all) > 1 {
					j := rnd.Intn(len(all))
					all[j].p.check()
					all[j].p.DecUsers(ctx)
					all = append(all[:j], all[j+1:]...)
				}
			case 7:
				x.p.Madvise(ctx, addr, length, unix.MADV_DONTNEED)
				for j := i; j < i+k; j++ {
					x.m[j].v = 0
				}
			}
			for _, y := range all {
				for j := 0; j < n; j++ {
					v, sig := y.p.touch(uint64(base+j*page+7), r, 0)
					can := y.m[j].ok && y.m[j].prot != 0
					if can != (sig == 0) || can && v != y.m[j].v {
						t.Fatalf("seed %d step %d: page %d reads %d signal %d, model %+v", seed, step, j, v, sig, y.m[j])
					}
				}
			}
		}
		for _, y := range all {
			y.p.check()
			y.p.DecUsers(ctx)
		}
		w_.mem.FlushFreed()
		if u := w_.mem.Usage(); u != 0 {
			t.Fatalf("seed %d: %d bytes leaked: live %x, touched %x", seed, u, w_.mem.Live(), w_.mem.Touched(memmap.Range{End: 1 << 40}))
		}
	}
}

func TestCopyInString(t *testing.T) {
	w_ := newWorld(t)
	p := w_.space()
	a := p.mmap(mm.MMapOpts{Length: 2 * page, Prot: rw, Flags: anon})
	p.CopyOut(a+2*page-4, []byte("abc\x00"))
	s, err := usermem.CopyInString(p, a+2*page-4, 4096)
	if s != "abc" || err != nil {
		t.Fatal(s, err)
	}
	p.CopyOut(a+2*page-4, []byte("abcd"))
	if _, err := usermem.CopyInString(p, a+2*page-4, 4096); err != errno.EFAULT {
		t.Fatal(err)
	}
}

func BenchmarkCopyIn16(b *testing.B) {
	p := newWorld(b).space()
	a := p.mmap(mm.MMapOpts{Length: 16 * page, Prot: rw, Flags: anon})
	var buf [16]byte
	for b.Loop() {
		p.CopyIn(a+100, buf[:])
	}
}

func BenchmarkWithBlocks4K(b *testing.B) {
	p := newWorld(b).space()
	a := p.mmap(mm.MMapOpts{Length: 16 * page, Prot: rw, Flags: anon})
	fn := func(bs [][]byte) (int64, error) { return int64(len(bs[0])), nil }
	for b.Loop() {
		p.WithBlocks(a, 4096, true, fn)
	}
}

func BenchmarkMmapMunmap(b *testing.B) {
	p := newWorld(b).space()
	for b.Loop() {
		a := p.mmap(mm.MMapOpts{Length: 64 << 10, Prot: rw, Flags: anon})
		p.Munmap(ctx, a, 64<<10)
	}
}

func BenchmarkFork(b *testing.B) {
	w_ := newWorld(b)
	p := w_.space()
	for i := 0; i < 40; i++ {
		a := p.mmap(mm.MMapOpts{Length: 64 << 10, Prot: rw, Flags: anon, Name: string(rune('a' + i))})
		p.put(a, 1)
	}
	for b.Loop() {
		c, _ := p.Fork(ctx)
		c.DecUsers(ctx)
	}
}
