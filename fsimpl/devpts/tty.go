package devpts

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

const (
	capSysAdmin = creds.CapSysAdmin
	slaveMajor  = 136
)

// TTY is a pty slave as the process model sees it: the controlling terminal
// of a session (credentials(7), tcsetpgrp(3)). It implements kernel.TTY.
// Who is in the foreground is kernel's knowledge.
type TTY struct{ pair *pair }

// TTYDev implements kernel.TTY.
func (t *TTY) TTYDev() (major, minor uint32) { return slaveMajor, t.pair.n }

// Disassociated implements kernel.TTY. Measured on Linux: a pty that loses its
// session because the leader exited stays usable for those who have it open.
func (t *TTY) Disassociated() {}

func (t *TTY) kernel() *kernel.Kernel { return t.pair.fs.k }

func (t *TTY) signalForeground(s unix.Signal) {
	if k := t.kernel(); k != nil {
		k.SignalForeground(t, int32(s))
	}
}

func (t *TTY) hangup() {
	if k := t.kernel(); k != nil {
		k.HangupTTY(t)
	}
}

// checkRead is the job-control check of a read (linux: job_control).
func (t *TTY) checkRead(ctx kctx.Ctx) error {
	if task, ok := ctx.(*kernel.Task); ok {
		return task.CheckTTY(t, int32(unix.SIGTTIN))
	}
	return nil
}

// checkChange is the check before output under TOSTOP and before changes of
// settings (linux: tty_check_change).
func (t *TTY) checkChange(ctx kctx.Ctx) error {
	if task, ok := ctx.(*kernel.Task); ok {
		return task.CheckTTY(t, int32(unix.SIGTTOU))
	}
	return nil
}

// acquireOnOpen makes the terminal the caller's if it leads a session without
// one; failure is no error of open(2).
func (t *TTY) acquireOnOpen(ctx kctx.Ctx) {
	if task, ok := ctx.(*kernel.Task); ok && task.TTY() == nil {
		task.SetTTY(t, false, true)
	}
}

// acquire is TIOCSCTTY.
func (t *TTY) acquire(ctx kctx.Ctx, f *vfs.File, arg int32) error {
	task, ok := ctx.(*kernel.Task)
	if !ok {
		return errno.EPERM
	}
	return task.SetTTY(t, arg == 1, f.Flags()&unix.O_ACCMODE != unix.O_WRONLY)
}

// controls says whether the terminal is the caller's controlling one.
func (t *TTY) controls(ctx kctx.Ctx) bool {
	task, ok := ctx.(*kernel.Task)
	return ok && task.TTY() == kernel.TTY(t)
}

// leave is TIOCNOTTY.
func (t *TTY) leave(ctx kctx.Ctx) error {
	task, ok := ctx.(*kernel.Task)
	if !ok {
		return errno.ENOTTY
	}
	return task.DropTTY(t)
}

func (t *TTY) getForeground(ctx kctx.Ctx, io usermem.IO, arg uint64, isMaster bool) error {
	task, ok := ctx.(*kernel.Task)
	if !ok {
		return errno.ENOTTY
	}
	pg, err := task.Foreground(t, isMaster)
	if err != nil {
		if isMaster {
			pg = 0 // no session: nobody is in the foreground
		} else {
			return err
		}
	}
	return usermem.Put(io, arg, &pg)
}

func (t *TTY) setForeground(ctx kctx.Ctx, io usermem.IO, arg uint64) error {
	task, ok := ctx.(*kernel.Task)
	if !ok {
		return errno.ENOTTY
	}
	if err := t.checkChange(ctx); err != nil {
		if err == errno.EIO {
			return errno.ENOTTY
		}
		return err
	}
	if task.TTY() != kernel.TTY(t) {
		return errno.ENOTTY
	}
	var pg int32
	if err := usermem.Get(io, arg, &pg); err != nil {
		return err
	}
	return task.SetForeground(t, pg)
}

func (t *TTY) getSession(ctx kctx.Ctx, io usermem.IO, arg uint64, isMaster bool) error {
	task, ok := ctx.(*kernel.Task)
	if !ok {
		return errno.ENOTTY
	}
	sid, err := task.SessionOfTTY(t, isMaster)
	if err != nil {
		return err
	}
	return usermem.Put(io, arg, &sid)
}
