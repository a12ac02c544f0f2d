// Package procfs is /proc (proc(5)): processes as directories, and what the
// kernel says of itself and of the machine.
//
// An instance belongs to a PID namespace, that of whoever mounted it. Its tree
// is made of kernfs inodes; text is made when it is read. Nothing here keeps
// state: it asks kernel, mm and vfs.
package procfs

import (
	"bytes"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/fsimpl/kernfs"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/vfs"
)

// HostInfo is what boot read of the host before it confined the process.
type HostInfo struct {
	// CPUInfo is the host's /proc/cpuinfo; blocks beyond the number of CPUs
	// guests see are cut off.
	CPUInfo string
	// CPUs bounds the processors shown; 0 takes the kernel's number.
	CPUs int
}

// Type is the file system type "proc".
type Type struct {
	K    *kernel.Kernel
	Host HostInfo
}

// Name implements vfs.FSType.
func (*Type) Name() string { return "proc" }

// NoDev implements vfs.FSType.
func (*Type) NoDev() bool { return true }

// procMagic is PROC_SUPER_MAGIC.
const procMagic = 0x9fa0

// Values of hidepid=.
const (
	hideOff = iota
	hideNoAccess
	hideInvisible
	hidePtraceable = 4
)

// fs is one mounted instance.
type fs struct {
	*kernfs.FS
	k       *kernel.Kernel
	host    *HostInfo
	ns      *kernel.PIDNamespace
	hidepid int
	gid     creds.KGID
	pidOnly bool
}

// Mount implements vfs.FSType.
func (t *Type) Mount(ctx kctx.Ctx, source string, opts vfs.MountOpts) (vfs.Super, error) {
	p := &fs{FS: kernfs.New(t.K.VFS(), t, procMagic), k: t.K, host: &t.Host, ns: t.K.RootPIDNS()}
	if task, ok := ctx.(*kernel.Task); ok {
		p.ns = task.PIDNamespace()
	}
	if ns, ok := opts.Internal.(*kernel.PIDNamespace); ok && ns != nil {
		p.ns = ns
	}
	var shown []string
	for _, o := range strings.Split(opts.Data, ",") {
		key, val, _ := strings.Cut(o, "=")
		switch key {
		case "":
		case "hidepid":
			switch val {
			case "0", "off":
				p.hidepid = hideOff
			case "1", "noaccess":
				p.hidepid = hideNoAccess
			case "2", "invisible":
				p.hidepid = hideInvisible
			case "4", "ptraceable":
				p.hidepid = hidePtraceable
			default:
				return nil, errno.EINVAL
			}
			if p.hidepid != hideOff {
				shown = append(shown, "hidepid="+[]string{"off", "noaccess", "invisible", "", "ptraceable"}[p.hidepid])
			}
		case "gid":
			g, err := strconv.ParseUint(val, 10, 32)
			if err != nil {
				return nil, errno.EINVAL
			}
			kg, ok := ctx.Creds().UserNS.KGID(uint32(g))
			if !ok {
				return nil, errno.EINVAL
			}
			p.gid = kg
			shown = append(shown, o)
		case "subset":
			if val != "pid" {
				return nil, errno.EINVAL
			}
			p.pidOnly = true
			shown = append(shown, o)
		default:
			return nil, errno.EINVAL
		}
	}
	p.NoNames = true
	p.Opts = strings.Join(shown, ",")
	root := p.NewDir(0o555)
	root.Ino = 1
	root.Dyn = &procList{p}
	p.RootInode = root
	p.link(root, "self", func(t *kernel.Task) string { return itoa(tgidIn(t, p.ns)) })
	p.link(root, "thread-self", func(t *kernel.Task) string {
		return itoa(tgidIn(t, p.ns)) + "/task/" + itoa(t.TIDIn(p.ns))
	})
	if !p.pidOnly {
		p.addRoot(root)
		sys := p.NewDir(0o555)
		sys.Fill = p.addSys
		root.Add("sys", sys)
	}
	return p, nil
}

// link adds a symbolic link whose text depends on the reader.
func (p *fs) link(dir *kernfs.Inode, name string, target func(t *kernel.Task) string) {
	l := p.NewLink("")
	l.Target = func(ctx kctx.Ctx) (string, error) {
		t, ok := ctx.(*kernel.Task)
		if !ok {
			return "", errno.ENOENT
		}
		s := target(t)
		if s == "" || s == "0" || strings.HasPrefix(s, "0/") {
			return "", errno.ENOENT
		}
		return s, nil
	}
	dir.Add(name, l)
}

func itoa(n int32) string { return strconv.Itoa(int(n)) }

func tgidIn(t *kernel.Task, ns *kernel.PIDNamespace) int32 { return t.ThreadGroup().PIDIn(ns) }

// text is a file whose text does not depend on the reader.
func (p *fs) text(dir *kernfs.Inode, path string, show func(w *bytes.Buffer)) {
	dir.AddPath(path, p.NewFile(0o444, func(_ kctx.Ctx, w *bytes.Buffer) error { show(w); return nil }, nil))
}

// fixed is a file with fixed text.
func (p *fs) fixed(dir *kernfs.Inode, path, s string) { dir.AddPath(path, p.Text(0o444, s)) }

// procList are the directories of processes in the root.
type procList struct{ p *fs }

// pidIno makes an inode number of a process's file.
func pidIno(pid int32, k int) uint64 { return 1<<40 | uint64(uint32(pid))<<12 | uint64(k) }

func parsePID(name string) int32 {
	if name == "" || len(name) > 10 || name[0] == '0' {
		return 0
	}
	n, err := strconv.ParseUint(name, 10, 31)
	if err != nil {
		return 0
	}
	return int32(n)
}

// Lookup implements kernfs.Dynamic. Threads have directories that no listing
// shows.
func (l *procList) Lookup(ctx kctx.Ctx, name string) (vfs.Inode, error) {
	nr := parsePID(name)
	if nr == 0 {
		return nil, errno.ENOENT
	}
	t := l.p.ns.Task(nr)
	if t == nil {
		return nil, errno.ENOENT
	}
	if l.p.hidepid >= hideInvisible && !l.p.mayShow(ctx, t) {
		return nil, errno.ENOENT
	}
	return l.p.taskDir(t, nr, true), nil
}

// List implements kernfs.Dynamic.
func (l *procList) List(ctx kctx.Ctx, from int64, emit func(kernfs.Entry) bool) error {
	for _, nr := range pidsOf(l.p.ns, from) {
		if l.p.hidepid >= hideInvisible {
			if t := l.p.ns.Task(nr); t == nil || !l.p.mayShow(ctx, t) {
				continue
			}
		}
		if !emit(kernfs.Entry{Key: int64(nr), Name: itoa(nr), Ino: pidIno(nr, 0), Type: unix.DT_DIR}) {
			return nil
		}
	}
	return nil
}

// mayShow is has_pid_permissions: of the group, or allowed to trace.
func (p *fs) mayShow(ctx kctx.Ctx, t *kernel.Task) bool {
	if p.hidepid != hidePtraceable && ctx.Creds().InGroup(p.gid) {
		return true
	}
	return mayInspect(ctx, t, true) == nil
}
