package syscalls

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/signal"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

var readRows = []Row{
	{0, "read", sysRead, "fd,buf,size", Full, ""},
	{1, "write", sysWrite, "fd,buf,size", Full, ""},
	{8, "lseek", sysLseek, "fd,off,whence", Full, ""},
	{17, "pread64", sysPread, "fd,buf,size,off", Full, ""},
	{18, "pwrite64", sysPwrite, "fd,buf,size,off", Full, ""},
	{19, "readv", sysReadv, "fd,iovec,int", Full, ""},
	{20, "writev", sysWritev, "fd,iovec,int", Full, ""},
	{295, "preadv", sysPreadv, "fd,iovec,int,off,off", Full, ""},
	{296, "pwritev", sysPwritev, "fd,iovec,int,off,off", Full, ""},
	{327, "preadv2", sysPreadv2, "fd,iovec,int,off,off,hex", Partial, "RWF_ATOMIC and RWF_DONTCACHE refused"},
	{328, "pwritev2", sysPwritev2, "fd,iovec,int,off,off,hex", Partial, "RWF_ATOMIC and RWF_DONTCACHE refused"},
}

// maxRW is how much one call moves (MAX_RW_COUNT).
const maxRW = 0x7ffff000

// maxUser is the end of user addresses (TASK_SIZE_MAX).
const maxUser = 1<<47 - 4096

// maxIov is UIO_MAXIOV.
const maxIov = 1024

// accessible is access_ok: whether [addr, addr+n) is user space at all.
func accessible(addr, n uint64) bool { return addr+n >= addr && addr+n <= maxUser }

// transfer checks the file and the buffer of a plain read or write and returns
// how much one call moves.
func transfer(t *kernel.Task, f *vfs.File, a *arch.Args, write, at bool) (uint64, error) {
	if err := f.CheckTransfer(t, write, at); err != nil {
		return 0, err
	}
	n := a.Size(2)
	if !accessible(a.Ptr(1), n) {
		return 0, errno.EFAULT
	}
	return min(n, maxRW), nil
}

// wrote finishes a write: a broken pipe also sends SIGPIPE.
func wrote(t *kernel.Task, n int64, err error) (uint64, error) {
	t.CountIO(true, n)
	if err != nil {
		if err == errno.EPIPE {
			t.SendSignal(signal.Kernel(int32(unix.SIGPIPE)))
		}
		return 0, err
	}
	return uint64(n), nil
}

// read(2).
func sysRead(t *kernel.Task, a arch.Args) (uint64, error) {
	f, err := t.File(a.Int(0))
	if err != nil {
		return 0, err
	}
	n, err := transfer(t, f, &a, false, false)
	var m int64
	if err == nil {
		m, err = f.Read(t, t.Buf(a.Ptr(1), n))
	}
	t.CountIO(false, m)
	f.DecRef(t)
	return uint64(m), err
}

// write(2).
func sysWrite(t *kernel.Task, a arch.Args) (uint64, error) {
	f, err := t.File(a.Int(0))
	if err != nil {
		return 0, err
	}
	n, err := transfer(t, f, &a, true, false)
	var m int64
	if err == nil {
		m, err = f.Write(t, t.Buf(a.Ptr(1), n))
	}
	f.DecRef(t)
	return wrote(t, m, err)
}

// pread(2).
func sysPread(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Int64(3) < 0 {
		return 0, errno.EINVAL
	}
	f, err := t.File(a.Int(0))
	if err != nil {
		return 0, err
	}
	n, err := transfer(t, f, &a, false, true)
	var m int64
	if err == nil {
		m, err = f.Pread(t, t.Buf(a.Ptr(1), n), a.Int64(3))
	}
	t.CountIO(false, m)
	f.DecRef(t)
	return uint64(m), err
}

// pwrite(2).
func sysPwrite(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Int64(3) < 0 {
		return 0, errno.EINVAL
	}
	f, err := t.File(a.Int(0))
	if err != nil {
		return 0, err
	}
	n, err := transfer(t, f, &a, true, true)
	var m int64
	if err == nil {
		m, err = f.Pwrite(t, t.Buf(a.Ptr(1), n), a.Int64(3))
	}
	f.DecRef(t)
	return wrote(t, m, err)
}

