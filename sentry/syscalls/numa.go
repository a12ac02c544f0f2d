package syscalls

import (
	"math/bits"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/fsimpl/pidfd"
	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/mm"
	"redoubt.dev/redoubt/sentry/usermem"
)

// The guest sees one memory node, 0: arguments are checked in full (linux:
// mm/mempolicy.c, mm/migrate.c), and there is nothing to place or to move.

var numaRows = []Row{
	{237, "mbind", sysMbind, "addr:ptr,size,mode:int,mask:ptr,size,flags:hex", Stub, "one node; the policy is not kept"},
	{238, "set_mempolicy", sysSetMempolicy, "mode:int,mask:ptr,size", Stub, "one node; the policy is not kept"},
	{239, "get_mempolicy", sysGetMempolicy, "mode:ptr,mask:ptr,size,addr:ptr,flags:hex", Partial, "always the default policy and node 0"},
	{256, "migrate_pages", sysMigratePages, "pid,size,old:ptr,new:ptr", Full, ""},
	{279, "move_pages", sysMovePages, "pid,size,pages:ptr,nodes:ptr,status:ptr,flags:hex", Full, ""},
	{440, "process_madvise", sysProcessMadvise, "fd,iovec,size,int,hex", Full, ""},
	{448, "process_mrelease", sysProcessMrelease, "fd,hex", Full, ""},
	{450, "set_mempolicy_home_node", sysSetHomeNode, "addr:ptr,size,size,flags:hex", Partial, "no area has a policy"},
}

// Modes and flags of set_mempolicy(2) and mbind(2).
const (
	mpolDefault       = 0
	mpolPreferred     = 1
	mpolBind          = 2
	mpolLocal         = 4
	mpolPreferredMany = 5
	mpolMax           = 7
	mpolStatic        = 0x8000
	mpolRelative      = 0x4000
	mpolBalancing     = 0x2000
	mpolFlags         = mpolStatic | mpolRelative | mpolBalancing

	mfStrict, mfMove, mfMoveAll = 1, 2, 4

	maxNodes = 1024 // MAX_NUMNODES of distribution kernels
)

// polMode splits a mode argument into mode and flags.
func polMode(arg uint32) (mode, flags uint32, err error) {
	mode, flags = arg&^mpolFlags, arg&mpolFlags
	switch {
	case mode >= mpolMax, flags&mpolStatic != 0 && flags&mpolRelative != 0:
		return 0, 0, errno.EINVAL
	case flags&mpolBalancing != 0 && mode != mpolBind && mode != mpolPreferredMany:
		return 0, 0, errno.EINVAL
	}
	return mode, flags, nil
}

// nodeMask is a set of nodes: those that exist (only node 0) and others.
type nodeMask struct{ zero, others bool }

func (m nodeMask) empty() bool { return !m.zero && !m.others }

// nodesIn reads a node mask argument of max-1 bits.
func nodesIn(t *kernel.Task, addr, max uint64) (m nodeMask, err error) {
	max--
	if max == 0 || addr == 0 {
		return m, nil
	}
	if max > arch.PageSize*8 {
		return m, errno.EINVAL
	}
	w := make([]uint64, (max+63)/64)
	if err := kernel.GetSlice(t, addr, w); err != nil {
		return m, err
	}
	if r := max % 64; r != 0 {
		w[len(w)-1] &= 1<<r - 1
	}
	for i, x := range w {
		if x != 0 && i*64+bits.TrailingZeros64(x) >= maxNodes || i*64 >= maxNodes && x != 0 {
			return m, errno.EINVAL
		}
		if i == 0 {
			m.zero = x&1 != 0
			x &^= 1
		}
		m.others = m.others || x != 0
	}
	return m, nil
}

// checkPolicy is mpol_new and mpol_set_nodemask.
func checkPolicy(mode, flags uint32, m nodeMask) error {
	switch {
	case mode == mpolDefault:
		if !m.empty() {
			return errno.EINVAL
		}
		return nil
	case mode == mpolPreferred && m.empty():
		if flags&(mpolStatic|mpolRelative) != 0 {
			return errno.EINVAL
		}
		return nil
	case mode == mpolLocal:
		if !m.empty() || flags&(mpolStatic|mpolRelative) != 0 {
			return errno.EINVAL
		}
		return nil
	case m.empty():
		return errno.EINVAL
	}
	if !m.zero && flags&mpolRelative == 0 {
		return errno.EINVAL
	}
	return nil
}

