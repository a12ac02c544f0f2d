// Package wire is what the gofer and its client say to each other besides 9P.
//
// Every mount has two sockets. The first speaks 9P2000.L (gofer/p9file.go); any
// client can use it. The second, the lane (SOCK_SEQPACKET), carries donated
// descriptors, and with them a small set of calls that 9P would need several
// messages and a server-side handle for: a call names a file by its path below
// the attach point, so the server keeps no state per file, and one message is
// the whole cost of a lookup, a listing with attributes, or an open.
//
// A request is one packet, a reply one or more; More marks all but the last.
// Both sides treat what they get as hostile: decoding never panics, never
// allocates more than the packet's size, and leaves Bad set.
package wire

import "encoding/binary"

// Op is a call of the lane.
type Op uint8

// Calls. In brackets: arguments after the path; results.
const (
	OpStat        Op = 1 + iota // [] Attr
	OpWalk                      // [names] Attr for each name that exists, in order; stops at the first that does not
	OpList                      // [first, more u32] directories with their entries: see ListDir
	OpOpen                      // [flags u32] Attr, and a descriptor
	OpCreate                    // [mode, uid, gid u32] Attr, and a descriptor opened O_RDWR
	OpMkdir                     // [mode, uid, gid u32] Attr
	OpSymlink                   // [target, uid, gid] Attr
	OpMknod                     // [mode, uid, gid, major, minor u32] Attr
	OpLink                      // [new path] Attr
	OpUnlink                    // [dir u8]
	OpRename                    // [new path, flags u32]
	OpSetAttr                   // SetAttr; Attr
	OpGetXattr                  // [name] value
	OpSetXattr                  // [name, value, flags u32]
	OpListXattr                 // names, each with a NUL
	OpRemoveXattr               // [name]
	OpStatfs                    // Statfs
	OpSync                      // []
	OpConnect                   // [type u32] a connected UNIX socket (host-uds)
	OpOpenMany                  // [names] per name (u8 ok, Attr); descriptors of those that are ok, read-only. "/PATH" among the names leads to another directory
	OpFind                      // [names] as OpWalk, and a descriptor opened O_RDONLY if the last is a regular file
)

// Limits.
const (
	// MaxPacket bounds a packet of either direction.
	MaxPacket = 32 << 10
	// MaxFDs is how many descriptors one packet may bring.
	MaxFDs = 64
	// MaxPath is PATH_MAX without the NUL.
	MaxPath = 4095
	// MaxName is NAME_MAX.
	MaxName = 255
	// MaxXattr is the largest value that fits a packet; Linux' limit is 64 KiB.
	MaxXattr = 16 << 10
	// MaxList is how many entries a client may ask for in one listing.
	MaxList = 4096
)

// ReqHeader precedes a request's arguments: token u32, op u8, path.
const reqHeader = 4 + 1 + 2

// Reply header: token u32, errno u16, more u8, fds u8.
const replyHeader = 4 + 2 + 1 + 1

// Enc appends values, little endian.
type Enc struct{ B []byte }

// U8 appends a byte.
func (e *Enc) U8(v uint8) { e.B = append(e.B, v) }

// U16 appends 16 bits.
func (e *Enc) U16(v uint16) { e.B = binary.LittleEndian.AppendUint16(e.B, v) }

// U32 appends 32 bits.
func (e *Enc) U32(v uint32) { e.B = binary.LittleEndian.AppendUint32(e.B, v) }

// U64 appends 64 bits.
func (e *Enc) U64(v uint64) { e.B = binary.LittleEndian.AppendUint64(e.B, v) }

// Str appends a string of at most 64 KiB.
func (e *Enc) Str(s string) {
	e.U16(uint16(len(s)))
	e.B = append(e.B, s...)
}

// Dec takes values off the front of B; once something is missing Bad is set
// and every further value is zero.
type Dec struct {
	B   []byte
	Bad bool
}

func (d *Dec) take(n int) []byte {
	if d.Bad || len(d.B) < n {
		d.Bad = true
		return nil
	}
	p := d.B[:n]
	d.B = d.B[n:]
	return p
}

