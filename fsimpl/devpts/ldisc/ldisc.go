// Package ldisc is the terminal line discipline (termios(3), linux:
// drivers/tty/n_tty.c): what happens between the bytes a terminal sends and
// the bytes a program reads, and between what a program writes and what the
// terminal shows.
//
// Line is a pure state machine: no locks, no blocking, no knowledge of tasks
// or files. Its owner (a pty pair) serialises calls, wakes waiters and sends
// the signals that calls report.
package ldisc

import "golang.org/x/sys/unix"

// BufSize is the size of the input buffer (N_TTY_BUF_SIZE); one place stays
// free for the newline that ends a full line.
const BufSize = 4096

// outMax bounds what waits for the master, like the tty flip buffers.
const outMax = 16384

// Pkt bits of packet mode (ioctl_tty(2) TIOCPKT).
const (
	PktFlushRead  = 1
	PktFlushWrite = 2
	PktStop       = 4
	PktStart      = 8
	PktNoStop     = 16
	PktDoStop     = 32
	PktIoctl      = 64
)

// Line is one line discipline. Input flows Receive -> Read, output Write ->
// TakeOutput; echo goes from input to output.
type Line struct {
	t unix.Termios

	// buf holds received bytes that were not read; delim marks those that end
	// a line; canonHead counts the bytes that belong to complete lines.
	buf       []byte
	delim     []bool
	canonHead int
	push      bool // canonHead was set by a switch to canonical mode

	lnext   bool
	erasing bool // within \.../ of ECHOPRT

	column, canonColumn int

	stopped bool // by VSTOP or TCOOFF
	tcoStop bool // by TCOOFF: VSTART does not undo it
	out     []byte
	echo    []byte // echo that waits for output to start again
	sigs    []unix.Signal
	pkt     byte
}

// DefaultTermios is what a fresh pty slave has (tty_std_termios).
func DefaultTermios() unix.Termios {
	t := unix.Termios{
		Iflag:  unix.ICRNL | unix.IXON,
		Oflag:  unix.OPOST | unix.ONLCR,
		Cflag:  unix.B38400 | unix.CS8 | unix.CREAD,
		Lflag:  unix.ISIG | unix.ICANON | unix.ECHO | unix.ECHOE | unix.ECHOK | unix.ECHOCTL | unix.ECHOKE | unix.IEXTEN,
		Ispeed: 38400,
		Ospeed: 38400,
	}
	cc := &t.Cc
	cc[unix.VINTR], cc[unix.VQUIT], cc[unix.VERASE], cc[unix.VKILL] = 3, 28, 127, 21
	cc[unix.VEOF], cc[unix.VMIN], cc[unix.VSTART], cc[unix.VSTOP] = 4, 1, 17, 19
	cc[unix.VSUSP], cc[unix.VREPRINT], cc[unix.VDISCARD] = 26, 18, 15
	cc[unix.VWERASE], cc[unix.VLNEXT] = 23, 22
	return t
}

// New returns a line with the given settings.
func New(t unix.Termios) *Line { return &Line{t: t} }

// Termios returns the settings.
func (l *Line) Termios() unix.Termios { return l.t }

func (l *Line) i(f uint32) bool { return l.t.Iflag&f != 0 }
func (l *Line) o(f uint32) bool { return l.t.Oflag&f != 0 }
func (l *Line) l(f uint32) bool { return l.t.Lflag&f != 0 }

// is says whether c is the control character at index v; NUL disables.
func (l *Line) is(c byte, v int) bool { return c != 0 && c == l.t.Cc[v] }