// copyInIovec reads an array of struct iovec as a buffer.
func copyInIovec(t *kernel.Task, addr uint64, n int32) (*usermem.Buf, error) {
	if n < 0 || n > maxIov {
		return nil, errno.EINVAL
	}
	vecs := make([]usermem.Vec, n)
	if err := kernel.GetSlice(t, addr, vecs); err != nil {
		return nil, err
	}
	total := uint64(0)
	for i := range vecs {
		if int64(vecs[i].Len) < 0 {
			return nil, errno.EINVAL
		}
		if !accessible(vecs[i].Addr, vecs[i].Len) {
			return nil, errno.EFAULT
		}
		vecs[i].Len = min(vecs[i].Len, maxRW-total)
		total += vecs[i].Len
	}
	return usermem.User(t.Mem(), vecs), nil
}

// vectored runs one of the v calls; off < 0 means at the position.
func vectored(t *kernel.Task, a *arch.Args, off int64, write bool, rwf uint32) (uint64, error) {
	f, err := t.File(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	if err := f.CheckTransfer(t, write, off >= 0); err != nil {
		return 0, err
	}
	b, err := copyInIovec(t, a.Ptr(1), a.Int(2))
	if err != nil || b.Len() == 0 {
		return 0, err
	}
	var n int64
	if rwf != 0 {
		n, err = withFlags(t, f, b, off, write, rwf)
	} else {
		n, err = moveBuf(t, f, b, off, write)
	}
	if write {
		return wrote(t, n, err)
	}
	t.CountIO(false, n)
	return uint64(n), err
}

func moveBuf(t *kernel.Task, f *vfs.File, b *usermem.Buf, off int64, write bool) (int64, error) {
	switch {
	case write && off >= 0:
		return f.Pwrite(t, b, off)
	case write:
		return f.Write(t, b)
	case off >= 0:
		return f.Pread(t, b, off)
	}
	return f.Read(t, b)
}

// withFlags is moveBuf with RWF_* of preadv2(2).
func withFlags(t *kernel.Task, f *vfs.File, b *usermem.Buf, off int64, write bool, rwf uint32) (int64, error) {
	const hipri, dsync, sync, nowait, appendF, noappend = 1, 2, 4, 8, 0x10, 0x20
	if rwf&^(hipri|dsync|sync|nowait|appendF|noappend) != 0 || rwf&(appendF|noappend) != 0 && !write ||
		rwf&(appendF|noappend) == appendF|noappend {
		return 0, errno.EOPNOTSUPP
	}
	return f.WithFlags(rwf&nowait != 0, rwf&appendF != 0, rwf&noappend != 0, func() (int64, error) {
		n, err := moveBuf(t, f, b, off, write)
		if err == nil && n > 0 && write && rwf&(dsync|sync) != 0 {
			err = f.Sync(t, rwf&sync == 0)
		}
		return n, err
	})
}

// readv(2).
func sysReadv(t *kernel.Task, a arch.Args) (uint64, error) { return vectored(t, &a, -1, false, 0) }

// writev(2).
func sysWritev(t *kernel.Task, a arch.Args) (uint64, error) { return vectored(t, &a, -1, true, 0) }

// preadv(2).
func sysPreadv(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Int64(3) < 0 {
		return 0, errno.EINVAL
	}
	return vectored(t, &a, a.Int64(3), false, 0)
}

// pwritev(2).
func sysPwritev(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Int64(3) < 0 {
		return 0, errno.EINVAL
	}
	return vectored(t, &a, a.Int64(3), true, 0)
}

// preadv2(2).
func sysPreadv2(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Int64(3) < -1 {
		return 0, errno.EINVAL
	}
	return vectored(t, &a, a.Int64(3), false, a.Uint(5))
}

// pwritev2(2).
func sysPwritev2(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Int64(3) < -1 {
		return 0, errno.EINVAL
	}
	return vectored(t, &a, a.Int64(3), true, a.Uint(5))
}

// lseek(2).
func sysLseek(t *kernel.Task, a arch.Args) (uint64, error) {
	f, err := openFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	if a.Uint(2) > unix.SEEK_HOLE {
		return 0, errno.EINVAL
	}
	n, err := f.Seek(t, a.Int64(1), int(a.Int(2)))
	return uint64(n), err
}
