package tmpfs

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

// maxSize is the largest file (MAX_LFS_FILESIZE).
const maxSize = 1<<63 - 1

// file is a regular file.
type file struct {
	node
	vfs.NotDir
	vfs.NotLink

	// dataMu is held for reading over a copy out, for writing over a copy in
	// and whatever takes pages away: no page leaves under a copy.
	dataMu sync.RWMutex
	size   atomic.Uint64 // written under dataMu and node.mu

	// Under node.mu.
	extents extents
	spare   memmap.Range // allocated, not yet part of the file

	maps  memmap.Set
	seals atomic.Uint32
}

func (s *Super) newFile(mode uint32, uid creds.KUID, gid creds.KGID) *file {
	f := &file{}
	f.init(s, mode, uid, gid)
	f.seals.Store(unix.F_SEAL_SEAL)
	return f
}

func roundUp(n uint64) uint64 { return (n + pageSize - 1) &^ (pageSize - 1) }

func (f *file) Stat(kctx.Ctx) (vfs.Stat, error) {
	st := f.stat()
	f.mu.RLock()
	st.Blocks = f.extents.bytes / 512
	f.mu.RUnlock()
	st.Size = f.size.Load()
	return st, nil
}

func (f *file) SetStat(ctx kctx.Ctx, s vfs.SetStat) error {
	if s.Mask&vfs.SetSize != 0 {
		if err := f.truncate(s.Size); err != nil {
			return err
		}
		if s.Mask&(vfs.SetMtime|vfs.SetMtimeNow) == 0 {
			s.Mask |= vfs.SetMtimeNow
		}
	}
	return f.node.SetStat(ctx, s)
}

func (f *file) Release() {
	if f.drop() {
		f.free()
	}
}

// free gives all memory back.
func (f *file) free() {
	f.mu.Lock()
	gone := f.extents.cut(0, maxSize&^(pageSize-1))
	spare := f.spare
	f.spare = memmap.Range{}
	f.mu.Unlock()
	f.give(gone)
	if spare.Len() > 0 {
		f.sb.t.mem.DecRef(spare)
	}
}

func (f *file) give(l []extent) {
	for _, e := range l {
		f.sb.t.mem.DecRef(memmap.Range{Start: e.mem, End: e.mem + e.n})
		f.sb.pages.Add(-int64(e.n / pageSize))
	}
}

// maxSpare is how far ahead of a growing file memory offsets are taken.
const maxSpare = 4 << 20

// fillLocked makes sure that the pages of [start, end), multiples of a page,
// exist. It may stop short with ENOSPC or ENOMEM.
func (f *file) fillLocked(start, end uint64) error {
	for start < end {
		_, n, ok := f.extents.piece(start)
		if ok {
			start += n
			continue
		}
		n = min(n, end-start)
		if free := f.sb.freePages(); int64(n/pageSize) > free {
			if free <= 0 {
				return errno.ENOSPC
			}
			n = uint64(free) * pageSize
		}
		if f.spare.Len() == 0 {
			want := n
			if s := roundUp(f.size.Load()); s >= 16*pageSize {
				want = max(n, min(s, maxSpare))
			}
			r, err := f.sb.t.mem.Allocate(want)
			if err != nil {
				return err
			}
			f.spare = r
		}
		n = min(n, f.spare.Len())
		if err := f.sb.takePages(int64(n / pageSize)); err != nil {
			return err
		}
		f.extents.insert(extent{start, f.spare.Start, n})
		f.spare.Start += n
		start += n
	}
	return nil
}

// zeroLocked clears [off, end) inside one page, if it exists.
func (f *file) zeroLocked(off, end uint64) {
	if off >= end {
		return
	}
	mem, _, ok := f.extents.piece(off)
	if !ok {
		return
	}
	if b, err := f.sb.t.mem.Bytes(mem, end-off, true); err == nil {
		clear(b)
	}
}

func (f *file) truncate(size uint64) error {
	if size > maxSize {
		return errno.EFBIG
	}
	f.dataMu.Lock()
	defer f.dataMu.Unlock()
	old := f.size.Load()
	switch {
	case size < old && f.seals.Load()&unix.F_SEAL_SHRINK != 0:
		return errno.EPERM
	case size > old && f.seals.Load()&unix.F_SEAL_GROW != 0:
		return errno.EPERM
	case size == old && size != 0:
		return nil
	}
	if size >= old {
		f.mu.Lock()
		f.size.Store(size)
		f.mu.Unlock()
		return nil
	}
	f.mu.Lock()
	gone := f.extents.cut(roundUp(size), maxSize&^(pageSize-1))
	f.zeroLocked(size, min(roundUp(size), old))
	f.size.Store(size)
	f.mu.Unlock()
	f.maps.Invalidate(memmap.Range{Start: roundUp(size), End: roundUp(old)}, true)
	f.give(gone)
	return nil
}