// SetTermios changes the settings (linux: n_tty_set_termios).
func (l *Line) SetTermios(t unix.Termios) {
	old := l.t
	l.t = t
	if (old.Lflag^t.Lflag)&(unix.ICANON|unix.EXTPROC) != 0 {
		clear(l.delim)
		if !l.l(unix.ICANON) || len(l.buf) == 0 {
			l.canonHead, l.push = 0, false
		} else {
			l.delim[len(l.buf)-1] = true
			l.canonHead, l.push = len(l.buf), true
		}
		l.erasing, l.lnext = false, false
	}
	if old.Iflag&unix.IXON != 0 && !l.i(unix.IXON) && !l.tcoStop {
		l.start()
	}
	was := old.Iflag&unix.IXON != 0 && old.Cc[unix.VSTOP] == 19 && old.Cc[unix.VSTART] == 17
	now := l.i(unix.IXON) && t.Cc[unix.VSTOP] == 19 && t.Cc[unix.VSTART] == 17
	if was != now {
		if now {
			l.pkt = l.pkt&^PktNoStop | PktDoStop
		} else {
			l.pkt = l.pkt&^PktDoStop | PktNoStop
		}
	}
	if (old.Lflag|t.Lflag)&unix.EXTPROC != 0 {
		l.pkt |= PktIoctl
	}
}

// Signals returns and clears the signals that input asked for.
func (l *Line) Signals() []unix.Signal {
	s := l.sigs
	l.sigs = nil
	return s
}

// Packet returns the packet-mode status that waits; TakePacket clears it.
func (l *Line) Packet() byte { return l.pkt }

// TakePacket returns and clears the packet-mode status.
func (l *Line) TakePacket() byte {
	p := l.pkt
	l.pkt = 0
	return p
}

// Stopped says whether output is stopped.
func (l *Line) Stopped() bool { return l.stopped }

// Flow is TCXONC's TCOOFF (on false) and TCOON.
func (l *Line) Flow(on bool) {
	if on {
		if l.tcoStop {
			l.tcoStop = false
			l.start()
		}
	} else if !l.tcoStop {
		l.tcoStop = true
		l.stop()
	}
}

func (l *Line) stop() {
	if !l.stopped {
		l.stopped = true
		l.pkt = l.pkt&^PktStart | PktStop
	}
}

func (l *Line) start() {
	if l.stopped && !l.tcoStop {
		l.stopped = false
		l.pkt = l.pkt&^PktStop | PktStart
		l.out = append(l.out, l.echo...)
		l.echo = nil
	}
}

// Room is how many bytes Receive takes now. A full buffer without a complete
// line still takes bytes (and drops them), or the line could never end.
func (l *Line) Room() int {
	room := BufSize - len(l.buf) - 1
	if room <= 0 && l.l(unix.ICANON) && l.canonHead == 0 {
		return BufSize
	}
	return max(room, 0)
}

// Receive takes input from the terminal side; it returns how much was taken.
func (l *Line) Receive(p []byte) int {
	for n, c := range p {
		if l.Room() == 0 {
			return n
		}
		l.receive(c)
	}
	return len(p)
}

func (l *Line) receive(c byte) {
	if l.l(unix.EXTPROC) {
		l.put(c, false)
		return
	}
	if l.i(unix.ISTRIP) {
		c &= 0x7f
	}
	if l.i(unix.IUCLC) && l.l(unix.IEXTEN) && c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	if l.lnext {
		l.lnext = false
		l.plain(c)
		return
	}
	if l.i(unix.IXON) {
		switch {
		case l.is(c, unix.VSTART):
			l.start()
			return
		case l.is(c, unix.VSTOP):
			l.stop()
			return
		}
	}
	if l.l(unix.ISIG) {
		var s unix.Signal
		switch {
		case l.is(c, unix.VINTR):
			s = unix.SIGINT
		case l.is(c, unix.VQUIT):
			s = unix.SIGQUIT
		case l.is(c, unix.VSUSP):
			s = unix.SIGTSTP
		}
		if s != 0 {
			l.signal(c, s)
			return
		}
	}
	if l.stopped && l.i(unix.IXON) && l.i(unix.IXANY) {
		l.start()
	}
	if c == '\r' {
		if l.i(unix.IGNCR) {
			return
		}
		if l.i(unix.ICRNL) {
			c = '\n'
		}
	} else if c == '\n' && l.i(unix.INLCR) {
		c = '\r'
	}
	if l.l(unix.ICANON) && l.canon(c) {
		return
	}
	l.plain(c)
}

