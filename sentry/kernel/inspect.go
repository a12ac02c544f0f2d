package kernel

// What /proc shows of a task and no system call asks for.

// ExitInfo returns the signal the parent gets at the end of t's process (-1
// for a thread that is not the leader) and, of a zombie, the wait status.
func (t *Task) ExitInfo() (sig int32, status uint32) {
	t.k.ts.mu.RLock()
	defer t.k.ts.mu.RUnlock()
	if t.tg.leader != t {
		return -1, t.exitStatus
	}
	return t.tg.exitSignal, t.exitStatus
}

// GroupPIDs returns the identifiers of the process group and the session, nil
// once the process is reaped.
func (tg *ThreadGroup) GroupPIDs() (group, session *PID) {
	tg.k.ts.mu.RLock()
	defer tg.k.ts.mu.RUnlock()
	if tg.pgrp == nil {
		return nil, nil
	}
	return tg.pgrp.pid, tg.pgrp.session.pid
}

// TracerPID is the id of the tracer seen from ns, 0 if there is none.
func (t *Task) TracerPID(ns *PIDNamespace) int32 {
	t.k.ts.mu.RLock()
	defer t.k.ts.mu.RUnlock()
	if t.trace.tracer == nil {
		return 0
	}
	return t.trace.tracer.tg.pid.In(ns)
}

// Cgroup is a control group as processes carry it (fsimpl/cgroupfs).
type Cgroup interface{ Path() string }

type cgroupBox struct{ g Cgroup }

// Cgroup is the control group of the process, nil for the root; children
// inherit it.
func (tg *ThreadGroup) Cgroup() Cgroup {
	if b, ok := tg.cgroup.Load().(cgroupBox); ok {
		return b.g
	}
	return nil
}

// SetCgroup moves the process.
func (tg *ThreadGroup) SetCgroup(g Cgroup) { tg.cgroup.Store(cgroupBox{g}) }
