package goferfs

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/pages"
)

const pageSize = 4096

// mappings is who maps a file.
type mappings struct {
	list     []mapping
	writable int
}

type mapping struct {
	m        memmap.Mapping
	ar       memmap.Range
	off      uint64
	writable bool
}

// prepareMap makes the file ready to be mapped, shared writable ones included
// if write. It has its own copies of the descriptors: a mapping outlives the
// open file.
func (i *inode) prepareMap(write bool) error {
	for {
		i.mu.Lock()
		d := i.dataLocked()
		if d.hf != nil && (d.hfRW || !write) {
			i.mu.Unlock()
			return nil
		}
		if d.fds[unix.O_RDONLY] >= 0 {
			err := i.makeHostFileLocked(write)
			i.mu.Unlock()
			return err
		}
		i.mu.Unlock()
		// A private mapping must not be widened by mprotect: it needs a
		// descriptor that cannot write.
		if err := i.fetchFD(unix.O_RDONLY); err != nil {
			i.mu.Lock()
			defer i.mu.Unlock()
			if i.data.Load().fds[unix.O_RDWR] < 0 {
				return err
			}
			return i.makeHostFileLocked(write)
		}
	}
}

// makeHostFileLocked replaces the host file, keeping the old one's pages
// alive where they are mapped. Precondition: i.mu.
func (i *inode) makeHostFileLocked(write bool) error {
	d := i.data.Load()
	ro, rw := d.fds[unix.O_RDONLY], d.fds[unix.O_RDWR]
	if ro < 0 {
		ro = rw
	}
	ro, err := unix.FcntlInt(uintptr(ro), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return errno.FromHost(err)
	}
	if rw >= 0 && write {
		if rw, err = unix.FcntlInt(uintptr(rw), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			unix.Close(ro)
			return errno.FromHost(err)
		}
	} else {
		rw = -1
	}
	if d.hf != nil {
		d.hf.Close()
	}
	d.hf, d.hfRW = pages.NewHostFile(ro, rw, i.attr.size), rw >= 0
	return nil
}

// unmapLocked gives the host file up if nothing maps it and its descriptor is
// not kept for the next open (idleFiles): programs and libraries come again,
// and so the sentry's own view of them is still there. Precondition: i.mu.
func (i *inode) unmapLocked() {
	d := i.data.Load()
	if d.hf != nil && d.users == 0 && len(d.mapped.list) == 0 && (d.hfRW || d.fds[unix.O_RDONLY] < 0) {
		d.hf.Close()
		d.hf, d.hfRW = nil, false
	}
}

// AddMapping implements memmap.Mappable.
func (i *inode) AddMapping(m memmap.Mapping, ar memmap.Range, off uint64, writable bool) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	d := i.dataLocked()
	d.mapped.list = append(d.mapped.list, mapping{m, ar, off, writable})
	if writable {
		d.mapped.writable++
		i.dirty = true
	}
	return nil
}

// RemoveMapping implements memmap.Mappable: it takes ar out of what AddMapping
// was told, which may be longer.
func (i *inode) RemoveMapping(m memmap.Mapping, ar memmap.Range, off uint64, writable bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	d := i.dataLocked()
	// ar may also join several of the ranges told: areas merge.
	for n, left := 0, ar.Len(); n < len(d.mapped.list) && left > 0; {
		x := d.mapped.list[n]
		if x.m != m || x.writable != writable || !x.ar.Overlaps(ar) || x.off-x.ar.Start != off-ar.Start {
			n++
			continue
		}
		cut := x.ar.Intersect(ar)
		left -= cut.Len()
		last := len(d.mapped.list) - 1
		d.mapped.list[n] = d.mapped.list[last]
		d.mapped.list[last] = mapping{}
		d.mapped.list = d.mapped.list[:last]
		if writable {
			d.mapped.writable--
		}
		for _, r := range []memmap.Range{{Start: x.ar.Start, End: cut.Start}, {Start: cut.End, End: x.ar.End}} {
			if r.Start < r.End {
				d.mapped.list = append(d.mapped.list, mapping{m, r, x.off + (r.Start - x.ar.Start), writable})
				if writable {
					d.mapped.writable++
				}
			}
		}
	}
	if i.dirty && d.mapped.writable == 0 {
		if fd := i.anyFDLocked(); fd >= 0 {
			i.refreshLocked(fd)
		}
	}
	i.unmapLocked()
}

// Translate implements memmap.Mappable.
func (i *inode) Translate(ctx kctx.Ctx, required, optional memmap.Range, write bool) ([]memmap.Translation, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	d := i.data.Load()
	if d == nil || d.hf == nil {
		return nil, errno.EIO
	}
	if write && !d.hfRW {
		if d.fds[unix.O_RDWR] < 0 {
			return nil, errno.EACCES
		}
		if err := i.makeHostFileLocked(true); err != nil {
			return nil, err
		}
	}
	if i.dirty || !i.fs.exclusive {
		if fd := i.anyFDLocked(); fd >= 0 {
			i.refreshLocked(fd)
		}
	}
	end := (i.attr.size + pageSize - 1) &^ (pageSize - 1)
	if required.Start >= end {
		return nil, nil
	}
	r := memmap.Range{Start: min(optional.Start, required.Start), End: min(max(optional.End, required.End), end)}
	d.hf.IncRef(r)
	return []memmap.Translation{{Source: r, File: d.hf, Offset: r.Start, Write: d.hfRW}}, nil
}

// MappedName implements memmap.Mappable. The path is vfs's to know.
func (i *inode) MappedName(ctx kctx.Ctx) memmap.Identity {
	return memmap.Identity{DevMajor: i.fs.dev.Major, DevMinor: i.fs.dev.Minor, Ino: i.ino()}
}

// truncated takes pages behind the new end from whoever maps them, private
// copies included (truncate(2)).
func (i *inode) truncated(old, size uint64) {
	if size >= old {
		return
	}
	from := (size + pageSize - 1) &^ (pageSize - 1)
	i.mu.Lock()
	var list []mapping
	if d := i.data.Load(); d != nil {
		list = append(list, d.mapped.list...)
	}
	i.mu.Unlock()
	for _, x := range list {
		start := x.ar.Start
		if from > x.off {
			if from-x.off >= x.ar.Len() {
				continue
			}
			start += from - x.off
		}
		x.m.Invalidate(memmap.Range{Start: start, End: x.ar.End}, true)
	}
}