// signal handles an ISIG character (linux: n_tty_receive_signal_char).
func (l *Line) signal(c byte, s unix.Signal) {
	if !l.l(unix.NOFLSH) {
		l.FlushInput()
		l.FlushOutput()
	}
	l.sigs = append(l.sigs, s)
	if l.i(unix.IXON) {
		l.start()
	}
	if l.l(unix.ECHO) {
		l.echoChar(c)
	}
}

// canon handles the editing characters; false means c is ordinary.
func (l *Line) canon(c byte) bool {
	ext := l.l(unix.IEXTEN)
	switch {
	case l.is(c, unix.VERASE) || l.is(c, unix.VKILL) || ext && l.is(c, unix.VWERASE):
		l.erase(c)
	case ext && l.is(c, unix.VLNEXT):
		l.lnext = true
		if l.l(unix.ECHO) {
			l.finishErasing()
			if l.l(unix.ECHOCTL) {
				l.emitRaw('^')
				l.emitRaw('\b')
			}
		}
	case ext && l.l(unix.ECHO) && l.is(c, unix.VREPRINT):
		l.finishErasing()
		l.echoChar(c)
		l.echoRaw('\n')
		for _, b := range l.buf[l.canonHead:] {
			l.echoChar(b)
		}
	case c == '\n':
		if l.l(unix.ECHO) || l.l(unix.ECHONL) {
			l.finishErasing()
			l.echoRaw('\n')
		}
		l.endLine(c)
	case l.is(c, unix.VEOF):
		l.endLine(0)
	case l.is(c, unix.VEOL) || ext && l.is(c, unix.VEOL2):
		if l.l(unix.ECHO) {
			l.finishErasing()
			if l.canonHead == len(l.buf) {
				l.canonColumn = l.column
			}
			l.echoChar(c)
		}
		l.mark(c)
		l.endLine(c)
	default:
		return false
	}
	return true
}

func (l *Line) plain(c byte) {
	if l.l(unix.ECHO) && len(l.buf) < BufSize-1 {
		l.finishErasing()
		if c == '\n' {
			l.echoRaw('\n')
		} else {
			if l.canonHead == len(l.buf) {
				l.canonColumn = l.column
			}
			l.echoChar(c)
		}
	} else if c == '\n' && l.l(unix.ECHONL) && l.l(unix.ICANON) {
		l.echoRaw('\n')
	}
	l.mark(c)
	l.put(c, false)
}

// mark doubles 0xff under PARMRK so that it cannot be taken for an error mark.
func (l *Line) mark(c byte) {
	if c == 0xff && l.i(unix.PARMRK) {
		l.put(c, false)
	}
}

func (l *Line) put(c byte, end bool) {
	if len(l.buf) >= BufSize-1 && !(end && len(l.buf) < BufSize) {
		return
	}
	l.buf = append(l.buf, c)
	l.delim = append(l.delim, end)
}

func (l *Line) endLine(c byte) {
	l.put(c, true)
	l.canonHead = len(l.buf)
}

func isCtl(c byte) bool { return c < 0x20 || c == 0x7f }

func (l *Line) isCont(c byte) bool { return l.i(unix.IUTF8) && c&0xc0 == 0x80 }

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0xc0
}

// erase handles VERASE, VWERASE and VKILL (linux: eraser).
func (l *Line) erase(c byte) {
	if len(l.buf) == l.canonHead {
		return
	}
	kill, word := l.is(c, unix.VKILL), l.l(unix.IEXTEN) && l.is(c, unix.VWERASE)
	if l.is(c, unix.VERASE) {
		kill, word = false, false
	} else if word {
		kill = false
	}
	if kill {
		if !l.l(unix.ECHO) {
			l.truncate(l.canonHead)
			return
		}
		if !l.l(unix.ECHOK) || !l.l(unix.ECHOKE) || !l.l(unix.ECHOE) {
			l.truncate(l.canonHead)
			l.finishErasing()
			l.echoChar(c)
			if l.l(unix.ECHOK) {
				l.echoRaw('\n')
			}
			return
		}
	}
	seen := false
	for len(l.buf) > l.canonHead {
		h := len(l.buf) - 1
		for l.isCont(l.buf[h]) && h > l.canonHead {
			h--
		}
		b := l.buf[h]
		if l.isCont(b) {
			break
		}
		if word {
			if isWord(b) {
				seen = true
			} else if seen {
				break
			}
		}
		gone := append([]byte(nil), l.buf[h:]...)
		l.truncate(h)
		if l.l(unix.ECHO) {
			l.echoErase(gone, !kill && !word)
		}
		if !kill && !word {
			break
		}
	}
	if len(l.buf) == l.canonHead && l.l(unix.ECHO) {
		l.finishErasing()
	}
}

