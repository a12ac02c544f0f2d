package procfs

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"redoubt.dev/redoubt/fsimpl/kernfs"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/kernel"
)

// knob is a sysctl of the sandbox that keeps what was written.
type knob struct {
	mu       sync.Mutex
	val      string
	min, max int64 // of each number; both 0: any text
}

// knobs keeps written values, for every instance of proc alike.
var knobs sync.Map // path -> *knob

func knobFor(path, def string, lo, hi int64) *knob {
	k, _ := knobs.LoadOrStore(path, &knob{val: def, min: lo, max: hi})
	return k.(*knob)
}

func (k *knob) get() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.val
}

func (k *knob) set(s string) error {
	s = strings.TrimRight(s, "\n\x00")
	if k.min != 0 || k.max != 0 {
		n := 0
		for _, f := range strings.Fields(s) {
			v, err := strconv.ParseInt(f, 0, 64)
			if err != nil || v < k.min || v > k.max {
				return errno.EINVAL
			}
			n++
		}
		if n == 0 {
			return errno.EINVAL
		}
		s = strings.Join(strings.Fields(s), "\t")
	}
	k.mu.Lock()
	k.val = s
	k.mu.Unlock()
	return nil
}

// Sysctl returns the value of a sysctl by its dotted name, for the code that
// acts on it (fs.pipe-max-size); def if nobody wrote it.
func Sysctl(name, def string) string {
	if k, ok := knobs.Load(strings.ReplaceAll(name, ".", "/")); ok {
		return k.(*knob).get()
	}
	return def
}

// SetSysctl writes a sysctl as the OCI spec's linux.sysctl does; ENOENT if
// there is none of that name.
func SetSysctl(k *kernel.Kernel, name, val string) error {
	path := strings.ReplaceAll(name, ".", "/")
	switch path {
	case "kernel/hostname":
		k.RootUTS().SetHost(val)
		return nil
	case "kernel/domainname":
		k.RootUTS().SetDomain(val)
		return nil
	}
	if def, ok := writable[path]; ok {
		return knobFor(path, def.val, def.min, def.max).set(val)
	}
	for _, e := range kept {
		if e[0] == path {
			return knobFor(path, e[1], 0, 0).set(val)
		}
	}
	return errno.ENOENT
}

type setting struct {
	val      string
	min, max int64
}

const maxInt = 1<<31 - 1

