// Package kctx is how the layers below kernel see whoever calls them.
//
// *kernel.Task implements Ctx; work done for no task (mounting at boot, the
// control server) uses Background.
package kctx

import (
	"time"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/wait"
)

// Ctx is the caller of a kernel service.
type Ctx interface {
	// Creds returns the caller's credentials, immutable.
	Creds() *creds.Credentials
	// Block sleeps until e fires (nil), the deadline passes (ETIMEDOUT; the
	// zero time means none), or a signal, exit or checkpoint interrupts
	// (ERESTARTSYS; the caller may turn it into another restart code). e is already
	// on its queue and the caller removes it.
	Block(e *wait.Entry, deadline time.Time) error
	// Interrupted says whether Block would return at once for a signal.
	Interrupted() bool
	// ThreadID and ProcessID are the caller's ids in the root PID namespace
	// (0 for the kernel itself): lock owners, SCM_CREDENTIALS, F_SETOWN.
	ThreadID() int32
	ProcessID() int32
}

// FileSizeLimiter is implemented by a Ctx with RLIMIT_FSIZE; vfs checks it.
type FileSizeLimiter interface {
	// CheckFileSize returns how many of count bytes may be written at offset,
	// or EFBIG after sending SIGXFSZ if none.
	CheckFileSize(offset, count int64) (int64, error)
}

type background struct{ cr *creds.Credentials }

// Background returns a Ctx with the given credentials that is never interrupted.
func Background(cr *creds.Credentials) Ctx { return background{cr} }

func (b background) Creds() *creds.Credentials { return b.cr }
func (b background) Interrupted() bool         { return false }
func (b background) ThreadID() int32           { return 0 }
func (b background) ProcessID() int32          { return 0 }

func (b background) Block(e *wait.Entry, deadline time.Time) error {
	if deadline.IsZero() {
		<-e.C
		return nil
	}
	t := time.NewTimer(time.Until(deadline))
	defer t.Stop()
	select {
	case <-e.C:
		return nil
	case <-t.C:
		return errno.ETIMEDOUT
	}
}
