// Package sysfs is /sys (sysfs(5)): the processors, the memory node and the
// network devices that programs look for, and the empty directories they
// expect. There is no hardware behind it.
package sysfs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/fsimpl/kernfs"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/vfs"
)

// HostInfo is what boot read of the host before it confined the process.
type HostInfo struct {
	// Cache has the files of /sys/devices/system/cpu/cpu0/cache by their
	// path below it ("index0/size"), with their newline.
	Cache map[string]string
	// THP is transparent_hugepage/enabled.
	THP string
}

// Interface is a network device as /sys/class/net shows it.
type Interface struct {
	Name    string
	Index   int
	MTU     int
	Type    int // ARPHRD_*
	Flags   uint32
	Address string // "02:42:ac:11:00:02"
	Up      bool
	Stats   map[string]uint64 // rx_bytes, ...
}

// ReadHost reads a HostInfo; it must run before the process is confined.
func ReadHost() HostInfo {
	const dir = "/sys/devices/system/cpu/cpu0/cache/"
	h := HostInfo{Cache: map[string]string{}}
	indexes, _ := filepath.Glob(dir + "index*")
	for _, d := range indexes {
		for _, f := range []string{"coherency_line_size", "id", "level", "number_of_sets", "physical_line_partition", "shared_cpu_list", "shared_cpu_map", "size", "type", "ways_of_associativity"} {
			if b, err := os.ReadFile(filepath.Join(d, f)); err == nil {
				h.Cache[filepath.Base(d)+"/"+f] = string(b)
			}
		}
	}
	b, _ := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	h.THP = string(b)
	return h
}

var interfaces atomic.Pointer[func(ns *kernel.NetNamespace) []Interface]

// SetInterfaces tells where the devices of a network namespace are found;
// without it there is only the loopback device.
func SetInterfaces(fn func(ns *kernel.NetNamespace) []Interface) { interfaces.Store(&fn) }

// Type is the file system type "sysfs".
type Type struct {
	K    *kernel.Kernel
	Host HostInfo
}

// Name implements vfs.FSType.
func (*Type) Name() string { return "sysfs" }

// NoDev implements vfs.FSType.
func (*Type) NoDev() bool { return true }

type fs struct {
	*kernfs.FS
	t   *Type
	net *kernel.NetNamespace
}

// Mount implements vfs.FSType.
func (t *Type) Mount(ctx kctx.Ctx, source string, opts vfs.MountOpts) (vfs.Super, error) {
	if opts.Data != "" {
		return nil, errno.EINVAL
	}
	s := &fs{FS: kernfs.New(t.K.VFS(), t, 0x62656572), t: t, net: t.K.RootNet()}
	if task, ok := ctx.(*kernel.Task); ok && task.NetNS() != nil {
		s.net = task.NetNS()
	}
	if ns, ok := opts.Internal.(*kernel.NetNamespace); ok && ns != nil {
		s.net = ns
	}
	s.FileSize = 4096
	s.Chmod = true
	root := s.NewDir(0o555)
	root.Ino = 1
	s.RootInode = root
	s.build(root)
	return s, nil
}

func (s *fs) dir(root *kernfs.Inode, paths ...string) {
	for _, p := range paths {
		if lookup(root, p) == nil {
			root.AddPath(p, s.NewDir(0o755))
		}
	}
}

func lookup(i *kernfs.Inode, path string) vfs.Inode {
	for {
		name, rest, more := strings.Cut(path, "/")
		c := i.Child(name)
		if !more || c == nil {
			return c
		}
		next, ok := c.(*kernfs.Inode)
		if !ok {
			return nil
		}
		i, path = next, rest
	}
}

func (s *fs) file(root *kernfs.Inode, path, text string) { root.AddPath(path, s.Text(0o444, text)) }

