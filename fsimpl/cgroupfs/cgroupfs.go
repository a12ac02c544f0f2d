// Package cgroupfs is the cgroup v2 hierarchy of a sandbox (cgroups(7)).
//
// The tree is the sandbox's own: its root stands for the limits the container
// was given outside, which the host enforces. Below it programs may make
// groups, move processes and set limits; pids.max is enforced at fork, other
// limits are kept and shown. Differs: memory and cpu limits of inner groups
// bind nobody.
package cgroupfs

import (
	"bytes"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/fsimpl/kernfs"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/klog"
	"redoubt.dev/redoubt/vfs"
)

// Limits are those of the root, from the OCI spec; 0 is none.
type Limits struct {
	Memory              uint64
	CPUQuota, CPUPeriod int64 // microseconds
	Pids                int64
}

// Type is the file system type "cgroup2". Each container of the sandbox has a
// tree of its own, which every mount of its processes shows.
type Type struct {
	K *kernel.Kernel

	mu    sync.Mutex
	trees map[string]*tree // by container
	hook  sync.Once
}

// treeOf returns a container's tree; it is made when it is first asked for.
func (t *Type) treeOf(container string) *tree {
	t.mu.Lock()
	defer t.mu.Unlock()
	tr := t.trees[container]
	if tr == nil {
		if t.trees == nil {
			t.trees = make(map[string]*tree)
		}
		tr = newTree(t, container)
		t.trees[container] = tr
	}
	t.hook.Do(func() { t.K.SetForkHook(&kernel.ForkHook{Charge: t.charge, Uncharge: uncharge}) })
	return tr
}

// only says whether tr is the only tree.
func (t *Type) only(tr *tree) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.trees) == 1 && t.trees[tr.container] == tr
}

// Drop forgets the tree of a container that is no more.
func (t *Type) Drop(container string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.trees, container)
}

// Name implements vfs.FSType.
func (*Type) Name() string { return "cgroup2" }

// NoDev implements vfs.FSType.
func (*Type) NoDev() bool { return true }

// Mount implements vfs.FSType.
func (t *Type) Mount(ctx kctx.Ctx, source string, opts vfs.MountOpts) (vfs.Super, error) {
	for _, o := range strings.Split(opts.Data, ",") {
		switch o {
		case "", "nsdelegate", "memory_recursiveprot", "memory_localevents", "favordynmods", "memory_hugetlb_accounting":
		default:
			return nil, errno.EINVAL
		}
	}
	container, ok := opts.Internal.(string)
	if task, isTask := ctx.(*kernel.Task); isTask && !ok {
		container = task.ThreadGroup().ContainerID()
	}
	return t.treeOf(container).FS, nil
}

// SetLimits replaces the limits of a container's root; those of l that are 0
// stay as they are. They hold from now on, whether the tree is mounted anywhere
// or not.
func (t *Type) SetLimits(container string, l Limits) {
	tr := t.treeOf(container)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.setLimitsLocked(l)
}

func (tr *tree) setLimitsLocked(l Limits) {
	if l.Memory > 0 {
		tr.root.values["memory.max"] = strconv.FormatUint(l.Memory, 10)
	}
	if l.CPUQuota > 0 {
		tr.root.values["cpu.max"] = fmt.Sprintf("%d %d", l.CPUQuota, max(l.CPUPeriod, 1))
	}
	if l.Pids > 0 {
		tr.root.values["pids.max"] = strconv.FormatInt(l.Pids, 10)
	}
}

// tree is the hierarchy. mu guards every group.
type tree struct {
	*kernfs.FS
	t         *Type
	k         *kernel.Kernel
	container string
	root      *Group

	mu sync.Mutex
}

// Group is one control group.
type Group struct {
	tr     *tree
	name   string
	parent *Group
	dir    *kernfs.Inode
	// Under tree.mu.
	kids    map[string]*Group
	enabled map[string]bool // cgroup.subtree_control
	values  map[string]string
	frozen  bool
	dead    bool
	peak    int
	maxHits int
	events  kernfs.Notifier
}

var controllers = []string{"cpuset", "cpu", "io", "memory", "pids"}

func newTree(t *Type, container string) *tree {
	tr := &tree{FS: kernfs.New(t.K.VFS(), t, 0x63677270), t: t, k: t.K, container: container}
	tr.Chmod = true
	tr.Opts = "nsdelegate"
	tr.root = tr.newGroup("", nil)
	tr.RootInode = tr.root.dir
	tr.root.dir.Ino = 1
	for _, c := range controllers {
		tr.root.show(c)
	}
	return tr
}

