package syscalls

import (
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

var fsopenRows = []Row{
	{430, "fsopen", sysFsopen, "str,hex", Full, ""},
	{431, "fsconfig", sysFsconfig, "fd,int,str,ptr,int", Partial, "binary and descriptor parameters refused"},
	{432, "fsmount", sysFsmount, "fd,hex,hex", Full, ""},
	{433, "fspick", sysFspick, "dirfd,path,hex", Full, ""},
	{457, "statmount", sysStatmount, "ptr,ptr,size,hex", Partial, "basic fields, root, point, type, source, options, propagation"},
	{458, "listmount", sysListmount, "ptr,ptr,size,hex", Full, ""},
}

// fsContext is the description behind fsopen(2) and fspick(2).
type fsContext struct {
	vfs.StreamBase
	mu       sync.Mutex
	fstype   string
	source   string
	opts     []string
	readOnly bool
	made     vfs.Super
	pick     vfs.Path
	sys      *vfs.System
}

// Read has no messages to tell.
func (c *fsContext) Read(ctx kctx.Ctx, _ *vfs.File, _ *usermem.Buf, _ *int64) (int64, error) {
	return 0, errno.ENODATA
}

// Release drops what was not mounted.
func (c *fsContext) Release(ctx kctx.Ctx, _ *vfs.File) {
	if c.made != nil {
		c.made.Release()
	}
	c.pick.DecRef()
}

// fsopen(2).
func sysFsopen(t *kernel.Task, a arch.Args) (uint64, error) {
	if err := mayMount(t); err != nil {
		return 0, err
	}
	if a.Uint(1)&^1 != 0 {
		return 0, errno.EINVAL
	}
	name, err := t.CopyInString(a.Ptr(0), 4096)
	if err == errno.ENAMETOOLONG {
		err = errno.EINVAL
	}
	if err != nil {
		return 0, err
	}
	if _, err := vfsOf(t).TypeNamed(name); err != nil {
		return 0, err
	}
	c := &fsContext{fstype: name, sys: vfsOf(t)}
	return install(t, vfs.NewAnonFileFor(t, vfsOf(t), "anon_inode:[fscontext]", c, unix.O_RDWR), a.Uint(1) != 0)
}

// fspick(2).
func sysFspick(t *kernel.Task, a arch.Args) (uint64, error) {
	if err := mayMount(t); err != nil {
		return 0, err
	}
	const cloexec, nofollow, noauto, empty = 1, 2, 4, 8
	flags := a.Uint(2)
	if flags&^(cloexec|nofollow|noauto|empty) != 0 {
		return 0, errno.EINVAL
	}
	var fl vfs.OpFlags
	if flags&nofollow != 0 {
		fl |= vfs.OpNoFollow
	}
	if flags&empty != 0 {
		fl |= vfs.OpEmpty
	}
	var x at
	if err := x.init(t, a.Int(0), a.Ptr(1), fl); err != nil {
		return 0, err
	}
	defer x.done(t)
	p, err := vfsOf(t).Walk(t, x.Op)
	if err != nil {
		return 0, err
	}
	if p.Mount.Root().Dentry != p.Dentry {
		p.DecRef()
		return 0, errno.EINVAL
	}
	c := &fsContext{pick: p, sys: vfsOf(t), readOnly: p.Mount.SuperReadOnly()}
	return install(t, vfs.NewAnonFileFor(t, vfsOf(t), "anon_inode:[fscontext]", c, unix.O_RDWR), flags&cloexec != 0)
}

func contextOf(t *kernel.Task, fd int32) (*fsContext, *vfs.File, error) {
	f, err := openFile(t, fd)
	if err != nil {
		return nil, nil, err
	}
	c, ok := f.Ops().(*fsContext)
	if !ok {
		f.DecRef(t)
		return nil, nil, errno.EINVAL
	}
	return c, f, nil
}

// fsconfig(2).
func sysFsconfig(t *kernel.Task, a arch.Args) (uint64, error) {
	const setFlag, setString, setBinary, setPath, setPathEmpty, setFD, cmdCreate, cmdReconfigure, cmdCreateExcl = 0, 1, 2, 3, 4, 5, 6, 7, 8
	fd, cmd := a.Int(0), a.Uint(1)
	hasKey, hasVal, aux := a.Ptr(2) != 0, a.Ptr(3) != 0, a.Int(4)
	bad := fd < 0
	switch cmd {
	case setFlag:
		bad = bad || !hasKey || hasVal || aux != 0
	case setString:
		bad = bad || !hasKey || !hasVal || aux != 0
	case setBinary:
		bad = bad || !hasKey || !hasVal || aux <= 0 || aux > 1<<20
	case setPath, setPathEmpty:
		bad = bad || !hasKey || !hasVal || aux != unix.AT_FDCWD && aux < 0
	case setFD:
		bad = bad || !hasKey || hasVal || aux < 0
	case cmdCreate, cmdReconfigure, cmdCreateExcl:
		bad = bad || hasKey || hasVal || aux != 0
	default:
		if !bad {
			return 0, errno.EOPNOTSUPP
		}
	}
	if bad {
		return 0, errno.EINVAL
	}
	c, f, err := contextOf(t, fd)
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	key, val := "", ""
	switch cmd {
	case setFlag, setString:
		if key, err = t.CopyInString(a.Ptr(2), 256); err == nil && cmd == setString {
			val, err = t.CopyInString(a.Ptr(3), 256)
		}
		if err != nil {
			return 0, err
		}
	case cmdCreate, cmdReconfigure, cmdCreateExcl:
	default:
		return 0, errno.EOPNOTSUPP
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch cmd {
	case cmdReconfigure:
		return 0, c.reconfigure(t)
	case cmdCreate, cmdCreateExcl:
		return 0, c.create(t)
	}
	if c.made != nil {
		return 0, errno.EBUSY
	}
	return 0, c.set(key, val, cmd == setString)
}

func (c *fsContext) set(key, val string, isString bool) error {
	switch {
	case key == "source" && isString:
		if c.source != "" {
			return errno.EINVAL
		}
		c.source = val
	case key == "ro" && !isString:
		c.readOnly = true
	case key == "rw" && !isString:
		c.readOnly = false
	case strings.ContainsRune(key+val, ','):
		return errno.EINVAL
	case isString:
		c.opts = append(c.opts, key+"="+val)
	default:
		c.opts = append(c.opts, key)
	}
	return nil
}

func (c *fsContext) create(t *kernel.Task) error {
	if c.made != nil || c.pick.Ok() {
		return errno.EBUSY
	}
	s, err := c.sys.NewSuper(t, c.source, c.fstype, vfs.MountOpts{Data: strings.Join(c.opts, ","), ReadOnly: c.readOnly})
	if err == nil {
		c.made = s
	}
	return err
}

func (c *fsContext) reconfigure(t *kernel.Task) error {
	if !c.pick.Ok() {
		return errno.EBUSY
	}
	if !t.Creds().Capable(creds.CapSysAdmin) {
		return errno.EPERM
	}
	return c.sys.Reconfigure(t, c.pick.Mount, strings.Join(c.opts, ","), c.readOnly)
}

// fsmount(2).
func sysFsmount(t *kernel.Task, a arch.Args) (uint64, error) {
	if err := mayMount(t); err != nil {
		return 0, err
	}
	attrs := uint64(a.Uint(2))
	if a.Uint(1)&^1 != 0 || attrs&^(attrKnown&^attrIdmap) != 0 {
		return 0, errno.EINVAL
	}
	switch attrs & attrAtimeMask {
	case 0, attrNoatime, attrStrict:
	default:
		return 0, errno.EINVAL
	}
	c, f, err := contextOf(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	c.mu.Lock()
	fs := c.made
	c.made = nil
	c.mu.Unlock()
	if fs == nil {
		return 0, errno.EINVAL
	}
	p := c.sys.DetachedMount(t, fs, c.source, attrFlags(attrs)|atimeFlag(attrs))
	if c.readOnly {
		p.Mount.SetSuperReadOnly(true)
	}
	return treeFile(t, p, a.Uint(1) != 0, true)
}

// mntIDReq is struct mnt_id_req.
type mntIDReq struct {
	Size, Spare uint32
	ID, Param   uint64
	NS          uint64
}

func mountReq(t *kernel.Task, addr uint64) (r mntIDReq, err error) {
	if err := kernel.Get(t, addr, &r.Size); err != nil {
		return r, err
	}
	if r.Size < 24 {
		return r, errno.EINVAL
	}
	b := usermem.AsBytes(&r)[:min(uint64(r.Size), 32)]
	if err := t.CopyIn(addr, b); err != nil {
		return r, err
	}
	if r.Size > 32 {
		return r, zeroTail(t, addr+32, uint64(r.Size)-32)
	}
	return r, nil
}

// lsmtRoot is LSMT_ROOT.
const lsmtRoot = ^uint64(0)

// visibleMounts are the mounts of the caller's namespace below its root.
func visibleMounts(t *kernel.Task) []vfs.MountInfo {
	root := t.FS().Root()
	defer root.DecRef()
	return t.MountNS().Mounts(root)
}

// listmount(2).
func sysListmount(t *kernel.Task, a arch.Args) (uint64, error) {
	r, err := mountReq(t, a.Ptr(0))
	if err != nil {
		return 0, err
	}
	if a.Uint(3)&^1 != 0 || r.Spare != 0 {
		return 0, errno.EINVAL
	}
	all := visibleMounts(t)
	if a.Uint(3) != 0 {
		for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
			all[i], all[j] = all[j], all[i]
		}
	}
	var top *vfs.Mount
	for _, m := range all {
		if r.ID == lsmtRoot && m.ID == m.ParentID || m.Mount.UniqueID() == r.ID {
			top = m.Mount
		}
	}
	if top == nil && r.ID != lsmtRoot {
		return 0, errno.ENOENT
	}
	under := map[*vfs.Mount]bool{}
	if top != nil {
		for _, m := range top.Descendants() {
			under[m] = m != top
		}
	}
	var out []uint64
	for _, m := range all {
		id := m.Mount.UniqueID()
		if r.ID != lsmtRoot && !under[m.Mount] || r.Param != 0 && (a.Uint(3) == 0 && id <= r.Param || a.Uint(3) != 0 && id >= r.Param) {
			continue
		}
		if r.ID == lsmtRoot && m.ID == m.ParentID {
			continue
		}
		if uint64(len(out)) == a.Size(2) {
			break
		}
		out = append(out, id)
	}
	return uint64(len(out)), kernel.PutSlice(t, a.Ptr(1), out)
}

// statMount is the fixed part of struct statmount.
type statMount struct {
	Size, MntOpts              uint32
	Mask                       uint64
	DevMajor, DevMinor         uint32
	SbMagic                    uint64
	SbFlags, FsType            uint32
	MntID, MntParentID         uint64
	MntIDOld, MntParentIDOld   uint32
	Attr, Propagation          uint64
	PeerGroup, Master, FromPro uint64
	Root, Point                uint32
	MntNSID                    uint64
	FsSubtype, SbSource        uint32
	_                          [48]uint64
}

// statmount(2).
func sysStatmount(t *kernel.Task, a arch.Args) (uint64, error) {
	r, err := mountReq(t, a.Ptr(0))
	if err != nil {
		return 0, err
	}
	if a.Uint(3) != 0 || r.Spare != 0 {
		return 0, errno.EINVAL
	}
	var in *vfs.MountInfo
	all := visibleMounts(t)
	for i := range all {
		if all[i].Mount.UniqueID() == r.ID {
			in = &all[i]
		}
	}
	if in == nil {
		return 0, errno.ENOENT
	}
	const sbBasic, mntBasic, propFrom, root, point, fsType, nsID, mntOpts, source = 1, 2, 4, 8, 16, 32, 64, 128, 0x200
	var s statMount
	var strs []byte
	str := func(bit uint64, v string) uint32 {
		s.Mask |= bit
		at := uint32(len(strs))
		strs = append(append(strs, v...), 0)
		return at
	}
	if r.Param&sbBasic != 0 {
		s.Mask |= sbBasic
		st, _ := in.Mount.Super().Statfs(t)
		s.DevMajor, s.DevMinor, s.SbMagic = in.Dev.Major, in.Dev.Minor, uint64(st.Type)
		if in.ReadOnly {
			s.SbFlags |= unix.MS_RDONLY
		}
	}
	if r.Param&mntBasic != 0 {
		s.Mask |= mntBasic
		s.MntID, s.MntIDOld, s.MntParentIDOld = in.Mount.UniqueID(), uint32(in.ID), uint32(in.ParentID)
		s.MntParentID = in.Mount.UniqueID() - in.ID + in.ParentID
		s.Attr = attrsOf(in.Flags)
		s.PeerGroup, s.Master = uint64(in.Shared), uint64(in.Master)
		switch {
		case in.Shared != 0:
			s.Propagation |= unix.MS_SHARED
		case in.Unbindable:
			s.Propagation |= unix.MS_UNBINDABLE
		case in.Master == 0:
			s.Propagation |= unix.MS_PRIVATE
		}
		if in.Master != 0 {
			s.Propagation |= unix.MS_SLAVE
		}
	}
	if r.Param&nsID != 0 {
		s.Mask |= nsID
		s.MntNSID = t.MountNS().ID()
	}
	if r.Param&root != 0 {
		s.Root = str(root, in.Root)
	}
	if r.Param&point != 0 {
		s.Point = str(point, in.Point)
	}
	if r.Param&fsType != 0 {
		s.FsType = str(fsType, in.Type)
	}
	if r.Param&mntOpts != 0 && in.Options != "" {
		s.MntOpts = str(mntOpts, in.Options)
	}
	if r.Param&source != 0 && in.Source != "" {
		s.SbSource = str(source, in.Source)
	}
	fixed := usermem.AsBytes(&s)
	s.Size = uint32(len(fixed) + len(strs))
	if uint64(s.Size) > a.Size(2) {
		if a.Size(2) < uint64(len(fixed)) && len(strs) == 0 {
			return 0, t.CopyOut(a.Ptr(1), fixed[:a.Size(2)])
		}
		return 0, errno.EOVERFLOW
	}
	return 0, t.CopyOut(a.Ptr(1), append(append([]byte(nil), fixed...), strs...))
}

// attrsOf turns per-mount flags into MOUNT_ATTR_*.
func attrsOf(f vfs.MountFlags) uint64 {
	var v uint64
	for _, x := range [...]struct {
		a uint64
		f vfs.MountFlags
	}{{attrRdonly, vfs.MountReadOnly}, {attrNosuid, vfs.MountNoSuid}, {attrNodev, vfs.MountNoDev}, {attrNoexec, vfs.MountNoExec},
		{attrNodiratime, vfs.MountNoDirAtime}, {attrNosymfol, vfs.MountNoSymFollow}, {attrNoatime, vfs.MountNoAtime}} {
		if f&x.f != 0 {
			v |= x.a
		}
	}
	if f&(vfs.MountNoAtime|vfs.MountRelatime) == 0 {
		v |= attrStrict
	}
	return v
}
