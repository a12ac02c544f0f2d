package syscalls

import (
	"math/bits"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/signal"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

func init() { vfs.SendIO = sendIO }

// ioTarget finds the object that a file owner names, nil if there is none.
func ioTarget(t *kernel.Task, o vfs.Owner) any {
	ns := t.PIDNamespace()
	switch o.Type {
	case vfs.OwnerTID:
		if x := ns.Task(o.PID); x != nil {
			return x
		}
	case vfs.OwnerPGRP:
		if pg := ns.FindGroup(o.PID); pg != nil {
			return pg
		}
	default:
		if tg := ns.ThreadGroup(o.PID); tg != nil {
			return tg
		}
	}
	return nil
}

// sendIO sends SIGIO, or what F_SETSIG chose (linux: fs/fcntl.c send_sigio).
func sendIO(o vfs.Owner, sig, fd int32, ev wait.Events) {
	info := signal.Kernel(int32(unix.SIGIO))
	if sig != 0 {
		// si_code counts the POLL_* reasons in the order of their bits.
		code := int32(1) // POLL_IN
		switch b := ev & (wait.In | wait.Out | wait.Pri | wait.Err | wait.Hup); {
		case b&wait.In != 0:
		case b != 0:
			code = [...]int32{1, 5, 2, 4, 6}[bits.TrailingZeros32(uint32(b))]
		}
		info = &signal.Info{Signo: sig, Code: code}
		info.SetPoll(int64(ev), fd)
	}
	switch x := o.Target.(type) {
	case *kernel.Task:
		x.SendSignal(info)
	case *kernel.ThreadGroup:
		x.SendSignal(info)
	case *kernel.ProcessGroup:
		for _, tg := range x.Members() {
			tg.SendSignal(info)
		}
	}
}

// pidSeenBy turns an id of the root PID namespace into the caller's.
func pidSeenBy(t *kernel.Task, root int32) int32 {
	if p := t.Kernel().RootPIDNS().LookupPID(root); p != nil {
		return p.In(t.PIDNamespace())
	}
	return 0
}