// Path implements kernel.Cgroup.
func (g *Group) Path() string {
	if g.parent == nil {
		return "/"
	}
	return strings.TrimSuffix(g.parent.Path(), "/") + "/" + g.name
}

func (tr *tree) groupOf(tg *kernel.ThreadGroup) *Group {
	if g, ok := tg.Cgroup().(*Group); ok {
		return g
	}
	return tr.root
}

func (g *Group) below(top *Group) bool {
	for ; g != nil; g = g.parent {
		if g == top {
			return true
		}
	}
	return false
}

// each calls fn for every process in g, with the groups below it if deep.
func (g *Group) each(deep bool, fn func(tg *kernel.ThreadGroup)) {
	for _, tg := range g.tr.k.RootPIDNS().ThreadGroups() {
		if tg.ContainerID() != g.tr.container {
			continue
		}
		if x := g.tr.groupOf(tg); x == g || deep && x.below(g) {
			fn(tg)
		}
	}
}

func (g *Group) tasks() int {
	n := 0
	g.each(true, func(tg *kernel.ThreadGroup) { n += len(tg.Tasks()) })
	return n
}

// charge refuses a fork beyond pids.max of the group or one above it.
func (t *Type) charge(task *kernel.Task) error {
	t.mu.Lock()
	tr := t.trees[task.ThreadGroup().ContainerID()]
	t.mu.Unlock()
	if tr == nil {
		return nil
	}
	return tr.charge(task)
}

func (tr *tree) charge(t *kernel.Task) error {
	for g := tr.groupOf(t.ThreadGroup()); g != nil; g = g.parent {
		tr.mu.Lock()
		limit := g.values["pids.max"]
		tr.mu.Unlock()
		if limit == "" || limit == "max" {
			continue
		}
		lim, _ := strconv.Atoi(limit)
		n := g.tasks() + 1
		tr.mu.Lock()
		if n > lim {
			g.maxHits++
		} else {
			g.peak = max(g.peak, n)
		}
		tr.mu.Unlock()
		if n > lim {
			return errno.EAGAIN
		}
	}
	return nil
}

func uncharge(t *kernel.Task) {
	if g, ok := t.ThreadGroup().Cgroup().(*Group); ok {
		for ; g != nil; g = g.parent {
			g.events.Changed()
		}
	}
}

func (tr *tree) newGroup(name string, parent *Group) *Group {
	g := &Group{tr: tr, name: name, parent: parent, kids: map[string]*Group{}, enabled: map[string]bool{}, values: map[string]string{}}
	g.dir = tr.NewDir(0o755)
	g.dir.MkdirFn = g.mkdir
	g.dir.RmdirFn = g.rmdir
	g.core()
	return g
}

func (g *Group) mkdir(ctx kctx.Ctx, name string, mode uint32) (vfs.Inode, error) {
	if strings.Contains(name, "\n") {
		return nil, errno.EINVAL
	}
	tr := g.tr
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if g.dead {
		return nil, errno.ENODEV
	}
	c := tr.newGroup(strings.Clone(name), g)
	for ctl := range g.enabled {
		c.show(ctl)
	}
	cr := ctx.Creds()
	c.dir.SetOwner(cr.FSUID, cr.FSGID)
	g.kids[c.name] = c
	g.dir.Add(c.name, c.dir)
	return c.dir, nil
}

func (g *Group) rmdir(ctx kctx.Ctx, name string, child vfs.Inode) error {
	tr := g.tr
	tr.mu.Lock()
	c := g.kids[name]
	tr.mu.Unlock()
	if c == nil {
		return errno.ENOTDIR // a file
	}
	live := false
	c.each(true, func(tg *kernel.ThreadGroup) { live = live || alive(tg) })
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if len(c.kids) > 0 || live {
		return errno.EBUSY
	}
	c.dead = true
	delete(g.kids, name)
	g.dir.Remove(name)
	return nil
}

func alive(tg *kernel.ThreadGroup) bool {
	for _, t := range tg.Tasks() {
		if s := t.State(); s != 'Z' && s != 'X' {
			return true
		}
	}
	return false
}

