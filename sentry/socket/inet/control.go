package inet

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/socket"
)

func le32(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }

// control adds the control messages of a received packet that options ask for.
func (s *Socket) control(m *socket.RecvMsg, c *tcpip.ReceivableControlMessages) {
	add := func(level, typ int, data []byte) {
		m.Ctl = append(m.Ctl, socket.ControlIn{Level: level, Type: typ, Data: data})
	}
	if s.timestamps.Load() {
		ts := c.Timestamp
		if !c.HasTimestamp {
			ts = time.Now()
		}
		b := binary.LittleEndian.AppendUint64(nil, uint64(ts.Unix()))
		add(unix.SOL_SOCKET, unix.SO_TIMESTAMP, binary.LittleEndian.AppendUint64(b, uint64(ts.Nanosecond()/1000)))
	}
	if c.HasTOS {
		add(unix.SOL_IP, unix.IP_TOS, []byte{c.TOS})
	}
	if c.HasTTL {
		add(unix.SOL_IP, unix.IP_TTL, le32(uint32(c.TTL)))
	}
	if c.HasTClass {
		add(unix.SOL_IPV6, unix.IPV6_TCLASS, le32(c.TClass))
	}
	if c.HasHopLimit {
		add(unix.SOL_IPV6, unix.IPV6_HOPLIMIT, le32(uint32(c.HopLimit)))
	}
	if c.HasIPPacketInfo {
		b := le32(uint32(c.PacketInfo.NIC))
		b = append(b, c.PacketInfo.LocalAddr.AsSlice()...)
		add(unix.SOL_IP, unix.IP_PKTINFO, append(b, c.PacketInfo.DestinationAddr.AsSlice()...))
	}
	if c.HasIPv6PacketInfo {
		a := c.IPv6PacketInfo.Addr.As16()
		add(unix.SOL_IPV6, unix.IPV6_PKTINFO, append(a[:], le32(uint32(c.IPv6PacketInfo.NIC))...))
	}
}

// sendControl applies the control messages of a sendmsg(2).
func sendControl(m *socket.SendMsg, o *tcpip.WriteOptions) error {
	for _, c := range m.Ctl {
		switch {
		case c.Level == unix.SOL_IP && c.Type == unix.IP_TTL && len(c.Data) >= 4:
			v := binary.LittleEndian.Uint32(c.Data)
			if v < 1 || v > 255 {
				return errno.EINVAL
			}
			o.ControlMessages.HasTTL, o.ControlMessages.TTL = true, uint8(v)
		case c.Level == unix.SOL_IPV6 && c.Type == unix.IPV6_HOPLIMIT && len(c.Data) >= 4:
			v := int32(binary.LittleEndian.Uint32(c.Data))
			if v < -1 || v > 255 {
				return errno.EINVAL
			}
			if v >= 0 {
				o.ControlMessages.HasHopLimit, o.ControlMessages.HopLimit = true, uint8(v)
			}
		case c.Level == unix.SOL_IPV6 && c.Type == unix.IPV6_PKTINFO && len(c.Data) >= 20:
			o.ControlMessages.HasIPv6PacketInfo = true
			o.ControlMessages.IPv6PacketInfo = tcpip.IPv6PacketInfo{Addr: tcpip.AddrFrom16([16]byte(c.Data[:16])),
				NIC: tcpip.NICID(binary.LittleEndian.Uint32(c.Data[16:]))}
		case c.Level == unix.SOL_IP && (c.Type == unix.IP_TOS || c.Type == unix.IP_PKTINFO),
			c.Level == unix.SOL_IPV6 && c.Type == unix.IPV6_TCLASS:
			// Accepted; the endpoint's own value is sent.
		case c.Level == unix.SOL_IP || c.Level == unix.SOL_IPV6:
			return errno.EINVAL
		}
	}
	return nil
}
