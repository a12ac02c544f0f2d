// Package mmtest has a platform that runs nothing: it keeps what a stub's
// address space would hold, so that tests can read and write "user memory"
// through it as user code would and see which accesses fault.
package mmtest

import (
	"sort"
	"sync"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/platform"
)

// Platform implements platform.Platform.
type Platform struct{}

// NewSpace implements platform.Platform.
func (*Platform) NewSpace() (platform.Space, error) { return &Space{}, nil }

// MaxAddr implements platform.Platform.
func (*Platform) MaxAddr() uint64 { return 0x7ff600000000 }

// Close implements platform.Platform.
func (*Platform) Close() error { return nil }

type mapping struct {
	start, end, off uint64
	file            platform.File
	prot, made      platform.Prot
}

// Space implements platform.Space. Operations apply at once.
type Space struct {
	mu   sync.Mutex
	maps []mapping
	// Ops counts operations, Flushes calls of Flush.
	Ops, Flushes int
	// Bad collects misuse of the interface.
	Bad []string
}

func (s *Space) cut(start, end uint64) {
	var out []mapping
	for _, m := range s.maps {
		if m.end <= start || m.start >= end {
			out = append(out, m)
			continue
		}
		if m.start < start {
			l := m
			l.end = start
			out = append(out, l)
		}
		if m.end > end {
			r := m
			r.off += end - m.start
			r.start = end
			out = append(out, r)
		}
	}
	s.maps = out
}

// Map implements platform.Space.
func (s *Space) Map(addr, length uint64, f platform.File, offset uint64, prot platform.Prot, populate bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Ops++
	made := prot | platform.Read | platform.Exec
	if prot&platform.Write != 0 && f.RW < 0 {
		s.Bad = append(s.Bad, "writable mapping without a writable descriptor")
	}
	s.cut(addr, addr+length)
	s.maps = append(s.maps, mapping{addr, addr + length, offset, f, prot, made})
	sort.Slice(s.maps, func(i, j int) bool { return s.maps[i].start < s.maps[j].start })
}

// Unmap implements platform.Space.
func (s *Space) Unmap(addr, length uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Ops++
	s.cut(addr, addr+length)
}

// Protect implements platform.Space.
func (s *Space) Protect(addr, length uint64, prot platform.Prot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Ops++
	end := addr + length
	var parts []mapping
	at := addr
	for _, m := range s.maps {
		if m.end <= addr || m.start >= end {
			continue
		}
		lo, hi := max(m.start, addr), min(m.end, end)
		if lo != at {
			s.Bad = append(s.Bad, "protect of a hole")
		}
		at = hi
		if prot&^m.made != 0 {
			s.Bad = append(s.Bad, "protect widens a mapping")
		}
		parts = append(parts, mapping{lo, hi, m.off + (lo - m.start), m.file, prot, m.made})
	}
	if at != end {
		s.Bad = append(s.Bad, "protect of a hole")
	}
	s.cut(addr, end)
	s.maps = append(s.maps, parts...)
	sort.Slice(s.maps, func(i, j int) bool { return s.maps[i].start < s.maps[j].start })
}

// Flush implements platform.Space.
func (s *Space) Flush(platform.Thread) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Flushes++
	return nil
}

// NewThread implements platform.Space.
func (s *Space) NewThread() (platform.Thread, error) { return thread{}, nil }

// Release implements platform.Space.
func (s *Space) Release() {}

// Access reads (access Read) or writes one byte as user code would; ok is
// false if that faults.
func (s *Space) Access(addr uint64, access platform.Prot, v byte) (got byte, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.maps {
		if addr < m.start || addr >= m.end {
			continue
		}
		if m.prot&access == 0 {
			return 0, false
		}
		var b [1]byte
		off := int64(m.off + (addr - m.start))
		if access == platform.Write {
			b[0] = v
			if _, err := unix.Pwrite(m.file.RW, b[:], off); err != nil {
				s.Bad = append(s.Bad, "write: "+err.Error())
			}
			return v, true
		}
		fd := m.file.RO
		if m.made&platform.Write != 0 {
			fd = m.file.RW
		}
		n, err := unix.Pread(fd, b[:], off)
		if err != nil {
			s.Bad = append(s.Bad, "read: "+err.Error())
		}
		// Beyond the file's end: within its last page that is zero.
		if n == 0 {
			var st unix.Stat_t
			unix.Fstat(fd, &st)
			if uint64(off) >= (uint64(st.Size)+arch.PageMask)&^arch.PageMask {
				return 0, false
			}
		}
		return b[0], true
	}
	return 0, false
}

type thread struct{}

func (thread) Switch(*arch.Regs) platform.Event { return platform.Event{Kind: platform.EventDied} }
func (thread) Interrupt()                       {}
func (thread) FPState() []byte                  { return nil }
func (thread) SetFPState([]byte) error          { return nil }
func (thread) Release()                         {}
