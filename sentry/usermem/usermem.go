// Package usermem moves bytes between the sentry and user memory.
//
// IO is one address space as the sentry sees it; Buf is the data of one read
// or write, whichever memory it lives in. Both treat user memory as hostile:
// it can vanish or change at any moment, so copy once and use the copy.
package usermem

import (
	"bytes"
	"unicode/utf8"

	"redoubt.dev/redoubt/sentry/errno"
)

// IO is access to one address space. Addresses are user addresses; a failing
// access returns EFAULT and how much was done before.
type IO interface {
	// CopyIn fills dst from addr.
	CopyIn(addr uint64, dst []byte) (int, error)
	// CopyOut writes src to addr.
	CopyOut(addr uint64, src []byte) (int, error)
	// ZeroOut clears n bytes at addr.
	ZeroOut(addr, n uint64) (uint64, error)
	// WithBlocks calls fn with the host memory behind [addr, addr+n), in
	// order and in as few blocks as possible; fn returns how many bytes it
	// used. Blocks are for system calls and bulk copies only (they may fault:
	// copying in Go code goes through Copy). If only a part is accessible fn
	// gets that part; EFAULT if none is.
	WithBlocks(addr, n uint64, write bool, fn func(blocks [][]byte) (int64, error)) (int64, error)
	// LoadUint32, SwapUint32 and CompareAndSwapUint32 are atomic with respect
	// to user code. addr must be 4-byte aligned (else EINVAL).
	LoadUint32(addr uint64) (uint32, error)
	SwapUint32(addr uint64, v uint32) (uint32, error)
	CompareAndSwapUint32(addr uint64, old, new uint32) (uint32, error)
}

// Vec is one piece of user memory.
type Vec struct{ Addr, Len uint64 }

// Buf is the source of a write or the destination of a read: pieces of user
// memory or of the sentry's own. Operations consume it from the front.
type Buf struct {
	io   IO
	vecs []Vec
	one  [1]Vec
	mem  []byte // used if io is nil
	n    int64
}

// User returns a Buf over user memory. vecs is consumed.
func User(io IO, vecs []Vec) *Buf {
	b := &Buf{io: io, vecs: vecs}
	for _, v := range vecs {
		b.n += int64(v.Len)
	}
	return b
}

// SetUser makes b one piece of user memory; it does not allocate.
func (b *Buf) SetUser(io IO, addr, n uint64) {
	b.io, b.mem, b.n = io, nil, int64(n)
	b.one[0] = Vec{addr, n}
	b.vecs = b.one[:]
}

// Bytes returns a Buf over the sentry's own memory.
func Bytes(p []byte) *Buf { return &Buf{mem: p, n: int64(len(p))} }

// Len is how many bytes are left.
func (b *Buf) Len() int64 { return b.n }

// Truncate drops all but the first n bytes that are left.
func (b *Buf) Truncate(n int64) {
	if n >= b.n {
		return
	}
	b.n = n
	if b.io == nil {
		b.mem = b.mem[:n]
		return
	}
	vs := make([]Vec, 0, len(b.vecs))
	for _, v := range b.vecs {
		if n <= 0 {
			break
		}
		v.Len = min(v.Len, uint64(n))
		n -= int64(v.Len)
		vs = append(vs, v)
	}
	b.vecs = vs
}

func (b *Buf) advance(n int64) {
	b.n -= n
	if b.io == nil {
		b.mem = b.mem[n:]
		return
	}
	for n > 0 {
		v := &b.vecs[0]
		if uint64(n) < v.Len {
			v.Addr += uint64(n)
			v.Len -= uint64(n)
			return
		}
		n -= int64(v.Len)
		b.vecs = b.vecs[1:]
	}
}

// Skip drops the next n bytes.
func (b *Buf) Skip(n int64) { b.advance(min(n, b.n)) }

// Put copies p to the front of b (b is the destination of a read) and
// advances. It returns what was copied; EFAULT if nothing could be.
func (b *Buf) Put(p []byte) (int, error) {
	if b.io == nil {
		n := copy(b.mem, p)
		b.advance(int64(n))
		return n, nil
	}
	done := 0
	for len(p) > 0 && b.n > 0 {
		v := b.vecs[0]
		if v.Len == 0 {
			b.vecs = b.vecs[1:]
			continue
		}
		n, err := b.io.CopyOut(v.Addr, p[:min(uint64(len(p)), v.Len)])
		b.advance(int64(n))
		done += n
		p = p[n:]
		if err != nil {
			if done > 0 {
				return done, nil
			}
			return 0, err
		}
	}
	return done, nil
}

