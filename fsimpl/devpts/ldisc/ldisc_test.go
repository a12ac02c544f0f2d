package ldisc

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

func run(t *testing.T, l *Line, in string) (reads []string, echo string) {
	t.Helper()
	l.Receive([]byte(in))
	for l.Readable() > 0 {
		p := make([]byte, 4096)
		n, eof := l.Read(p)
		s := string(p[:n])
		if eof {
			s = "<EOF>"
		}
		reads = append(reads, s)
	}
	echo = string(l.Output())
	l.Consume(l.OutputLen())
	return
}

func TestCanonical(t *testing.T) {
	for _, c := range []struct{ in, reads, echo string }{
		{"abc\n", `["abc\n"]`, "abc\r\n"},
		{"abc\r", `["abc\n"]`, "abc\r\n"},
		{"ab\x7fc\n", `["ac\n"]`, "ab\b \bc\r\n"},
		{"foo bar\x17x\n", `["foo x\n"]`, "foo bar\b \b\b \b\b \bx\r\n"},
		{"foo\x15y\n", `["y\n"]`, "foo\b \b\b \b\b \by\r\n"},
		{"a\x04", `["a"]`, "a"},
		{"\x04", `["<EOF>"]`, ""},
		{"a\nb\n", `["a\n" "b\n"]`, "a\r\nb\r\n"},
		{"\x16\x03z\n", `["\x03z\n"]`, "^\b^Cz\r\n"},
		{"\x01\x7fq\n", `["q\n"]`, "^A\b \b\b \bq\r\n"},
		{"xy", `[]`, "xy"},
		{"\x7f\x7fk\n", `["k\n"]`, "k\r\n"},
		{"a\tb\x7f\x7fc\n", `["ac\n"]`, "a\tb\b \b\b\b\b\b\b\b\bc\r\n"},
	} {
		l := New(DefaultTermios())
		r, e := run(t, l, c.in)
		if got := fmt.Sprintf("%q", r); got != c.reads || e != c.echo {
			t.Errorf("%q: reads %s echo %q, Linux gives %s %q", c.in, got, e, c.reads, c.echo)
		}
	}
}

func TestSignals(t *testing.T) {
	l := New(DefaultTermios())
	r, e := run(t, l, "abc\x03d\n")
	if fmt.Sprintf("%q", r) != `["d\n"]` || e != "^Cd\r\n" {
		t.Errorf("reads %q echo %q", r, e)
	}
	if s := l.Signals(); len(s) != 1 || s[0] != unix.SIGINT {
		t.Errorf("signals %v", s)
	}
	if l.TakePacket()&(PktFlushRead|PktFlushWrite) != PktFlushRead|PktFlushWrite {
		t.Error("no flush in packet status")
	}
}

func TestRaw(t *testing.T) {
	tm := DefaultTermios()
	tm.Lflag, tm.Iflag, tm.Oflag = 0, 0, 0
	l := New(tm)
	r, e := run(t, l, "a\r\n\x03\x04")
	if fmt.Sprintf("%q", r) != `["a\r\n\x03\x04"]` || e != "" {
		t.Errorf("reads %q echo %q", r, e)
	}
	if n := l.Write([]byte("x\ny")); n != 3 || string(l.Output()) != "x\ny" {
		t.Errorf("output %q", l.Output())
	}
}

func TestFlow(t *testing.T) {
	l := New(DefaultTermios())
	l.Receive([]byte("\x13"))
	if l.Write([]byte("x")) != 0 || l.WriteRoom() != 0 {
		t.Error("write while stopped")
	}
	l.Receive([]byte("q\x11"))
	if l.Write([]byte("x\t\n")) != 3 || string(l.Output()) != "qx\t\r\n" {
		t.Errorf("output %q", l.Output())
	}
}

func TestFullLine(t *testing.T) {
	l := New(DefaultTermios())
	big := make([]byte, 5000)
	for i := range big {
		big[i] = 'a'
	}
	if n := l.Receive(big); n != 5000 {
		t.Errorf("took %d", n)
	}
	l.Receive([]byte("\n"))
	p := make([]byte, 8192)
	if n, _ := l.Read(p); n != 4096 || p[4095] != '\n' {
		t.Errorf("line of %d", n)
	}
}

func TestShortReads(t *testing.T) {
	l := New(DefaultTermios())
	l.Receive([]byte("abc\x04"))
	p := make([]byte, 3)
	if n, eof := l.Read(p); n != 3 || eof {
		t.Errorf("%d %v", n, eof)
	}
	if l.Readable() != 0 {
		t.Error("EOF mark behind a full read is left over")
	}
	l.Receive([]byte("abcd\n"))
	l.Read(p)
	if n, _ := l.Read(p); string(p[:n]) != "d\n" {
		t.Errorf("%q", p[:n])
	}
}

func TestModeSwitch(t *testing.T) {
	tm := DefaultTermios()
	raw := tm
	raw.Lflag &^= unix.ICANON
	l := New(tm)
	l.Receive([]byte("par"))
	if l.Readable() != 0 {
		t.Error("partial line readable")
	}
	l.SetTermios(raw)
	if l.Readable() != 3 {
		t.Error("raw mode hides input")
	}
	l.SetTermios(tm)
	if l.Readable() != 3 {
		t.Error("input of raw mode is a line after the switch")
	}
}

func FuzzLine(f *testing.F) {
	f.Add([]byte("abc\x7f\x17\x15\n\x16\x03"), uint32(unix.ICRNL), uint32(unix.OPOST), uint32(unix.ICANON|unix.ECHO))
	f.Fuzz(func(t *testing.T, in []byte, i, o, lf uint32) {
		tm := DefaultTermios()
		tm.Iflag, tm.Oflag, tm.Lflag = i, o, lf
		l := New(tm)
		for len(in) > 0 {
			n := min(len(in), 7)
			l.Receive(in[:n])
			l.Write(in[:n])
			l.Read(make([]byte, 3))
			in = in[n:]
			if len(l.buf) > BufSize || len(l.buf) != len(l.delim) || l.canonHead > len(l.buf) {
				t.Fatal("state")
			}
			tm.Lflag ^= unix.ICANON
			l.SetTermios(tm)
		}
	})
}