// punch takes the pages of [off, end) away and clears the rest of it.
func (f *file) punch(off, end uint64) {
	first, last := roundUp(off), end&^(pageSize-1)
	f.mu.Lock()
	var gone []extent
	if first <= last {
		f.zeroLocked(off, min(first, end))
		if end > last {
			f.zeroLocked(last, end)
		}
		gone = f.extents.cut(first, last)
	} else {
		f.zeroLocked(off, end)
	}
	f.mu.Unlock()
	if len(gone) > 0 {
		f.maps.Invalidate(memmap.Range{Start: first, End: last}, false)
		f.give(gone)
	}
}

// readAt copies out at *off and advances it.
func (f *file) readAt(dst *usermem.Buf, off *int64) (int64, error) {
	f.dataMu.RLock()
	defer f.dataMu.RUnlock()
	var done int64
	for dst.Len() > 0 {
		size := f.size.Load()
		at := uint64(*off)
		if at >= size {
			break
		}
		want := min(uint64(dst.Len()), size-at)
		f.mu.RLock()
		mem, n, ok := f.extents.piece(at)
		f.mu.RUnlock()
		want = min(want, n)
		var m int64
		var err error
		if ok {
			var b []byte
			if b, err = f.sb.t.mem.Bytes(mem, want, false); err == nil {
				want = uint64(len(b))
				var k int
				k, err = dst.Put(b)
				m = int64(k)
			}
		} else {
			m, err = dst.PutZeros(int64(want))
		}
		*off += m
		done += m
		if err != nil || uint64(m) < want {
			if done > 0 {
				return done, nil
			}
			return 0, err
		}
	}
	return done, nil
}

// writeAt copies in at *off (the end, if append) and advances it.
func (f *file) writeAt(src *usermem.Buf, off *int64, appendTo bool) (int64, error) {
	f.dataMu.Lock()
	defer f.dataMu.Unlock()
	size := f.size.Load()
	if appendTo {
		*off = int64(size)
	}
	if s := f.seals.Load(); s&(unix.F_SEAL_WRITE|unix.F_SEAL_FUTURE_WRITE) != 0 {
		return 0, errno.EPERM
	} else if s&unix.F_SEAL_GROW != 0 && uint64(*off+src.Len()) > size {
		// Page by page: what lies in pages that would not grow is written.
		room := int64(size&^(pageSize-1)) - *off
		if room <= 0 {
			return 0, errno.EPERM
		}
		src.Truncate(room)
	}
	if src.Len() > maxSize-*off {
		if *off == maxSize {
			return 0, errno.EFBIG
		}
		src.Truncate(maxSize - *off)
	}
	var done int64
	for src.Len() > 0 {
		at := uint64(*off)
		mem, n, fresh, err := f.room(at, uint64(src.Len()))
		var m int64
		if err == nil {
			m, err = f.copyIn(src, mem, n, fresh)
		}
		*off += m
		done += m
		if uint64(*off) > f.size.Load() {
			f.mu.Lock()
			f.size.Store(uint64(*off))
			f.mu.Unlock()
		}
		if err != nil || uint64(m) < n {
			if done > 0 {
				return done, nil
			}
			return 0, err
		}
	}
	return done, nil
}

// room returns memory for up to n bytes at off; fresh says that its pages were
// just allocated (whole pages that nobody has touched).
func (f *file) room(at, n uint64) (mem, got uint64, fresh bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	mem, have, ok := f.extents.piece(at)
	if ok {
		return mem, min(n, have), false, nil
	}
	end := at + min(n, have)
	err = f.fillLocked(at&^(pageSize-1), roundUp(end))
	mem, have, ok = f.extents.piece(at)
	if !ok {
		return 0, 0, false, err
	}
	return mem, min(end-at, have), true, nil
}

// copyIn copies n bytes to mem. Untouched pages are written through the host's
// file, which then need not be cleared and faulted in one by one.
func (f *file) copyIn(src *usermem.Buf, mem, n uint64, fresh bool) (int64, error) {
	if fresh {
		_, rw := f.sb.t.mem.Host()
		if rw >= 0 {
			return src.WithBlocks(int64(n), false, func(blocks [][]byte) (int64, error) {
				m, err := pwritev(rw, blocks, int64(mem))
				mem += uint64(m)
				return int64(m), errno.FromHost(err)
			})
		}
	}
	var done int64
	for n > 0 {
		b, err := f.sb.t.mem.Bytes(mem, n, true)
		var m int
		if err == nil {
			m, err = src.Take(b)
		}
		done += int64(m)
		if err != nil || m < len(b) {
			if done > 0 {
				return done, nil
			}
			return 0, err
		}
		mem += uint64(m)
		n -= uint64(m)
	}
	return done, nil
}

