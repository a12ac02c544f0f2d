package procfs

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/fsimpl/cgroupfs"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/limits"
	"redoubt.dev/redoubt/sentry/mm"
)

func groupTimes(tg *kernel.ThreadGroup) (user, sys time.Duration) {
	r := tg.CPUResources()
	return time.Duration(r.UserNs), time.Duration(r.SysNs)
}

func childTimes(tg *kernel.ThreadGroup) (user, sys time.Duration) {
	r := tg.ChildResources()
	return time.Duration(r.UserNs), time.Duration(r.SysNs)
}

// maxArgs bounds how much of arguments and environment is shown.
const maxArgs = 4 << 20

func copyRange(s *mm.Space, w *bytes.Buffer, start, end uint64) {
	if end <= start {
		return
	}
	b := make([]byte, min(end-start, maxArgs))
	n, _ := s.Forced(kctx.Background(creds.NewRoot(nil))).CopyIn(start, b)
	w.Write(b[:n])
}

func cmdline(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	return v.withMM(ctx, func(s *mm.Space) error {
		i := s.Info()
		copyRange(s, w, i.ArgStart, i.ArgEnd)
		// setproctitle: without the last NUL the text goes on in the
		// environment (linux: fs/proc/base.c get_mm_cmdline).
		if n := w.Len(); n > 0 && w.Bytes()[n-1] != 0 && i.EnvStart == i.ArgEnd {
			copyRange(s, w, i.EnvStart, i.EnvEnd)
			if k := bytes.IndexByte(w.Bytes(), 0); k >= 0 {
				w.Truncate(k)
			}
		}
		return nil
	})
}

func environ(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	return v.withMM(ctx, func(s *mm.Space) error {
		i := s.Info()
		copyRange(s, w, i.EnvStart, i.EnvEnd)
		return nil
	})
}

func auxv(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	return v.withMM(ctx, func(s *mm.Space) error {
		w.Write(s.Auxv())
		return nil
	})
}

func comm(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	fmt.Fprintf(w, "%s\n", v.t.Name())
	return nil
}

func setComm(v *view, ctx kctx.Ctx, s string) error {
	t, ok := ctx.(*kernel.Task)
	if !ok || t.ThreadGroup() != v.t.ThreadGroup() {
		return errno.EINVAL
	}
	s, _, _ = strings.Cut(s, "\x00")
	v.t.SetName(strings.TrimSuffix(s, "\n"))
	return nil
}

func cgroup(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	fmt.Fprintf(w, "0::%s\n", cgroupfs.PathOf(ctx, v.t))
	return nil
}

func children(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	for _, c := range v.t.ThreadGroup().Children() {
		if nr := c.PIDIn(v.p.ns); nr != 0 {
			fmt.Fprintf(w, "%d ", nr)
		}
	}
	return nil
}

// clearRefs accepts what Linux does; what is referenced is not tracked.
func clearRefs(v *view, ctx kctx.Ctx, s string) error {
	n, err := parseInt(s)
	if err != nil || n < 1 || n > 5 {
		return errno.EINVAL
	}
	return nil
}

func idMap(group bool) func(*view, kctx.Ctx, *bytes.Buffer) error {
	return func(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
		for _, l := range v.t.UserNS().Maps(group, ctx.Creds().UserNS) {
			fmt.Fprintf(w, "%10d %10d %10d\n", l.Inside, l.Outside, l.Length)
		}
		return nil
	}
}

func projidMap(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	if v.t.UserNS().Parent == nil {
		fmt.Fprintf(w, "%10d %10d %10d\n", 0, 0, uint32(creds.NoID))
	}
	return nil
}

func setIDMap(group bool) func(*view, kctx.Ctx, string) error {
	return func(v *view, ctx kctx.Ctx, s string) error {
		if len(s) >= 4096 {
			return errno.EINVAL
		}
		var lines []creds.IDMap
		for _, l := range strings.Split(strings.TrimRight(s, "\n"), "\n") {
			var m creds.IDMap
			var rest string
			n, _ := fmt.Sscan(l, &m.Inside, &m.Outside, &m.Length, &rest)
			if n != 3 {
				return errno.EINVAL
			}
			lines = append(lines, m)
		}
		return v.t.UserNS().SetMap(group, lines, ctx.Creds(), ctx.Creds())
	}
}

