package devfs

import (
	"crypto/rand"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/mm"
	"redoubt.dev/redoubt/sentry/pages"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

// kind is one of the memory devices of major 1 (mem(4), random(4)).
type kind uint32

// Minor numbers.
const (
	kindNull    kind = 3
	kindZero    kind = 5
	kindFull    kind = 7
	kindRandom  kind = 8
	kindURandom kind = 9
)

// memDevice is an open memory device. All of them are always ready.
type memDevice struct {
	vfs.StreamBase
	kind kind
	mem  *pages.Memory
}

// Read implements vfs.FileOps.
func (d *memDevice) Read(ctx kctx.Ctx, f *vfs.File, dst *usermem.Buf, off *int64) (int64, error) {
	switch d.kind {
	case kindZero, kindFull:
		return d.zeros(ctx, dst)
	case kindRandom, kindURandom:
		return d.random(ctx, dst)
	}
	return 0, nil
}

// step is how much is done between looks for signals.
const step = 1 << 20

func (d *memDevice) zeros(ctx kctx.Ctx, dst *usermem.Buf) (int64, error) {
	var done int64
	for dst.Len() > 0 {
		n, err := dst.PutZeros(min(dst.Len(), step))
		done += n
		if err != nil && done == 0 {
			return 0, err
		}
		if err != nil || n == 0 || ctx.Interrupted() {
			break
		}
	}
	return done, nil
}

func (d *memDevice) random(ctx kctx.Ctx, dst *usermem.Buf) (int64, error) {
	var done int64
	var b [4096]byte
	for dst.Len() > 0 {
		p := b[:min(dst.Len(), int64(len(b)))]
		rand.Read(p)
		n, err := dst.Put(p)
		done += int64(n)
		if err != nil && done == 0 {
			return 0, err
		}
		if err != nil || n < len(p) || done%step == 0 && ctx.Interrupted() {
			break
		}
	}
	return done, nil
}

// Write implements vfs.FileOps.
func (d *memDevice) Write(ctx kctx.Ctx, f *vfs.File, src *usermem.Buf, off *int64) (int64, error) {
	n := src.Len()
	switch d.kind {
	case kindFull:
		return 0, errno.ENOSPC
	case kindRandom, kindURandom:
		// What is written seeds Linux's generator; the host's needs no help,
		// but memory that cannot be read is an error all the same.
		var b [4096]byte
		var done int64
		for src.Len() > 0 {
			k, err := src.Take(b[:])
			if err != nil {
				if done > 0 {
					return done, nil
				}
				return 0, err
			}
			done += int64(k)
		}
		return done, nil
	}
	src.Skip(n)
	return n, nil
}

// Seek implements vfs.FileOps: accepted, and without a meaning.
func (d *memDevice) Seek(ctx kctx.Ctx, f *vfs.File, off int64, whence int) (int64, error) {
	return 0, nil
}

// Sync implements vfs.FileOps.
func (d *memDevice) Sync(ctx kctx.Ctx, f *vfs.File, dataOnly bool) error { return errno.EINVAL }

// Requests of random(4).
const (
	rndGetEntCnt   = 0x80045200
	rndAddToEntCnt = 0x40045201
	rndAddEntropy  = 0x40085203
	rndZapEntCnt   = 0x5204
	rndClearPool   = 0x5206
	rndReseedCRNG  = 0x5207
)

// Ioctl implements vfs.FileOps.
func (d *memDevice) Ioctl(ctx kctx.Ctx, f *vfs.File, io usermem.IO, cmd uint32, arg uint64) (uint64, error) {
	if d.kind != kindRandom && d.kind != kindURandom {
		return 0, errno.ENOTTY
	}
	switch cmd {
	case rndGetEntCnt:
		n := int32(256)
		return 0, usermem.Put(io, arg, &n)
	case rndAddToEntCnt, rndAddEntropy, rndZapEntCnt, rndClearPool, rndReseedCRNG:
		if !ctx.Creds().Capable(capSysAdmin) {
			return 0, errno.EPERM
		}
		return 0, nil
	}
	return 0, errno.EINVAL
}

// Mmap implements vfs.FileOps: a mapping of /dev/zero is anonymous memory of
// its own.
func (d *memDevice) Mmap(ctx kctx.Ctx, f *vfs.File) (memmap.Mappable, error) {
	if d.kind != kindZero || d.mem == nil {
		return nil, errno.ENODEV
	}
	return &zeroMap{mem: d.mem}, nil
}

// zeroMap makes the memory of one mapping of /dev/zero when it is mapped.
type zeroMap struct {
	mem *pages.Memory
	o   *mm.SharedAnon
}

// AddMapping implements memmap.Mappable. The object belongs to one mmap call,
// so the first mapping tells the size; parts and copies of it come later.
func (z *zeroMap) AddMapping(m memmap.Mapping, ar memmap.Range, off uint64, writable bool) error {
	if z.o == nil {
		o, err := mm.NewSharedAnon(z.mem, off+ar.Len(), "/dev/zero", 5)
		if err != nil {
			return errno.ENOMEM
		}
		z.o = o
		err = o.AddMapping(m, ar, off, writable)
		o.Release()
		return err
	}
	return z.o.AddMapping(m, ar, off, writable)
}

// RemoveMapping implements memmap.Mappable.
func (z *zeroMap) RemoveMapping(m memmap.Mapping, ar memmap.Range, off uint64, writable bool) {
	if z.o != nil {
		z.o.RemoveMapping(m, ar, off, writable)
	}
}

// Translate implements memmap.Mappable.
func (z *zeroMap) Translate(ctx kctx.Ctx, required, optional memmap.Range, write bool) ([]memmap.Translation, error) {
	if z.o == nil {
		return nil, errno.EFAULT
	}
	return z.o.Translate(ctx, required, optional, write)
}

// MappedName implements memmap.Mappable.
func (z *zeroMap) MappedName(ctx kctx.Ctx) memmap.Identity {
	if z.o == nil {
		return memmap.Identity{DevMinor: 5, Ino: 5, Path: "/dev/zero"}
	}
	return z.o.MappedName(ctx)
}

// RegisterDevices makes the memory devices openable by their numbers on any
// file system. mem is the sandbox's memory.
func RegisterDevices(sys *vfs.System, mem *pages.Memory) {
	for _, k := range []kind{kindNull, kindZero, kindFull, kindRandom, kindURandom} {
		sys.RegisterDevice(false, vfs.Dev{Major: 1, Minor: uint32(k)}, func(ctx kctx.Ctx, p vfs.Path, flags uint32) (vfs.FileOps, error) {
			return &memDevice{kind: k, mem: mem}, nil
		})
	}
	// Kernel messages: nothing to read, what is written is dropped.
	sys.RegisterDevice(false, vfs.Dev{Major: 1, Minor: 11}, func(ctx kctx.Ctx, p vfs.Path, flags uint32) (vfs.FileOps, error) {
		if flags&unix.O_ACCMODE != unix.O_WRONLY {
			return nil, errno.EPERM
		}
		return &memDevice{kind: kindNull}, nil
	})
}
