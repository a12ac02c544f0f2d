package gofer

import (
	"bytes"
	"encoding/binary"
	"sync"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/gofer/wire"
	"redoubt.dev/redoubt/sentry/errno"
)

var direntBufs = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// lister sends a listing in packets.
type lister struct {
	s     *wire.Server
	token uint32
	out   wire.Enc
	ok    bool // the connection still stands
	left  int  // entries that may still be sent
}

// room makes sure that n more bytes fit the packet.
func (l *lister) room(n int) {
	if len(l.out.B)+n > wire.Room {
		l.ok = l.ok && l.s.Send(l.token, 0, true, l.out.B, nil)
		l.out.B = l.out.B[:0]
	}
}

// list answers OpList: the directory asked for with at most first entries, and
// then, breadth first, directories below it with limit entries in all.
func (t *tree) list(s *wire.Server, r wire.Request) bool {
	first, limit := r.Args.U32(), int(r.Args.U32())
	if !r.Args.End() || limit > wire.MaxList {
		return s.Fail(r.Token, errno.EINVAL)
	}
	l := &lister{s: s, token: r.Token, ok: true, left: int(first)}
	queue := []string{""}
	for i := 0; i < len(queue) && l.ok; i++ {
		sub := queue[i]
		path := r.Path
		if sub != "" {
			if path != "" {
				path += "/"
			}
			path += sub
			if l.left <= 0 || len(path) > wire.MaxPath {
				break
			}
		}
		fd, err := t.open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOATIME, 0)
		if err == unix.EPERM {
			fd, err = t.open(path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		}
		if err != nil {
			if i == 0 {
				return s.Fail(r.Token, err)
			}
			continue
		}
		queue = l.dir(fd, sub, queue)
		unix.Close(fd)
		if i == 0 {
			l.left = limit
		}
	}
	return l.ok && s.Send(r.Token, 0, false, l.out.B, nil)
}

// dir sends one directory and appends its subdirectories to queue.
func (l *lister) dir(fd int, sub string, queue []string) []string {
	l.room(3 + len(sub))
	l.out.U8(wire.ListDir)
	l.out.Str(sub)
	bp := direntBufs.Get().(*[]byte)
	defer direntBufs.Put(bp)
	end := uint8(wire.ListEnd)
	for l.ok {
		n, err := unix.Getdents(fd, *bp)
		if err != nil || n == 0 {
			if err != nil {
				end = wire.ListCut
			}
			break
		}
		whole := forEachDirent((*bp)[:n], func(_, _ uint64, _ uint8, nm string) bool {
			if !wire.GoodName(nm) {
				return true
			}
			var a wire.Attr
			if attrAt(fd, nm, &a) != nil {
				return true // gone meanwhile
			}
			if l.left--; l.left < 0 {
				return false
			}
			l.room(256 + len(nm) + len(a.Target))
			l.out.U8(wire.ListEntry)
			l.out.Str(nm)
			l.out.Attr(&a)
			if a.Mode&unix.S_IFMT == unix.S_IFDIR && len(queue) < wire.MaxList {
				if sub == "" {
					queue = append(queue, nm)
				} else {
					queue = append(queue, sub+"/"+nm)
				}
			}
			return l.ok
		})
		if !whole {
			end = wire.ListCut
			break
		}
	}
	l.room(1)
	l.out.U8(end)
	return queue
}

// forEachDirent takes getdents64(2)'s buffer apart; false if fn stopped it or
// it is malformed.
func forEachDirent(b []byte, fn func(ino, off uint64, typ uint8, name string) bool) bool {
	for len(b) >= 19 {
		reclen := int(binary.LittleEndian.Uint16(b[16:]))
		if reclen < 19 || reclen > len(b) {
			return false
		}
		name := b[19:reclen]
		if i := bytes.IndexByte(name, 0); i >= 0 {
			name = name[:i]
		}
		if !fn(binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), b[18], string(name)) {
			return false
		}
		b = b[reclen:]
	}
	return true
}
