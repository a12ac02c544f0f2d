// Package mqueue has POSIX message queues (mq_overview(7)): the queues of an
// IPC namespace, and the file system that shows them in /dev/mqueue.
//
// A Queue is an inode; its messages are sorted by priority, oldest first
// within one. Senders and receivers wait on one wait.Queue per queue with Out
// and In. mu of a Queue is a leaf.
package mqueue

import (
	"bytes"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/fsimpl/kernfs"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/limits"
	"redoubt.dev/redoubt/sentry/signal"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

// Limits of Linux (include/linux/ipc_namespace.h).
const (
	maxQueues   = 256
	maxMsg      = 10
	maxMsgSize  = 8192
	hardMaxMsg  = 65536
	hardMaxSize = 16 << 20
	// PrioMax is one more than the highest priority.
	PrioMax = 32768
)

// Attr is struct mq_attr.
type Attr struct {
	Flags, MaxMsg, MsgSize, CurMsgs int64
	_                               [4]int64
}

// Type is the file system type "mqueue".
type Type struct{ K *kernel.Kernel }

// Name implements vfs.FSType.
func (*Type) Name() string { return "mqueue" }

// NoDev implements vfs.FSType.
func (*Type) NoDev() bool { return true }

// Mount implements vfs.FSType: it shows the queues of the caller's namespace.
func (t *Type) Mount(ctx kctx.Ctx, source string, opts vfs.MountOpts) (vfs.Super, error) {
	if opts.Data != "" {
		return nil, errno.EINVAL
	}
	if ns, ok := opts.Internal.(*kernel.IPCNamespace); ok && ns != nil {
		return Of(t.K, ns).FS, nil
	}
	if task, ok := ctx.(*kernel.Task); ok {
		return Of(t.K, task.IPC()).FS, nil
	}
	return Of(t.K, t.K.RootIPC()).FS, nil
}

// Queues are the queues of one IPC namespace.
type Queues struct {
	FS   *kernfs.FS
	sys  *vfs.System
	root *kernfs.Inode

	mu    sync.Mutex
	n     int
	bytes map[creds.KUID]uint64
}

// Of returns the queues of a namespace.
func Of(k *kernel.Kernel, ns *kernel.IPCNamespace) *Queues {
	return ns.Slot("mqueue", func() any {
		q := &Queues{FS: kernfs.New(k.VFS(), &Type{k}, 0x19800202), sys: k.VFS(), bytes: map[creds.KUID]uint64{}}
		q.FS.Chmod = true
		q.root = q.FS.NewDir(0o777 | unix.S_ISVTX)
		q.root.CreateFn = func(ctx kctx.Ctx, name string, mode uint32) (vfs.Inode, error) { return q.create(ctx, name, mode, nil) }
		q.root.UnlinkFn = q.unlink
		q.FS.RootInode = q.root
		return q
	}).(*Queues)
}

type message struct {
	prio uint32
	data []byte
}

// Queue is one message queue.
type Queue struct {
	*kernfs.Inode
	qs    *Queues
	name  string
	owner creds.KUID
	cost  uint64
	max   int
	size  int
	wq    wait.Queue

	mu        sync.Mutex
	msgs      []message
	bytes     int
	receivers int // blocked in Receive
	unlinked  bool
	opens     int
	notify    struct {
		tg    *kernel.ThreadGroup
		how   int32
		signo int32
		value uint64
		ns    *kernel.PIDNamespace
		tell  func(removed bool) // SIGEV_THREAD
	}
}

// FileName implements vfs.SelfNamed.
func (q *Queue) FileName() string { return "/" + q.name }

func (qs *Queues) create(ctx kctx.Ctx, name string, mode uint32, a *Attr) (*Queue, error) {
	n, size := int64(maxMsg), int64(maxMsgSize)
	cr := ctx.Creds()
	big := cr.Capable(creds.CapSysResource)
	if a != nil {
		n, size = a.MaxMsg, a.MsgSize
		if n <= 0 || size <= 0 || n > hardMaxMsg || size > hardMaxSize {
			return nil, errno.EINVAL
		}
		if !big && (n > maxMsg || size > maxMsgSize) {
			return nil, errno.EINVAL
		}
	}
	cost := uint64(n)*(48+uint64(size)) + uint64(min(n, PrioMax))*48
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if qs.n >= maxQueues && !big {
		return nil, errno.ENOSPC
	}
	if l, ok := ctx.(limits.Source); ok {
		if lim := l.Limit(limits.MsgQueue); qs.bytes[cr.EUID]+cost > lim {
			return nil, errno.EMFILE
		}
	}
	qs.n++
	qs.bytes[cr.EUID] += cost
	q := &Queue{qs: qs, name: strings.Clone(name), owner: cr.EUID, cost: cost, max: int(n), size: int(size)}
	q.Inode = &kernfs.Inode{FS: qs.FS, Ino: qs.FS.NextIno(), Mode: unix.S_IFREG | mode&0o777}
	q.Inode.SetOwner(cr.FSUID, cr.FSGID)
	q.Inode.Size = func() uint64 { return 80 }
	q.Inode.OpenOps = func(ctx kctx.Ctx, d *vfs.Dentry, flags uint32) (vfs.FileOps, error) { return q.open(), nil }
	qs.root.Add(name, q)
	return q, nil
}

func (q *Queue) open() *file {
	q.mu.Lock()
	q.opens++
	q.mu.Unlock()
	return &file{q: q}
}

// unlink takes the name away; the queue lives until its last close.
func (qs *Queues) unlink(ctx kctx.Ctx, name string, child vfs.Inode) error {
	q, ok := child.(*Queue)
	if !ok {
		return errno.EPERM
	}
	qs.root.Remove(name)
	q.mu.Lock()
	q.unlinked = true
	gone := q.opens == 0
	q.mu.Unlock()
	if gone {
		qs.free(q)
	}
	return nil
}

func (qs *Queues) free(q *Queue) {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	qs.n--
	if qs.bytes[q.owner] -= q.cost; qs.bytes[q.owner] == 0 {
		delete(qs.bytes, q.owner)
	}
}

func checkName(name string) error {
	switch {
	case name == "":
		return errno.ENOENT
	case strings.Contains(name, "/") || name == "." || name == "..":
		return errno.EACCES
	case len(name) > 255:
		return errno.ENAMETOOLONG
	}
	return nil
}

// Open is mq_open(2).
func (qs *Queues) Open(ctx kctx.Ctx, name string, oflag, mode uint32, a *Attr) (*vfs.File, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if oflag&unix.O_ACCMODE == 3 {
		return nil, errno.EINVAL
	}
	q, _ := qs.root.Child(name).(*Queue)
	switch {
	case q == nil && oflag&unix.O_CREAT == 0:
		return nil, errno.ENOENT
	case q != nil && oflag&(unix.O_CREAT|unix.O_EXCL) == unix.O_CREAT|unix.O_EXCL:
		return nil, errno.EEXIST
	case q != nil:
		mask := [3]uint32{vfs.MayRead, vfs.MayWrite, vfs.MayRead | vfs.MayWrite}[oflag&unix.O_ACCMODE]
		if err := vfs.Permission(ctx, q, mask); err != nil {
			return nil, err
		}
	default:
		var err error
		if q, err = qs.create(ctx, name, mode, a); err != nil {
			return nil, err
		}
	}
	return vfs.NewInodeFile(ctx, qs.sys, q, q.open(), oflag&(unix.O_ACCMODE|unix.O_NONBLOCK)), nil
}

// Unlink is mq_unlink(2).
func (qs *Queues) Unlink(ctx kctx.Ctx, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	q, _ := qs.root.Child(name).(*Queue)
	if q == nil {
		return errno.ENOENT
	}
	// The directory is sticky.
	_, uid, gid := q.Attr()
	cr := ctx.Creds()
	if cr.FSUID != uid && cr.FSUID != 0 && !(cr.Capable(creds.CapFowner) && cr.UserNS.Mapped(uid, gid)) {
		return errno.EPERM
	}
	return qs.unlink(ctx, name, q)
}

// file is an open queue.
type file struct {
	vfs.RegularBase
	q *Queue
}

// QueueOf returns the queue behind an open file, or nil.
func QueueOf(f *vfs.File) *Queue {
	if o, ok := f.Ops().(*file); ok {
		return o.q
	}
	return nil
}

// Read implements vfs.FileOps: the state of the queue as text.
func (o *file) Read(ctx kctx.Ctx, f *vfs.File, dst *usermem.Buf, off *int64) (int64, error) {
	q := o.q
	q.mu.Lock()
	pid := int32(0)
	if q.notify.tg != nil {
		pid = q.notify.tg.PIDIn(q.notify.ns)
	}
	var w bytes.Buffer
	fmt.Fprintf(&w, "QSIZE:%-10d NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", q.bytes, q.notify.how, q.notify.signo, pid)
	q.mu.Unlock()
	if *off >= int64(w.Len()) {
		return 0, nil
	}
	n, err := dst.Put(w.Bytes()[*off:])
	*off += int64(n)
	return int64(n), err
}

// Ready implements vfs.FileOps.
func (o *file) Ready(mask wait.Events) wait.Events {
	q := o.q
	q.mu.Lock()
	defer q.mu.Unlock()
	var r wait.Events
	if len(q.msgs) > 0 {
		r |= wait.In | wait.RdNorm
	}
	if len(q.msgs) < q.max {
		r |= wait.Out | wait.WrNorm
	}
	return r & mask
}

// WaitQueue implements vfs.FileOps.
func (o *file) WaitQueue() *wait.Queue { return &o.q.wq }

// Flush implements vfs.FileOps: a close by the registered process ends its
// registration.
func (o *file) Flush(ctx kctx.Ctx, f *vfs.File) error {
	if t, ok := ctx.(*kernel.Task); ok {
		q := o.q
		q.mu.Lock()
		q.dropNotifyLocked(t.ThreadGroup())
		q.mu.Unlock()
	}
	return nil
}

// dropNotifyLocked ends the registration of tg. Precondition: q.mu.
func (q *Queue) dropNotifyLocked(tg *kernel.ThreadGroup) {
	if n := &q.notify; n.tg == tg {
		if n.tell != nil {
			n.tell(true)
		}
		n.tg, n.tell, n.how, n.signo = nil, nil, 0, 0
	}
}

// Release implements vfs.FileOps.
func (o *file) Release(ctx kctx.Ctx, f *vfs.File) {
	q := o.q
	q.mu.Lock()
	q.opens--
	gone := q.opens == 0 && q.unlinked
	q.mu.Unlock()
	if gone {
		q.qs.free(q)
	}
}

// Attributes is what mq_getattr(3) shows.
func (q *Queue) Attributes(f *vfs.File) Attr {
	q.mu.Lock()
	defer q.mu.Unlock()
	return Attr{Flags: int64(f.Flags() & unix.O_NONBLOCK), MaxMsg: int64(q.max), MsgSize: int64(q.size), CurMsgs: int64(len(q.msgs))}
}

// MsgSize is the longest message.
func (q *Queue) MsgSize() int { return q.size }

// Send is mq_timedsend(2). deadline zero means none.
func (q *Queue) Send(t *kernel.Task, f *vfs.File, data []byte, prio uint32, deadline time.Time) error {
	err := q.wait(t, f, wait.Out, deadline, func() bool {
		if len(q.msgs) >= q.max {
			return false
		}
		k := sort.Search(len(q.msgs), func(i int) bool { return q.msgs[i].prio < prio })
		q.msgs = append(q.msgs, message{})
		copy(q.msgs[k+1:], q.msgs[k:])
		q.msgs[k] = message{prio, data}
		q.bytes += len(data)
		return true
	})
	if err != nil {
		return err
	}
	q.mu.Lock()
	n := q.notify
	fire := n.tg != nil && len(q.msgs) == 1 && q.receivers == 0
	if fire {
		q.notify.tg, q.notify.tell, q.notify.how, q.notify.signo = nil, nil, 0, 0
	}
	q.mu.Unlock()
	q.wq.Notify(wait.In | wait.RdNorm)
	if fire && n.tell != nil {
		n.tell(false)
	} else if fire && n.signo != 0 {
		info := &signal.Info{Signo: n.signo, Code: signal.SIMesgq}
		info.SetPID(t.PID().In(n.ns))
		info.SetUID(uint32(t.Creds().RUID))
		info.SetValue(n.value)
		n.tg.SendSignal(info)
	}
	return nil
}

// Receive is mq_timedreceive(2).
func (q *Queue) Receive(t *kernel.Task, f *vfs.File, deadline time.Time) (data []byte, prio uint32, err error) {
	err = q.wait(t, f, wait.In, deadline, func() bool {
		if len(q.msgs) == 0 {
			return false
		}
		data, prio = q.msgs[0].data, q.msgs[0].prio
		q.msgs[0] = message{}
		q.msgs = q.msgs[1:]
		q.bytes -= len(data)
		return true
	})
	if err == nil {
		q.wq.Notify(wait.Out | wait.WrNorm)
	}
	return data, prio, err
}

// wait runs try under the lock until it succeeds.
func (q *Queue) wait(t *kernel.Task, f *vfs.File, ev wait.Events, deadline time.Time, try func() bool) error {
	q.mu.Lock()
	ok := try()
	q.mu.Unlock()
	if ok {
		return nil
	}
	if f.NonBlocking() {
		return errno.EAGAIN
	}
	e := wait.NewEntry(ev)
	q.wq.Add(e)
	defer q.wq.Remove(e)
	count := 0
	if ev == wait.In {
		count = 1
	}
	q.mu.Lock()
	q.receivers += count
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		q.receivers -= count
		q.mu.Unlock()
	}()
	for {
		q.mu.Lock()
		ok := try()
		q.mu.Unlock()
		if ok {
			return nil
		}
		if err := t.Block(e, deadline); err != nil {
			return err
		}
	}
}

// Notify is mq_notify(2); how is SIGEV_SIGNAL (0), SIGEV_NONE (1) or
// SIGEV_THREAD (2), which calls tell with no lock but q.mu held.
func (q *Queue) Notify(t *kernel.Task, how, signo int32, value uint64, tell func(removed bool)) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.notify.tg != nil {
		return errno.EBUSY
	}
	if how != 0 {
		signo = 0
	}
	q.notify.tell = tell
	q.notify.tg, q.notify.how, q.notify.signo, q.notify.value, q.notify.ns = t.ThreadGroup(), how, signo, value, t.PIDNamespace()
	return nil
}

// Unnotify ends the caller's registration.
func (q *Queue) Unnotify(t *kernel.Task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dropNotifyLocked(t.ThreadGroup())
}
