package syscalls

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

var execRows = []Row{
	{59, "execve", sysExecve, "path,strv,strv", Full, ""},
	{322, "execveat", sysExecveat, "dirfd,path,strv,strv,hex", Full, ""},
}

// maxArgLen is MAX_ARG_STRLEN.
const maxArgLen = 32 * arch.PageSize

// copyArgv copies a vector of strings in; budget is what execve(2) allows for
// all of them.
func copyArgv(t *kernel.Task, addr uint64, budget *int64) ([]string, error) {
	if addr == 0 {
		return nil, nil
	}
	var l []string
	var page [64 * 8]byte
	for {
		// Up to the end of the page, so that no read fails for what is not needed.
		n := min(uint64(len(page)), arch.PageSize-addr%arch.PageSize)
		if n < 8 {
			n = 8
		}
		if err := t.CopyIn(addr, page[:n]); err != nil {
			return nil, err
		}
		for i := uint64(0); i+8 <= n; i += 8 {
			p := binary.LittleEndian.Uint64(page[i:])
			if p == 0 {
				return l, nil
			}
			s, err := usermem.CopyInString(t.Mem(), p, maxArgLen)
			if err == errno.ENAMETOOLONG {
				return nil, errno.E2BIG
			}
			if err != nil {
				return nil, err
			}
			*budget -= int64(len(s)) + 9
			if *budget < 0 {
				return nil, errno.E2BIG
			}
			l = append(l, s)
		}
		addr += n &^ 7
	}
}

// execve(2).
func sysExecve(t *kernel.Task, a arch.Args) (uint64, error) {
	path, err := t.CopyInPath(a.Ptr(0))
	if err != nil {
		return 0, err
	}
	return execCommon(t, unix.AT_FDCWD, path, a.Ptr(1), a.Ptr(2), 0)
}

// execveat(2).
func sysExecveat(t *kernel.Task, a arch.Args) (uint64, error) {
	fl := a.Uint(4)
	path, err := t.CopyInPath(a.Ptr(1))
	if err == nil && path == "" && fl&unix.AT_EMPTY_PATH == 0 {
		err = errno.ENOENT
	}
	if err != nil {
		return 0, err
	}
	if fl&^(unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW) != 0 {
		return 0, errno.EINVAL
	}
	return execCommon(t, a.Int(0), path, a.Ptr(2), a.Ptr(3), fl)
}

func execCommon(t *kernel.Task, dirfd int32, path string, argv, envv uint64, fl uint32) (uint64, error) {
	if path == "" && fl&unix.AT_EMPTY_PATH == 0 {
		return 0, errno.ENOENT
	}
	budget := int64(max(min(t.Limit(unix.RLIMIT_STACK)/4, 6<<20), 32*arch.PageSize))
	var flags vfs.OpFlags
	if fl&unix.AT_SYMLINK_NOFOLLOW != 0 {
		flags |= vfs.OpNoFollow
	}
	if fl&unix.AT_EMPTY_PATH != 0 {
		flags |= vfs.OpEmpty
	}
	var start vfs.Path
	shown := path
	closing := false
	if dirfd != unix.AT_FDCWD && (path == "" || path[0] != '/') {
		dir, err := t.File(dirfd)
		if err != nil {
			return 0, err
		}
		defer dir.DecRef(t)
		start = dir.Path()
		shown = fmt.Sprintf("/dev/fd/%d", dirfd)
		if path != "" {
			shown += "/" + path
		}
		closing = t.FDs().Cloexec(dirfd)
	}
	f, err := t.OpenExec(start, path, flags)
	if err != nil {
		return 0, err
	}
	args, err := copyArgv(t, argv, &budget)
	if err == nil {
		var env []string
		env, err = copyArgv(t, envv, &budget)
		if err == nil {
			return 0, t.Exec(kernel.ExecArgs{File: f, Path: shown, Argv: args, Envv: env, Closing: closing})
		}
	}
	f.DecRef(t)
	return 0, err
}