// knob is a file that root may write; the value stays as it is.
func (s *fs) knob(root *kernfs.Inode, path, text string) {
	root.AddPath(path, s.NewFile(0o644, func(_ kctx.Ctx, w *bytes.Buffer) error { w.WriteString(text); return nil },
		func(kctx.Ctx, string) error { return nil }))
}

func (s *fs) build(root *kernfs.Inode) {
	s.dir(root, "block", "bus/cpu/devices", "bus/pci/devices", "bus/usb/devices", "class/block", "class/dmi", "class/mem", "class/misc", "class/net", "class/power_supply",
		"class/thermal", "class/tty", "dev/block", "dev/char", "devices/virtual/net", "devices/platform", "firmware", "fs/bpf", "fs/cgroup", "fs/fuse/connections",
		"kernel/debug", "kernel/security", "kernel/tracing", "kernel/mm/ksm", "kernel/mm/hugepages/hugepages-2048kB", "kernel/iommu_groups", "module", "power", "hypervisor")
	cpu := "devices/system/cpu/"
	n := s.t.K.CPUs()
	all := list(0, n-1)
	s.file(root, cpu+"online", all)
	s.file(root, cpu+"possible", all)
	s.file(root, cpu+"present", all)
	s.file(root, cpu+"offline", "\n")
	s.file(root, cpu+"isolated", "\n")
	s.file(root, cpu+"kernel_max", "8191\n")
	s.file(root, cpu+"smt/active", "0\n")
	s.file(root, cpu+"smt/control", "notsupported\n")
	for i := 0; i < n; i++ {
		c := fmt.Sprintf("%scpu%d/", cpu, i)
		t := c + "topology/"
		one, every := mask(i, i, n), mask(0, n-1, n)
		for name, text := range map[string]string{
			"physical_package_id": "0\n", "die_id": "0\n", "cluster_id": "65535\n", "core_id": fmt.Sprintf("%d\n", i),
			"thread_siblings": one, "thread_siblings_list": list(i, i), "core_cpus": one, "core_cpus_list": list(i, i),
			"cluster_cpus": one, "cluster_cpus_list": list(i, i),
			"core_siblings": every, "core_siblings_list": all, "package_cpus": every, "package_cpus_list": all,
			"die_cpus": every, "die_cpus_list": all,
		} {
			s.file(root, t+name, text)
		}
		if i > 0 {
			s.file(root, c+"online", "1\n")
		}
		for path, text := range s.t.Host.Cache {
			shared := strings.HasPrefix(path, "index3")
			switch {
			case strings.HasSuffix(path, "shared_cpu_list") && shared:
				text = all
			case strings.HasSuffix(path, "shared_cpu_map") && shared:
				text = every
			case strings.HasSuffix(path, "shared_cpu_list"):
				text = list(i, i)
			case strings.HasSuffix(path, "shared_cpu_map"):
				text = one
			case strings.HasSuffix(path, "/id") && !shared:
				text = fmt.Sprintf("%d\n", i)
			case strings.HasSuffix(path, "uevent"):
				continue
			}
			s.file(root, c+"cache/"+path, text)
		}
		root.AddPath(c+"node0", s.NewLink("../../node/node0"))
		root.AddPath(fmt.Sprintf("bus/cpu/devices/cpu%d", i), s.NewLink(fmt.Sprintf("../../../devices/system/cpu/cpu%d", i)))
		root.AddPath(fmt.Sprintf("devices/system/node/node0/cpu%d", i), s.NewLink(fmt.Sprintf("../../cpu/cpu%d", i)))
	}
	node := "devices/system/node/"
	for _, f := range []string{"online", "possible", "has_cpu", "has_memory", "has_normal_memory"} {
		s.file(root, node+f, "0\n")
	}
	s.file(root, node+"node0/cpulist", all)
	s.file(root, node+"node0/cpumap", mask(0, n-1, n))
	s.file(root, node+"node0/distance", "10\n")
	s.file(root, node+"node0/numastat", "numa_hit 0\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 0\nlocal_node 0\nother_node 0\n")
	root.AddPath(node+"node0/meminfo", s.NewFile(0o444, s.meminfo, nil))
	thp := s.t.Host.THP
	if thp == "" {
		thp = "always [madvise] never\n"
	}
	mm := "kernel/mm/transparent_hugepage/"
	s.knob(root, mm+"enabled", thp)
	s.knob(root, mm+"defrag", "always defer defer+madvise [madvise] never\n")
	s.knob(root, mm+"shmem_enabled", "always within_size advise [never] deny force\n")
	s.knob(root, mm+"use_zero_page", "1\n")
	s.file(root, mm+"hpage_pmd_size", "2097152\n")
	s.knob(root, "kernel/mm/ksm/run", "0\n")
	for _, f := range []string{"nr_hugepages", "nr_overcommit_hugepages"} {
		s.knob(root, "kernel/mm/hugepages/hugepages-2048kB/"+f, "0\n")
	}
	for _, f := range []string{"free_hugepages", "resv_hugepages", "surplus_hugepages"} {
		s.file(root, "kernel/mm/hugepages/hugepages-2048kB/"+f, "0\n")
	}
	s.file(root, "kernel/cpu_byteorder", "little\n")
	s.file(root, "kernel/address_bits", "64\n")
	s.file(root, "kernel/fscaps", "1\n")
	s.file(root, "kernel/uevent_seqnum", "1\n")
	s.file(root, "kernel/profiling", "0\n")
	s.file(root, "kernel/cgroup/features", "nsdelegate\n")
	s.file(root, "kernel/cgroup/delegate", "cgroup.procs\ncgroup.threads\ncgroup.subtree_control\n")
	s.file(root, "module/overlay/initstate", "live\n")
	root.AddPath("class/mem/null", s.NewLink("../../devices/virtual/mem/null"))
	s.file(root, "devices/virtual/mem/null/dev", "1:3\n")
	s.file(root, "devices/virtual/mem/zero/dev", "1:5\n")
	lookup(root, "class/net").(*kernfs.Inode).Dyn = &netList{s, true}
	lookup(root, "devices/virtual/net").(*kernfs.Inode).Dyn = &netList{s, false}
}

