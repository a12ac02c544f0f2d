package procfs

import (
	"bytes"
	"sort"
	"strconv"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/fsimpl/kernfs"
	"redoubt.dev/redoubt/fsimpl/nsfs"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/mm"
	"redoubt.dev/redoubt/vfs"
)

// Where an entry of a task directory appears.
const (
	inProcess = 1 << iota
	inThread
	both = inProcess | inThread
)

// entry is one name in a task directory.
type entry struct {
	name  string
	where int
	mode  uint32 // with type bits
	// One of these says what it is.
	show func(v *view, ctx kctx.Ctx, w *bytes.Buffer) error
	make func(v *view, i *kernfs.Inode) vfs.Inode
	// store makes it writable.
	store func(v *view, ctx kctx.Ctx, s string) error
	// private files need the right to trace the task (ptrace(2)) at open.
	private bool
}

// view is a task as one instance of proc shows it.
type view struct {
	p  *fs
	t  *kernel.Task
	nr int32
	// process says that the directory is that of the process, whatever the
	// number of the thread.
	process bool
}

const (
	reg = unix.S_IFREG
	dir = unix.S_IFDIR
	lnk = unix.S_IFLNK
)

// entries are the files of a task directory, sorted by name at init.
var entries []entry

var entryIndex map[string]int

func init() {
	entries = []entry{
		{name: "arch_status", where: both, mode: reg | 0o444, show: nothing},
		{name: "attr", where: both, mode: dir | 0o555, make: attrDir},
		{name: "autogroup", where: inProcess, mode: reg | 0o644, show: text("/autogroup-1 nice 0\n"), store: ignore},
		{name: "auxv", where: both, mode: reg | 0o400, show: auxv, private: true},
		{name: "cgroup", where: both, mode: reg | 0o444, show: cgroup},
		{name: "children", where: inThread, mode: reg | 0o444, show: children},
		{name: "clear_refs", where: both, mode: reg | 0o200, store: clearRefs},
		{name: "cmdline", where: both, mode: reg | 0o444, show: cmdline},
		{name: "comm", where: both, mode: reg | 0o644, show: comm, store: setComm},
		{name: "coredump_filter", where: inProcess, mode: reg | 0o644, show: text("00000033\n"), store: ignore},
		{name: "cpuset", where: both, mode: reg | 0o444, show: text("/\n")},
		{name: "cwd", where: both, mode: lnk | 0o777, make: cwdLink},
		{name: "environ", where: both, mode: reg | 0o400, show: environ, private: true},
		{name: "exe", where: both, mode: lnk | 0o777, make: exeLink},
		{name: "fd", where: both, mode: dir | 0o500, make: fdDir},
		{name: "fdinfo", where: both, mode: dir | 0o555, make: fdinfoDir},
		{name: "gid_map", where: both, mode: reg | 0o644, show: idMap(true), store: setIDMap(true)},
		{name: "io", where: both, mode: reg | 0o400, show: ioCounters, private: true},
		{name: "limits", where: both, mode: reg | 0o444, show: limitsText},
		{name: "loginuid", where: both, mode: reg | 0o644, show: text("4294967295"), store: ignore},
		{name: "map_files", where: inProcess, mode: dir | 0o500, make: mapFilesDir},
		{name: "maps", where: both, mode: reg | 0o444, show: maps, private: true},
		{name: "mem", where: both, mode: reg | 0o600, make: memFile, private: true},
		{name: "mountinfo", where: both, mode: reg | 0o444, make: mountFile(mountInfoLine)},
		{name: "mounts", where: both, mode: reg | 0o444, make: mountFile(mountsLine)},
		{name: "mountstats", where: inProcess, mode: reg | 0o400, make: mountFile(mountStatsLine)},
		{name: "net", where: both, mode: dir | 0o555, make: netDir},
		{name: "ns", where: both, mode: dir | 0o511, make: nsDir},
		{name: "numa_maps", where: both, mode: reg | 0o444, show: numaMaps, private: true},
		{name: "oom_adj", where: both, mode: reg | 0o644, show: oomAdj, store: setOOMAdj},
		{name: "oom_score", where: both, mode: reg | 0o444, show: oomScore},
		{name: "oom_score_adj", where: both, mode: reg | 0o644, show: oomScoreAdj, store: setOOMScoreAdj},
		{name: "pagemap", where: both, mode: reg | 0o400, make: pagemapFile, private: true},
		{name: "personality", where: both, mode: reg | 0o400, show: personality, private: true},
		{name: "projid_map", where: both, mode: reg | 0o644, show: projidMap},
		{name: "root", where: both, mode: lnk | 0o777, make: rootLink},
		{name: "sched", where: both, mode: reg | 0o644, show: sched, store: ignore},
		{name: "schedstat", where: both, mode: reg | 0o444, show: schedstat},
		{name: "sessionid", where: both, mode: reg | 0o444, show: text("4294967295")},
		{name: "setgroups", where: both, mode: reg | 0o644, show: setgroups, store: setSetgroups},
		{name: "smaps", where: both, mode: reg | 0o444, show: smaps, private: true},
		{name: "smaps_rollup", where: both, mode: reg | 0o444, show: smapsRollup, private: true},
		{name: "stack", where: both, mode: reg | 0o400, show: nothing, private: true},
		{name: "stat", where: both, mode: reg | 0o444, show: stat},
		{name: "statm", where: both, mode: reg | 0o444, show: statm},
		{name: "status", where: both, mode: reg | 0o444, show: status},
		{name: "syscall", where: both, mode: reg | 0o400, show: syscallText, private: true},
		{name: "task", where: inProcess, mode: dir | 0o555, make: taskListDir},
		{name: "timens_offsets", where: both, mode: reg | 0o644, show: timensOffsets, store: setTimensOffsets},
		{name: "timers", where: inProcess, mode: reg | 0o444, show: nothing},
		{name: "timerslack_ns", where: both, mode: reg | 0o666, show: timerslack, store: setTimerslack},
		{name: "uid_map", where: both, mode: reg | 0o644, show: idMap(false), store: setIDMap(false)},
		{name: "wchan", where: both, mode: reg | 0o444, show: wchan},
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].name < entries[j].name })
	entryIndex = make(map[string]int, len(entries))
	for i, e := range entries {
		entryIndex[e.name] = i
	}
}