// covered says whether areas cover all of [start, end).
func covered(t *kernel.Task, start, end uint64) bool {
	at := start
	t.MM().ForEachVMA(t, false, func(v mm.VMA) bool {
		if v.End > at && v.Start <= at {
			at = v.End
		}
		return at < end
	})
	return at >= end
}

// mbind(2).
func sysMbind(t *kernel.Task, a arch.Args) (uint64, error) {
	mode, flags, err := polMode(a.Uint(2))
	if err != nil {
		return 0, err
	}
	m, err := nodesIn(t, a.Ptr(3), a.Uint64(4))
	if err != nil {
		return 0, err
	}
	start, mf := a.Ptr(0), a.Uint(5)
	if mf&^(mfStrict|mfMove|mfMoveAll) != 0 {
		return 0, errno.EINVAL
	}
	if mf&mfMoveAll != 0 && !capable(t, creds.CapSysNice) {
		return 0, errno.EPERM
	}
	if start&arch.PageMask != 0 {
		return 0, errno.EINVAL
	}
	end := start + (a.Size(1)+arch.PageMask)&^arch.PageMask
	if end < start {
		return 0, errno.EINVAL
	}
	if end == start {
		return 0, nil
	}
	if err := checkPolicy(mode, flags, m); err != nil {
		return 0, err
	}
	if !covered(t, start, end) {
		return 0, errno.EFAULT
	}
	return 0, nil
}

// set_mempolicy(2).
func sysSetMempolicy(t *kernel.Task, a arch.Args) (uint64, error) {
	mode, flags, err := polMode(a.Uint(0))
	if err != nil {
		return 0, err
	}
	m, err := nodesIn(t, a.Ptr(1), a.Uint64(2))
	if err != nil {
		return 0, err
	}
	return 0, checkPolicy(mode, flags, m)
}

// get_mempolicy(2).
func sysGetMempolicy(t *kernel.Task, a arch.Args) (uint64, error) {
	const node, byAddr, memsAllowed = 1, 2, 4
	mask, n, addr, flags := a.Ptr(1), a.Uint64(2), a.Uint64(3), a.Uint(4)
	if mask != 0 && n < 1 || flags&^(node|byAddr|memsAllowed) != 0 {
		return 0, errno.EINVAL
	}
	switch {
	case flags&memsAllowed != 0:
		if flags != memsAllowed {
			return 0, errno.EINVAL
		}
	case flags&byAddr != 0:
		if !covered(t, addr, addr+1) {
			return 0, errno.EFAULT
		}
	case addr != 0, flags&node != 0:
		return 0, errno.EINVAL
	}
	if a.Ptr(0) != 0 {
		var mode int32
		if err := usermem.Put(t.Mem(), a.Ptr(0), &mode); err != nil {
			return 0, err
		}
	}
	if mask == 0 {
		return 0, nil
	}
	size := (n - 1 + 63) / 64 * 8
	if size > arch.PageSize {
		return 0, errno.EINVAL
	}
	b := make([]byte, size)
	if flags&memsAllowed != 0 && len(b) > 0 {
		b[0] = 1
	}
	return 0, t.CopyOut(mask, b)
}

// numaTask finds the process of move_pages(2) and migrate_pages(2).
func numaTask(t *kernel.Task, pid int32) (*kernel.Task, error) {
	if pid == 0 {
		return t, nil
	}
	x := t.PIDNamespace().Task(pid)
	if x == nil {
		return nil, errno.ESRCH
	}
	if x.ThreadGroup() != t.ThreadGroup() {
		if err := t.MayTrace(x, false); err != nil {
			return nil, errno.EPERM
		}
	}
	return x, nil
}

// migrate_pages(2).
func sysMigratePages(t *kernel.Task, a arch.Args) (uint64, error) {
	if _, err := nodesIn(t, a.Ptr(2), a.Uint64(1)); err != nil {
		return 0, err
	}
	to, err := nodesIn(t, a.Ptr(3), a.Uint64(1))
	if err != nil {
		return 0, err
	}
	if _, err := numaTask(t, a.Int(0)); err != nil {
		return 0, err
	}
	switch {
	case to.others && !capable(t, creds.CapSysNice):
		return 0, errno.EPERM
	case !to.zero:
		return 0, errno.EINVAL
	}
	return 0, nil
}