func (l *Line) truncate(n int) { l.buf, l.delim = l.buf[:n], l.delim[:n] }

func (l *Line) echoErase(gone []byte, single bool) {
	b := gone[0]
	switch {
	case l.l(unix.ECHOPRT):
		if !l.erasing {
			l.echoRaw('\\')
			l.erasing = true
		}
		l.echoChar(b)
		for _, x := range gone[1:] {
			l.echoRaw(x)
		}
	case single && !l.l(unix.ECHOE):
		l.echoChar(l.t.Cc[unix.VERASE])
	case b == '\t':
		n, tab := 0, false
		for i := len(l.buf) - 1; i >= l.canonHead && !tab; i-- {
			switch x := l.buf[i]; {
			case x == '\t':
				tab = true
			case isCtl(x):
				if l.l(unix.ECHOCTL) {
					n += 2
				}
			case !l.isCont(x):
				n++
			}
		}
		if !tab {
			n += l.canonColumn
		}
		for k := 8 - n&7; k > 0; k-- {
			l.emitRaw('\b')
			if l.column > 0 {
				l.column--
			}
		}
	default:
		if isCtl(b) && l.l(unix.ECHOCTL) {
			l.rubOut()
		}
		if !isCtl(b) || l.l(unix.ECHOCTL) {
			l.rubOut()
		}
	}
}

func (l *Line) rubOut() {
	l.emitRaw('\b')
	l.emitRaw(' ')
	l.emitRaw('\b')
	if l.column > 0 {
		l.column--
	}
}

func (l *Line) finishErasing() {
	if l.erasing {
		l.echoRaw('/')
		l.erasing = false
	}
}

// echoChar shows an input byte, control characters as ^X under ECHOCTL.
func (l *Line) echoChar(c byte) {
	if l.l(unix.ECHOCTL) && isCtl(c) && c != '\t' {
		l.emitRaw('^')
		l.emitRaw(c ^ 0x40)
		l.column += 2
		return
	}
	l.echoRaw(c)
}

// echoRaw shows an input byte as it is, through output processing.
func (l *Line) echoRaw(c byte) {
	if !l.o(unix.OPOST) {
		l.emitRaw(c)
		return
	}
	var b [8]byte
	for _, x := range l.opost(b[:0], c) {
		l.emitRaw(x)
	}
}

func (l *Line) emitRaw(c byte) {
	switch {
	case l.stopped && len(l.echo) < BufSize:
		l.echo = append(l.echo, c)
	case !l.stopped && len(l.out) < outMax+BufSize:
		l.out = append(l.out, c)
	}
}

// opost appends what c becomes under OPOST (linux: do_output_char).
func (l *Line) opost(dst []byte, c byte) []byte {
	switch c {
	case '\n':
		if l.o(unix.ONLRET) {
			l.column = 0
		}
		if l.o(unix.ONLCR) {
			l.column, l.canonColumn = 0, 0
			return append(dst, '\r', '\n')
		}
		l.canonColumn = l.column
	case '\r':
		if l.o(unix.ONOCR) && l.column == 0 {
			return dst
		}
		if l.o(unix.OCRNL) {
			if l.o(unix.ONLRET) {
				l.column, l.canonColumn = 0, 0
			}
			return append(dst, '\n')
		}
		l.column, l.canonColumn = 0, 0
	case '\t':
		n := 8 - l.column&7
		l.column += n
		if l.t.Oflag&unix.TABDLY == unix.XTABS {
			return append(dst, "        "[:n]...)
		}
	case '\b':
		if l.column > 0 {
			l.column--
		}
	default:
		if !isCtl(c) {
			if l.o(unix.OLCUC) && c >= 'a' && c <= 'z' {
				c -= 'a' - 'A'
			}
			if !l.isCont(c) {
				l.column++
			}
		}
	}
	return append(dst, c)
}