func setgroups(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	fmt.Fprintf(w, "%s\n", v.t.UserNS().Setgroups())
	return nil
}

func setSetgroups(v *view, ctx kctx.Ctx, s string) error {
	switch strings.TrimSpace(s) {
	case "allow":
		return v.t.UserNS().SetSetgroups(true)
	case "deny":
		if !ctx.Creds().HasCap(creds.CapSysAdmin, v.t.UserNS()) {
			return errno.EPERM
		}
		return v.t.UserNS().SetSetgroups(false)
	}
	return errno.EINVAL
}

func ioCounters(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	r := v.t.Resources()
	if v.process {
		r = v.t.ThreadGroup().CPUResources()
	}
	rchar, wchar, syscr, syscw := v.t.ThreadGroup().IO()
	fmt.Fprintf(w, "rchar: %d\nwchar: %d\nsyscr: %d\nsyscw: %d\nread_bytes: %d\nwrite_bytes: %d\ncancelled_write_bytes: 0\n", rchar, wchar, syscr, syscw, r.InBlock*512, r.OutBlock*512)
	return nil
}

var limitNames = []struct {
	res        int
	name, unit string
}{
	{unix.RLIMIT_CPU, "Max cpu time", "seconds"}, {unix.RLIMIT_FSIZE, "Max file size", "bytes"},
	{unix.RLIMIT_DATA, "Max data size", "bytes"}, {unix.RLIMIT_STACK, "Max stack size", "bytes"},
	{unix.RLIMIT_CORE, "Max core file size", "bytes"}, {unix.RLIMIT_RSS, "Max resident set", "bytes"},
	{unix.RLIMIT_NPROC, "Max processes", "processes"}, {unix.RLIMIT_NOFILE, "Max open files", "files"},
	{unix.RLIMIT_MEMLOCK, "Max locked memory", "bytes"}, {unix.RLIMIT_AS, "Max address space", "bytes"},
	{limits.Locks, "Max file locks", "locks"}, {limits.SigPending, "Max pending signals", "signals"},
	{limits.MsgQueue, "Max msgqueue size", "bytes"}, {limits.Nice, "Max nice priority", ""},
	{limits.RTPrio, "Max realtime priority", ""}, {limits.RTTime, "Max realtime timeout", "us"},
}

