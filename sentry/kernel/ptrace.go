package kernel

import "redoubt.dev/redoubt/sentry/signal"

// traceState is the tracee's side of ptrace(2). Under TaskSet.mu.
type traceState struct {
	tracer *Task
}

func (t *Task) traceFirstStop()                                      {}
func (t *Task) traceSyscallStop(entry bool)                          {}
func (t *Task) traceSeccomp(data uint64) bool                        { return false }
func (t *Task) traceStepDone()                                       {}
func (t *Task) traceStepHandler()                                    {}
func (t *Task) traceTrap()                                           {}
func (t *Task) traceSignal(info *signal.Info) bool                   { return true }
func (t *Task) traceGroupStop(sig int32)                             {}
func (t *Task) cloneEvent(a *CloneArgs) int                          { return 0 }
func (t *Task) traceClone(c *Task, a *CloneArgs, event int)          {}
func (t *Task) traceEvent(event int, msg uint64)                     {}
func (t *Task) traceEventIf(event int, msg uint64)                   {}
func (t *Task) traceExec()                                           {}
func (t *Task) traceExitStop(status uint32)                          {}
func (t *Task) tracerCapable() bool                                  { return false }
func (k *Kernel) detachTracerLocked(t *Task, after *afterUnlock)     {}
func (k *Kernel) notifyTracerExitLocked(t *Task, after *afterUnlock) {}
func (t *Task) reportTraceeLocked(x *Task, a *WaitArgs, r *WaitResult, after *afterUnlock) bool {
	return false
}
