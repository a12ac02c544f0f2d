package boot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"

	"redoubt.dev/redoubt/fsimpl/procfs"
	"redoubt.dev/redoubt/fsimpl/sysfs"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/socket/inet"
	"redoubt.dev/redoubt/vfs"
)

// inetFiles are the files of /proc/net and /sys/class/net about the TCP/IP
// stack. Sockets are found through the descriptors of processes: one that is
// still in an accept queue has no row.
type inetFiles struct{ k *kernel.Kernel }

func (n inetFiles) register() {
	for _, f := range []struct {
		name        string
		family, typ int
	}{
		{"tcp", unix.AF_INET, unix.SOCK_STREAM}, {"tcp6", unix.AF_INET6, unix.SOCK_STREAM},
		{"udp", unix.AF_INET, unix.SOCK_DGRAM}, {"udp6", unix.AF_INET6, unix.SOCK_DGRAM},
		{"raw", unix.AF_INET, unix.SOCK_RAW}, {"raw6", unix.AF_INET6, unix.SOCK_RAW},
	} {
		procfs.RegisterNet(f.name, func(ns *kernel.NetNamespace, w *bytes.Buffer) { n.sockets(ns, w, f.family, f.typ) })
	}
	procfs.RegisterNet("dev", n.dev)
	procfs.RegisterNet("route", n.route)
	procfs.RegisterNet("if_inet6", n.ifInet6)
	procfs.RegisterNet("sockstat", n.sockstat)
	sysfs.SetInterfaces(n.interfaces)
}

// each calls fn for every socket of ns that a process has open.
func (n inetFiles) each(ns *kernel.NetNamespace, fn func(i inet.Shown, st vfs.Stat)) {
	ctx := kctx.Background(creds.NewRoot(n.k.RootUserNS()))
	stack := inet.StackOf(ns)
	seen := map[vfs.Inode]bool{}
	for _, tg := range n.k.RootPIDNS().ThreadGroups() {
		t := tg.Leader()
		if t == nil || t.FDs() == nil {
			continue
		}
		fds := t.FDs()
		for _, e := range fds.List() {
			f, err := fds.Get(e.FD)
			if err != nil {
				continue
			}
			if s, ok := f.Ops().(*inet.Socket); ok && !seen[f.Inode()] {
				seen[f.Inode()] = true
				if i, ok := s.Show(stack); ok {
					if st, err := f.Stat(ctx); err == nil {
						fn(i, st)
					}
				}
			}
			f.DecRef(ctx)
		}
	}
}

// hexAddr is an address as these files write it: words in host order.
func hexAddr(a tcpip.FullAddress, family int) string {
	b := a.Addr.AsSlice()
	if family == unix.AF_INET {
		var v uint32
		if len(b) == 4 {
			v = binary.LittleEndian.Uint32(b)
		}
		return fmt.Sprintf("%08X:%04X", v, a.Port)
	}
	if len(b) == 4 {
		b = net.IP(b).To16()
	}
	if len(b) != 16 {
		b = make([]byte, 16)
	}
	return fmt.Sprintf("%08X%08X%08X%08X:%04X", binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]),
		binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:]), a.Port)
}

func (n inetFiles) sockets(ns *kernel.NetNamespace, w *bytes.Buffer, family, typ int) {
	row := 0
	n.each(ns, func(i inet.Shown, st vfs.Stat) {
		if i.Family != family || i.Type != typ {
			return
		}
		if typ == unix.SOCK_STREAM && i.State == 7 || typ == unix.SOCK_DGRAM && i.Local.Port == 0 {
			return // Linux hashes only bound sockets
		}
		line := fmt.Sprintf("%4d: %s %s %02X %08X:%08X 00:00000000 00000000 %5d        0 %d", row, hexAddr(i.Local, family), hexAddr(i.Remote, family),
			i.State, i.TxLen, i.RxQueue, uint32(st.UID), st.Ino)
		if typ == unix.SOCK_STREAM {
			line = fmt.Sprintf("%-149s", line+" 1 0000000000000000 100 0 0 10 0")
		} else {
			line = fmt.Sprintf("%-127s", " "+line+" 2 0000000000000000 0")
		}
		w.WriteString(line + "\n")
		row++
	})
}

