package netlink

import (
	"testing"

	"golang.org/x/sys/unix"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/kctx"
)

type slots map[string]any

func (s slots) Slot(name string, mk func() any) any {
	if s[name] == nil {
		s[name] = mk()
	}
	return s[name]
}

func TestDumpLinks(t *testing.T) {
	req := newMessage(unix.RTM_GETLINK, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, 7, 0, make([]byte, 16)...).done()
	out := answer(kctx.Background(creds.NewRoot(creds.NewRootNS())), slots{}, req, 42)
	if len(out) != 2 {
		t.Fatalf("%d packets", len(out))
	}
	if le.Uint16(out[0][4:]) != unix.RTM_NEWLINK || le.Uint32(out[0][8:]) != 7 || le.Uint32(out[0][12:]) != 42 {
		t.Fatalf("header % x", out[0][:16])
	}
	r := request{body: out[0][headerLen:]}
	if n := r.attr(16, unix.IFLA_IFNAME); string(n) != "lo\x00" {
		t.Fatalf("name %q", n)
	}
	if le.Uint16(out[1][4:]) != unix.NLMSG_DONE {
		t.Fatal("no end marker")
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(newMessage(unix.RTM_GETADDR, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, 1, 0, 0).done())
	f.Add(newMessage(unix.RTM_GETROUTE, unix.NLM_F_REQUEST, 1, 0, make([]byte, 30)...).done())
	ns := slots{}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, p := range answer(kctx.Background(creds.NewRoot(creds.NewRootNS())), ns, b, 1) {
			for len(p) > 0 {
				l := int(le.Uint32(p))
				if l < headerLen || l > len(p) {
					t.Fatalf("bad message length %d of %d", l, len(p))
				}
				p = p[l:]
			}
		}
	})
}
