package devpts

import (
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/fsimpl/devpts/ldisc"
	"redoubt.dev/redoubt/fsimpl/kernfs"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

// pair is one pseudoterminal: both ends and the line discipline between.
//
// mu is a leaf: signals are sent and queues notified after it is dropped.
type pair struct {
	fs *Super
	n  uint32

	slaveQ, masterQ wait.Queue
	tty             TTY // the controlling-terminal side of the slave
	node            *kernfs.Inode

	mu         sync.Mutex
	line       *ldisc.Line
	ws         unix.Winsize
	slaves     int  // open slave descriptions, dead ones included
	slaveSeen  bool // the slave was opened at least once
	masterGone bool
	locked     bool
	packet     bool
	exclusive  bool
	gen        uint32 // counts hangups: older slave descriptions are dead
	console    *Console
}

func newPair(fs *Super, n uint32) *pair {
	p := &pair{fs: fs, n: n, line: ldisc.New(ldisc.DefaultTermios()), locked: true}
	p.tty.pair = p
	return p
}

// after wakes both ends and delivers what input asked for; mu is not held.
func (p *pair) after(sigs []unix.Signal) {
	for _, s := range sigs {
		p.tty.signalForeground(s)
	}
	p.slaveQ.Notify(p.slaveReady(^uint32(0)))
	p.masterQ.Notify(p.masterReady())
}

func (p *pair) slaveReady(gen uint32) wait.Events {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.masterGone || gen != ^uint32(0) && gen != p.gen {
		return wait.In | wait.Out | wait.Err | wait.Hup | wait.RdNorm | wait.WrNorm
	}
	var r wait.Events
	if n := p.line.Readable(); n > 0 {
		t := p.line.Termios()
		if t.Lflag&unix.ICANON != 0 || t.Cc[unix.VTIME] != 0 || n >= int(t.Cc[unix.VMIN]) {
			r |= wait.In | wait.RdNorm
		}
	}
	if p.line.WriteRoom() > 0 {
		r |= wait.Out | wait.WrNorm
	}
	return r
}

func (p *pair) masterReady() wait.Events {
	p.mu.Lock()
	defer p.mu.Unlock()
	var r wait.Events
	if p.line.OutputLen() > 0 {
		r |= wait.In | wait.RdNorm
	}
	if p.packet && p.line.Packet() != 0 {
		r |= wait.Pri | wait.In | wait.RdNorm
	}
	if p.line.Room() > 0 {
		r |= wait.Out | wait.WrNorm
	}
	if p.slaveSeen && p.slaves == 0 {
		r |= wait.Hup
	}
	return r
}

// hangup makes every open slave description dead (linux: __tty_hangup).
func (p *pair) hangup() {
	p.mu.Lock()
	p.gen++
	p.mu.Unlock()
	p.tty.hangup()
	p.after(nil)
}

// master is the open file description of /dev/ptmx.
type master struct {
	vfs.StreamBase
	p    *pair
	root vfs.Path // of the devpts instance
}

// FullWrite implements vfs.FullWriter.
func (m *master) FullWrite() bool { return true }

// Read implements vfs.FileOps. In packet mode a byte of status comes first.
func (m *master) Read(ctx kctx.Ctx, f *vfs.File, dst *usermem.Buf, off *int64) (int64, error) {
	p := m.p
	if dst.Len() == 0 {
		return 0, nil
	}
	p.mu.Lock()
	if p.packet {
		if st := p.line.Packet(); st != 0 {
			p.line.TakePacket()
			p.mu.Unlock()
			n, err := dst.Put([]byte{st})
			return int64(n), err
		}
	}
	out := p.line.Output()
	if len(out) == 0 {
		gone := p.slaveSeen && p.slaves == 0
		p.mu.Unlock()
		if gone {
			return 0, errno.EIO
		}
		return 0, errno.EAGAIN
	}
	head := 0
	if p.packet {
		head = 1
	}
	n := min(int64(len(out)), max(dst.Len()-int64(head), 0), 65536)
	buf := make([]byte, int64(head)+n)
	copy(buf[head:], out[:n])
	p.line.Consume(int(n))
	p.mu.Unlock()
	p.slaveQ.Notify(wait.Out | wait.WrNorm)
	k, err := dst.Put(buf)
	return int64(k), err
}

// Write implements vfs.FileOps.
func (m *master) Write(ctx kctx.Ctx, f *vfs.File, src *usermem.Buf, off *int64) (int64, error) {
	p := m.p
	if src.Len() == 0 {
		return 0, nil
	}
	var buf [ldisc.BufSize]byte
	var done int64
	for src.Len() > 0 {
		n, err := src.Peek(buf[:min(src.Len(), int64(len(buf)))])
		if err != nil {
			if done > 0 {
				break
			}
			return 0, err
		}
		p.mu.Lock()
		if p.slaveSeen && p.slaves == 0 {
			p.mu.Unlock()
			if done > 0 {
				break
			}
			return 0, errno.EIO
		}
		k := p.line.Receive(buf[:n])
		sigs := p.line.Signals()
		p.mu.Unlock()
		p.after(sigs)
		src.Skip(int64(k))
		done += int64(k)
		if k < n {
			break
		}
	}
	if done == 0 {
		return 0, errno.EAGAIN
	}
	return done, nil
}

// Ready implements vfs.FileOps.
func (m *master) Ready(mask wait.Events) wait.Events {
	return m.p.masterReady() & (mask | wait.Hup | wait.Err)
}

// WaitQueue implements vfs.FileOps.
func (m *master) WaitQueue() *wait.Queue { return &m.p.masterQ }

// Ioctl implements vfs.FileOps.
func (m *master) Ioctl(ctx kctx.Ctx, f *vfs.File, io usermem.IO, cmd uint32, arg uint64) (uint64, error) {
	p := m.p
	switch cmd {
	case unix.TIOCGPTN:
		n := p.n
		return 0, usermem.Put(io, arg, &n)
	case unix.TIOCSPTLCK:
		var v int32
		if err := usermem.Get(io, arg, &v); err != nil {
			return 0, err
		}
		p.mu.Lock()
		p.locked = v != 0
		p.mu.Unlock()
		return 0, nil
	case unix.TIOCGPTLCK:
		p.mu.Lock()
		v := b2i(p.locked)
		p.mu.Unlock()
		return 0, usermem.Put(io, arg, &v)
	case unix.TIOCPKT:
		var v int32
		if err := usermem.Get(io, arg, &v); err != nil {
			return 0, err
		}
		p.mu.Lock()
		if v != 0 && !p.packet {
			p.line.TakePacket()
		}
		p.packet = v != 0
		p.mu.Unlock()
		return 0, nil
	case unix.TIOCGPKT:
		p.mu.Lock()
		v := b2i(p.packet)
		p.mu.Unlock()
		return 0, usermem.Put(io, arg, &v)
	case unix.TIOCGPTPEER:
		return m.openPeer(ctx, uint32(arg))
	case unix.TIOCSIG:
		if arg != uint64(unix.SIGINT) && arg != uint64(unix.SIGQUIT) && arg != uint64(unix.SIGTSTP) {
			return 0, errno.EINVAL
		}
		p.tty.signalForeground(unix.Signal(arg))
		return 0, nil
	case unix.TIOCINQ:
		p.mu.Lock()
		n := int32(p.line.OutputLen())
		p.mu.Unlock()
		return 0, usermem.Put(io, arg, &n)
	}
	return p.ioctl(ctx, f, io, cmd, arg, true)
}

// Release implements vfs.FileOps.
func (m *master) Release(ctx kctx.Ctx, f *vfs.File) {
	p := m.p
	p.mu.Lock()
	p.masterGone = true
	p.mu.Unlock()
	p.fs.remove(p)
	p.hangup()
	m.root.DecRef()
}

// slave is an open file description of /dev/pts/N.
type slave struct {
	vfs.StreamBase
	p   *pair
	gen uint32
}

// openSlave makes a description; ctty says that it may become the caller's
// controlling terminal.
func (p *pair) openSlave(ctx kctx.Ctx, flags uint32) (*slave, error) {
	p.mu.Lock()
	switch {
	case p.masterGone || p.locked:
		p.mu.Unlock()
		return nil, errno.EIO
	case p.exclusive && !ctx.Creds().Capable(capSysAdmin):
		p.mu.Unlock()
		return nil, errno.EBUSY
	}
	p.slaves++
	p.slaveSeen = true
	s := &slave{p: p, gen: p.gen}
	p.mu.Unlock()
	if flags&unix.O_NOCTTY == 0 && flags&unix.O_ACCMODE != unix.O_WRONLY {
		p.tty.acquireOnOpen(ctx)
	}
	return s, nil
}

// FullWrite implements vfs.FullWriter.
func (s *slave) FullWrite() bool { return true }

func (s *slave) dead() bool {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	return s.p.masterGone || s.gen != s.p.gen
}

// Read implements vfs.FileOps. It blocks itself where VMIN and VTIME ask for
// more than "as soon as there is a byte" (termios(3), canonical mode).
func (s *slave) Read(ctx kctx.Ctx, f *vfs.File, dst *usermem.Buf, off *int64) (int64, error) {
	p := s.p
	if s.dead() {
		return 0, nil
	}
	if err := p.tty.checkRead(ctx); err != nil {
		return 0, err
	}
	if dst.Len() == 0 {
		return 0, nil
	}
	nonblock := f.Flags()&unix.O_NONBLOCK != 0
	var total int64
	var deadline time.Time
	var e *wait.Entry
	for {
		p.mu.Lock()
		t := p.line.Termios()
		canon := t.Lflag&unix.ICANON != 0
		before := p.line.Room()
		var n int
		var eof bool
		// A read of non-canonical input beyond 64 KiB cannot happen: the
		// buffer holds less.
		buf := make([]byte, min(dst.Len(), ldisc.BufSize))
		if p.line.Readable() > 0 {
			n, eof = p.line.Read(buf)
		}
		room := before == 0 && p.line.Room() > 0
		dead := p.masterGone || s.gen != p.gen
		p.mu.Unlock()
		if room || n > 0 {
			p.masterQ.Notify(wait.Out | wait.WrNorm)
		}
		if n > 0 {
			k, err := dst.Put(buf[:n])
			total += int64(k)
			if err != nil {
				if total > 0 {
					return total, nil
				}
				return 0, err
			}
		}
		if eof || dead || canon && n > 0 || dst.Len() == 0 {
			return total, nil
		}
		vmin, vtime := int64(t.Cc[unix.VMIN]), time.Duration(t.Cc[unix.VTIME])*100*time.Millisecond
		if !canon {
			if total > 0 && total >= vmin || vmin == 0 && vtime == 0 {
				return total, nil
			}
		}
		if nonblock {
			if total > 0 {
				return total, nil
			}
			return 0, errno.EAGAIN
		}
		if canon || vtime == 0 && vmin <= 1 {
			return 0, errno.EAGAIN // the ordinary wait of vfs.File.Read
		}
		// The timer of VTIME runs from the start if VMIN is 0, else it
		// starts anew with each byte.
		switch {
		case vmin == 0 && deadline.IsZero(), vmin > 0 && vtime > 0 && n > 0:
			deadline = time.Now().Add(vtime)
		}
		if e == nil {
			e = wait.NewEntry(wait.Readable)
			p.slaveQ.Add(e)
			defer p.slaveQ.Remove(e)
			continue // look again now that changes wake us
		}
		if err := ctx.Block(e, deadline); err != nil {
			if err == errno.ETIMEDOUT || total > 0 {
				return total, nil
			}
			return 0, err
		}
	}
}

// Write implements vfs.FileOps.
func (s *slave) Write(ctx kctx.Ctx, f *vfs.File, src *usermem.Buf, off *int64) (int64, error) {
	p := s.p
	if s.dead() {
		return 0, errno.EIO
	}
	p.mu.Lock()
	tostop := p.line.Termios().Lflag&unix.TOSTOP != 0
	p.mu.Unlock()
	if tostop {
		if err := p.tty.checkChange(ctx); err != nil {
			return 0, err
		}
	}
	if src.Len() == 0 {
		return 0, nil
	}
	var buf [4096]byte
	var done int64
	for src.Len() > 0 {
		n, err := src.Peek(buf[:min(src.Len(), int64(len(buf)))])
		if err != nil {
			if done > 0 {
				break
			}
			return 0, err
		}
		p.mu.Lock()
		k := p.line.Write(buf[:n])
		p.mu.Unlock()
		src.Skip(int64(k))
		done += int64(k)
		if k < n {
			break
		}
	}
	if done == 0 {
		return 0, errno.EAGAIN
	}
	p.masterQ.Notify(wait.In | wait.RdNorm)
	return done, nil
}

// Ready implements vfs.FileOps.
func (s *slave) Ready(mask wait.Events) wait.Events {
	return s.p.slaveReady(s.gen) & (mask | wait.Hup | wait.Err)
}

// WaitQueue implements vfs.FileOps.
func (s *slave) WaitQueue() *wait.Queue { return &s.p.slaveQ }

// Ioctl implements vfs.FileOps.
func (s *slave) Ioctl(ctx kctx.Ctx, f *vfs.File, io usermem.IO, cmd uint32, arg uint64) (uint64, error) {
	if s.dead() {
		if cmd == unix.TIOCSPGRP {
			return 0, errno.ENOTTY
		}
		return 0, errno.EIO
	}
	p := s.p
	switch cmd {
	case unix.TIOCNOTTY:
		return 0, p.tty.leave(ctx)
	case unix.TIOCINQ:
		p.mu.Lock()
		n := int32(p.line.InQueue())
		p.mu.Unlock()
		return 0, usermem.Put(io, arg, &n)
	}
	return p.ioctl(ctx, f, io, cmd, arg, false)
}

// Release implements vfs.FileOps.
func (s *slave) Release(ctx kctx.Ctx, f *vfs.File) {
	p := s.p
	p.mu.Lock()
	p.slaves--
	p.mu.Unlock()
	p.masterQ.Notify(p.masterReady())
}

func utoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

func b2i(b bool) int32 {
	if b {
		return 1
	}
	return 0
}