func limitsText(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	fmt.Fprintf(w, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units")
	num := func(n uint64) string {
		if n == limits.Infinity {
			return "unlimited"
		}
		return fmt.Sprint(n)
	}
	for _, l := range limitNames {
		lim := v.t.ThreadGroup().Limits().Get(l.res)
		fmt.Fprintf(w, "%-25s %-20s %-20s %-10s\n", l.name, num(lim.Cur), num(lim.Max), l.unit)
	}
	return nil
}

func oomScoreAdj(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	fmt.Fprintf(w, "%d\n", v.t.ThreadGroup().OOMScoreAdj())
	return nil
}

func setOOMScoreAdj(v *view, ctx kctx.Ctx, s string) error {
	n, err := parseInt(s)
	if err != nil || n < -1000 || n > 1000 {
		return errno.EINVAL
	}
	tg := v.t.ThreadGroup()
	if int32(n) < tg.OOMScoreAdj() && !ctx.Creds().HasCap(creds.CapSysResource, v.p.k.RootUserNS()) {
		return errno.EACCES
	}
	tg.SetOOMScoreAdj(int32(n))
	return nil
}

func oomAdj(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	n := v.t.ThreadGroup().OOMScoreAdj()
	if n == 1000 {
		n = 15
	} else {
		n = n * 17 / 1000
	}
	fmt.Fprintf(w, "%d\n", n)
	return nil
}

func setOOMAdj(v *view, ctx kctx.Ctx, s string) error {
	n, err := parseInt(s)
	if err != nil || n < -17 || n > 15 {
		return errno.EINVAL
	}
	if n == 15 {
		n = 1000
	} else {
		n = n * 1000 / 17
	}
	return setOOMScoreAdj(v, ctx, fmt.Sprint(n))
}

func oomScore(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	total, _ := v.p.memory()
	var rss uint64
	if s := v.t.MM(); s != nil {
		rss = s.Stats().RSS
	}
	n := (1000 + int64(rss*1000/max(total, 1)) + int64(v.t.ThreadGroup().OOMScoreAdj())) * 2 / 3
	fmt.Fprintf(w, "%d\n", max(n, 0))
	return nil
}

func personality(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	fmt.Fprintf(w, "%08x\n", v.t.Personality())
	return nil
}

func wchan(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	w.WriteByte('0')
	return nil
}

func syscallText(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	if nr, _ := v.t.Call(); nr < 0 || v.t.State() == 'R' {
		w.WriteString("running\n")
	} else {
		fmt.Fprintf(w, "%d 0x0 0x0 0x0 0x0 0x0 0x0 0x0 0x0\n", nr)
	}
	return nil
}

func sched(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	r := v.t.Resources()
	tg := v.t.ThreadGroup()
	fmt.Fprintf(w, "%s (%d, #threads: %d)\n-------------------------------------------------------------------\n", v.t.Name(), v.nr, len(tg.Tasks()))
	line := func(name string, val string) { fmt.Fprintf(w, "%-45s:%21s\n", name, val) }
	run := float64(r.UserNs+r.SysNs) / 1e6
	line("se.exec_start", fmt.Sprintf("%.6f", v.p.k.Uptime().Seconds()*1e3))
	line("se.vruntime", fmt.Sprintf("%.6f", run))
	line("se.sum_exec_runtime", fmt.Sprintf("%.6f", run))
	line("nr_switches", fmt.Sprint(r.NVCSw+r.NIVCSw))
	line("nr_voluntary_switches", fmt.Sprint(r.NVCSw))
	line("nr_involuntary_switches", fmt.Sprint(r.NIVCSw))
	pol, _, prio, _ := schedOf(v.t)
	line("policy", fmt.Sprint(pol))
	line("prio", fmt.Sprint(prio+100))
	return nil
}

func schedstat(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	r := v.t.Resources()
	fmt.Fprintf(w, "%d 0 %d\n", r.UserNs+r.SysNs, r.NVCSw+r.NIVCSw)
	return nil
}

func timerslack(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	if err := v.mayNice(ctx); err != nil {
		return err
	}
	fmt.Fprintf(w, "%d\n", v.t.TimerSlack())
	return nil
}

func setTimerslack(v *view, ctx kctx.Ctx, s string) error {
	if err := v.mayNice(ctx); err != nil {
		return err
	}
	n, err := parseInt(s)
	if err != nil || n < 0 {
		return errno.EINVAL
	}
	if n == 0 {
		n = 50000
	}
	v.t.SetTimerSlack(uint64(n))
	return nil
}

func (v *view) mayNice(ctx kctx.Ctx) error {
	if t, ok := ctx.(*kernel.Task); ok && t.ThreadGroup() != v.t.ThreadGroup() && !ctx.Creds().HasCap(creds.CapSysNice, v.t.UserNS()) {
		return errno.EPERM
	}
	return nil
}

func timensOffsets(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	n := v.t.TimeNSForChildren()
	if n == nil {
		return nil
	}
	for _, c := range []struct {
		name string
		ns   int64
	}{{"monotonic", n.MonotonicNs.Load()}, {"boottime", n.BoottimeNs.Load()}} {
		sec, ns := c.ns/1e9, c.ns%1e9
		if ns < 0 {
			sec, ns = sec-1, ns+1e9
		}
		fmt.Fprintf(w, "%-10s %10d %9d\n", c.name, sec, ns)
	}
	return nil
}

func setTimensOffsets(v *view, ctx kctx.Ctx, s string) error {
	n := v.t.TimeNSForChildren()
	if n == nil || n.Used() {
		return errno.EACCES
	}
	if !ctx.Creds().HasCap(creds.CapSysTime, n.UserNS()) {
		return errno.EPERM
	}
	for _, l := range strings.Split(strings.TrimSpace(s), "\n") {
		var clock string
		var sec, ns int64
		if k, _ := fmt.Sscan(l, &clock, &sec, &ns); k != 3 || ns < 0 || ns >= 1e9 || sec > 1<<33 || sec < -(1<<33) {
			return errno.EINVAL
		}
		switch clock {
		case "monotonic", "1":
			n.MonotonicNs.Store(sec*1e9 + ns)
		case "boottime", "7":
			n.BoottimeNs.Store(sec*1e9 + ns)
		default:
			return errno.EINVAL
		}
	}
	return nil
}

// ttyNr encodes a device number as stat shows it (new_encode_dev).
func ttyNr(major, minor uint32) uint32 { return minor&0xff | major<<8 | minor&^0xff<<12 }

// escName is comm inside parentheses; Linux leaves it as it is but for
// newlines and backslashes in status.
func escName(s string) string {
	return strings.NewReplacer("\n", "\\n", "\\", "\\\\").Replace(s)
}

// stat is proc_pid_stat(5).
func stat(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	t, ns := v.t, v.p.ns
	tg := t.ThreadGroup()
	pgid, sid, tty, fg := tg.SessionInfo(ns)
	tn := uint32(0)
	if tty != nil {
		tn = ttyNr(tty.TTYDev())
	}
	ppid := int32(0)
	if par := tg.Parent(); par != nil {
		ppid = par.PIDIn(ns)
	}
	res, kids := t.Resources(), tg.ChildResources()
	if v.process {
		res = tg.CPUResources()
	}
	pol, rtprio, prio, nice := schedOf(t)
	var st mm.Stats
	var in mm.Info
	var brk uint64
	if s := t.MM(); s != nil {
		st, in = s.Stats(), s.Info()
		brk, _ = s.BrkRange()
	}
	if v.inspect(ctx) != nil {
		in = mm.Info{}
		brk = 0
	}
	pend, _, blocked, ign, caught, _ := t.SignalSets()
	waiting := 0
	if t.State() == 'S' {
		waiting = 1
	}
	exitSig, exitCode := exitOf(t)
	rsslim := tg.Limits().Cur(unix.RLIMIT_RSS)
	fmt.Fprintf(w, "%d (%s) %c %d %d %d %d %d %d %d %d %d %d %d %d %d %d %d %d %d 0 %d %d %d %d",
		v.nr, t.Name(), t.State(), ppid, pgid, sid, int32(tn), fg, taskFlags(t),
		res.MinFlt, kids.MinFlt, res.MajFlt, kids.MajFlt,
		ticks(time.Duration(res.UserNs)), ticks(time.Duration(res.SysNs)), ticks(time.Duration(kids.UserNs)), ticks(time.Duration(kids.SysNs)),
		prio, nice, len(tg.Tasks()), ticks(tg.StartTime().Sub(v.p.k.BootTime())), st.VSize, st.RSS>>12, rsslim)
	fmt.Fprintf(w, " %d %d %d 0 0 %d %d %d %d %d 0 0 %d %d %d %d 0 0 0 %d %d %d %d %d %d %d %d\n",
		in.StartCode, in.EndCode, in.StartStack,
		uint64(pend)&0x7fffffff, uint64(blocked)&0x7fffffff, uint64(ign)&0x7fffffff, uint64(caught)&0x7fffffff,
		waiting, exitSig, 0, rtprio, pol,
		in.StartData, in.EndData, brk, in.ArgStart, in.ArgEnd, in.EnvStart, in.EnvEnd, exitCode)
	return nil
}

// taskFlags are the PF_* bits that programs look at.
func taskFlags(t *kernel.Task) uint32 {
	if t.MM() == nil {
		return 0x4 // PF_EXITING
	}
	return 0x400000 // PF_RANDOMIZE
}

func statm(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	var st mm.Stats
	if s := v.t.MM(); s != nil {
		st = s.Stats()
	}
	fmt.Fprintf(w, "%d %d %d %d 0 %d 0\n", st.VSize>>12, st.RSS>>12, (st.RSSFile+st.RSSShmem)>>12, st.Exec>>12, (st.Data+st.Stack)>>12)
	return nil
}

var stateNames = map[byte]string{'R': "running", 'S': "sleeping", 'D': "disk sleep", 'T': "stopped", 't': "tracing stop", 'Z': "zombie", 'X': "dead", 'I': "idle"}

// status is proc_pid_status(5).
func status(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	t, ns := v.t, v.p.ns
	tg, c := t.ThreadGroup(), t.Creds()
	u := ctx.Creds().UserNS
	ppid := int32(0)
	if par := tg.Parent(); par != nil {
		ppid = par.PIDIn(ns)
	}
	fmt.Fprintf(w, "Name:\t%s\n", escName(t.Name()))
	if f := t.FS(); f != nil {
		fmt.Fprintf(w, "Umask:\t%04o\n", f.Umask())
	}
	st := t.State()
	fmt.Fprintf(w, "State:\t%c (%s)\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t%d\n",
		st, stateNames[st], tg.PIDIn(ns), v.nr, ppid, tracerOf(t, ns))
	fmt.Fprintf(w, "Uid:\t%d\t%d\t%d\t%d\n", u.UID(c.RUID), u.UID(c.EUID), u.UID(c.SUID), u.UID(c.FSUID))
	fmt.Fprintf(w, "Gid:\t%d\t%d\t%d\t%d\n", u.GID(c.RGID), u.GID(c.EGID), u.GID(c.SGID), u.GID(c.FSGID))
	size := 0
	if f := t.FDs(); f != nil {
		size = f.Size()
	}
	fmt.Fprintf(w, "FDSize:\t%d\nGroups:\t%s\n", size, groups(u, c.Groups))
	numbers := func(name string, l []int32) {
		fmt.Fprintf(w, "%s:", name)
		for _, n := range l {
			fmt.Fprintf(w, "\t%d", n)
		}
		w.WriteByte('\n')
	}
	pg, sid := groupPIDs(tg)
	numbers("NStgid", tg.PID().Numbers(ns))
	numbers("NSpid", t.PID().Numbers(ns))
	numbers("NSpgid", pidNumbers(pg, ns))
	numbers("NSsid", pidNumbers(sid, ns))
	w.WriteString("Kthread:\t0\n")
	if s := t.MM(); s != nil {
		m := s.Stats()
		kb := func(name string, n uint64) { fmt.Fprintf(w, "%s:\t%8d kB\n", name, n>>10) }
		kb("VmPeak", max(m.PeakVSize, m.VSize))
		kb("VmSize", m.VSize)
		kb("VmLck", m.Locked)
		kb("VmPin", 0)
		kb("VmHWM", max(m.PeakRSS, m.RSS))
		kb("VmRSS", m.RSS)
		kb("RssAnon", m.RSSAnon)
		kb("RssFile", m.RSSFile)
		kb("RssShmem", m.RSSShmem)
		kb("VmData", m.Data)
		kb("VmStk", m.Stack)
		kb("VmExe", m.Exec)
		kb("VmLib", m.Lib)
		kb("VmPTE", m.PageTables)
		kb("VmSwap", m.Swapped)
		kb("HugetlbPages", 0)
		w.WriteString("CoreDumping:\t0\nTHP_enabled:\t1\nuntag_mask:\t0xffffffffffffffff\n")
	}
	pend, shared, blocked, ign, caught, queued := t.SignalSets()
	fmt.Fprintf(w, "Threads:\t%d\nSigQ:\t%d/%d\n", len(tg.Tasks()), queued, tg.Limits().Cur(limits.SigPending))
	fmt.Fprintf(w, "SigPnd:\t%016x\nShdPnd:\t%016x\nSigBlk:\t%016x\nSigIgn:\t%016x\nSigCgt:\t%016x\n", uint64(pend), uint64(shared), uint64(blocked), uint64(ign), uint64(caught))
	fmt.Fprintf(w, "CapInh:\t%016x\nCapPrm:\t%016x\nCapEff:\t%016x\nCapBnd:\t%016x\nCapAmb:\t%016x\n",
		uint64(c.Inheritable), uint64(c.Permitted), uint64(c.Effective), uint64(c.Bounding), uint64(c.Ambient))
	nnp := 0
	if c.NoNewPrivs {
		nnp = 1
	}
	mode, filters := seccompOf(t)
	fmt.Fprintf(w, "NoNewPrivs:\t%d\nSeccomp:\t%d\nSeccomp_filters:\t%d\n", nnp, mode, filters)
	w.WriteString("Speculation_Store_Bypass:\tthread vulnerable\nSpeculationIndirectBranch:\tconditional enabled\n")
	mask, list := affinityOf(t, v.p.cpus())
	fmt.Fprintf(w, "Cpus_allowed:\t%s\nCpus_allowed_list:\t%s\nMems_allowed:\t1\nMems_allowed_list:\t0\n", mask, list)
	r := t.Resources()
	fmt.Fprintf(w, "voluntary_ctxt_switches:\t%d\nnonvoluntary_ctxt_switches:\t%d\n", r.NVCSw, r.NIVCSw)
	return nil
}

func pidNumbers(p *kernel.PID, ns *kernel.PIDNamespace) []int32 {
	if p == nil {
		return []int32{0}
	}
	if l := p.Numbers(ns); len(l) > 0 {
		return l
	}
	return []int32{0}
}
