package kernel

import (
	"bytes"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/usermem"
)

// Copies between system-call arguments and user memory go through a small
// buffer of the task, so that the structures can stay on the stack.

// Put copies a fixed-size structure without pointers out to addr. Only for the
// task goroutine.
func Put[T any](t *Task, addr uint64, v *T) error {
	for b := usermem.AsBytes(v); len(b) > 0; {
		n := copy(t.scratch[:], b)
		if _, err := t.space.CopyOut(addr, t.scratch[:n]); err != nil {
			return errno.EFAULT
		}
		b = b[n:]
		addr += uint64(n)
	}
	return nil
}

// Get copies a fixed-size structure without pointers in from addr. Only for
// the task goroutine.
func Get[T any](t *Task, addr uint64, v *T) error {
	for b := usermem.AsBytes(v); len(b) > 0; {
		n := min(len(b), len(t.scratch))
		if _, err := t.space.CopyIn(addr, t.scratch[:n]); err != nil {
			return errno.EFAULT
		}
		copy(b, t.scratch[:n])
		b = b[n:]
		addr += uint64(n)
	}
	return nil
}

// GetSlice and PutSlice are Get and Put of len(v) structures.
func GetSlice[T any](t *Task, addr uint64, v []T) error {
	for b := usermem.AsBytesOf(v); len(b) > 0; {
		n := min(len(b), len(t.scratch))
		if _, err := t.space.CopyIn(addr, t.scratch[:n]); err != nil {
			return errno.EFAULT
		}
		copy(b, t.scratch[:n])
		b = b[n:]
		addr += uint64(n)
	}
	return nil
}

// PutSlice copies len(v) structures out to addr.
func PutSlice[T any](t *Task, addr uint64, v []T) error {
	for b := usermem.AsBytesOf(v); len(b) > 0; {
		n := copy(t.scratch[:], b)
		if _, err := t.space.CopyOut(addr, t.scratch[:n]); err != nil {
			return errno.EFAULT
		}
		b = b[n:]
		addr += uint64(n)
	}
	return nil
}

// CopyInPath reads a path argument of a system call.
func (t *Task) CopyInPath(addr uint64) (string, error) {
	// Never across a page in one step: the string may end before a hole.
	n := min(len(t.scratch), int(4096-addr&4095))
	k, _ := t.space.CopyIn(addr, t.scratch[:n])
	if i := bytes.IndexByte(t.scratch[:k], 0); i >= 0 {
		return string(t.scratch[:i]), nil
	}
	return usermem.CopyInString(t.space, addr, unix.PathMax)
}