func pwritev(fd int, blocks [][]byte, off int64) (int, error) {
	for {
		var n int
		var err error
		if len(blocks) == 1 {
			n, err = unix.Pwrite(fd, blocks[0], off)
		} else {
			n, err = unix.Pwritev(fd, blocks[:min(len(blocks), 1024)], off)
		}
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

func (f *file) Open(ctx kctx.Ctx, _ *vfs.Dentry, flags uint32) (vfs.FileOps, error) {
	return (*openFile)(f), nil
}

// openFile is file as vfs.FileOps: a description has no state of its own.
type openFile file

func (o *openFile) Read(ctx kctx.Ctx, vf *vfs.File, dst *usermem.Buf, off *int64) (int64, error) {
	f := (*file)(o)
	n, err := f.readAt(dst, off)
	if n > 0 {
		f.accessed(vf)
	}
	return n, err
}

func (o *openFile) Write(ctx kctx.Ctx, vf *vfs.File, src *usermem.Buf, off *int64) (int64, error) {
	f := (*file)(o)
	if src.Len() == 0 {
		return 0, nil
	}
	n, err := f.writeAt(src, off, vf.Flags()&unix.O_APPEND != 0)
	if n > 0 {
		f.changed()
	}
	return n, err
}

// Seek is SEEK_END, SEEK_DATA and SEEK_HOLE.
func (o *openFile) Seek(ctx kctx.Ctx, _ *vfs.File, off int64, whence int) (int64, error) {
	f := (*file)(o)
	size := int64(f.size.Load())
	if whence == unix.SEEK_END {
		return vfs.SeekInData(off, whence, size)
	}
	if off < 0 || off >= size {
		return 0, errno.ENXIO
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	at := uint64(off)
	for at < uint64(size) {
		_, n, ok := f.extents.piece(at)
		if ok == (whence == unix.SEEK_DATA) {
			return int64(at), nil
		}
		at += n
		if !ok && at&(chunkSize-1) == 0 {
			// Over chunks without data at once.
			c, more := f.extents.nextChunk(at >> chunkShift)
			if !more {
				break
			}
			at = c << chunkShift
		}
	}
	if whence == unix.SEEK_DATA {
		return 0, errno.ENXIO
	}
	return size, nil
}

func (o *openFile) Readdir(kctx.Ctx, *vfs.File, int64, func(vfs.Dirent) bool) error {
	return errno.ENOTDIR
}
func (o *openFile) Ioctl(kctx.Ctx, *vfs.File, usermem.IO, uint32, uint64) (uint64, error) {
	return 0, errno.ENOTTY
}
func (o *openFile) Mmap(kctx.Ctx, *vfs.File) (memmap.Mappable, error) { return (*file)(o), nil }
func (o *openFile) Ready(mask wait.Events) wait.Events {
	return mask & (wait.In | wait.Out | wait.RdNorm | wait.WrNorm)
}
func (o *openFile) WaitQueue() *wait.Queue               { return nil }
func (o *openFile) Sync(kctx.Ctx, *vfs.File, bool) error { return nil }
func (o *openFile) Flush(kctx.Ctx, *vfs.File) error      { return nil }
func (o *openFile) Release(kctx.Ctx, *vfs.File)          {}

// Allocate is fallocate(2).
func (o *openFile) Allocate(ctx kctx.Ctx, _ *vfs.File, mode uint32, off, n uint64) error {
	f := (*file)(o)
	const keep, hole, zero = unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_PUNCH_HOLE, unix.FALLOC_FL_ZERO_RANGE
	if mode&^(keep|hole) != 0 {
		return errno.EOPNOTSUPP
	}
	_ = uint32(zero) // tmpfs has none
	f.dataMu.Lock()
	defer f.dataMu.Unlock()
	if mode&hole != 0 {
		if mode&keep == 0 {
			return errno.EOPNOTSUPP
		}
		if f.seals.Load()&(unix.F_SEAL_WRITE|unix.F_SEAL_FUTURE_WRITE) != 0 {
			return errno.EPERM
		}
		f.punch(off, off+n)
		f.changed()
		return nil
	}
	end := off + n
	if end > maxSize {
		return errno.EFBIG
	}
	if mode&keep == 0 && end > f.size.Load() && f.seals.Load()&unix.F_SEAL_GROW != 0 {
		return errno.EPERM
	}
	first, last := off&^(pageSize-1), roundUp(end)
	if int64((last-first)/pageSize) > f.sb.freePages() && f.holes(first, last) > f.sb.freePages() {
		return errno.ENOSPC
	}
	f.mu.Lock()
	err := f.fillLocked(first, last)
	if err == nil && mode&keep == 0 && end > f.size.Load() {
		f.size.Store(end)
	}
	f.mu.Unlock()
	if err == nil {
		f.touchCtime()
	}
	return err
}

// holes counts the pages missing in [first, last).
func (f *file) holes(first, last uint64) int64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return int64((last - first - f.extents.present(first, last)) / pageSize)
}
