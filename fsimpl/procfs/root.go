package procfs

import (
	"bytes"
	"fmt"
	"sort"
	"strings"
	"time"

	"redoubt.dev/redoubt/fsimpl/kernfs"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/vfs"
)

// addRoot adds the files of /proc itself.
func (p *fs) addRoot(root *kernfs.Inode) {
	for name, show := range map[string]func(w *bytes.Buffer){
		"cpuinfo":         p.cpuinfo,
		"filesystems":     p.filesystems,
		"loadavg":         p.loadavg,
		"meminfo":         p.meminfo,
		"stat":            p.stat,
		"uptime":          p.uptime,
		"version":         p.version,
		"vmstat":          p.vmstat,
		"zoneinfo":        p.zoneinfo,
		"softirqs":        p.softirqs,
		"interrupts":      p.interrupts,
		"buddyinfo":       p.buddyinfo,
		"pressure/cpu":    pressure,
		"pressure/io":     pressure,
		"pressure/memory": pressure,
	} {
		p.text(root, name, show)
	}
	for name, s := range map[string]string{
		"cmdline":     "console=ttyS0\n",
		"devices":     devices,
		"modules":     "",
		"partitions":  "major minor  #blocks  name\n\n",
		"diskstats":   "",
		"swaps":       "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n",
		"misc":        "229 fuse\n200 tun\n",
		"consoles":    "",
		"execdomains": "0-0\tLinux           \t[kernel]\n",
		"crypto":      "",
		"dma":         " 4: cascade\n",
		"iomem":       "00000000-00000fff : Reserved\n",
		"ioports":     "0000-0000 : Reserved\n",
		"kallsyms":    "",
		"keys":        "",
		"cgroups":     "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t0\t1\t1\ncpu\t0\t1\t1\nio\t0\t1\t1\nmemory\t0\t1\t1\npids\t0\t1\t1\n",
		"tty/drivers": "/dev/tty             /dev/tty        5       0 system:/dev/tty\n/dev/console         /dev/console    5       1 system:console\n/dev/ptmx            /dev/ptmx       5       2 system\npty_slave            /dev/pts      136 0-1048575 pty:slave\npty_master           /dev/ptm      128 0-1048575 pty:master\n",
		"tty/ldiscs":  "n_tty       0\n",
	} {
		p.fixed(root, name, s)
	}
	root.AddPath("slabinfo", p.rootOnly("slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n"))
	root.AddPath("timer_list", p.rootOnly("Timer List Version: v0.9\n"))
	root.AddPath("vmallocinfo", p.rootOnly(""))
	root.AddPath("pagetypeinfo", p.rootOnly(""))
	root.Add("key-users", p.NewFile(0o444, func(ctx kctx.Ctx, w *bytes.Buffer) error {
		u := ctx.Creds()
		fmt.Fprintf(w, "%5d: %5d 1/1 0/200 0/20000\n", u.UserNS.UID(u.RUID), 1)
		return nil
	}, nil))
	kmsg := p.NewFile(0o400, func(ctx kctx.Ctx, w *bytes.Buffer) error { return errno.EPERM }, nil)
	root.Add("kmsg", kmsg)
	root.Add("locks", p.NewFile(0o444, p.locks, nil))
	trigger := p.NewFile(0o200, nil, func(ctx kctx.Ctx, s string) error { return nil })
	root.Add("sysrq-trigger", trigger)
	for _, d := range []string{"bus", "fs", "irq", "driver", "acpi"} {
		root.Add(d, p.NewDir(0o555))
	}
	p.link(root, "mounts", func(*kernel.Task) string { return "self/mounts" })
	p.link(root, "net", func(*kernel.Task) string { return "self/net" })
	for _, n := range []string{"shm", "sem", "msg"} {
		root.AddPath("sysvipc/"+n, p.NewFile(0o444, func(ctx kctx.Ctx, w *bytes.Buffer) error { return p.sysvipc(ctx, n, w) }, nil))
	}
}

func (p *fs) rootOnly(s string) *kernfs.Inode { return p.Text(0o400, s) }

