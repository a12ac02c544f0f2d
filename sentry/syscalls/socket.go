package syscalls

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/signal"
	"redoubt.dev/redoubt/sentry/socket"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

var socketRows = []Row{
	{41, "socket", sysSocket, "family:int,type:hex,protocol:int", Partial, "families UNIX, INET, INET6, NETLINK"},
	{42, "connect", sysConnect, "fd,sockaddr,int", Full, ""},
	{43, "accept", sysAccept, "fd,ptr,ptr", Full, ""},
	{44, "sendto", sysSendto, "fd,buf,size,hex,sockaddr,int", Full, ""},
	{45, "recvfrom", sysRecvfrom, "fd,ptr,size,hex,ptr,ptr", Full, ""},
	{46, "sendmsg", sysSendmsg, "fd,ptr,hex", Full, ""},
	{47, "recvmsg", sysRecvmsg, "fd,ptr,hex", Full, ""},
	{48, "shutdown", sysShutdown, "fd,int", Full, ""},
	{49, "bind", sysBind, "fd,sockaddr,int", Full, ""},
	{50, "listen", sysListen, "fd,int", Full, ""},
	{51, "getsockname", sysGetsockname, "fd,ptr,ptr", Full, ""},
	{52, "getpeername", sysGetpeername, "fd,ptr,ptr", Full, ""},
	{53, "socketpair", sysSocketpair, "family:int,type:hex,protocol:int,ptr", Full, ""},
	{54, "setsockopt", sysSetsockopt, "fd,int,int,ptr,int", Partial, "the options each family knows"},
	{55, "getsockopt", sysGetsockopt, "fd,int,int,ptr,ptr", Partial, "the options each family knows"},
	{288, "accept4", sysAccept4, "fd,ptr,ptr,hex", Full, ""},
	{299, "recvmmsg", sysRecvmmsg, "fd,ptr,int,hex,timespec", Full, ""},
	{307, "sendmmsg", sysSendmmsg, "fd,ptr,int,hex", Full, ""},
}

var le = binary.LittleEndian

const (
	maxSockaddr = 128   // sizeof(struct sockaddr_storage)
	maxControl  = 20480 // net.core.optmem_max
	maxMsgs     = 1024  // of one sendmmsg or recvmmsg
	scmMaxFD    = 253   // descriptors of one message
	cmsgHeader  = 16    // sizeof(struct cmsghdr)
	maxIO       = 0x7ffff000

	msgCompat = -1 << 31 // MSG_CMSG_COMPAT: not for 64-bit programs
)

// sockOf returns the socket behind a descriptor with a reference on its file.
func sockOf(t *kernel.Task, fd int32) (*vfs.File, socket.Ops, error) {
	f, err := t.File(fd)
	if err != nil {
		return nil, nil, err
	}
	if f.IsPath() {
		f.DecRef(t)
		return nil, nil, errno.EBADF
	}
	s, err := socket.Of(f)
	if err != nil {
		f.DecRef(t)
		return nil, nil, err
	}
	return f, s, nil
}

// newSocketFile makes the file of a socket.
func newSocketFile(t *kernel.Task, s socket.Ops, flags int32) *vfs.File {
	fl := uint32(unix.O_RDWR)
	if flags&unix.SOCK_NONBLOCK != 0 {
		fl |= unix.O_NONBLOCK
	}
	f := vfs.NewAnonFileFor(t, t.Kernel().VFS(), "socket:[%d]", s, fl)
	if n, ok := s.(interface{ SetInode(uint64) }); ok { // for /proc/net
		if st, err := f.Stat(t); err == nil {
			n.SetInode(st.Ino)
		}
	}
	return f
}

const sockFlags = unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC

// socket(2).
func sysSocket(t *kernel.Task, a arch.Args) (uint64, error) {
	typ := a.Int(1)
	if typ&^(0xf|sockFlags) != 0 {
		return 0, errno.EINVAL
	}
	s, err := socket.New(t, t.NetNS(), int(a.Int(0)), int(typ&0xf), int(a.Int(2)))
	if err != nil {
		return 0, err
	}
	return install(t, newSocketFile(t, s, typ), typ&unix.SOCK_CLOEXEC != 0)
}