func (n inetFiles) sockstat(ns *kernel.NetNamespace, w *bytes.Buffer) {
	var all, tcp, udp, raw int
	n.each(ns, func(i inet.Shown, st vfs.Stat) {
		all++
		switch {
		case i.Family != unix.AF_INET:
		case i.Type == unix.SOCK_STREAM:
			tcp++
		case i.Type == unix.SOCK_DGRAM:
			udp++
		default:
			raw++
		}
	})
	fmt.Fprintf(w, "sockets: used %d\nTCP: inuse %d orphan 0 tw 0 alloc %d mem 0\nUDP: inuse %d mem 0\nUDPLITE: inuse 0\nRAW: inuse %d\nFRAG: inuse 0 memory 0\n", all, tcp, tcp, udp, raw)
}

func (n inetFiles) dev(ns *kernel.NetNamespace, w *bytes.Buffer) {
	for _, i := range n.interfaces(ns) {
		s := i.Stats
		fmt.Fprintf(w, "%6s: %7d %7d %4d %4d %4d %5d %10d %9d %8d %7d %4d %4d %4d %5d %7d %10d\n", i.Name,
			s["rx_bytes"], s["rx_packets"], s["rx_errors"], s["rx_dropped"], 0, 0, 0, 0,
			s["tx_bytes"], s["tx_packets"], s["tx_errors"], s["tx_dropped"], 0, 0, 0, 0)
	}
}

func (n inetFiles) route(ns *kernel.NetNamespace, w *bytes.Buffer) {
	st := inet.StackOf(ns)
	for _, r := range st.S.GetRouteTable() {
		id := r.Destination.ID()
		if id.Len() != 4 || r.NIC == inet.LoopbackNIC {
			continue
		}
		flags := uint32(1) // RTF_UP
		var gw uint32
		if b := r.Gateway.AsSlice(); len(b) == 4 {
			gw = binary.LittleEndian.Uint32(b)
			flags |= 2 // RTF_GATEWAY
		}
		m := net.CIDRMask(r.Destination.Prefix(), 32)
		line := fmt.Sprintf("%s\t%08X\t%08X\t%04X\t0\t0\t0\t%08X\t0\t0\t0", st.DeviceName(r.NIC), binary.LittleEndian.Uint32(id.AsSlice()), gw, flags, binary.LittleEndian.Uint32(m))
		fmt.Fprintf(w, "%-127s\n", line)
	}
}

func (n inetFiles) ifInet6(ns *kernel.NetNamespace, w *bytes.Buffer) {
	for _, d := range inet.StackOf(ns).Devices() {
		for _, a := range d.Addrs {
			b := a.Address.AsSlice()
			if len(b) != 16 {
				continue
			}
			scope := 0
			switch ip := net.IP(b); {
			case ip.IsLoopback():
				scope = 0x10
			case ip.IsLinkLocalUnicast():
				scope = 0x20
			}
			fmt.Fprintf(w, "%x %02x %02x %02x 80 %8s\n", b, d.Index, a.PrefixLen, scope, d.Name)
		}
	}
}

// interfaces lists the devices with their counters.
func (n inetFiles) interfaces(ns *kernel.NetNamespace) []sysfs.Interface {
	st := inet.StackOf(ns)
	infos := st.S.NICInfo()
	var l []sysfs.Interface
	for _, d := range st.Devices() {
		i := sysfs.Interface{Name: d.Name, Index: int(d.Index), MTU: int(d.MTU), Type: 1, Flags: d.Flags & 0xffff, Up: d.Flags&unix.IFF_UP != 0}
		if d.Loopback {
			i.Type, i.MTU = 772, 65536
		}
		hw := d.HWAddr
		if len(hw) != 6 {
			hw = make([]byte, 6)
		}
		i.Address = net.HardwareAddr(hw).String()
		s := infos[tcpip.NICID(d.Index)].Stats
		i.Stats = map[string]uint64{
			"rx_bytes": s.Rx.Bytes.Value(), "rx_packets": s.Rx.Packets.Value(), "rx_dropped": s.DisabledRx.Packets.Value(),
			"tx_bytes": s.Tx.Bytes.Value(), "tx_packets": s.Tx.Packets.Value(), "tx_dropped": s.TxPacketsDroppedNoBufferSpace.Value(),
		}
		l = append(l, i)
	}
	return l
}