const devices = `Character devices:
  1 mem
  4 tty
  5 /dev/tty
  5 /dev/console
  5 /dev/ptmx
 10 misc
128 ptm
136 pts

Block devices:
`

// cpus is how many processors are shown.
func (p *fs) cpus() int {
	n := p.k.CPUs()
	if p.host.CPUs > 0 {
		n = min(n, p.host.CPUs)
	}
	return max(n, 1)
}

// cpuinfo shows the host's processors, as many as the sandbox has.
func (p *fs) cpuinfo(w *bytes.Buffer) {
	blocks := strings.SplitAfter(p.host.CPUInfo, "\n\n")
	n := p.cpus()
	last := ""
	for i := 0; i < n; i++ {
		if i < len(blocks) && strings.HasPrefix(blocks[i], "processor") {
			last = blocks[i]
			w.WriteString(last)
			continue
		}
		if last == "" {
			fmt.Fprintf(w, "processor\t: %d\nvendor_id\t: unknown\nmodel name\t: unknown\n\n", i)
			continue
		}
		_, rest, _ := strings.Cut(last, "\n")
		fmt.Fprintf(w, "processor\t: %d\n%s", i, rest)
	}
}

func (p *fs) filesystems(w *bytes.Buffer) {
	for _, t := range p.k.VFS().Types() {
		if t.NoDev() {
			w.WriteString("nodev")
		}
		fmt.Fprintf(w, "\t%s\n", t.Name())
	}
	for _, n := range []string{"sockfs", "pipefs", "bdev"} {
		fmt.Fprintf(w, "nodev\t%s\n", n)
	}
}

func (p *fs) loadavg(w *bytes.Buffer) {
	run, all := p.k.Runnable(), 0
	for _, tg := range p.ns.ThreadGroups() {
		all += len(tg.Tasks())
	}
	l := p.k.LoadAvg()
	a := [3]float64{float64(l[0]) / 65536, float64(l[1]) / 65536, float64(l[2]) / 65536}
	fmt.Fprintf(w, "%.2f %.2f %.2f %d/%d %d\n", a[0], a[1], a[2], max(run, 1), all, p.ns.Last())
}

// memory is total and used memory in bytes.
func (p *fs) memory() (total, used uint64) {
	total = p.k.MemTotal()
	if m := p.k.Memory(); m != nil {
		used = m.Usage()
	}
	if total == 0 {
		total = 2 << 30
	}
	return total, min(used, total)
}

func (p *fs) meminfo(w *bytes.Buffer) {
	total, used := p.memory()
	free := total - used
	line := func(name string, bytes uint64) { fmt.Fprintf(w, "%-15s %8d kB\n", name+":", bytes>>10) }
	line("MemTotal", total)
	line("MemFree", free)
	line("MemAvailable", free)
	line("Buffers", 0)
	line("Cached", 0)
	line("SwapCached", 0)
	line("Active", used)
	line("Inactive", 0)
	line("Active(anon)", used)
	line("Inactive(anon)", 0)
	line("Active(file)", 0)
	line("Inactive(file)", 0)
	line("Unevictable", 0)
	line("Mlocked", 0)
	line("SwapTotal", 0)
	line("SwapFree", 0)
	line("Zswap", 0)
	line("Zswapped", 0)
	line("Dirty", 0)
	line("Writeback", 0)
	line("AnonPages", used)
	line("Mapped", 0)
	line("Shmem", 0)
	line("KReclaimable", 0)
	line("Slab", 0)
	line("SReclaimable", 0)
	line("SUnreclaim", 0)
	line("KernelStack", 0)
	line("PageTables", 0)
	line("SecPageTables", 0)
	line("NFS_Unstable", 0)
	line("Bounce", 0)
	line("WritebackTmp", 0)
	line("CommitLimit", total/2)
	line("Committed_AS", used)
	line("VmallocTotal", 34359738367<<10)
	line("VmallocUsed", 0)
	line("VmallocChunk", 0)
	line("Percpu", 0)
	line("AnonHugePages", 0)
	line("ShmemHugePages", 0)
	line("ShmemPmdMapped", 0)
	line("FileHugePages", 0)
	line("FilePmdMapped", 0)
	for _, n := range []string{"HugePages_Total", "HugePages_Free", "HugePages_Rsvd", "HugePages_Surp"} {
		fmt.Fprintf(w, "%-15s %8d\n", n+":", 0)
	}
	line("Hugepagesize", 2<<20)
	line("Hugetlb", 0)
	line("DirectMap4k", total)
}