// writable are the sysctls that root may change and that keep their value.
var writable = map[string]setting{
	"kernel/core_pattern":                  {val: "core"},
	"kernel/core_uses_pid":                 {"0", 0, 1},
	"kernel/core_pipe_limit":               {"0", 0, maxInt},
	"kernel/dmesg_restrict":                {"1", 0, 1},
	"kernel/kptr_restrict":                 {"1", 0, 2},
	"kernel/msgmax":                        {"8192", 0, maxInt},
	"kernel/msgmnb":                        {"16384", 0, maxInt},
	"kernel/msgmni":                        {"32000", 0, maxInt},
	"kernel/panic":                         {"0", -1, maxInt},
	"kernel/panic_on_oops":                 {"0", 0, 1},
	"kernel/perf_event_paranoid":           {"2", -1, 4},
	"kernel/pid_max":                       {"4194304", 301, 4194304},
	"kernel/printk":                        {"4\t4\t1\t7", 0, 15},
	"kernel/randomize_va_space":            {"2", 0, 2},
	"kernel/sched_autogroup_enabled":       {"0", 0, 1},
	"kernel/sched_rt_period_us":            {"1000000", 1, maxInt},
	"kernel/sched_rt_runtime_us":           {"950000", -1, maxInt},
	"kernel/sched_rr_timeslice_ms":         {"100", 0, maxInt},
	"kernel/sem":                           {"32000\t1024000000\t500\t32000", 0, maxInt},
	"kernel/shm_rmid_forced":               {"0", 0, 1},
	"kernel/shmall":                        {val: "18446744073692774399"},
	"kernel/shmmax":                        {val: "18446744073692774399"},
	"kernel/shmmni":                        {"4096", 0, 32768},
	"kernel/sysrq":                         {"0", 0, 511},
	"kernel/threads-max":                   {"192730", 1, maxInt},
	"kernel/unprivileged_bpf_disabled":     {"2", 0, 2},
	"kernel/unprivileged_userns_clone":     {"1", 0, 1},
	"kernel/yama/ptrace_scope":             {"0", 0, 3},
	"kernel/keys/maxkeys":                  {"200", 0, maxInt},
	"kernel/keys/maxbytes":                 {"20000", 0, maxInt},
	"kernel/keys/root_maxkeys":             {"1000000", 0, maxInt},
	"kernel/keys/root_maxbytes":            {"25000000", 0, maxInt},
	"kernel/pty/max":                       {"4096", 0, maxInt},
	"kernel/pty/reserve":                   {"1024", 0, maxInt},
	"kernel/io_uring_disabled":             {"2", 0, 2},
	"fs/aio-max-nr":                        {"65536", 0, maxInt},
	"fs/file-max":                          {val: "9223372036854775807"},
	"fs/nr_open":                           {"1048576", 8, maxInt},
	"fs/pipe-max-size":                     {"1048576", 4096, maxInt},
	"fs/pipe-user-pages-hard":              {"0", 0, maxInt},
	"fs/pipe-user-pages-soft":              {"16384", 0, maxInt},
	"fs/leases-enable":                     {"1", 0, 1},
	"fs/lease-break-time":                  {"45", 0, maxInt},
	"fs/mount-max":                         {"100000", 1, maxInt},
	"fs/protected_fifos":                   {"0", 0, 2},
	"fs/protected_hardlinks":               {"0", 0, 1},
	"fs/protected_regular":                 {"0", 0, 2},
	"fs/protected_symlinks":                {"0", 0, 1},
	"fs/suid_dumpable":                     {"0", 0, 2},
	"fs/inotify/max_queued_events":         {"16384", 0, maxInt},
	"fs/inotify/max_user_instances":        {"128", 0, maxInt},
	"fs/inotify/max_user_watches":          {"1048576", 0, maxInt},
	"fs/epoll/max_user_watches":            {"5000000", 0, maxInt},
	"fs/mqueue/msg_default":                {"10", 1, 65536},
	"fs/mqueue/msg_max":                    {"10", 1, 65536},
	"fs/mqueue/msgsize_default":            {"8192", 128, 16777216},
	"fs/mqueue/msgsize_max":                {"8192", 128, 16777216},
	"fs/mqueue/queues_max":                 {"256", 0, maxInt},
	"vm/admin_reserve_kbytes":              {"8192", 0, maxInt},
	"vm/compact_memory":                    {"0", 0, 1},
	"vm/dirty_background_bytes":            {"0", 0, maxInt},
	"vm/dirty_background_ratio":            {"10", 0, 100},
	"vm/dirty_bytes":                       {"0", 0, maxInt},
	"vm/dirty_ratio":                       {"20", 0, 100},
	"vm/dirty_expire_centisecs":            {"3000", 0, maxInt},
	"vm/dirty_writeback_centisecs":         {"500", 0, maxInt},
	"vm/drop_caches":                       {"0", 0, 4},
	"vm/extfrag_threshold":                 {"500", 0, 1000},
	"vm/hugetlb_shm_group":                 {"0", 0, maxInt},
	"vm/laptop_mode":                       {"0", 0, maxInt},
	"vm/legacy_va_layout":                  {"0", 0, 1},
	"vm/lowmem_reserve_ratio":              {"256\t256\t32\t0\t0", 0, maxInt},
	"vm/max_map_count":                     {"65530", 0, maxInt},
	"vm/memfd_noexec":                      {"0", 0, 2},
	"vm/min_free_kbytes":                   {"67584", 0, maxInt},
	"vm/mmap_min_addr":                     {"65536", 0, maxInt},
	"vm/mmap_rnd_bits":                     {"28", 28, 32},
	"vm/nr_hugepages":                      {"0", 0, maxInt},
	"vm/nr_overcommit_hugepages":           {"0", 0, maxInt},
	"vm/oom_dump_tasks":                    {"1", 0, 1},
	"vm/oom_kill_allocating_task":          {"0", 0, 1},
	"vm/overcommit_kbytes":                 {"0", 0, maxInt},
	"vm/overcommit_memory":                 {"0", 0, 2},
	"vm/overcommit_ratio":                  {"50", 0, maxInt},
	"vm/page-cluster":                      {"3", 0, 31},
	"vm/panic_on_oom":                      {"0", 0, 2},
	"vm/stat_interval":                     {"1", 0, maxInt},
	"vm/swappiness":                        {"60", 0, 200},
	"vm/unprivileged_userfaultfd":          {"0", 0, 1},
	"vm/user_reserve_kbytes":               {"131072", 0, maxInt},
	"vm/vfs_cache_pressure":                {"100", 0, maxInt},
	"vm/watermark_boost_factor":            {"15000", 0, maxInt},
	"vm/watermark_scale_factor":            {"10", 1, 3000},
	"vm/zone_reclaim_mode":                 {"0", 0, 7},
	"net/core/default_qdisc":               {val: "pfifo_fast"},
	"net/core/dev_weight":                  {"64", 1, maxInt},
	"net/core/message_burst":               {"10", 0, maxInt},
	"net/core/message_cost":                {"5", 0, maxInt},
	"net/core/netdev_max_backlog":          {"1000", 0, maxInt},
	"net/core/netdev_budget":               {"300", 0, maxInt},
	"net/core/optmem_max":                  {"131072", 0, maxInt},
	"net/core/rmem_default":                {"212992", 2304, maxInt},
	"net/core/rmem_max":                    {"4194304", 2304, maxInt},
	"net/core/somaxconn":                   {"4096", 0, maxInt},
	"net/core/wmem_default":                {"212992", 4608, maxInt},
	"net/core/wmem_max":                    {"4194304", 4608, maxInt},
	"net/core/bpf_jit_enable":              {"0", 0, 2},
	"net/core/busy_poll":                   {"0", 0, maxInt},
	"net/core/busy_read":                   {"0", 0, maxInt},
	"net/unix/max_dgram_qlen":              {"10", 0, maxInt},
	"net/ipv4/icmp_echo_ignore_all":        {"0", 0, 1},
	"net/ipv4/icmp_echo_ignore_broadcasts": {"1", 0, 1},
	"net/ipv4/icmp_ratelimit":              {"1000", 0, maxInt},
	"net/ipv4/icmp_ratemask":               {"6168", 0, maxInt},
	"net/ipv4/ip_default_ttl":              {"64", 1, 255},
	"net/ipv4/ip_forward":                  {"0", 0, 1},
	"net/ipv4/ip_local_port_range":         {"32768\t60999", 1, 65535},
	"net/ipv4/ip_local_reserved_ports":     {val: ""},
	"net/ipv4/ip_no_pmtu_disc":             {"0", 0, 3},
	"net/ipv4/ip_nonlocal_bind":            {"0", 0, 1},
	"net/ipv4/ip_unprivileged_port_start":  {"1024", 0, 65535},
	"net/ipv4/ipfrag_high_thresh":          {"4194304", 0, maxInt},
	"net/ipv4/ipfrag_low_thresh":           {"3145728", 0, maxInt},
	"net/ipv4/ipfrag_time":                 {"30", 0, maxInt},
	"net/ipv4/igmp_max_memberships":        {"20", 0, maxInt},
	"net/ipv4/ping_group_range":            {"1\t0", 0, maxInt},
	"net/ipv4/tcp_abort_on_overflow":       {"0", 0, 1},
	"net/ipv4/tcp_adv_win_scale":           {"1", -31, 31},
	"net/ipv4/tcp_autocorking":             {"1", 0, 1},
	"net/ipv4/tcp_base_mss":                {"1024", 0, maxInt},
	"net/ipv4/tcp_congestion_control":      {val: "cubic"},
	"net/ipv4/tcp_dsack":                   {"1", 0, 1},
	"net/ipv4/tcp_ecn":                     {"2", 0, 2},
	"net/ipv4/tcp_fastopen":                {"1", 0, maxInt},
	"net/ipv4/tcp_fin_timeout":             {"60", 0, maxInt},
	"net/ipv4/tcp_keepalive_intvl":         {"75", 0, maxInt},
	"net/ipv4/tcp_keepalive_probes":        {"9", 0, maxInt},
	"net/ipv4/tcp_keepalive_time":          {"7200", 0, maxInt},
	"net/ipv4/tcp_limit_output_bytes":      {"4194304", 0, maxInt},
	"net/ipv4/tcp_max_orphans":             {"131072", 0, maxInt},
	"net/ipv4/tcp_max_syn_backlog":         {"2048", 0, maxInt},
	"net/ipv4/tcp_max_tw_buckets":          {"131072", 0, maxInt},
	"net/ipv4/tcp_mem":                     {"282960\t377281\t565920", 0, maxInt},
	"net/ipv4/tcp_moderate_rcvbuf":         {"1", 0, 1},
	"net/ipv4/tcp_mtu_probing":             {"0", 0, 2},
	"net/ipv4/tcp_no_metrics_save":         {"0", 0, 1},
	"net/ipv4/tcp_notsent_lowat":           {val: "4294967295"},
	"net/ipv4/tcp_orphan_retries":          {"0", 0, maxInt},
	"net/ipv4/tcp_reordering":              {"3", 0, maxInt},
	"net/ipv4/tcp_recovery":                {"1", 0, maxInt},
	"net/ipv4/tcp_retries1":                {"3", 0, 255},
	"net/ipv4/tcp_retries2":                {"15", 0, maxInt},
	"net/ipv4/tcp_rfc1337":                 {"0", 0, 1},
	"net/ipv4/tcp_rmem":                    {"4096\t131072\t6291456", 1, maxInt},
	"net/ipv4/tcp_sack":                    {"1", 0, 1},
	"net/ipv4/tcp_slow_start_after_idle":   {"1", 0, 1},
	"net/ipv4/tcp_syn_retries":             {"6", 1, 127},
	"net/ipv4/tcp_synack_retries":          {"5", 0, maxInt},
	"net/ipv4/tcp_syncookies":              {"1", 0, 2},
	"net/ipv4/tcp_timestamps":              {"1", 0, 2},
	"net/ipv4/tcp_tw_reuse":                {"2", 0, 2},
	"net/ipv4/tcp_window_scaling":          {"1", 0, 1},
	"net/ipv4/tcp_wmem":                    {"4096\t16384\t4194304", 1, maxInt},
	"net/ipv4/udp_mem":                     {"565923\t754564\t1131846", 0, maxInt},
	"net/ipv4/udp_rmem_min":                {"4096", 0, maxInt},
	"net/ipv4/udp_wmem_min":                {"4096", 0, maxInt},
	"net/ipv6/bindv6only":                  {"0", 0, 1},
	"user/max_user_namespaces":             {"96365", 0, maxInt},
	"user/max_pid_namespaces":              {"96365", 0, maxInt},
	"user/max_mnt_namespaces":              {"96365", 0, maxInt},
	"user/max_net_namespaces":              {"96365", 0, maxInt},
	"user/max_ipc_namespaces":              {"96365", 0, maxInt},
	"user/max_uts_namespaces":              {"96365", 0, maxInt},
	"user/max_cgroup_namespaces":           {"96365", 0, maxInt},
	"user/max_time_namespaces":             {"96365", 0, maxInt},
	"user/max_inotify_instances":           {"128", 0, maxInt},
	"user/max_inotify_watches":             {"1048576", 0, maxInt},
	"debug/exception-trace":                {"1", 0, 1},
}

