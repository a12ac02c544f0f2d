package syscalls

import (
	"strconv"
	"sync/atomic"
	"time"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/klog"
	"redoubt.dev/redoubt/sentry/strace"
)

// Tracer logs calls as strace(1) does (kernel.Tracer).
type Tracer struct {
	// Only, if not empty, has the names to log.
	Only map[string]bool
	last atomic.Int64
}

func (tr *Tracer) row(nr uint64) (name string, kinds []string, ok bool) {
	name = "syscall_" + strconv.FormatUint(nr, 10)
	if r := Lookup(nr); r != nil {
		name, kinds = r.Name, strace.Kinds(r.Args)
	}
	return name, kinds, len(tr.Only) == 0 || tr.Only[name]
}

func line(t *kernel.Task, format string, args ...any) {
	klog.Logf(klog.Error, "[%d:%d %s] "+format, append([]any{t.ProcessID(), t.ThreadID(), t.Name()}, args...)...)
}

// Enter implements kernel.Tracer.
func (tr *Tracer) Enter(t *kernel.Task, nr uint64, a arch.Args) {
	if name, kinds, ok := tr.row(nr); ok {
		tr.last.Store(time.Now().UnixNano())
		line(t, "E %s(%s)", name, strace.Arguments(t.Mem(), kinds, a))
	}
}

// Exit implements kernel.Tracer.
func (tr *Tracer) Exit(t *kernel.Task, nr uint64, a arch.Args, ret uint64, err error) {
	name, kinds, ok := tr.row(nr)
	if !ok {
		return
	}
	buf := ""
	if err == nil && t.MM() != nil {
		buf = strace.Results(t.Mem(), kinds, a, ret)
	}
	line(t, "X %s = %s%s", name, strace.Result(ret, err), buf)
}