// move_pages(2): every page is on node 0.
func sysMovePages(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Uint(5)&^(mfMove|mfMoveAll) != 0 {
		return 0, errno.EINVAL
	}
	if a.Uint(5)&mfMoveAll != 0 && !capable(t, creds.CapSysNice) {
		return 0, errno.EPERM
	}
	x, err := numaTask(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	space := x.MM()
	if space == nil || !space.IncUsers() {
		return 0, errno.EINVAL
	}
	defer space.DecUsers(t)
	n, pages, nodes, status := a.Uint64(1), a.Ptr(2), a.Ptr(3), a.Ptr(4)
	for i := uint64(0); i < n; i++ {
		var p uint64
		if err := kernel.Get(t, pages+8*i, &p); err != nil {
			return 0, err
		}
		if nodes != 0 {
			var to int32
			if err := kernel.Get(t, nodes+4*i, &to); err != nil {
				return 0, err
			}
			if to != 0 {
				return 0, errno.ENODEV
			}
		}
		st := int32(0)
		in, err := space.Mincore(t, p&^arch.PageMask, arch.PageSize)
		switch {
		case err != nil:
			st = -int32(errno.EFAULT)
		case in[0] == 0:
			st = -int32(errno.ENOENT)
		}
		if err := kernel.Put(t, status+4*i, &st); err != nil {
			return 0, err
		}
		if i&1023 == 1023 && t.Interrupted() {
			return 0, errno.EINTR
		}
	}
	return 0, nil
}

// set_mempolicy_home_node(2).
func sysSetHomeNode(t *kernel.Task, a arch.Args) (uint64, error) {
	start := a.Ptr(0)
	end := start + (a.Size(1)+arch.PageMask)&^arch.PageMask
	switch {
	case start&arch.PageMask != 0, a.Uint64(3) != 0, a.Uint64(2) != 0, end < start:
		return 0, errno.EINVAL
	case end == start:
		return 0, nil
	}
	return 0, errno.ENOENT
}

// pidfdTask is the process of a descriptor.
func pidfdTask(t *kernel.Task, fd int32) (*kernel.Task, error) {
	f, err := openFile(t, fd)
	if err != nil {
		return nil, err
	}
	defer f.DecRef(t)
	p, _ := pidfd.Of(f)
	if p == nil {
		return nil, errno.EBADF
	}
	if x := p.Task(); x != nil {
		return x, nil
	}
	return nil, errno.ESRCH
}

// process_madvise(2).
func sysProcessMadvise(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Uint(4) != 0 {
		return 0, errno.EINVAL
	}
	n := a.Uint64(2)
	if n > maxIov {
		return 0, errno.EINVAL
	}
	vecs := make([]usermem.Vec, n)
	if err := kernel.GetSlice(t, a.Ptr(1), vecs); err != nil {
		return 0, err
	}
	for _, v := range vecs {
		if int64(v.Len) < 0 {
			return 0, errno.EINVAL
		}
		if !accessible(v.Addr, v.Len) {
			return 0, errno.EFAULT
		}
	}
	x, err := pidfdTask(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	space := x.MM()
	if space == nil || !space.IncUsers() {
		return 0, errno.ESRCH
	}
	defer space.DecUsers(t)
	if space != t.MM() {
		if err := t.MayTrace(x, false); err != nil {
			return 0, err
		}
		switch a.Int(3) {
		case unix.MADV_COLD, unix.MADV_PAGEOUT, unix.MADV_WILLNEED, unix.MADV_COLLAPSE:
		default:
			return 0, errno.EINVAL
		}
		if !capable(t, creds.CapSysNice) {
			return 0, errno.EPERM
		}
	}
	var done uint64
	for _, v := range vecs {
		if err := space.Madvise(t, v.Addr, v.Len, a.Int(3)); err != nil {
			return some(done, err)
		}
		done += v.Len
	}
	return done, nil
}

// process_mrelease(2): the memory of a dying process goes without help.
func sysProcessMrelease(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Uint(1) != 0 {
		return 0, errno.EINVAL
	}
	x, err := pidfdTask(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	if x.MM() == nil {
		return 0, errno.ESRCH
	}
	if _, gone := x.ThreadGroup().Exited(); !gone {
		return 0, errno.EINVAL
	}
	return 0, nil
}