// readonly are the sysctls with a fixed text.
var readonly = map[string]string{
	"kernel/ostype":                             "Linux",
	"kernel/osrelease":                          kernel.Release,
	"kernel/version":                            kernel.Version,
	"kernel/arch":                               "x86_64",
	"kernel/cap_last_cap":                       strconv.Itoa(int(creds.CapLast)),
	"kernel/ngroups_max":                        "65536",
	"kernel/random/poolsize":                    "256",
	"kernel/random/entropy_avail":               "256",
	"kernel/random/write_wakeup_threshold":      "256",
	"kernel/random/urandom_min_reseed_secs":     "60",
	"kernel/seccomp/actions_avail":              "kill_process kill_thread trap errno user_notif trace log allow",
	"kernel/seccomp/actions_logged":             "kill_process kill_thread trap errno user_notif trace log",
	"kernel/bootloader_type":                    "0",
	"kernel/bootloader_version":                 "0",
	"kernel/pty/nr":                             "0",
	"fs/aio-nr":                                 "0",
	"fs/dentry-state":                           "1024\t512\t45\t0\t0\t0",
	"fs/inode-nr":                               "1024\t512",
	"fs/inode-state":                            "1024\t512\t0\t0\t0\t0\t0",
	"net/core/netdev_rss_key":                   "00:00:00:00",
	"net/ipv4/tcp_available_congestion_control": "reno cubic",
	"net/ipv4/tcp_available_ulp":                "",
	"fs/binfmt_misc/status":                     "disabled",
}

