package vfs

import (
	"sort"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/lock"
)

const (
	typeMask = unix.S_IFMT
	typeDir  = unix.S_IFDIR
	typeLink = unix.S_IFLNK
	typeReg  = unix.S_IFREG
)

// System is the file system state of a sandbox: types, instances, the name
// cache, mounts of all namespaces.
type System struct {
	dcache dcache

	// mountMu guards the mount tree of every namespace; walkers read mountMap.
	mountMu   lock.RWMutex[lock.MountMu]
	mountMap  [mountShards]atomic.Pointer[map[mountKey]*Mount]
	nextMount uint64
	nextGroup uint32
	nextNS    uint64

	nextMinor atomic.Uint32
	nextIno   atomic.Uint64

	mu      sync.Mutex
	types   map[string]FSType
	supers  map[Super]*superblock
	devices map[deviceKey]DeviceOpener
	anon    *Mount

	// OpenFIFO opens a named pipe; pipefs installs it. state is a slot of the
	// inode where it keeps the pipe.
	OpenFIFO func(ctx kctx.Ctx, inode Inode, flags uint32) (FileOps, error)

	states stateTable
	notify notifyState
	locks  lockTable
}

// NewSystem returns a System without types and mounts.
func NewSystem() *System {
	s := &System{
		types:   map[string]FSType{},
		supers:  map[Super]*superblock{},
		devices: map[deviceKey]DeviceOpener{},
	}
	s.dcache.init()
	for i := range s.mountMap {
		s.mountMap[i].Store(&map[mountKey]*Mount{})
	}
	s.nextIno.Store(1)
	s.initAnon()
	return s
}

// RegisterType makes a file system type known to mount(2).
func (s *System) RegisterType(t FSType) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.types[t.Name()] = t
}

// TypeNamed returns a registered type; ENODEV if there is none.
func (s *System) TypeNamed(name string) (FSType, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.types[name]; t != nil {
		return t, nil
	}
	return nil, errno.ENODEV
}

// Types lists the registered types by name.
func (s *System) Types() []FSType {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := make([]FSType, 0, len(s.types))
	for _, t := range s.types {
		l = append(l, t)
	}
	sort.Slice(l, func(i, j int) bool { return l[i].Name() < l[j].Name() })
	return l
}

// AllocDev returns an anonymous device number, as file systems without a
// block device have (major 0).
func (s *System) AllocDev() Dev { return Dev{0, s.nextMinor.Add(1) + 20} }

// superFor returns vfs's part of fs, made on first use, with its root dentry.
func (s *System) superFor(fs Super) *superblock {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sb := s.supers[fs]; sb != nil && !sb.released.Load() {
		return sb
	}
	sb := &superblock{sys: s, fs: fs, vol: fs.Volatile()}
	sb.root = s.dcache.newDentry(sb, nil, "/", fs.Root())
	sb.root.refs.Store(0) // mounts hold it; with the last one it goes
	s.supers[fs] = sb
	return sb
}

func (s *System) forgetSuper(sb *superblock) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.supers[sb.fs] == sb {
		delete(s.supers, sb.fs)
	}
}

// Supers lists the live file system instances.
func (s *System) Supers() []Super {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := make([]Super, 0, len(s.supers))
	for f := range s.supers {
		l = append(l, f)
	}
	return l
}

// SyncAll is sync(2).
func (s *System) SyncAll(ctx kctx.Ctx) {
	for _, f := range s.Supers() {
		f.Sync(ctx)
	}
}

// DeviceOpener opens a device node. p is the node's path.
type DeviceOpener func(ctx kctx.Ctx, p Path, flags uint32) (FileOps, error)

type deviceKey struct {
	block bool
	dev   Dev
}

// AnyMinor registers an opener for all minors of a major number.
const AnyMinor = 0xffffffff

// RegisterDevice installs what opens device nodes with this number, on any
// file system.
func (s *System) RegisterDevice(block bool, dev Dev, open DeviceOpener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.devices[deviceKey{block, dev}] = open
}

func (s *System) device(block bool, dev Dev) DeviceOpener {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.devices[deviceKey{block, dev}]; o != nil {
		return o
	}
	return s.devices[deviceKey{block, Dev{dev.Major, AnyMinor}}]
}