// alive says whether the view's task is still the one with its number.
func (v *view) alive() bool { return v.p.ns.Task(v.nr) == v.t }

// owner is task_dump_owner: root owns what must not be looked at.
func (v *view) owner() (creds.KUID, creds.KGID) {
	if s := v.t.MM(); s != nil && s.Dumpable() != mm.UserDumpable {
		return 0, 0
	}
	return v.ids()
}

func (v *view) ids() (creds.KUID, creds.KGID) {
	c := v.t.Creds()
	return c.EUID, c.EGID
}

// inspect is the check for private files.
func (v *view) inspect(ctx kctx.Ctx) error { return mayInspect(ctx, v.t, false) }

// mayInspect is ptrace_may_access for reading; the error is proc's EACCES.
func mayInspect(ctx kctx.Ctx, target *kernel.Task, _ bool) error {
	t, ok := ctx.(*kernel.Task)
	if !ok {
		return nil // the sentry itself
	}
	if t.MayTrace(target, false) != nil {
		return errno.EACCES
	}
	return nil
}

// taskDir is the directory of a task, with hidepid's rule.
type taskDir struct {
	kernfs.Inode
	v *view
}

// Permission implements vfs.Permissioner.
func (d *taskDir) Permission(ctx kctx.Ctx, mask uint32) error {
	if d.v.p.hidepid >= hideNoAccess && !d.v.p.mayShow(ctx, d.v.t) {
		if d.v.p.hidepid >= hideInvisible {
			return errno.ENOENT
		}
		return errno.EPERM
	}
	if mask&vfs.MayWrite != 0 && !ctx.Creds().Capable(creds.CapDacOverride) {
		return errno.EACCES
	}
	return nil
}

// PIDOf returns the process whose directory an open file is, nil if it is no
// such directory: pidfd_send_signal(2) takes these too.
func PIDOf(f *vfs.File) *kernel.PID {
	if d, ok := f.Inode().(*taskDir); ok && d.v.process {
		return d.v.t.PID()
	}
	return nil
}

func (p *fs) taskDir(t *kernel.Task, nr int32, process bool) vfs.Inode {
	v := &view{p: p, t: t, nr: nr, process: process}
	d := &taskDir{v: v}
	d.FS, d.Ino, d.Mode = p.FS, pidIno(nr, 0), dir|0o555
	if !process {
		d.Ino = pidIno(nr, 1)
	}
	d.Owner, d.Alive = v.ids, v.alive
	d.Dyn = &taskEntries{v}
	return d
}

// taskEntries makes the files of a task directory when they are asked for.
type taskEntries struct{ v *view }

func (e *taskEntries) where() int {
	if e.v.process {
		return inProcess
	}
	return inThread
}