// bootID is /proc/sys/kernel/random/boot_id: one for the life of the sandbox.
var bootID = sync.OnceValue(uuid)

func uuid() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// modes are those of files that are not 0444 or 0644.
var modes = map[string]uint32{
	"kernel/ns_last_pid": 0o666, "vm/drop_caches": 0o200, "vm/compact_memory": 0o200, "vm/mmap_rnd_bits": 0o600,
	"vm/mmap_rnd_compat_bits": 0o600,
}

// sysFile is a sysctl file: who may write follows CAP_SYS_ADMIN, not only the
// mode, when the value is global.
func (p *fs) sysFile(root *kernfs.Inode, path string, show func(ctx kctx.Ctx) string, store func(ctx kctx.Ctx, s string) error) {
	perm := uint32(0o444)
	if store != nil {
		perm = 0o644
	}
	if m, ok := modes[path]; ok {
		perm = m
	}
	root.AddPath(path, p.NewFile(perm, func(ctx kctx.Ctx, w *bytes.Buffer) error {
		w.WriteString(show(ctx))
		w.WriteByte('\n')
		return nil
	}, store))
}

// addSys adds the files of /proc/sys.
func (p *fs) addSys(root *kernfs.Inode) {
	for path, s := range readonly {
		p.sysFile(root, path, func(kctx.Ctx) string { return s }, nil)
	}
	for _, e := range shown {
		p.sysFile(root, e[0], func(kctx.Ctx) string { return e[1] }, nil)
	}
	keep := func(path string, d setting) {
		k := knobFor(path, d.val, d.min, d.max)
		p.sysFile(root, path, func(kctx.Ctx) string { return k.get() }, func(ctx kctx.Ctx, s string) error {
			if !ctx.Creds().HasCap(creds.CapSysAdmin, p.k.RootUserNS()) {
				return errno.EPERM
			}
			return k.set(s)
		})
	}
	for path, d := range writable {
		keep(path, d)
	}
	for _, e := range kept {
		keep(e[0], setting{val: e[1]})
	}
	p.sysFile(root, "kernel/random/boot_id", func(kctx.Ctx) string { return bootID() }, nil)
	p.sysFile(root, "kernel/random/uuid", func(kctx.Ctx) string { return uuid() }, nil)
	p.sysFile(root, "fs/file-nr", func(kctx.Ctx) string { return "1024\t0\t9223372036854775807" }, nil)
	uts := func(ctx kctx.Ctx) *kernel.UTSNamespace {
		if t, ok := ctx.(*kernel.Task); ok && t.UTS() != nil {
			return t.UTS()
		}
		return p.k.RootUTS()
	}
	name := func(path string, get func(*kernel.UTSNamespace) string, set func(*kernel.UTSNamespace, string)) {
		p.sysFile(root, path, func(ctx kctx.Ctx) string { return get(uts(ctx)) }, func(ctx kctx.Ctx, s string) error {
			u := uts(ctx)
			if !ctx.Creds().HasCap(creds.CapSysAdmin, u.UserNS()) {
				return errno.EPERM
			}
			s, _, _ = strings.Cut(s, "\n")
			if len(s) > 64 {
				return errno.EINVAL
			}
			set(u, s)
			return nil
		})
	}
	name("kernel/hostname", func(u *kernel.UTSNamespace) string { h, _ := u.Names(); return h }, (*kernel.UTSNamespace).SetHost)
	name("kernel/domainname", func(u *kernel.UTSNamespace) string { _, d := u.Names(); return d }, (*kernel.UTSNamespace).SetDomain)
	ns := func(ctx kctx.Ctx) *kernel.PIDNamespace {
		if t, ok := ctx.(*kernel.Task); ok {
			return t.PIDNamespace()
		}
		return p.ns
	}
	p.sysFile(root, "kernel/ns_last_pid", func(ctx kctx.Ctx) string { return itoa(ns(ctx).Last()) }, func(ctx kctx.Ctx, s string) error {
		n := ns(ctx)
		if !ctx.Creds().HasCap(creds.CapSysAdmin, n.UserNS()) && !ctx.Creds().HasCap(creds.CapCheckpointRestore, n.UserNS()) {
			return errno.EPERM
		}
		v, err := strconv.ParseInt(strings.TrimSpace(s), 10, 32)
		if err != nil || v < 0 {
			return errno.EINVAL
		}
		n.SetLast(int32(v))
		return nil
	})
}
