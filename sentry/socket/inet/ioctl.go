package inet

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

// ifreqSize is sizeof(struct ifreq).
const ifreqSize = 40

// Ioctl implements vfs.FileOps: queue sizes and the device requests of
// netdevice(7) that read.
func (s *Socket) Ioctl(ctx kctx.Ctx, f *vfs.File, io usermem.IO, cmd uint32, arg uint64) (uint64, error) {
	switch cmd {
	case unix.TIOCINQ: // also FIONREAD
		if s.stream() && tcpState(s.ep().State()) == stateListen {
			return 0, errno.EINVAL
		}
		return s.queueSize(io, arg, tcpip.ReceiveQueueSizeOption)
	case unix.TIOCOUTQ:
		v, err := s.queueSize(io, arg, tcpip.SendQueueSizeOption)
		if err == errno.ENOPROTOOPT {
			var none int32
			return 0, usermem.Put(io, arg, &none)
		}
		return v, err
	}
	return s.st.Ioctl(ctx, io, cmd, arg)
}

func (s *Socket) queueSize(io usermem.IO, arg uint64, o tcpip.SockOptInt) (uint64, error) {
	v, terr := s.ep().GetSockOptInt(o)
	if terr != nil {
		return 0, toErrno(terr)
	}
	n := int32(v)
	return 0, usermem.Put(io, arg, &n)
}

// Device is what ioctls and netlink show of a network device.
type Device struct {
	Index    uint32
	Name     string
	Flags    uint32 // IFF_*
	MTU      uint32
	Loopback bool
	HWAddr   []byte
	Addrs    []tcpip.AddressWithPrefix
}

// Devices lists the devices by index.
func (st *Stack) Devices() []Device {
	st.mu.Lock()
	down := st.loopbackDown
	st.mu.Unlock()
	var l []Device
	infos := st.S.NICInfo()
	for id := tcpip.NICID(1); len(l) < len(infos) && id < 1<<16; id++ {
		i, ok := infos[id]
		if !ok {
			continue
		}
		d := Device{Index: uint32(id), Name: i.Name, MTU: i.MTU, HWAddr: []byte(i.LinkAddress), Loopback: i.Flags.Loopback}
		if i.Flags.Up {
			d.Flags |= unix.IFF_UP | unix.IFF_LOWER_UP
		}
		if i.Flags.Running {
			d.Flags |= unix.IFF_RUNNING
		}
		if d.Loopback {
			d.Flags |= unix.IFF_LOOPBACK
			if down { // the library says "up" all the same
				d.Flags = unix.IFF_LOOPBACK
			}
		} else {
			d.Flags |= unix.IFF_BROADCAST | unix.IFF_MULTICAST
		}
		for _, a := range i.ProtocolAddresses {
			d.Addrs = append(d.Addrs, a.AddressWithPrefix)
		}
		l = append(l, d)
	}
	return l
}

