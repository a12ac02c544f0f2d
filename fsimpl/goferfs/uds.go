package goferfs

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/gofer/wire"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
)

// ConnectHost connects to the host socket that i is (--host-uds=open). The
// descriptor, non-blocking, is the caller's.
func (i *inode) ConnectHost(ctx kctx.Ctx, typ int) (int, error) {
	if i.mode.Load()&unix.S_IFMT != unix.S_IFSOCK {
		return -1, errno.ECONNREFUSED
	}
	p, err := i.path()
	if err != nil {
		return -1, err
	}
	e := wire.NewRequest(wire.OpConnect, p)
	e.U32(uint32(typ))
	_, fds, err := i.fs.lane.Call(e, 1)
	if err != nil {
		return -1, err
	}
	if len(fds) != 1 {
		return -1, errno.EIO
	}
	return fds[0], nil
}