// Take fills p from the front of b (b is the source of a write) and advances.
func (b *Buf) Take(p []byte) (int, error) {
	if b.io == nil {
		n := copy(p, b.mem)
		b.advance(int64(n))
		return n, nil
	}
	done := 0
	for len(p) > 0 && b.n > 0 {
		v := b.vecs[0]
		if v.Len == 0 {
			b.vecs = b.vecs[1:]
			continue
		}
		n, err := b.io.CopyIn(v.Addr, p[:min(uint64(len(p)), v.Len)])
		b.advance(int64(n))
		done += n
		p = p[n:]
		if err != nil {
			if done > 0 {
				return done, nil
			}
			return 0, err
		}
	}
	return done, nil
}

// PutZeros clears up to n bytes at the front and advances.
func (b *Buf) PutZeros(n int64) (int64, error) {
	n = min(n, b.n)
	if b.io == nil {
		clear(b.mem[:n])
		b.advance(n)
		return n, nil
	}
	var done int64
	for done < n {
		v := b.vecs[0]
		if v.Len == 0 {
			b.vecs = b.vecs[1:]
			continue
		}
		z, err := b.io.ZeroOut(v.Addr, min(uint64(n-done), v.Len))
		b.advance(int64(z))
		done += int64(z)
		if err != nil {
			if done > 0 {
				return done, nil
			}
			return 0, err
		}
	}
	return done, nil
}

// WithBlocks gives fn host memory behind up to max bytes at the front (write
// means fn writes into it) and advances by what fn says it used. fn may be
// called several times, once per piece; it stops at the first short use.
func (b *Buf) WithBlocks(max int64, write bool, fn func(blocks [][]byte) (int64, error)) (int64, error) {
	max = min(max, b.n)
	if b.io == nil {
		n, err := fn([][]byte{b.mem[:max]})
		b.advance(n)
		return n, err
	}
	var done int64
	for done < max {
		v := b.vecs[0]
		if v.Len == 0 {
			b.vecs = b.vecs[1:]
			continue
		}
		want := min(uint64(max-done), v.Len)
		n, err := b.io.WithBlocks(v.Addr, want, write, fn)
		b.advance(n)
		done += n
		if err != nil {
			if done > 0 {
				return done, nil
			}
			return 0, err
		}
		if uint64(n) < want {
			break
		}
	}
	return done, nil
}

// CopyInString reads a NUL-terminated string of at most max bytes with its
// NUL; longer ones give ENAMETOOLONG (PATH_MAX callers) .
func CopyInString(io IO, addr uint64, max int) (string, error) {
	var stack [256]byte
	buf := stack[:0]
	for len(buf) < max {
		// Never cross a page in one step: the string may end before a hole.
		room := min(int(4096-addr%4096), max-len(buf), 256)
		var chunk [256]byte
		n, err := io.CopyIn(addr, chunk[:room])
		if i := bytes.IndexByte(chunk[:n], 0); i >= 0 {
			return string(append(buf, chunk[:i]...)), nil
		}
		if err != nil {
			return "", errno.EFAULT
		}
		buf = append(buf, chunk[:n]...)
		addr += uint64(n)
	}
	return "", errno.ENAMETOOLONG
}

// Printable returns s for a log, with what cannot be shown escaped.
func Printable(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string(bytes.ToValidUTF8([]byte(s), []byte("\\?")))
}

// Peek is Take without advancing: for writes that may have to wait and try
// again. It fills p as far as b goes.
func (b *Buf) Peek(p []byte) (int, error) {
	if b.io == nil {
		return copy(p, b.mem), nil
	}
	done := 0
	for _, v := range b.vecs {
		if done == len(p) {
			break
		}
		if v.Len == 0 {
			continue
		}
		n, err := b.io.CopyIn(v.Addr, p[done:done+int(min(uint64(len(p)-done), v.Len))])
		done += n
		if err != nil {
			if done > 0 {
				return done, nil
			}
			return 0, err
		}
	}
	return done, nil
}
