package procfs

import (
	"bytes"
	"fmt"
	"sync"

	"redoubt.dev/redoubt/fsimpl/kernfs"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/vfs"
)

// netFiles are the files of /proc/net that something else fills in.
var netFiles sync.Map // name -> func(ns *kernel.NetNamespace, w *bytes.Buffer)

// RegisterNet makes show write the file /proc/net/name (behind its heading,
// if headings has one); sentry/socket calls it for what it knows.
func RegisterNet(name string, show func(ns *kernel.NetNamespace, w *bytes.Buffer)) {
	netFiles.Store(name, show)
}

// headings are the first lines of the files, and all there is of those that
// nobody fills in.
var headings = map[string]string{
	"anycast6":      "",
	"arp":           "IP address       HW type     Flags       HW address            Mask     Device\n",
	"dev":           "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n",
	"dev_mcast":     "",
	"fib_trie":      "",
	"fib_triestat":  "",
	"icmp":          "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops             \n",
	"icmp6":         "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n",
	"if_inet6":      "",
	"igmp":          "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n",
	"igmp6":         "",
	"ip6_flowlabel": "Label S Owner  Users  Linger Expires  Dst                              Opt\n",
	"ipv6_route":    "",
	"mcfilter":      "Idx Device        MCA        SRC    INC    EXC\n",
	"netlink":       "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n",
	"netstat":       "TcpExt: SyncookiesSent SyncookiesRecv SyncookiesFailed ListenOverflows ListenDrops TCPTimeouts\nTcpExt: 0 0 0 0 0 0\nIpExt: InNoRoutes InTruncatedPkts InMcastPkts OutMcastPkts InBcastPkts OutBcastPkts InOctets OutOctets\nIpExt: 0 0 0 0 0 0 0 0\n",
	"packet":        "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n",
	"protocols":     "protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re bi br ha uh gp em\nUNIX      1024      0      -1   NI       0   yes  kernel      y  y  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n\nUDP       1216      0       0   NI       0   yes  kernel      y  y  y  n  y  n  y  y  y  y  y  n  n  y  y  y  y  n  n\nTCP       2176      0       0   no     320   yes  kernel      y  y  y  y  y  y  y  y  y  y  y  y  n  y  y  y  y  y  n\n",
	"psched":        "000003e8 00000040 000f4240 3b9aca00\n",
	"ptype":         "Type Device      Function\n0800          ip_rcv\n0806          arp_rcv\n86dd          ipv6_rcv\n",
	"raw":           "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n",
	"raw6":          "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n",
	"route":         "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT                                                       \n",
	"rt6_stats":     "0000 0000 0000 0000 0000 0000 0000\n",
	"rt_cache":      "Iface\tDestination\tGateway \tFlags\t\tRefCnt\tUse\tMetric\tSource\t\tMTU\tWindow\tIRTT\tTOS\tHHRef\tHHUptod\tSpecDst\n",
	"snmp":          "Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates\nIp: 2 64 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\nIcmp: InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs InSrcQuenchs InRedirects InEchos InEchoReps InTimestamps InTimestampReps InAddrMasks InAddrMaskReps OutMsgs OutErrors OutDestUnreachs OutTimeExcds OutParmProbs OutSrcQuenchs OutRedirects OutEchos OutEchoReps OutTimestamps OutTimestampReps OutAddrMasks OutAddrMaskReps\nIcmp: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\nTcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors\nTcp: 1 200 120000 -1 0 0 0 0 0 0 0 0 0 0 0\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors\nUdp: 0 0 0 0 0 0 0 0 0\n",
	"snmp6":         "",
	"sockstat":      "sockets: used 0\nTCP: inuse 0 orphan 0 tw 0 alloc 0 mem 0\nUDP: inuse 0 mem 0\nUDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n",
	"sockstat6":     "TCP6: inuse 0\nUDP6: inuse 0\nUDPLITE6: inuse 0\nRAW6: inuse 0\nFRAG6: inuse 0 memory 0\n",
	"softnet_stat":  "00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000\n",
	"tcp":           "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     \n",
	"tcp6":          "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n",
	"udp":           "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops            \n",
	"udp6":          "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n",
	"udplite":       "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops            \n",
	"udplite6":      "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n",
	"unix":          "Num       RefCount Protocol Flags    Type St Inode Path\n",
}

// replaces says that a registered text replaces the heading's lines (it has
// counters, not rows).
var replaces = map[string]bool{"netstat": true, "snmp": true, "sockstat": true, "sockstat6": true, "protocols": true, "softnet_stat": true, "snmp6": true}

// netDir is /proc/pid/net: the network as the task's namespace sees it.
func netDir(v *view, i *kernfs.Inode) vfs.Inode {
	i.Fill = v.fillNet
	return i
}

func (v *view) fillNet(i *kernfs.Inode) {
	for name, head := range headings {
		f := &kernfs.Inode{FS: v.p.FS, Ino: v.p.NextIno(), Mode: reg | 0o444, Alive: v.alive}
		f.Show = func(ctx kctx.Ctx, w *bytes.Buffer) error {
			ns := v.t.NetNS()
			if ns == nil {
				return errno.EINVAL
			}
			show, ok := netFiles.Load(name)
			if !ok || !replaces[name] {
				w.WriteString(head)
			}
			if ok {
				show.(func(*kernel.NetNamespace, *bytes.Buffer))(ns, w)
			} else if name == "dev" {
				fmt.Fprintf(w, "%6s:%8d %7d    0    0    0     0          0         0 %8d %7d    0    0    0     0       0          0\n", "lo", 0, 0, 0, 0)
			}
			return nil
		}
		i.Add(name, f)
	}
	i.Add("stat", v.p.NewDir(0o555))
	i.Add("netfilter", v.p.NewDir(0o555))
}