// U8 takes a byte.
func (d *Dec) U8() uint8 {
	if p := d.take(1); p != nil {
		return p[0]
	}
	return 0
}

// U16 takes 16 bits.
func (d *Dec) U16() uint16 {
	if p := d.take(2); p != nil {
		return binary.LittleEndian.Uint16(p)
	}
	return 0
}

// U32 takes 32 bits.
func (d *Dec) U32() uint32 {
	if p := d.take(4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

// U64 takes 64 bits.
func (d *Dec) U64() uint64 {
	if p := d.take(8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

// Str takes a string.
func (d *Dec) Str() string { return string(d.Bytes()) }

// Bytes takes a string without copying it.
func (d *Dec) Bytes() []byte { return d.take(int(d.U16())) }

// End says whether all was well formed and nothing is left.
func (d *Dec) End() bool { return !d.Bad && len(d.B) == 0 }

// Time is seconds and nanoseconds.
type Time struct {
	Sec  int64
	Nsec uint32
}

// Attr is what a file is. Target is set for symbolic links.
type Attr struct {
	Ino                        uint64
	DevMajor, DevMinor         uint32
	RdevMajor, RdevMinor       uint32
	Mode, Nlink, UID, GID      uint32
	Size, Blocks               uint64
	BlkSize                    uint32
	Atime, Mtime, Ctime, Btime Time
	Target                     string
}

func (e *Enc) time(t Time) { e.U64(uint64(t.Sec)); e.U32(t.Nsec) }

func (d *Dec) time() Time {
	t := Time{int64(d.U64()), d.U32()}
	if t.Nsec > 999999999 {
		d.Bad = true
	}
	return t
}

// Attr appends a.
func (e *Enc) Attr(a *Attr) {
	e.U64(a.Ino)
	e.U32(a.DevMajor)
	e.U32(a.DevMinor)
	e.U32(a.RdevMajor)
	e.U32(a.RdevMinor)
	e.U32(a.Mode)
	e.U32(a.Nlink)
	e.U32(a.UID)
	e.U32(a.GID)
	e.U64(a.Size)
	e.U64(a.Blocks)
	e.U32(a.BlkSize)
	e.time(a.Atime)
	e.time(a.Mtime)
	e.time(a.Ctime)
	e.time(a.Btime)
	if a.Mode&0170000 == 0120000 {
		e.Str(a.Target)
	}
}

// Attr takes an Attr and checks that its type is one that exists.
func (d *Dec) Attr(a *Attr) {
	a.Ino = d.U64()
	a.DevMajor, a.DevMinor = d.U32(), d.U32()
	a.RdevMajor, a.RdevMinor = d.U32(), d.U32()
	a.Mode, a.Nlink = d.U32(), d.U32()
	a.UID, a.GID = d.U32(), d.U32()
	a.Size, a.Blocks = d.U64(), d.U64()
	a.BlkSize = d.U32()
	a.Atime, a.Mtime = d.time(), d.time()
	a.Ctime, a.Btime = d.time(), d.time()
	a.Target = ""
	switch a.Mode & 0170000 {
	case 0120000:
		a.Target = d.Str()
		if len(a.Target) == 0 || len(a.Target) > MaxPath {
			d.Bad = true
		}
	case 0010000, 0020000, 0040000, 0060000, 0100000, 0140000:
	default:
		d.Bad = true
	}
	if a.Mode>>16 != 0 || a.Size > 1<<63-1 {
		d.Bad = true
	}
}

// SetAttr is the argument of OpSetAttr.
type SetAttr struct {
	Mask           uint32
	Mode, UID, GID uint32
	Size           uint64
	Atime, Mtime   Time
}

// Bits of SetAttr.Mask.
const (
	SetMode = 1 << iota
	SetUID
	SetGID
	SetSize
	SetAtime
	SetMtime
	SetAtimeNow
	SetMtimeNow
)

// SetAttr appends s.
func (e *Enc) SetAttr(s *SetAttr) {
	e.U32(s.Mask)
	e.U32(s.Mode)
	e.U32(s.UID)
	e.U32(s.GID)
	e.U64(s.Size)
	e.time(s.Atime)
	e.time(s.Mtime)
}

// SetAttr takes a SetAttr.
func (d *Dec) SetAttr(s *SetAttr) {
	s.Mask, s.Mode, s.UID, s.GID = d.U32(), d.U32(), d.U32(), d.U32()
	s.Size = d.U64()
	s.Atime, s.Mtime = d.time(), d.time()
}

// Statfs is the result of OpStatfs.
type Statfs struct {
	Type, BSize, NameLen               uint32
	Blocks, Bfree, Bavail, Files, Free uint64
}

// Statfs appends s.
func (e *Enc) Statfs(s *Statfs) {
	e.U32(s.Type)
	e.U32(s.BSize)
	e.U32(s.NameLen)
	e.U64(s.Blocks)
	e.U64(s.Bfree)
	e.U64(s.Bavail)
	e.U64(s.Files)
	e.U64(s.Free)
}

// Statfs takes a Statfs.
func (d *Dec) Statfs(s *Statfs) {
	s.Type, s.BSize, s.NameLen = d.U32(), d.U32(), d.U32()
	s.Blocks, s.Bfree, s.Bavail, s.Files, s.Free = d.U64(), d.U64(), d.U64(), d.U64(), d.U64()
}

// A listing is a sequence of records over one or more packets: a record is
// ListDir with the directory's path (below the one asked for), then ListEntry
// for each of its entries, then ListEnd when it was complete or ListCut when
// the limit was reached before.
const (
	ListDir   = 1
	ListEntry = 2 // name, Attr
	ListEnd   = 3
	ListCut   = 4
)

// GoodName says whether a name is one component that leads down.
func GoodName(s string) bool {
	if s == "" || len(s) > MaxName || s == "." || s == ".." {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] == '/' || s[i] == 0 {
			return false
		}
	}
	return true
}

// GoodPath says whether p is "" (the attach point) or good names joined by "/".
func GoodPath(p string) bool {
	if p == "" {
		return true
	}
	if len(p) > MaxPath {
		return false
	}
	for {
		i := 0
		for i < len(p) && p[i] != '/' {
			i++
		}
		if !GoodName(p[:i]) {
			return false
		}
		if i == len(p) {
			return true
		}
		p = p[i+1:]
	}
}

// Request is a decoded request; Args is what follows the path.
type Request struct {
	Token uint32
	Op    Op
	Path  string
	Args  Dec
}

// NewRequest starts a request; the caller appends the arguments.
func NewRequest(op Op, path string) *Enc {
	e := &Enc{B: make([]byte, 0, reqHeader+len(path)+64)}
	e.U32(0)
	e.U8(uint8(op))
	e.Str(path)
	return e
}

// ParseRequest checks and takes a request apart. The arguments alias p.
func ParseRequest(p []byte) (Request, bool) {
	d := Dec{B: p}
	r := Request{Token: d.U32(), Op: Op(d.U8()), Path: d.Str()}
	r.Args = d
	return r, !d.Bad && GoodPath(r.Path)
}

// Reply is one decoded packet of a reply.
type Reply struct {
	Token uint32
	Errno uint16
	More  bool
	Count uint8 // descriptors that came along
	Body  []byte
}

// StartReply appends a reply's header to e.
func (e *Enc) StartReply(token uint32, errno uint16, more bool, fds int) {
	e.U32(token)
	e.U16(errno)
	if more {
		e.U8(1)
	} else {
		e.U8(0)
	}
	e.U8(uint8(fds))
}

// ParseReply takes a packet apart. The body aliases p.
func ParseReply(p []byte) (Reply, bool) {
	d := Dec{B: p}
	r := Reply{Token: d.U32(), Errno: d.U16(), More: d.U8() == 1, Count: d.U8()}
	r.Body = d.B
	return r, !d.Bad && r.Count <= MaxFDs && r.Errno < 4096
}
