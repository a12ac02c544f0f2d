package kernel

import "redoubt.dev/redoubt/vfs"

// PathOp returns the operation on a path as the task sees it, for layers that
// know their caller as a kctx.Ctx only (AF_UNIX addresses), and what to call
// when it is over.
func (t *Task) PathOp(path string) (vfs.Op, func()) {
	root, cwd := t.FS().Root(), t.FS().Cwd()
	return vfs.Op{Sys: t.Kernel().VFS(), NS: t.MountNS(), Root: root, Start: cwd, Path: path}, func() {
		root.DecRef()
		cwd.DecRef()
	}
}

// Umask is the task's file mode creation mask.
func (t *Task) Umask() uint32 { return t.FS().Umask() }
