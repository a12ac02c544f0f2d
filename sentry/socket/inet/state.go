package inet

import "gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

// tcpState is a TCP endpoint's state (tcp.EndpointState).
type tcpState uint32

const (
	stateEstablished = tcpState(tcp.StateEstablished)
	stateSynSent     = tcpState(tcp.StateSynSent)
	stateFinWait1    = tcpState(tcp.StateFinWait1)
	stateClosed      = tcpState(tcp.StateClose)
	stateError       = tcpState(tcp.StateError)
	stateInitial     = tcpState(tcp.StateInitial)
	stateBound       = tcpState(tcp.StateBound)
	stateListen      = tcpState(tcp.StateListen)
)

// linuxState is what TCP_INFO and /proc/net/tcp call it
// (include/net/tcp_states.h).
func linuxState(s uint32) uint8 {
	switch tcp.EndpointState(s) {
	case tcp.StateEstablished:
		return 1
	case tcp.StateSynSent, tcp.StateConnecting:
		return 2
	case tcp.StateSynRecv:
		return 3
	case tcp.StateFinWait1:
		return 4
	case tcp.StateFinWait2:
		return 5
	case tcp.StateTimeWait:
		return 6
	case tcp.StateCloseWait:
		return 8
	case tcp.StateLastAck:
		return 9
	case tcp.StateListen:
		return 10
	case tcp.StateClosing:
		return 11
	}
	return 7
}
