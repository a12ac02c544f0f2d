package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/boot"
)

func now() time.Time { return time.Now().UTC() }

// isDisconnect says that the other side of a control connection is gone.
func isDisconnect(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET)
}

func isTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}

// newPTY makes a host terminal for an engine. The guest gets a terminal of its
// own, with its own line discipline; the sandbox makes this one raw and pumps
// bytes between the two.
func newPTY(size *specs.Box) (master, replica int, err error) {
	master, err = unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, -1, fmt.Errorf("making a terminal: %w", err)
	}
	if err = unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err == nil {
		replica, err = unix.Open(ptsName(master), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		unix.Close(master)
		return -1, -1, fmt.Errorf("opening the terminal: %w", err)
	}
	if size != nil && size.Height != 0 {
		unix.IoctlSetWinsize(replica, unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(size.Height), Col: uint16(size.Width)})
	}
	return master, replica, nil
}

func ptsName(master int) string {
	n, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err != nil {
		return ""
	}
	return "/dev/pts/" + strconv.Itoa(n)
}

func terminalStdio(index, fd int) boot.Stdio {
	st := boot.Stdio{Terminal: true, TTY: index}
	if ws, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err == nil {
		st.Rows, st.Cols = ws.Row, ws.Col
	}
	return st
}

// lendTerminal tells the sandbox, which makes the caller's terminal raw while a
// guest uses it, about new sizes. The returned function puts the terminal back
// as it is now, whatever became of the sandbox.
func lendTerminal(resize func(rows, cols uint16)) func() {
	old, err := unix.IoctlGetTermios(0, unix.TCGETS)
	if err != nil {
		return func() {}
	}
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, unix.SIGWINCH)
	go func() {
		for range ch {
			if ws, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ); err == nil {
				resize(ws.Row, ws.Col)
			}
		}
	}()
	return func() {
		signal.Stop(ch)
		unix.IoctlSetTermios(0, unix.TCSETSW, old)
	}
}

// sendFD sends one descriptor over the unix socket an engine listens on.
func sendFD(socket string, fd int, name string) error {
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("making a socket: %w", err)
	}
	defer unix.Close(s)
	if err := unix.Connect(s, &unix.SockaddrUnix{Name: socket}); err != nil {
		return fmt.Errorf("connecting to %s: %w", socket, err)
	}
	if err := unix.Sendmsg(s, []byte(name), unix.UnixRights(fd), nil, unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("sending a descriptor to %s: %w", socket, err)
	}
	return nil
}