// file adds a file to g; store may be nil.
func (g *Group) file(name string, show func(ctx kctx.Ctx, w *bytes.Buffer) error, store func(ctx kctx.Ctx, s string) error) *kernfs.Inode {
	perm := uint32(0o444)
	switch {
	case store != nil && show == nil:
		perm = 0o200
	case store != nil:
		perm = 0o644
	}
	var st func(ctx kctx.Ctx, s string) error
	if store != nil {
		st = func(ctx kctx.Ctx, s string) error { return store(ctx, strings.TrimSpace(s)) }
	}
	f := g.tr.NewFile(perm, show, st)
	g.dir.Add(name, f)
	return f
}

func (g *Group) text(name string, text func() string) {
	g.file(name, func(_ kctx.Ctx, w *bytes.Buffer) error { w.WriteString(text()); return nil }, nil)
}

// value is a limit that is kept; check says which texts it takes.
func (g *Group) value(name, def string, check func(s string) (string, error)) {
	g.file(name, func(_ kctx.Ctx, w *bytes.Buffer) error {
		g.tr.mu.Lock()
		v := g.values[name]
		g.tr.mu.Unlock()
		if v == "" {
			v = def
		}
		w.WriteString(v + "\n")
		return nil
	}, func(_ kctx.Ctx, s string) error {
		v, err := check(s)
		if err != nil {
			return err
		}
		g.tr.mu.Lock()
		g.values[name] = v
		g.tr.mu.Unlock()
		return nil
	})
}