// Lookup implements kernfs.Dynamic.
func (e *taskEntries) Lookup(ctx kctx.Ctx, name string) (vfs.Inode, error) {
	k, ok := entryIndex[name]
	if !ok || entries[k].where&e.where() == 0 {
		return nil, errno.ENOENT
	}
	v, ent := e.v, &entries[k]
	i := &kernfs.Inode{FS: v.p.FS, Ino: e.ino(k), Mode: ent.mode, Owner: v.owner, Alive: v.alive}
	if ent.private {
		i.Check = v.inspect
	}
	if ent.make != nil {
		return ent.make(v, i), nil
	}
	if ent.show != nil {
		i.Show = func(ctx kctx.Ctx, w *bytes.Buffer) error {
			if !v.alive() {
				return errno.ESRCH
			}
			return ent.show(v, ctx, w)
		}
	}
	if ent.store != nil {
		i.Store = func(ctx kctx.Ctx, s string) error {
			if !v.alive() {
				return errno.ESRCH
			}
			return ent.store(v, ctx, s)
		}
	}
	return i, nil
}

func (e *taskEntries) ino(k int) uint64 {
	if e.v.process {
		return pidIno(e.v.nr, 2+2*k)
	}
	return pidIno(e.v.nr, 3+2*k)
}

// List implements kernfs.Dynamic.
func (e *taskEntries) List(ctx kctx.Ctx, from int64, emit func(kernfs.Entry) bool) error {
	for k := from; k < int64(len(entries)); k++ {
		ent := &entries[k]
		if ent.where&e.where() == 0 {
			continue
		}
		if !emit(kernfs.Entry{Key: k, Name: ent.name, Ino: e.ino(int(k)), Type: uint8(ent.mode & unix.S_IFMT >> 12)}) {
			return nil
		}
	}
	return nil
}

func nothing(*view, kctx.Ctx, *bytes.Buffer) error { return nil }

func ignore(*view, kctx.Ctx, string) error { return nil }

func text(s string) func(*view, kctx.Ctx, *bytes.Buffer) error {
	return func(_ *view, _ kctx.Ctx, w *bytes.Buffer) error { w.WriteString(s); return nil }
}

// pidsOf lists the process numbers of ns from a number on, in order.
func pidsOf(ns *kernel.PIDNamespace, from int64) []int32 {
	var l []int32
	for _, tg := range ns.ThreadGroups() {
		if nr := tg.PIDIn(ns); int64(nr) >= from && nr > 0 {
			l = append(l, nr)
		}
	}
	sort.Slice(l, func(i, j int) bool { return l[i] < l[j] })
	return l
}

// taskListDir is /proc/pid/task.
func taskListDir(v *view, i *kernfs.Inode) vfs.Inode {
	i.Owner = v.ids
	i.Links = func() uint32 { return 2 + uint32(len(v.t.ThreadGroup().Tasks())) }
	i.Dyn = &threads{v}
	return i
}

type threads struct{ v *view }

// Lookup implements kernfs.Dynamic.
func (l *threads) Lookup(ctx kctx.Ctx, name string) (vfs.Inode, error) {
	nr := parsePID(name)
	if nr == 0 {
		return nil, errno.ENOENT
	}
	t := l.v.p.ns.Task(nr)
	if t == nil || t.ThreadGroup() != l.v.t.ThreadGroup() {
		return nil, errno.ENOENT
	}
	return l.v.p.taskDir(t, nr, false), nil
}

// List implements kernfs.Dynamic.
func (l *threads) List(ctx kctx.Ctx, from int64, emit func(kernfs.Entry) bool) error {
	var nrs []int32
	for _, t := range l.v.t.ThreadGroup().Tasks() {
		if nr := t.TIDIn(l.v.p.ns); int64(nr) >= from && nr > 0 {
			nrs = append(nrs, nr)
		}
	}
	sort.Slice(nrs, func(i, j int) bool { return nrs[i] < nrs[j] })
	for _, nr := range nrs {
		if !emit(kernfs.Entry{Key: int64(nr), Name: itoa(nr), Ino: pidIno(nr, 1), Type: unix.DT_DIR}) {
			return nil
		}
	}
	return nil
}

// magicLink is a symbolic link that leads to an object.
type magicLink struct {
	*kernfs.Inode
	follow func(ctx kctx.Ctx) (vfs.Path, error)
}

// Follow implements vfs.MagicLink.
func (m *magicLink) Follow(ctx kctx.Ctx) (vfs.Path, error) { return m.follow(ctx) }

// pathLink makes a magic link to the place that get returns with a reference.
func pathLink(v *view, i *kernfs.Inode, get func() (vfs.Path, error)) vfs.Inode {
	follow := func(ctx kctx.Ctx) (vfs.Path, error) {
		if !v.alive() {
			return vfs.Path{}, errno.ENOENT
		}
		if err := v.inspect(ctx); err != nil {
			return vfs.Path{}, err
		}
		return get()
	}
	i.Target = func(ctx kctx.Ctx) (string, error) {
		p, err := follow(ctx)
		if err != nil {
			return "", err
		}
		defer p.DecRef()
		return pathName(ctx, p), nil
	}
	return &magicLink{i, follow}
}

