package devpts

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

// kTermios is struct termios of the kernel: what TCGETS moves; TCGETS2 adds
// the speeds (struct termios2 is unix.Termios).
type kTermios struct {
	Iflag, Oflag, Cflag, Lflag uint32
	Line                       uint8
	Cc                         [19]uint8
}

// termio is the System V structure of TCGETA.
type termio struct {
	Iflag, Oflag, Cflag, Lflag uint16
	Line                       uint8
	Cc                         [8]uint8
	_                          uint8
}

// Numbers that x/sys does not name.
const (
	tcgeta   = 0x5405
	tcseta   = 0x5406
	tcsetaw  = 0x5407
	tcsetaf  = 0x5408
	tiocglck = 0x5456
	tiocslck = 0x5457
	tiocgdev = 0x80045432
)

// ioctl answers what both ends share; on the master it acts on the slave's
// settings, as on Linux.
func (p *pair) ioctl(ctx kctx.Ctx, f *vfs.File, io usermem.IO, cmd uint32, arg uint64, isMaster bool) (uint64, error) {
	switch cmd {
	case unix.TCGETS:
		t := p.termios()
		k := kTermios{t.Iflag, t.Oflag, t.Cflag, t.Lflag, t.Line, t.Cc}
		return 0, usermem.Put(io, arg, &k)
	case unix.TCGETS2:
		t := p.termios()
		return 0, usermem.Put(io, arg, &t)
	case tcgeta:
		t := p.termios()
		a := termio{Iflag: uint16(t.Iflag), Oflag: uint16(t.Oflag), Cflag: uint16(t.Cflag), Lflag: uint16(t.Lflag), Line: t.Line}
		copy(a.Cc[:], t.Cc[:])
		return 0, usermem.Put(io, arg, &a)
	case unix.TCSETS, unix.TCSETSW, unix.TCSETSF:
		var k kTermios
		if err := usermem.Get(io, arg, &k); err != nil {
			return 0, err
		}
		t := p.termios()
		t.Iflag, t.Oflag, t.Cflag, t.Lflag, t.Line, t.Cc = k.Iflag, k.Oflag, k.Cflag, k.Lflag, k.Line, k.Cc
		if s, ok := speeds[t.Cflag&unix.CBAUD]; ok {
			t.Ispeed, t.Ospeed = s, s
		}
		return 0, p.setTermios(ctx, t, isMaster, cmd == unix.TCSETSF)
	case unix.TCSETS2, unix.TCSETSW2, unix.TCSETSF2:
		var t unix.Termios
		if err := usermem.Get(io, arg, &t); err != nil {
			return 0, err
		}
		return 0, p.setTermios(ctx, t, isMaster, cmd == unix.TCSETSF2)
	case tcseta, tcsetaw, tcsetaf:
		var a termio
		if err := usermem.Get(io, arg, &a); err != nil {
			return 0, err
		}
		t := p.termios()
		set := func(d *uint32, v uint16) { *d = *d&^0xffff | uint32(v) }
		set(&t.Iflag, a.Iflag)
		set(&t.Oflag, a.Oflag)
		set(&t.Cflag, a.Cflag)
		set(&t.Lflag, a.Lflag)
		copy(t.Cc[:8], a.Cc[:])
		return 0, p.setTermios(ctx, t, isMaster, cmd == tcsetaf)
	case tiocglck:
		var k kTermios
		return 0, usermem.Put(io, arg, &k)
	case tiocslck:
		return 0, errno.EPERM
	case unix.TCSBRK, unix.TCSBRKP:
		return 0, p.change(ctx, isMaster)
	case unix.TCFLSH:
		if err := p.change(ctx, isMaster); err != nil {
			return 0, err
		}
		if arg > 2 {
			return 0, errno.EINVAL
		}
		p.mu.Lock()
		// From the master "input" is what the slave wrote.
		in, out := arg != unix.TCOFLUSH, arg != unix.TCIFLUSH
		if isMaster {
			in, out = out, in
		}
		if in {
			p.line.FlushInput()
		}
		if out {
			p.line.FlushOutput()
		}
		p.mu.Unlock()
		p.after(nil)
		return 0, nil
	case unix.TCXONC:
		if err := p.change(ctx, isMaster); err != nil {
			return 0, err
		}
		p.mu.Lock()
		var err error
		switch arg {
		case unix.TCOOFF, unix.TCOON:
			p.line.Flow(arg == unix.TCOON)
		case unix.TCIOFF, unix.TCION:
			t := p.line.Termios()
			c := t.Cc[unix.VSTOP]
			if arg == unix.TCION {
				c = t.Cc[unix.VSTART]
			}
			if c != 0 && !isMaster {
				p.line.Write([]byte{c})
			}
		default:
			err = errno.EINVAL
		}
		p.mu.Unlock()
		p.after(nil)
		return 0, err
	case unix.TIOCGWINSZ:
		p.mu.Lock()
		ws, c := p.ws, p.console
		p.mu.Unlock()
		if c != nil && ws.Row == 0 && ws.Col == 0 {
			c.CheckSize()
			p.mu.Lock()
			ws = p.ws
			p.mu.Unlock()
		}
		return 0, usermem.Put(io, arg, &ws)
	case unix.TIOCSWINSZ:
		var ws unix.Winsize
		if err := usermem.Get(io, arg, &ws); err != nil {
			return 0, err
		}
		p.setWinsize(ws)
		return 0, nil
	case unix.TIOCOUTQ:
		var n int32 // a pty has no output of its own that could wait
		return 0, usermem.Put(io, arg, &n)
	case unix.TIOCSCTTY:
		return 0, p.tty.acquire(ctx, f, int32(arg))
	case unix.TIOCGPGRP:
		return 0, p.tty.getForeground(ctx, io, arg, isMaster)
	case unix.TIOCSPGRP:
		return 0, p.tty.setForeground(ctx, io, arg)
	case unix.TIOCGSID:
		return 0, p.tty.getSession(ctx, io, arg, isMaster)
	case unix.TIOCSTI:
		var c [1]byte
		if _, err := io.CopyIn(arg, c[:]); err != nil {
			return 0, errno.EFAULT
		}
		if !p.tty.controls(ctx) && !ctx.Creds().Capable(capSysAdmin) {
			return 0, errno.EPERM
		}
		p.mu.Lock()
		p.line.Receive(c[:])
		sigs := p.line.Signals()
		p.mu.Unlock()
		p.after(sigs)
		return 0, nil
	case unix.TIOCEXCL, unix.TIOCNXCL:
		p.mu.Lock()
		p.exclusive = cmd == unix.TIOCEXCL
		p.mu.Unlock()
		return 0, nil
	case unix.TIOCGEXCL:
		p.mu.Lock()
		v := b2i(p.exclusive)
		p.mu.Unlock()
		return 0, usermem.Put(io, arg, &v)
	case unix.TIOCGETD:
		var v int32 // N_TTY
		return 0, usermem.Put(io, arg, &v)
	case unix.TIOCSETD:
		var v int32
		if err := usermem.Get(io, arg, &v); err != nil {
			return 0, err
		}
		if v != 0 {
			return 0, errno.EINVAL
		}
		return 0, nil
	case unix.TIOCVHANGUP:
		if !ctx.Creds().Capable(capSysAdmin) {
			return 0, errno.EPERM
		}
		p.hangup()
		return 0, nil
	case tiocgdev:
		v := uint32(unix.Mkdev(slaveMajor, p.n))
		return 0, usermem.Put(io, arg, &v)
	case unix.TIOCGSOFTCAR:
		v := b2i(p.termios().Cflag&unix.CLOCAL != 0)
		return 0, usermem.Put(io, arg, &v)
	case unix.TIOCSBRK, unix.TIOCCBRK:
		return 0, nil
	}
	return 0, errno.ENOTTY
}