// ticks is a time in units of sysconf(_SC_CLK_TCK).
func ticks(d time.Duration) int64 { return int64(d / (10 * time.Millisecond)) }

func (p *fs) stat(w *bytes.Buffer) {
	user, sys := p.cpuTimes()
	n := p.cpus()
	up := p.k.Uptime()
	idle := max(up*time.Duration(n)-user-sys, 0)
	fmt.Fprintf(w, "cpu  %d 0 %d %d 0 0 0 0 0 0\n", ticks(user), ticks(sys), ticks(idle))
	for i := 0; i < n; i++ {
		d := time.Duration(n)
		fmt.Fprintf(w, "cpu%d %d 0 %d %d 0 0 0 0 0 0\n", i, ticks(user/d), ticks(sys/d), ticks(idle/d))
	}
	run, blocked := p.k.Runnable(), 0
	fmt.Fprintf(w, "intr 0\nctxt 0\nbtime %d\nprocesses %d\nprocs_running %d\nprocs_blocked %d\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
		p.k.BootTime().Unix(), p.k.Forks(), max(run, 1), blocked)
}

func (p *fs) uptime(w *bytes.Buffer) {
	user, sys := p.cpuTimes()
	up := p.k.Uptime()
	idle := max(up*time.Duration(p.cpus())-user-sys, 0)
	fmt.Fprintf(w, "%.2f %.2f\n", up.Seconds(), idle.Seconds())
}

func (p *fs) version(w *bytes.Buffer) {
	fmt.Fprintf(w, "Linux version %s (redoubt@redoubt) (gcc (GCC) 13.2.0, GNU ld (GNU Binutils) 2.41) %s\n", kernel.Release, kernel.Version)
}

func (p *fs) vmstat(w *bytes.Buffer) {
	total, used := p.memory()
	fmt.Fprintf(w, "nr_free_pages %d\nnr_zone_inactive_anon 0\nnr_zone_active_anon %d\nnr_zone_inactive_file 0\nnr_zone_active_file 0\nnr_zone_unevictable 0\nnr_mlock 0\nnr_inactive_anon 0\nnr_active_anon %d\nnr_inactive_file 0\nnr_active_file 0\nnr_anon_pages %d\nnr_mapped 0\nnr_file_pages 0\nnr_dirty 0\nnr_writeback 0\nnr_shmem 0\n",
		(total-used)>>12, used>>12, used>>12, used>>12)
	for _, n := range []string{"pgpgin", "pgpgout", "pswpin", "pswpout", "pgalloc_normal", "pgfree", "pgactivate", "pgdeactivate", "pgfault", "pgmajfault", "pgsteal_kswapd", "pgscan_kswapd", "pgscan_direct", "oom_kill", "numa_hit", "numa_miss", "numa_foreign", "numa_interleave", "numa_local", "numa_other", "thp_fault_alloc"} {
		fmt.Fprintf(w, "%s 0\n", n)
	}
}

func (p *fs) zoneinfo(w *bytes.Buffer) {
	total, used := p.memory()
	fmt.Fprintf(w, "Node 0, zone   Normal\n  pages free     %d\n        boost    0\n        min      0\n        low      0\n        high     0\n        spanned  %d\n        present  %d\n        managed  %d\n        cma      0\n", (total-used)>>12, total>>12, total>>12, total>>12)
}

func (p *fs) buddyinfo(w *bytes.Buffer) {
	total, used := p.memory()
	fmt.Fprintf(w, "Node 0, zone   Normal      0      0      0      0      0      0      0      0      0      0 %6d \n", (total-used)>>22)
}

func (p *fs) cpuHeader(w *bytes.Buffer, indent string) {
	w.WriteString(indent)
	for i := 0; i < p.cpus(); i++ {
		fmt.Fprintf(w, "CPU%-8d", i)
	}
	w.WriteByte('\n')
}

