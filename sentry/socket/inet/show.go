package inet

import (
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
)

// Shown is what /proc/net has of a socket.
type Shown struct {
	Family, Type   int
	State          uint8 // include/net/tcp_states.h
	Local, Remote  tcpip.FullAddress
	RxQueue, TxLen int
}

// Show describes s if it belongs to st.
func (s *Socket) Show(st *Stack) (Shown, bool) {
	if s.st != st {
		return Shown{}, false
	}
	ep := s.ep()
	i := Shown{Family: s.family, Type: s.typ, State: 7}
	i.Local, _ = ep.GetLocalAddress()
	var err tcpip.Error
	i.Remote, err = ep.GetRemoteAddress()
	switch {
	case s.typ == unix.SOCK_STREAM:
		i.State = linuxState(ep.State())
	case err == nil:
		i.State = 1
	}
	i.RxQueue, _ = ep.GetSockOptInt(tcpip.ReceiveQueueSizeOption)
	i.TxLen, _ = ep.GetSockOptInt(tcpip.SendQueueSizeOption)
	i.RxQueue, i.TxLen = max(i.RxQueue, 0), max(i.TxLen, 0) // -1: not offered
	return i, true
}