// core adds the files that every group has.
func (g *Group) core() {
	tr := g.tr
	g.text("cgroup.controllers", func() string {
		if g.parent == nil {
			return strings.Join(controllers, " ") + "\n"
		}
		tr.mu.Lock()
		defer tr.mu.Unlock()
		return enabledText(g.parent.enabled)
	})
	g.file("cgroup.subtree_control", func(_ kctx.Ctx, w *bytes.Buffer) error {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		w.WriteString(enabledText(g.enabled))
		return nil
	}, g.setSubtree)
	list := func(threads bool) func(ctx kctx.Ctx, w *bytes.Buffer) error {
		return func(ctx kctx.Ctx, w *bytes.Buffer) error {
			ns := tr.k.RootPIDNS()
			if t, ok := ctx.(*kernel.Task); ok {
				ns = t.PIDNamespace()
			}
			var l []int
			g.each(false, func(tg *kernel.ThreadGroup) {
				if !alive(tg) {
					return
				}
				if !threads {
					l = append(l, int(tg.PIDIn(ns)))
					return
				}
				for _, t := range tg.Tasks() {
					l = append(l, int(t.TIDIn(ns)))
				}
			})
			sort.Ints(l)
			for _, n := range l {
				fmt.Fprintf(w, "%d\n", n)
			}
			return nil
		}
	}
	g.file("cgroup.procs", list(false), g.attach)
	g.file("cgroup.threads", list(true), g.attach)
	g.file("cgroup.type", func(_ kctx.Ctx, w *bytes.Buffer) error { w.WriteString("domain\n"); return nil }, func(_ kctx.Ctx, s string) error {
		if s != "threaded" {
			return errno.EINVAL
		}
		return errno.EOPNOTSUPP
	})
	ev := g.file("cgroup.events", func(_ kctx.Ctx, w *bytes.Buffer) error {
		n := 0
		g.each(true, func(tg *kernel.ThreadGroup) {
			if alive(tg) {
				n = 1
			}
		})
		tr.mu.Lock()
		fmt.Fprintf(w, "populated %d\nfrozen %d\n", n, b2i(g.frozen))
		tr.mu.Unlock()
		return nil
	}, nil)
	ev.Watch = g.events.Watch
	g.text("cgroup.stat", func() string {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		return fmt.Sprintf("nr_descendants %d\nnr_dying_descendants 0\n", g.countLocked())
	})
	g.value("cgroup.max.depth", "max", number)
	g.value("cgroup.max.descendants", "max", number)
	g.file("cgroup.freeze", func(_ kctx.Ctx, w *bytes.Buffer) error {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		fmt.Fprintf(w, "%d\n", b2i(g.frozen))
		return nil
	}, func(_ kctx.Ctx, s string) error {
		if s != "0" && s != "1" {
			return errno.EINVAL
		}
		klog.Stub("cgroup.freeze: processes run on")
		tr.mu.Lock()
		g.frozen = s == "1"
		tr.mu.Unlock()
		g.events.Changed()
		return nil
	})
	g.file("cgroup.kill", nil, func(_ kctx.Ctx, s string) error {
		if s != "1" {
			return errno.EINVAL
		}
		g.each(true, func(tg *kernel.ThreadGroup) { tg.SendSignalFrom(int32(unix.SIGKILL)) })
		return nil
	})
	for _, n := range []string{"cpu", "io", "memory"} {
		g.text(n+".pressure", func() string {
			return "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
		})
	}
	g.text("cpu.stat", g.cpuStat)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (g *Group) countLocked() int {
	n := 0
	for _, c := range g.kids {
		n += 1 + c.countLocked()
	}
	return n
}

func enabledText(m map[string]bool) string {
	var l []string
	for _, c := range controllers {
		if m[c] {
			l = append(l, c)
		}
	}
	return strings.Join(l, " ") + "\n"
}

func (g *Group) cpuStat() string {
	var user, sys int64
	g.each(true, func(tg *kernel.ThreadGroup) {
		r := tg.CPUResources()
		user += r.UserNs
		sys += r.SysNs
	})
	return fmt.Sprintf("usage_usec %d\nuser_usec %d\nsystem_usec %d\nnice_usec 0\ncore_sched.force_idle_usec 0\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\nnr_bursts 0\nburst_usec 0\n", (user+sys)/1000, user/1000, sys/1000)
}

// setSubtree is a write to cgroup.subtree_control ("+pids -memory").
func (g *Group) setSubtree(_ kctx.Ctx, s string) error {
	tr := g.tr
	tr.mu.Lock()
	defer tr.mu.Unlock()
	next := map[string]bool{}
	for c := range g.enabled {
		next[c] = true
	}
	for _, w := range strings.Fields(s) {
		known := false
		for _, c := range controllers {
			known = known || len(w) > 1 && w[1:] == c
		}
		if !known || w[0] != '+' && w[0] != '-' {
			return errno.EINVAL
		}
		c := w[1:]
		if w[0] == '+' {
			if g.parent != nil && !g.parent.enabled[c] {
				return errno.ENOENT
			}
			next[c] = true
			continue
		}
		for _, k := range g.kids {
			if k.enabled[c] {
				return errno.EBUSY
			}
		}
		delete(next, c)
	}
	for _, k := range g.kids {
		for _, c := range controllers {
			switch {
			case next[c] && !g.enabled[c]:
				k.show(c)
			case !next[c] && g.enabled[c]:
				k.hide(c)
			}
		}
	}
	g.enabled = next
	return nil
}

// attach is a write to cgroup.procs.
func (g *Group) attach(ctx kctx.Ctx, s string) error {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 0 {
		return errno.EINVAL
	}
	t, ok := ctx.(*kernel.Task)
	if !ok {
		return errno.EINVAL
	}
	tg := t.ThreadGroup()
	if n != 0 {
		x := t.PIDNamespace().Task(int32(n))
		if x == nil {
			return errno.ESRCH
		}
		tg = x.ThreadGroup()
	}
	tr := g.tr
	if tg.ContainerID() != tr.container {
		return errno.EACCES
	}
	tr.mu.Lock()
	if g.dead {
		tr.mu.Unlock()
		return errno.ENODEV
	}
	if len(g.enabled) > 0 && g.parent != nil {
		tr.mu.Unlock()
		return errno.EBUSY // the no-internal-process rule
	}
	old := tr.groupOf(tg)
	tg.SetCgroup(g)
	tr.mu.Unlock()
	for _, x := range []*Group{old, g} {
		for ; x != nil; x = x.parent {
			x.events.Changed()
		}
	}
	return nil
}

// Attach moves a process to the group at path, as the engine asks at start.
func (t *Type) Attach(tg *kernel.ThreadGroup, path string) error {
	tr := t.treeOf(tg.ContainerID())
	g := tr.root
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, n := range strings.FieldsFunc(path, func(r rune) bool { return r == '/' }) {
		if g = g.kids[n]; g == nil {
			return errno.ENOENT
		}
	}
	tg.SetCgroup(g)
	return nil
}

// PathOf is a task's group as /proc/pid/cgroup shows it to the caller.
func PathOf(ctx kctx.Ctx, t *kernel.Task) string {
	path := "/"
	if g := t.ThreadGroup().Cgroup(); g != nil {
		path = g.Path()
	}
	caller, ok := ctx.(*kernel.Task)
	if !ok || caller.CgroupNS() == nil {
		return path
	}
	root := strings.TrimSuffix(caller.CgroupNS().Root, "/")
	if root == "" {
		return path
	}
	if rest, ok := strings.CutPrefix(path+"/", root+"/"); ok {
		return "/" + strings.TrimSuffix(rest, "/")
	}
	return "/.." + path
}