func (p *fs) softirqs(w *bytes.Buffer) {
	p.cpuHeader(w, "                    ")
	for _, n := range []string{"HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU"} {
		fmt.Fprintf(w, "%12s:", n)
		for i := 0; i < p.cpus(); i++ {
			fmt.Fprintf(w, " %10d", 0)
		}
		w.WriteByte('\n')
	}
}

func (p *fs) interrupts(w *bytes.Buffer) {
	p.cpuHeader(w, "           ")
	for _, n := range [][2]string{{"LOC", "Local timer interrupts"}, {"RES", "Rescheduling interrupts"}, {"CAL", "Function call interrupts"}, {"TLB", "TLB shootdowns"}} {
		fmt.Fprintf(w, "%3s:", n[0])
		for i := 0; i < p.cpus(); i++ {
			fmt.Fprintf(w, " %10d", 0)
		}
		fmt.Fprintf(w, "   %s\n", n[1])
	}
	w.WriteString("ERR:          0\nMIS:          0\n")
}

func pressure(w *bytes.Buffer) {
	w.WriteString("some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")
}

// cpuTimes is the processor time of all live processes and, through their
// parents' counters, of most dead ones.
func (p *fs) cpuTimes() (user, sys time.Duration) {
	for _, tg := range p.k.RootPIDNS().ThreadGroups() {
		u, s := groupTimes(tg)
		user += u
		sys += s
		if tg.Parent() == nil {
			u, s = childTimes(tg)
			user += u
			sys += s
		}
	}
	return user, sys
}

// sysvipc shows System V IPC objects; their tables belong to the caller's
// namespace and say themselves what they have.
func (p *fs) sysvipc(ctx kctx.Ctx, kind string, w *bytes.Buffer) error {
	w.WriteString(map[string]string{
		"shm": "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n",
		"sem": "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n",
		"msg": "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n",
	}[kind])
	t, ok := ctx.(*kernel.Task)
	if !ok || t.IPC() == nil {
		return nil
	}
	if s, ok := t.IPC().Slot(kind, func() any { return nil }).(interface {
		Show(t *kernel.Task, w *bytes.Buffer)
	}); ok {
		s.Show(t, w)
	}
	return nil
}

// locks shows the locks on files that some process has open.
func (p *fs) locks(ctx kctx.Ctx, w *bytes.Buffer) error {
	seen := map[vfs.Inode]bool{}
	n := 0
	for _, tg := range p.k.RootPIDNS().ThreadGroups() {
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
			if !seen[f.Inode()] {
				seen[f.Inode()] = true
				n = p.fileLocks(ctx, f, tg, n, w)
			}
			f.DecRef(ctx)
		}
	}
	return nil
}

func (p *fs) fileLocks(ctx kctx.Ctx, f *vfs.File, tg *kernel.ThreadGroup, n int, w *bytes.Buffer) int {
	for _, l := range f.Locks() {
		st, err := f.Stat(ctx)
		if err != nil {
			break
		}
		pid := l.PID
		switch {
		case l.Kind == "FLOCK":
			pid = tg.PIDIn(p.ns)
		case pid > 0:
			if o := p.k.RootPIDNS().ThreadGroup(pid); o != nil {
				pid = o.PIDIn(p.ns)
			}
		}
		mode, end := "READ ", "EOF"
		if l.Write {
			mode = "WRITE"
		}
		if l.End != vfs.LockMax {
			end = fmt.Sprint(l.End)
		}
		n++
		fmt.Fprintf(w, "%d: %-6s ADVISORY  %s %d %02x:%02x:%d %d %s\n", n, l.Kind, mode, pid, st.Dev.Major, st.Dev.Minor, st.Ino, l.Start, end)
	}
	return n
}

// groups formats the supplementary groups of status.
func groups(ns *creds.UserNamespace, g []creds.KGID) string {
	ids := make([]int, len(g))
	for i, x := range g {
		ids[i] = int(ns.GID(x))
	}
	sort.Ints(ids)
	var b strings.Builder
	for _, x := range ids {
		fmt.Fprintf(&b, "%d ", x)
	}
	return b.String()
}