// Ioctl answers the SIOCGIF* requests and takes devices up and down, for sockets of every family.
func (st *Stack) Ioctl(ctx kctx.Ctx, io usermem.IO, cmd uint32, arg uint64) (uint64, error) {
	switch cmd {
	case unix.SIOCGIFCONF:
		return st.ifconf(io, arg)
	case unix.SIOCGIFNAME, unix.SIOCGIFINDEX, unix.SIOCGIFFLAGS, unix.SIOCGIFADDR, unix.SIOCGIFNETMASK, unix.SIOCGIFBRDADDR,
		unix.SIOCGIFMTU, unix.SIOCGIFHWADDR, unix.SIOCGIFTXQLEN, unix.SIOCGIFMETRIC, unix.SIOCGIFMAP, unix.SIOCGIFDSTADDR:
	case unix.SIOCSIFFLAGS:
		if !ctx.Creds().Capable(creds.CapNetAdmin) {
			return 0, errno.EPERM
		}
	case unix.SIOCSIFADDR, unix.SIOCSIFNETMASK, unix.SIOCSIFMTU:
		return 0, errno.EPERM
	default:
		return 0, errno.ENOTTY
	}
	var req [ifreqSize]byte
	if err := usermem.Get(io, arg, &req); err != nil {
		return 0, err
	}
	var dev *Device
	name, _, _ := bytes.Cut(req[:16], []byte{0})
	for _, d := range st.Devices() {
		if cmd == unix.SIOCGIFNAME && d.Index == binary.LittleEndian.Uint32(req[16:]) || cmd != unix.SIOCGIFNAME && d.Name == string(name) {
			dev = &d
			break
		}
	}
	if dev == nil {
		return 0, errno.ENODEV
	}
	v := req[16:]
	if cmd == unix.SIOCSIFFLAGS {
		return 0, st.SetUp(tcpip.NICID(dev.Index), binary.LittleEndian.Uint16(v)&unix.IFF_UP != 0)
	}
	clear(v)
	put4 := func(b []byte) {
		binary.LittleEndian.PutUint16(v, unix.AF_INET)
		copy(v[4:], b)
	}
	var v4 *tcpip.AddressWithPrefix
	for i := range dev.Addrs {
		if dev.Addrs[i].Address.Len() == 4 {
			v4 = &dev.Addrs[i]
			break
		}
	}
	switch cmd {
	case unix.SIOCGIFNAME:
		clear(req[:16])
		copy(req[:15], dev.Name)
		binary.LittleEndian.PutUint32(v, dev.Index)
	case unix.SIOCGIFINDEX:
		binary.LittleEndian.PutUint32(v, dev.Index)
	case unix.SIOCGIFFLAGS:
		binary.LittleEndian.PutUint16(v, uint16(dev.Flags))
	case unix.SIOCGIFMTU:
		binary.LittleEndian.PutUint32(v, dev.MTU)
	case unix.SIOCGIFTXQLEN:
		binary.LittleEndian.PutUint32(v, 1000)
	case unix.SIOCGIFHWADDR:
		if dev.Loopback {
			binary.LittleEndian.PutUint16(v, unix.ARPHRD_LOOPBACK)
		} else {
			binary.LittleEndian.PutUint16(v, unix.ARPHRD_ETHER)
			copy(v[2:8], dev.HWAddr)
		}
	case unix.SIOCGIFADDR, unix.SIOCGIFDSTADDR, unix.SIOCGIFNETMASK, unix.SIOCGIFBRDADDR:
		if v4 == nil {
			return 0, errno.EADDRNOTAVAIL
		}
		ip := v4.Address.As4()
		mask := ^uint32(0) << (32 - v4.PrefixLen)
		switch cmd {
		case unix.SIOCGIFNETMASK:
			put4(binary.BigEndian.AppendUint32(nil, mask))
		case unix.SIOCGIFBRDADDR:
			if dev.Loopback {
				put4([]byte{0, 0, 0, 0})
			} else {
				put4(binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(ip[:])|^mask))
			}
		default:
			put4(ip[:])
		}
	}
	return 0, usermem.Put(io, arg, &req)
}

// ifconf answers SIOCGIFCONF: the devices with an IPv4 address.
func (st *Stack) ifconf(io usermem.IO, arg uint64) (uint64, error) {
	var c struct {
		Len, _ int32
		Buf    uint64
	}
	if err := usermem.Get(io, arg, &c); err != nil {
		return 0, err
	}
	var out []byte
	for _, d := range st.Devices() {
		for _, a := range d.Addrs {
			if a.Address.Len() != 4 {
				continue
			}
			var req [ifreqSize]byte
			copy(req[:15], d.Name)
			binary.LittleEndian.PutUint16(req[16:], unix.AF_INET)
			ip := a.Address.As4()
			copy(req[20:], ip[:])
			out = append(out, req[:]...)
		}
	}
	if c.Buf != 0 {
		out = out[:min(len(out), int(max(c.Len, 0))/ifreqSize*ifreqSize)]
		if err := usermem.PutSlice(io, c.Buf, out); err != nil {
			return 0, err
		}
	}
	c.Len = int32(len(out))
	return 0, usermem.Put(io, arg, &c)
}
