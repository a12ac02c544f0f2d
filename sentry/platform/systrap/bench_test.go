package systrap

import (
	"sync"
	"testing"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/platform"
)

// BenchmarkParallelGetpid has a process per core in patched calls.
func BenchmarkParallelGetpid(b *testing.B) {
	var wg sync.WaitGroup
	for range 2 {
		g, th, r := patched(b, getpidLoop)
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range b.N {
				g.run(th, r, platform.EventSyscall)
			}
		}()
	}
	b.ResetTimer()
	wg.Wait()
}

// BenchmarkPingPong hands a token between two processes, each of which blocks
// in the sentry meanwhile, as a pipe does.
func BenchmarkPingPong(b *testing.B) {
	c := [2]chan bool{make(chan bool, 1), make(chan bool, 1)}
	var wg sync.WaitGroup
	for i := range 2 {
		g, th, r := patched(b, getpidLoop)
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range b.N {
				th.Park()
				<-c[i]
				g.run(th, r, platform.EventSyscall)
				c[1-i] <- true
			}
		}()
	}
	b.ResetTimer()
	c[0] <- true
	wg.Wait()
}

// BenchmarkBesideBusy calls beside a process that computes.
func BenchmarkBesideBusy(b *testing.B) {
	busy := newGuest(b, loopBack)
	bt := busy.thread()
	done := make(chan struct{})
	go func() {
		r := start()
		for bt.Switch(r).Kind == platform.EventInterrupted {
			select {
			case <-done:
				return
			default:
			}
		}
	}()
	g, th, r := patched(b, getpidLoop)
	for b.Loop() {
		g.run(th, r, platform.EventSyscall)
	}
	close(done)
	bt.Interrupt()
}

// BenchmarkWork computes for about a microsecond between calls.
func BenchmarkWork(b *testing.B) {
	// mov $500,%ecx; 1: dec %ecx; jnz 1b; mov $39,%eax; syscall; jmp
	code := asm([]byte{0xb9, 0xf4, 1, 0, 0, 0xff, 0xc9, 0x75, 0xfc}, getpidLoop[:7], []byte{0xeb, 0xee})
	g := newGuest(b, append(make([]byte, 16), code...))
	g.s.SetText(testText{g})
	th := g.thread()
	r := &arch.Regs{Rip: siteAt}
	for range 30 {
		g.run(th, r, platform.EventSyscall)
	}
	for b.Loop() {
		g.run(th, r, platform.EventSyscall)
	}
}

func BenchmarkNewThread(b *testing.B) {
	g := newGuest(b, syscallInsn)
	first := g.thread()
	g.run(first, start(), platform.EventSyscall)
	var ths []*Thread
	for b.Loop() {
		th := g.thread()
		g.run(th, start(), platform.EventSyscall)
		if ths = append(ths, th); len(ths) == 100 {
			b.StopTimer()
			for _, th := range ths {
				th.Release()
			}
			ths = nil
			b.StartTimer()
		}
	}
}

func BenchmarkFork(b *testing.B) {
	for b.Loop() {
		p, err := testPlatform.z.fork()
		if err != nil {
			b.Fatal(err)
		}
		p.close()
	}
}