// Write takes program output; it returns how much was taken, 0 when stopped
// or full.
func (l *Line) Write(p []byte) int {
	if l.stopped {
		return 0
	}
	if !l.o(unix.OPOST) {
		n := min(len(p), max(outMax-len(l.out), 0))
		l.out = append(l.out, p[:n]...)
		return n
	}
	for n, c := range p {
		if len(l.out) >= outMax {
			return n
		}
		l.out = l.opost(l.out, c)
	}
	return len(p)
}

// WriteRoom is how many bytes Write can take.
func (l *Line) WriteRoom() int {
	if l.stopped {
		return 0
	}
	return max(outMax-len(l.out), 0)
}

// OutputLen is how many bytes wait for the master.
func (l *Line) OutputLen() int { return len(l.out) }

// Output returns the bytes that wait for the master; valid until the next
// call. Consume removes what was delivered.
func (l *Line) Output() []byte { return l.out }

// Consume drops n bytes of Output.
func (l *Line) Consume(n int) {
	l.out = append(l.out[:0], l.out[n:]...)
	if len(l.out) == 0 && cap(l.out) > outMax {
		l.out = nil
	}
}

// Readable is how many bytes a read could return at least: 0 when it would
// wait. A line that is only EOF counts.
func (l *Line) Readable() int {
	if l.l(unix.ICANON) && !l.l(unix.EXTPROC) {
		return l.canonHead
	}
	return len(l.buf)
}

// InQueue is FIONREAD: in canonical mode the bytes of complete lines without
// EOF marks.
func (l *Line) InQueue() int {
	if !l.l(unix.ICANON) || l.l(unix.EXTPROC) {
		return len(l.buf)
	}
	n := l.canonHead
	for i := 0; i < l.canonHead; i++ {
		if l.delim[i] && l.buf[i] == 0 {
			n--
		}
	}
	return n
}

// Read moves input to p. In canonical mode it gives at most one line; eof
// says that the line was an end of file (n is 0 then).
func (l *Line) Read(p []byte) (n int, eof bool) {
	if !l.l(unix.ICANON) || l.l(unix.EXTPROC) {
		n = copy(p, l.buf)
		l.drop(n)
		return n, false
	}
	if l.canonHead == 0 || len(p) == 0 {
		return 0, false
	}
	// Look one byte beyond p: an EOF mark right behind a full read belongs to it.
	end, found := min(len(p)+1, l.canonHead), false
	for i := 0; i < end; i++ {
		if l.delim[i] {
			end, found = i+1, true
			break
		}
	}
	if found && l.buf[end-1] == 0 && !l.push {
		n = copy(p, l.buf[:end-1])
		l.drop(end)
		return n, n == 0
	}
	n = copy(p, l.buf[:min(end, len(p))])
	l.drop(n)
	return n, false
}

func (l *Line) drop(n int) {
	l.buf = append(l.buf[:0], l.buf[n:]...)
	l.delim = append(l.delim[:0], l.delim[n:]...)
	l.canonHead = max(l.canonHead-n, 0)
	if l.canonHead == 0 {
		l.push = false
	}
}

// FlushInput drops what was received and not read (TCIFLUSH).
func (l *Line) FlushInput() {
	l.buf, l.delim, l.canonHead, l.push = l.buf[:0], l.delim[:0], 0, false
	l.erasing, l.lnext = false, false
	l.pkt |= PktFlushRead
}

// FlushOutput drops what was written and not taken by the master (TCOFLUSH).
func (l *Line) FlushOutput() {
	l.out, l.echo = l.out[:0], nil
	l.pkt |= PktFlushWrite
}