func (p *pair) termios() unix.Termios {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.line.Termios()
}

// change is the job-control check before settings change; the master is free.
func (p *pair) change(ctx kctx.Ctx, isMaster bool) error {
	if isMaster {
		return nil
	}
	return p.tty.checkChange(ctx)
}

func (p *pair) setTermios(ctx kctx.Ctx, t unix.Termios, isMaster, flush bool) error {
	if err := p.change(ctx, isMaster); err != nil {
		return err
	}
	// A pty has no modem lines or parity (linux: pty_set_termios).
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8 | unix.CREAD
	p.mu.Lock()
	if flush {
		p.line.FlushInput()
	}
	p.line.SetTermios(t)
	p.mu.Unlock()
	p.after(nil)
	return nil
}

// setWinsize changes the window size and tells the foreground if it did.
func (p *pair) setWinsize(ws unix.Winsize) {
	p.mu.Lock()
	same := p.ws == ws
	p.ws = ws
	p.mu.Unlock()
	if !same {
		p.tty.signalForeground(unix.SIGWINCH)
	}
}

// speeds maps the B* codes of c_cflag to bits per second.
var speeds = map[uint32]uint32{
	unix.B0: 0, unix.B50: 50, unix.B75: 75, unix.B110: 110, unix.B134: 134, unix.B150: 150, unix.B200: 200,
	unix.B300: 300, unix.B600: 600, unix.B1200: 1200, unix.B1800: 1800, unix.B2400: 2400, unix.B4800: 4800,
	unix.B9600: 9600, unix.B19200: 19200, unix.B38400: 38400, unix.B57600: 57600, unix.B115200: 115200,
	unix.B230400: 230400, unix.B460800: 460800, unix.B500000: 500000, unix.B576000: 576000, unix.B921600: 921600,
	unix.B1000000: 1000000, unix.B1152000: 1152000, unix.B1500000: 1500000, unix.B2000000: 2000000,
	unix.B2500000: 2500000, unix.B3000000: 3000000, unix.B3500000: 3500000, unix.B4000000: 4000000,
}