func (s *fs) meminfo(_ kctx.Ctx, w *bytes.Buffer) error {
	k := s.t.K
	total := k.MemTotal()
	used := uint64(0)
	if m := k.Memory(); m != nil {
		used = min(m.Usage(), total)
	}
	for _, l := range []struct {
		name string
		n    uint64
	}{{"MemTotal", total}, {"MemFree", total - used}, {"MemUsed", used}, {"SwapCached", 0}, {"Active", used}, {"Inactive", 0}, {"FilePages", 0}, {"Mapped", 0}, {"AnonPages", used}, {"Shmem", 0}, {"Slab", 0}} {
		fmt.Fprintf(w, "Node 0 %-15s %8d kB\n", l.name+":", l.n>>10)
	}
	for _, n := range []string{"HugePages_Total", "HugePages_Free", "HugePages_Surp"} {
		fmt.Fprintf(w, "Node 0 %s:     0\n", n)
	}
	return nil
}

// list is a range of numbers ("0-3"), mask the same as hexadecimal words.
func list(a, b int) string {
	if a == b {
		return fmt.Sprintf("%d\n", a)
	}
	return fmt.Sprintf("%d-%d\n", a, b)
}

func mask(a, b, n int) string {
	words := make([]uint32, (n+31)/32)
	for i := a; i <= b; i++ {
		words[i/32] |= 1 << (i % 32)
	}
	var l []string
	for i := len(words) - 1; i >= 0; i-- {
		if i == len(words)-1 {
			l = append(l, fmt.Sprintf("%x", words[i]))
		} else {
			l = append(l, fmt.Sprintf("%08x", words[i]))
		}
	}
	return strings.Join(l, ",") + "\n"
}