// socketpair(2).
func sysSocketpair(t *kernel.Task, a arch.Args) (uint64, error) {
	typ := a.Int(1)
	if typ&^(0xf|sockFlags) != 0 {
		return 0, errno.EINVAL
	}
	// The array must be writable before anything else (linux: net/socket.c
	// __sys_socketpair).
	var was [8]byte
	if err := t.CopyIn(a.Ptr(3), was[:]); err != nil {
		return 0, err
	}
	if err := t.CopyOut(a.Ptr(3), was[:]); err != nil {
		return 0, err
	}
	x, y, err := socket.NewPair(t, t.NetNS(), int(a.Int(0)), int(typ&0xf), int(a.Int(2)))
	if err != nil {
		return 0, err
	}
	fx, fy := newSocketFile(t, x, typ), newSocketFile(t, y, typ)
	cloexec := typ&unix.SOCK_CLOEXEC != 0
	n, err := install(t, fx, cloexec)
	if err != nil {
		fy.DecRef(t)
		return 0, err
	}
	m, err := install(t, fy, cloexec)
	if err != nil {
		t.FDs().Close(t, int32(n))
		return 0, err
	}
	fds := [2]int32{int32(n), int32(m)}
	if err := usermem.Put(t.Mem(), a.Ptr(3), &fds); err != nil {
		t.FDs().Close(t, fds[0])
		t.FDs().Close(t, fds[1])
		return 0, err
	}
	return 0, nil
}

// copyInAddr reads a struct sockaddr.
func copyInAddr(t *kernel.Task, p uint64, n int32) ([]byte, error) {
	if n < 0 || n > maxSockaddr {
		return nil, errno.EINVAL
	}
	b := make([]byte, n)
	if err := usermem.GetSlice(t.Mem(), p, b); err != nil {
		return nil, err
	}
	return b, nil
}

// copyOutAddr writes an address and its length, cut to the room there is.
func copyOutAddr(t *kernel.Task, p, lenp uint64, addr []byte) error {
	if p == 0 {
		return nil
	}
	var room int32
	if err := usermem.Get(t.Mem(), lenp, &room); err != nil {
		return err
	}
	if room < 0 {
		return errno.EINVAL
	}
	n := int32(len(addr))
	if err := usermem.PutSlice(t.Mem(), p, addr[:min(n, room)]); err != nil {
		return err
	}
	return usermem.Put(t.Mem(), lenp, &n)
}

// await retries fn while it says EAGAIN until the socket's readiness changes.
func await(t *kernel.Task, f *vfs.File, s socket.Ops, ev wait.Events, timeout time.Duration, nonblock bool, fn func() error) error {
	err := fn()
	if err != errno.EAGAIN || nonblock || f.NonBlocking() {
		return err
	}
	var deadline time.Time
	if timeout > 0 {
		deadline = time.Now().Add(timeout)
	}
	e := wait.NewEntry(ev)
	q := s.WaitQueue()
	q.Add(e)
	defer q.Remove(e)
	for {
		if err := fn(); err != errno.EAGAIN {
			return err
		}
		switch err := t.Block(e, deadline); {
		case err == errno.ETIMEDOUT:
			return errno.EAGAIN
		case err == errno.ERESTARTSYS && timeout > 0:
			return errno.EINTR
		case err != nil:
			return err
		}
	}
}