// pathName is a path as the caller sees it.
func pathName(ctx kctx.Ctx, p vfs.Path) string {
	t, ok := ctx.(*kernel.Task)
	if !ok || t.FS() == nil {
		return p.String(vfs.Path{})
	}
	root := t.FS().Root()
	defer root.DecRef()
	return p.String(root)
}

func cwdLink(v *view, i *kernfs.Inode) vfs.Inode {
	return pathLink(v, i, func() (vfs.Path, error) {
		if fs := v.t.FS(); fs != nil {
			return fs.Cwd(), nil
		}
		return vfs.Path{}, errno.ENOENT
	})
}

func rootLink(v *view, i *kernfs.Inode) vfs.Inode {
	return pathLink(v, i, func() (vfs.Path, error) {
		if fs := v.t.FS(); fs != nil {
			return fs.Root(), nil
		}
		return vfs.Path{}, errno.ENOENT
	})
}

func exeLink(v *view, i *kernfs.Inode) vfs.Inode {
	return pathLink(v, i, func() (vfs.Path, error) {
		f := v.exe()
		if f == nil {
			return vfs.Path{}, errno.ENOENT
		}
		p := f.Path().IncRef()
		f.DecRef(kctx.Background(v.t.Creds()))
		return p, nil
	})
}

// exeFile is what mm keeps of the program: an open file.
type exeFile interface {
	mm.FileRef
	Path() vfs.Path
	Stat(ctx kctx.Ctx) (vfs.Stat, error)
}

// exe is the program's file with a reference, or nil.
func (v *view) exe() exeFile {
	space := v.t.MM()
	if space == nil {
		return nil
	}
	f, _ := space.Exe().(exeFile)
	return f
}

// withMM runs fn on the task's address space, kept alive meanwhile. Without
// one (a zombie) the text is empty.
func (v *view) withMM(ctx kctx.Ctx, fn func(s *mm.Space) error) error {
	s := v.t.MM()
	if s == nil || !s.IncUsers() {
		return nil
	}
	defer s.DecUsers(ctx)
	return fn(s)
}

// nsDir is /proc/pid/ns.
func nsDir(v *view, i *kernfs.Inode) vfs.Inode {
	i.Owner = v.ids
	i.Fill = v.fillNS
	return i
}

func (v *view) fillNS(i *kernfs.Inode) {
	for _, n := range []struct {
		name string
		get  func(t *kernel.Task) any
	}{
		{"cgroup", func(t *kernel.Task) any { return t.CgroupNS() }},
		{"ipc", func(t *kernel.Task) any { return t.IPC() }},
		{"mnt", func(t *kernel.Task) any { return t.MountNS() }},
		{"net", func(t *kernel.Task) any { return t.NetNS() }},
		{"pid", func(t *kernel.Task) any { return t.PIDNamespace() }},
		{"pid_for_children", func(t *kernel.Task) any { return t.PIDNSForChildren() }},
		{"time", func(t *kernel.Task) any { return t.TimeNS() }},
		{"time_for_children", func(t *kernel.Task) any { return t.TimeNSForChildren() }},
		{"user", func(t *kernel.Task) any { return t.UserNS() }},
		{"uts", func(t *kernel.Task) any { return t.UTS() }},
	} {
		l := &kernfs.Inode{FS: v.p.FS, Ino: v.p.NextIno(), Mode: lnk | 0o777, Owner: v.owner, Alive: v.alive}
		link := pathLink(v, l, func() (vfs.Path, error) {
			ns := nsfs.New(n.get(v.t))
			if ns == nil {
				return vfs.Path{}, errno.ENOENT
			}
			return v.p.Sys.InodePath(ns), nil
		})
		i.Add(n.name, link)
	}
}

// attrDir is /proc/pid/attr without a security module.
func attrDir(v *view, i *kernfs.Inode) vfs.Inode {
	i.Owner = v.ids
	i.Fill = v.fillAttr
	return i
}

func (v *view) fillAttr(i *kernfs.Inode) {
	for _, n := range []string{"current", "exec", "fscreate", "keycreate", "prev", "sockcreate"} {
		f := &kernfs.Inode{FS: v.p.FS, Ino: v.p.NextIno(), Mode: reg | 0o666, Owner: v.owner, Alive: v.alive}
		f.Show = func(kctx.Ctx, *bytes.Buffer) error { return errno.EINVAL }
		f.Store = func(kctx.Ctx, string) error { return errno.EINVAL }
		if n == "prev" {
			f.Mode, f.Store = reg|0o444, nil
		}
		i.Add(n, f)
	}
}

func parseInt(s string) (int64, error) {
	v, err := strconv.ParseInt(string(bytes.TrimSpace([]byte(s))), 0, 64)
	if err != nil {
		return 0, errno.EINVAL
	}
	return v, nil
}