// netList are the network devices: links in class/net, directories in
// devices/virtual/net.
type netList struct {
	s     *fs
	links bool
}

func (l *netList) all() []Interface {
	if fn := interfaces.Load(); fn != nil {
		ifs := (*fn)(l.s.net)
		sort.Slice(ifs, func(i, j int) bool { return ifs[i].Index < ifs[j].Index })
		return ifs
	}
	return []Interface{{Name: "lo", Index: 1, MTU: 65536, Type: 772, Flags: 9, Address: "00:00:00:00:00:00", Up: true}}
}

// Lookup implements kernfs.Dynamic.
func (l *netList) Lookup(ctx kctx.Ctx, name string) (vfs.Inode, error) {
	for _, i := range l.all() {
		if i.Name == name {
			if l.links {
				return l.s.NewLink("../../devices/virtual/net/" + name), nil
			}
			return l.device(i), nil
		}
	}
	return nil, errno.ENOENT
}

// List implements kernfs.Dynamic.
func (l *netList) List(ctx kctx.Ctx, from int64, emit func(kernfs.Entry) bool) error {
	typ := uint8(unix.DT_DIR)
	if l.links {
		typ = unix.DT_LNK
	}
	for _, i := range l.all() {
		if int64(i.Index) >= from && !emit(kernfs.Entry{Key: int64(i.Index), Name: i.Name, Ino: uint64(i.Index) + 1<<32, Type: typ}) {
			return nil
		}
	}
	return nil
}

func (l *netList) device(i Interface) *kernfs.Inode {
	s := l.s
	d := s.NewDir(0o755)
	state, carrier := "down", "0\n"
	if i.Up {
		state, carrier = "up", "1\n"
		if i.Type == 772 {
			state = "unknown"
		}
	}
	for name, text := range map[string]string{
		"address": i.Address + "\n", "broadcast": "ff:ff:ff:ff:ff:ff\n", "ifindex": fmt.Sprintf("%d\n", i.Index), "iflink": fmt.Sprintf("%d\n", i.Index),
		"mtu": fmt.Sprintf("%d\n", i.MTU), "type": fmt.Sprintf("%d\n", i.Type), "flags": fmt.Sprintf("0x%x\n", i.Flags),
		"operstate": state + "\n", "carrier": carrier, "addr_len": "6\n", "addr_assign_type": "0\n", "dev_id": "0x0\n", "dev_port": "0\n",
		"dormant": "0\n", "ifalias": "", "link_mode": "0\n", "name_assign_type": "2\n", "netdev_group": "0\n", "tx_queue_len": "1000\n",
		"proto_down": "0\n", "testing": "0\n", "threaded": "0\n", "carrier_changes": "0\n",
		"uevent": fmt.Sprintf("INTERFACE=%s\nIFINDEX=%d\n", i.Name, i.Index),
	} {
		d.Add(name, s.Text(0o444, text))
	}
	for _, name := range []string{"speed", "duplex"} {
		d.Add(name, s.NewFile(0o444, func(kctx.Ctx, *bytes.Buffer) error { return errno.EINVAL }, nil))
	}
	for _, dir := range []string{"rx", "tx"} {
		for _, c := range []string{"bytes", "packets", "errors", "dropped", "fifo_errors"} {
			k := dir + "_" + c
			d.AddPath("statistics/"+k, s.Text(0o444, fmt.Sprintf("%d\n", i.Stats[k])))
		}
	}
	d.AddPath("statistics/multicast", s.Text(0o444, "0\n"))
	d.AddPath("statistics/collisions", s.Text(0o444, "0\n"))
	d.AddPath("queues/rx-0/rps_cpus", s.Text(0o444, "0\n"))
	d.AddPath("queues/tx-0/xps_cpus", s.Text(0o444, "0\n"))
	d.Add("subsystem", s.NewLink("../../../../class/net"))
	return d
}
