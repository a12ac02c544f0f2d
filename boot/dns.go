package boot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"

	"redoubt.dev/redoubt/sentry/klog"
)

// dnsAddr is where docker's resolver listens in a network namespace, behind
// packet filter rules that the sandbox's own stack does not have.
var dnsAddr = [4]byte{127, 0, 0, 11}

// dnsForwarder answers on dnsAddr inside by asking outside, over a socket that
// runsc connected to the resolver in the container's host namespace.
type dnsForwarder struct {
	host int
	ep   tcpip.Endpoint

	mu   sync.Mutex
	next uint16
	// asked has the questions under way by the number they have outside.
	asked map[uint16]dnsQuestion
}

type dnsQuestion struct {
	from tcpip.FullAddress
	id   uint16
}

// dnsUnderWay bounds the table: an older question has long been given up.
const dnsUnderWay = 1024

func startDNS(st *stack.Stack, loopback tcpip.NICID, host int) error {
	q := &waiter.Queue{}
	ep, terr := st.NewEndpoint(udp.ProtocolNumber, ipv4.ProtocolNumber, q)
	if terr != nil {
		return fmt.Errorf("making the resolver's socket: %s", terr)
	}
	if terr := ep.Bind(tcpip.FullAddress{Addr: tcpip.AddrFrom4(dnsAddr), Port: 53}); terr != nil {
		return fmt.Errorf("binding the resolver's socket: %s", terr)
	}
	f := &dnsForwarder{host: host, ep: ep, asked: make(map[uint16]dnsQuestion)}
	go f.questions(q)
	go f.answers()
	return nil
}

func (f *dnsForwarder) questions(q *waiter.Queue) {
	e, ready := waiter.NewChannelEntry(waiter.ReadableEvents)
	q.EventRegister(&e)
	for {
		var b bytes.Buffer
		r, terr := f.ep.Read(&b, tcpip.ReadOptions{NeedRemoteAddr: true})
		if terr != nil {
			if _, ok := terr.(*tcpip.ErrWouldBlock); !ok {
				klog.Debugf("resolver: %s", terr)
			}
			<-ready
			continue
		}
		msg := b.Bytes()
		if len(msg) < 12 {
			continue // no header
		}
		f.mu.Lock()
		if len(f.asked) >= dnsUnderWay {
			clear(f.asked)
		}
		for f.next++; ; f.next++ {
			if _, busy := f.asked[f.next]; !busy {
				break
			}
		}
		f.asked[f.next] = dnsQuestion{r.RemoteAddr, binary.BigEndian.Uint16(msg)}
		binary.BigEndian.PutUint16(msg, f.next)
		f.mu.Unlock()
		if _, err := unix.Write(f.host, msg); err != nil {
			klog.Debugf("resolver: asking outside: %v", err)
		}
	}
}

func (f *dnsForwarder) answers() {
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(f.host, buf)
		if err == unix.EINTR || err == unix.ECONNREFUSED {
			continue // refused is the answer to one question
		}
		if err != nil {
			klog.Debugf("resolver: reading outside: %v", err)
			return
		}
		if n < 12 {
			continue
		}
		f.mu.Lock()
		q, ok := f.asked[binary.BigEndian.Uint16(buf)]
		delete(f.asked, binary.BigEndian.Uint16(buf))
		f.mu.Unlock()
		if !ok {
			continue
		}
		msg := append([]byte(nil), buf[:n]...)
		binary.BigEndian.PutUint16(msg, q.id)
		if _, terr := f.ep.Write(bytes.NewReader(msg), tcpip.WriteOptions{To: &q.from}); terr != nil {
			klog.Debugf("resolver: answering: %s", terr)
		}
	}
}