// bind(2).
func sysBind(t *kernel.Task, a arch.Args) (uint64, error) {
	f, s, err := sockOf(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	addr, err := copyInAddr(t, a.Ptr(1), a.Int(2))
	if err != nil {
		return 0, err
	}
	return 0, s.Bind(t, addr)
}

// listen(2).
func sysListen(t *kernel.Task, a arch.Args) (uint64, error) {
	f, s, err := sockOf(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	backlog := int(a.Uint(1))
	return 0, s.Listen(t, min(backlog, 4096))
}

// accept(2).
func sysAccept(t *kernel.Task, a arch.Args) (uint64, error) { return doAccept(t, a, 0) }

// accept4(2).
func sysAccept4(t *kernel.Task, a arch.Args) (uint64, error) { return doAccept(t, a, a.Int(3)) }

func doAccept(t *kernel.Task, a arch.Args, flags int32) (uint64, error) {
	f, err := openFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	if flags&^sockFlags != 0 {
		return 0, errno.EINVAL
	}
	s, err := socket.Of(f)
	if err != nil {
		return 0, err
	}
	var c socket.Ops
	var peer []byte
	recv, _ := s.Timeouts()
	err = await(t, f, s, wait.In|wait.Hup|wait.Err, recv, false, func() (err error) {
		c, peer, err = s.Accept(t)
		return err
	})
	if err != nil {
		return 0, err
	}
	nf := newSocketFile(t, c, flags)
	if err := copyOutAddr(t, a.Ptr(1), a.Ptr(2), peer); err != nil {
		nf.DecRef(t)
		return 0, err
	}
	return install(t, nf, flags&unix.SOCK_CLOEXEC != 0)
}

// connect(2).
func sysConnect(t *kernel.Task, a arch.Args) (uint64, error) {
	f, err := openFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	addr, err := copyInAddr(t, a.Ptr(1), a.Int(2))
	if err != nil {
		return 0, err
	}
	s, err := socket.Of(f)
	if err != nil {
		return 0, err
	}
	_, send := s.Timeouts()
	err = s.Connect(t, addr)
	if err == errno.EAGAIN && !f.NonBlocking() {
		// A full backlog of a unix listener: wait for room.
		err = await(t, f, s, wait.Out|wait.Err|wait.Hup, send, false, func() error { return s.Connect(t, addr) })
	}
	if err != errno.EINPROGRESS && err != errno.EALREADY || f.NonBlocking() {
		return 0, err
	}
	err = await(t, f, s, wait.Out|wait.Err|wait.Hup, send, false, func() error {
		if s.Ready(wait.Out|wait.Err|wait.Hup) == 0 {
			return errno.EAGAIN
		}
		return nil
	})
	switch {
	case err == errno.EAGAIN:
		return 0, errno.EINPROGRESS // SO_SNDTIMEO passed
	case err != nil:
		return 0, err
	}
	// Ask how it ended; this also tells the socket that it is known.
	if err = s.Connect(t, addr); err == errno.EISCONN {
		err = nil
	}
	return 0, err
}

// shutdown(2).
func sysShutdown(t *kernel.Task, a arch.Args) (uint64, error) {
	f, s, err := sockOf(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	return 0, s.Shutdown(t, int(a.Int(1)))
}

// getsockname(2).
func sysGetsockname(t *kernel.Task, a arch.Args) (uint64, error) {
	return sockName(t, a, func(s socket.Ops) ([]byte, error) { return s.SockName(t) })
}

// getpeername(2).
func sysGetpeername(t *kernel.Task, a arch.Args) (uint64, error) {
	return sockName(t, a, func(s socket.Ops) ([]byte, error) { return s.PeerName(t) })
}

func sockName(t *kernel.Task, a arch.Args, get func(socket.Ops) ([]byte, error)) (uint64, error) {
	f, s, err := sockOf(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	addr, err := get(s)
	if err != nil {
		return 0, err
	}
	if a.Ptr(1) == 0 {
		var room int32
		if err := usermem.Get(t.Mem(), a.Ptr(2), &room); err != nil {
			return 0, err
		}
		switch {
		case room < 0:
			return 0, errno.EINVAL
		case room > 0 && len(addr) > 0:
			return 0, errno.EFAULT
		}
		n := int32(len(addr))
		return 0, usermem.Put(t.Mem(), a.Ptr(2), &n)
	}
	return 0, copyOutAddr(t, a.Ptr(1), a.Ptr(2), addr)
}

// setsockopt(2).
func sysSetsockopt(t *kernel.Task, a arch.Args) (uint64, error) {
	f, s, err := sockOf(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	n := a.Int(4)
	if n < 0 {
		return 0, errno.EINVAL
	}
	if family, _, _ := s.Kind(); family == unix.AF_UNIX && a.Int(1) != unix.SOL_SOCKET {
		return 0, errno.EOPNOTSUPP
	}
	level, name := int(a.Int(1)), int(a.Int(2))
	if level == unix.SOL_SOCKET && n < 4 && name != unix.SO_BINDTODEVICE {
		return 0, errno.EINVAL
	}
	val := make([]byte, min(n, 65536))
	// An option reads no more than it needs, and only if it is known.
	k, _ := t.Mem().CopyIn(a.Ptr(3), val)
	if k < min(4, len(val)) {
		if k == 0 && level != unix.SOL_SOCKET {
			if err := s.SetOpt(t, level, name, nil); err == errno.ENOPROTOOPT {
				return 0, err
			}
		}
		return 0, errno.EFAULT
	}
	return 0, s.SetOpt(t, level, name, val[:k])
}

// getsockopt(2).
func sysGetsockopt(t *kernel.Task, a arch.Args) (uint64, error) {
	f, s, err := sockOf(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	if family, _, _ := s.Kind(); family == unix.AF_UNIX && a.Int(1) != unix.SOL_SOCKET {
		return 0, errno.EOPNOTSUPP
	}
	var n int32
	if err := usermem.Get(t.Mem(), a.Ptr(4), &n); err != nil {
		return 0, err
	}
	if n < 0 {
		return 0, errno.EINVAL
	}
	val, err := s.GetOpt(t, int(a.Int(1)), int(a.Int(2)), int(n))
	if err != nil {
		return 0, err
	}
	if err := usermem.PutSlice(t.Mem(), a.Ptr(3), val); err != nil {
		return 0, err
	}
	n = int32(len(val))
	return 0, usermem.Put(t.Mem(), a.Ptr(4), &n)
}

// send is the common end of all sends.
func send(t *kernel.Task, f *vfs.File, s socket.Ops, src *usermem.Buf, m *socket.SendMsg) (uint64, error) {
	nonblock := m.Flags&unix.MSG_DONTWAIT != 0
	nosignal := m.Flags&unix.MSG_NOSIGNAL != 0
	m.Flags &^= unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
	_, timeout := s.Timeouts()
	_, typ, _ := s.Kind()
	var done int64
	err := await(t, f, s, wait.Out|wait.Err|wait.Hup, timeout, nonblock, func() error {
		n, err := s.Send(t, src, m)
		done += n
		// A blocking stream sends everything.
		if err == nil && n > 0 && typ == unix.SOCK_STREAM && src.Len() > 0 && !nonblock && !f.NonBlocking() {
			m.Files, m.Creds = nil, nil
			return errno.EAGAIN
		}
		return err
	})
	if done > 0 {
		return uint64(done), nil
	}
	if err == errno.EPIPE && !nosignal && typ != unix.SOCK_DGRAM {
		t.SendSignal(signal.Kernel(int32(unix.SIGPIPE)))
	}
	return 0, err
}

// sendto(2).
func sysSendto(t *kernel.Task, a arch.Args) (uint64, error) {
	n := min(a.Size(2), maxIO)
	if !accessible(a.Ptr(1), n) {
		return 0, errno.EFAULT
	}
	f, s, err := sockOf(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	m := socket.SendMsg{Flags: int(a.Int(3))}
	if a.Ptr(4) != 0 && a.Int(5) != 0 {
		if m.Addr, err = copyInAddr(t, a.Ptr(4), a.Int(5)); err != nil {
			return 0, err
		}
	}
	var b usermem.Buf
	b.SetUser(t.Mem(), a.Ptr(1), n)
	return send(t, f, s, &b, &m)
}

// receive is the common end of all receives.
func receive(t *kernel.Task, f *vfs.File, s socket.Ops, dst *usermem.Buf, m *socket.RecvMsg) (int64, error) {
	nonblock := m.Flags&unix.MSG_DONTWAIT != 0 || m.Flags&unix.MSG_ERRQUEUE != 0
	m.Flags &^= unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
	m.NonBlock = nonblock || f.NonBlocking()
	timeout, _ := s.Timeouts()
	_, typ, _ := s.Kind()
	flags := m.Flags
	all := flags&unix.MSG_WAITALL != 0 && typ == unix.SOCK_STREAM && flags&unix.MSG_PEEK == 0
	var done int64
	err := await(t, f, s, wait.In|wait.Hup|wait.Err|wait.RdHup|wait.Pri, timeout, nonblock, func() error {
		m.Flags = flags
		n, err := s.Receive(t, dst, m)
		done += n
		if all && err == nil && n > 0 && dst.Len() > 0 && len(m.Files) == 0 {
			return errno.EAGAIN
		}
		return err
	})
	if done > 0 {
		return done, nil
	}
	return 0, err
}

// recvfrom(2).
func sysRecvfrom(t *kernel.Task, a arch.Args) (uint64, error) {
	if !accessible(a.Ptr(1), min(a.Size(2), maxIO)) {
		return 0, errno.EFAULT
	}
	f, s, err := sockOf(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	m := socket.RecvMsg{Flags: int(a.Int(3)), WantAddr: a.Ptr(4) != 0}
	var b usermem.Buf
	b.SetUser(t.Mem(), a.Ptr(1), min(a.Size(2), maxIO))
	n, err := receive(t, f, s, &b, &m)
	if err != nil {
		return 0, err
	}
	for _, x := range m.Files {
		x.DecRef(t)
	}
	if a.Int(3)&unix.MSG_TRUNC != 0 && m.FullLen > n {
		n = m.FullLen
	}
	if a.Ptr(4) != 0 {
		if err := copyOutAddr(t, a.Ptr(4), a.Ptr(5), m.Addr); err != nil {
			return 0, err
		}
	}
	return uint64(n), nil
}

// msghdr is struct msghdr.
type msghdr struct {
	Name       uint64
	Namelen, _ int32
	Iov        uint64
	Iovlen     uint64
	Control    uint64
	Controllen uint64
	Flags, _   int32
}

// sendmsg(2).
func sysSendmsg(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Int(2)&msgCompat != 0 {
		return 0, errno.EINVAL
	}
	f, s, err := sockOf(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	return sendOne(t, f, s, a.Ptr(1), a.Int(2))
}

func sendOne(t *kernel.Task, f *vfs.File, s socket.Ops, ptr uint64, flags int32) (uint64, error) {
	var h msghdr
	if err := usermem.Get(t.Mem(), ptr, &h); err != nil {
		return 0, err
	}
	m := socket.SendMsg{Flags: int(flags)}
	var err error
	if h.Name != 0 && h.Namelen != 0 {
		if h.Namelen < 0 {
			return 0, errno.EINVAL
		}
		if m.Addr, err = copyInAddr(t, h.Name, min(h.Namelen, maxSockaddr)); err != nil {
			return 0, err
		}
	}
	if h.Iovlen > 1024 {
		return 0, errno.EMSGSIZE
	}
	b, err := copyInIovec(t, h.Iov, int32(h.Iovlen))
	if err != nil {
		return 0, err
	}
	if h.Control != 0 && h.Controllen > 0 {
		defer func() {
			for _, x := range m.Files {
				x.DecRef(t)
			}
		}()
		files, err := parseControl(t, &h, &m)
		m.Files = files
		if err != nil {
			return 0, err
		}
		held := files
		n, err := send(t, f, s, b, &m)
		m.Files = held
		return n, err
	}
	return send(t, f, s, b, &m)
}

// parseControl reads the control messages of a send; the files returned (also
// with an error) carry references.
func parseControl(t *kernel.Task, h *msghdr, m *socket.SendMsg) (files []*vfs.File, err error) {
	if h.Controllen > maxControl {
		return nil, errno.ENOBUFS
	}
	b := make([]byte, h.Controllen)
	if err := usermem.GetSlice(t.Mem(), h.Control, b); err != nil {
		return nil, err
	}
	for len(b) >= cmsgHeader {
		n := le.Uint64(b)
		if n < cmsgHeader || n > uint64(len(b)) {
			return files, errno.EINVAL
		}
		level, typ, data := int(int32(le.Uint32(b[8:]))), int(int32(le.Uint32(b[12:]))), b[cmsgHeader:n]
		b = b[min((n+7)&^7, uint64(len(b))):]
		if level != unix.SOL_SOCKET {
			m.Ctl = append(m.Ctl, socket.ControlIn{Level: level, Type: typ, Data: data})
			continue
		}
		switch typ {
		case unix.SCM_RIGHTS:
			if len(files)+len(data)/4 > scmMaxFD {
				return files, errno.EINVAL
			}
			for ; len(data) >= 4; data = data[4:] {
				x, err := t.File(int32(le.Uint32(data)))
				if err != nil {
					return files, err
				}
				files = append(files, x)
			}
		case unix.SCM_CREDENTIALS:
			if len(data) < 12 {
				return files, errno.EINVAL
			}
			if m.Creds, err = checkCreds(t, int32(le.Uint32(data)), le.Uint32(data[4:]), le.Uint32(data[8:])); err != nil {
				return files, err
			}
		default:
			return files, errno.EINVAL
		}
	}
	return files, nil
}

// checkCreds says whether t may claim to be that (linux: scm_check_creds).
func checkCreds(t *kernel.Task, pid int32, uid, gid uint32) (*socket.Ucred, error) {
	c := t.Creds()
	u, uok := c.UserNS.KUID(uid)
	g, gok := c.UserNS.KGID(gid)
	if !uok || !gok {
		return nil, errno.EINVAL
	}
	own := t.PIDNamespace().LookupPID(pid)
	if own == nil {
		if t.Creds().Capable(creds.CapSysAdmin) {
			return nil, errno.ESRCH
		}
		return nil, errno.EPERM
	}
	if own.Root() != t.ProcessID() && !c.Capable(creds.CapSysAdmin) ||
		u != c.RUID && u != c.EUID && u != c.SUID && !c.Capable(creds.CapSetuid) ||
		g != c.RGID && g != c.EGID && g != c.SGID && !c.Capable(creds.CapSetgid) {
		return nil, errno.EPERM
	}
	return &socket.Ucred{PID: own.Root(), UID: u, GID: g}, nil
}

// recvmsg(2).
func sysRecvmsg(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Int(2)&msgCompat != 0 {
		return 0, errno.EINVAL
	}
	f, s, err := sockOf(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	return recvOne(t, f, s, a.Ptr(1), a.Int(2))
}

func recvOne(t *kernel.Task, f *vfs.File, s socket.Ops, ptr uint64, flags int32) (uint64, error) {
	var h msghdr
	if err := usermem.Get(t.Mem(), ptr, &h); err != nil {
		return 0, err
	}
	if h.Iovlen > 1024 {
		return 0, errno.EMSGSIZE
	}
	if h.Name != 0 && h.Namelen < 0 {
		return 0, errno.EINVAL
	}
	b, err := copyInIovec(t, h.Iov, int32(h.Iovlen))
	if err != nil {
		return 0, err
	}
	m := socket.RecvMsg{Flags: int(flags &^ unix.MSG_CMSG_CLOEXEC), WantAddr: h.Name != 0}
	n, err := receive(t, f, s, b, &m)
	if err != nil {
		return 0, err
	}
	m.Flags &= unix.MSG_TRUNC | unix.MSG_CTRUNC | unix.MSG_EOR | unix.MSG_OOB | unix.MSG_ERRQUEUE
	ctl := putControl(t, &m, h.Controllen, flags&unix.MSG_CMSG_CLOEXEC != 0, h.Control != 0)
	if len(ctl) > 0 {
		if err := usermem.PutSlice(t.Mem(), h.Control, ctl); err != nil {
			return 0, err
		}
	}
	h.Controllen = uint64(len(ctl))
	if h.Name != 0 {
		if err := usermem.PutSlice(t.Mem(), h.Name, m.Addr[:min(len(m.Addr), int(h.Namelen))]); err != nil {
			return 0, err
		}
	}
	h.Namelen = int32(len(m.Addr))
	h.Flags = int32(m.Flags) | flags&unix.MSG_CMSG_CLOEXEC
	// Only the fields that are results go out.
	out := ptr
	if h.Name != 0 {
		if err := usermem.Put(t.Mem(), out+8, &h.Namelen); err != nil {
			return 0, err
		}
	}
	if err := usermem.Put(t.Mem(), out+40, &h.Controllen); err != nil {
		return 0, err
	}
	if err := usermem.Put(t.Mem(), out+48, &h.Flags); err != nil {
		return 0, err
	}
	if flags&unix.MSG_TRUNC != 0 && m.FullLen > n {
		n = m.FullLen
	}
	return uint64(n), nil
}

// putControl encodes the control messages that fit room, installing received
// files; what does not fit sets MSG_CTRUNC and is dropped.
func putControl(t *kernel.Task, m *socket.RecvMsg, room uint64, cloexec, have bool) []byte {
	var out []byte
	if !have {
		room = 0
	}
	add := func(level, typ int, data []byte) {
		left := int64(room) - int64(len(out))
		if left < cmsgHeader {
			m.Flags |= unix.MSG_CTRUNC
			return
		}
		if int64(cmsgHeader+len(data)) > left {
			m.Flags |= unix.MSG_CTRUNC
			data = data[:left-cmsgHeader]
		}
		var hd [cmsgHeader]byte
		le.PutUint64(hd[:], uint64(cmsgHeader+len(data)))
		le.PutUint32(hd[8:], uint32(level))
		le.PutUint32(hd[12:], uint32(typ))
		out = append(append(out, hd[:]...), data...)
		for len(out)%8 != 0 && uint64(len(out)) < room {
			out = append(out, 0)
		}
	}
	if m.Creds != nil {
		var d [12]byte
		le.PutUint32(d[:], uint32(pidOf(t, m.Creds.PID)))
		le.PutUint32(d[4:], t.UserNS().UID(m.Creds.UID))
		le.PutUint32(d[8:], t.UserNS().GID(m.Creds.GID))
		add(unix.SOL_SOCKET, unix.SCM_CREDENTIALS, d[:])
	}
	for _, c := range m.Ctl {
		add(c.Level, c.Type, c.Data)
	}
	if len(m.Files) > 0 {
		var data []byte
		left := (int64(room) - int64(len(out)) - cmsgHeader) / 4
		for i, x := range m.Files {
			if int64(i) >= left {
				m.Flags |= unix.MSG_CTRUNC
				x.DecRef(t)
				continue
			}
			fd, err := install(t, x, cloexec)
			if err != nil {
				m.Flags |= unix.MSG_CTRUNC
				left = 0
				continue
			}
			var d [4]byte
			le.PutUint32(d[:], uint32(fd))
			data = append(data, d[:]...)
		}
		if len(data) > 0 {
			add(unix.SOL_SOCKET, unix.SCM_RIGHTS, data)
		}
		m.Files = nil
	}
	return out
}

// mmsgSize is sizeof(struct mmsghdr); msg_len is behind the msghdr.
const mmsgSize, mmsgLen = 64, 56

// sendmmsg(2).
func sysSendmmsg(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Int(3)&msgCompat != 0 {
		return 0, errno.EINVAL
	}
	f, s, err := sockOf(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	var done uint64
	for n := uint64(min(a.Uint(2), maxMsgs)); done < n; done++ {
		at := a.Ptr(1) + done*mmsgSize
		sent, err := sendOne(t, f, s, at, a.Int(3))
		if err == nil {
			l := uint32(sent)
			err = usermem.Put(t.Mem(), at+mmsgLen, &l)
		}
		if err != nil {
			if done > 0 {
				break
			}
			return 0, err
		}
	}
	return done, nil
}

// recvmmsg(2).
func sysRecvmmsg(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Int(3)&msgCompat != 0 {
		return 0, errno.EINVAL
	}
	deadline, err := copyTimeout(t, a.Ptr(4))
	if err != nil {
		return 0, err
	}
	f, s, err := sockOf(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	flags := a.Int(3)
	var done uint64
	for n := uint64(min(a.Uint(2), maxMsgs)); done < n; done++ {
		if done > 0 && !deadline.IsZero() && !time.Now().Before(deadline) {
			break // the timeout is looked at only between messages, as on Linux
		}
		at := a.Ptr(1) + done*mmsgSize
		got, err := recvOne(t, f, s, at, flags&^unix.MSG_WAITFORONE)
		if err == nil {
			l := uint32(got)
			err = usermem.Put(t.Mem(), at+mmsgLen, &l)
		}
		if err != nil {
			if done > 0 {
				break
			}
			return 0, err
		}
		if flags&unix.MSG_WAITFORONE != 0 {
			flags |= unix.MSG_DONTWAIT
		}
	}
	return done, nil
}
