// Package devfs has the devices every program expects in /dev: null, zero,
// full, random, urandom, and the nodes and links around them. Terminals are
// package devpts'.
//
// /dev itself is a tmpfs, as in every container, so that programs may add to
// it; Populate fills it. Devices are opened by number through
// vfs.System.RegisterDevice, wherever their nodes are.
package devfs

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/vfs"
)

const capSysAdmin = creds.CapSysAdmin

// Nodes are the device nodes of a container (OCI runtime spec, "Default
// Devices"), all with mode 0666.
var Nodes = []struct {
	Name string
	Dev  vfs.Dev
}{
	{"null", vfs.Dev{Major: 1, Minor: 3}},
	{"zero", vfs.Dev{Major: 1, Minor: 5}},
	{"full", vfs.Dev{Major: 1, Minor: 7}},
	{"random", vfs.Dev{Major: 1, Minor: 8}},
	{"urandom", vfs.Dev{Major: 1, Minor: 9}},
	{"tty", vfs.Dev{Major: 5, Minor: 0}},
}

// Links are the symbolic links.
var Links = [][2]string{
	{"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"},
	{"ptmx", "pts/ptmx"},
}

// Dirs are the mount points.
var Dirs = []string{"pts", "shm", "mqueue"}

// Populate makes nodes, links and mount points in the directory dir. What
// exists already stays.
func Populate(ctx kctx.Ctx, sys *vfs.System, dir vfs.Path) error {
	op := func(name string) vfs.Op { return vfs.Op{Sys: sys, Root: dir, Start: dir, Path: name} }
	ok := func(err error) error {
		if err == errno.EEXIST {
			return nil
		}
		return err
	}
	for _, n := range Nodes {
		if err := ok(sys.MknodAt(ctx, op(n.Name), unix.S_IFCHR|0o666, n.Dev)); err != nil {
			return err
		}
	}
	for _, d := range Dirs {
		if err := ok(sys.MkdirAt(ctx, op(d), 0o755)); err != nil {
			return err
		}
	}
	for _, l := range Links {
		if err := ok(sys.SymlinkAt(ctx, l[1], op(l[0]))); err != nil {
			return err
		}
	}
	return nil
}

// Type is the file system type "devtmpfs": a tmpfs that comes filled. Tmpfs
// makes it, under that name.
type Type struct{ Tmpfs vfs.FSType }

// Name implements vfs.FSType.
func (*Type) Name() string { return "devtmpfs" }

// NoDev implements vfs.FSType.
func (*Type) NoDev() bool { return true }

// Mount implements vfs.FSType.
func (t *Type) Mount(ctx kctx.Ctx, source string, opts vfs.MountOpts) (vfs.Super, error) {
	if opts.Data == "" {
		opts.Data = "mode=755"
	}
	s, err := t.Tmpfs.Mount(ctx, source, opts)
	if err != nil {
		return nil, err
	}
	root := s.Root()
	defer root.Release()
	made := func(i vfs.Inode, err error) error {
		if err == nil {
			i.Release()
		}
		return err
	}
	for _, n := range Nodes {
		if err := made(root.Mknod(ctx, n.Name, unix.S_IFCHR|0o666, n.Dev)); err != nil {
			return nil, err
		}
	}
	for _, d := range Dirs {
		if err := made(root.Mkdir(ctx, d, 0o755)); err != nil {
			return nil, err
		}
	}
	for _, l := range Links {
		if err := made(root.Symlink(ctx, l[0], l[1])); err != nil {
			return nil, err
		}
	}
	return s, nil
}
