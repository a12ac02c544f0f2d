package kernel

import "sync/atomic"

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

// ioCounts are the counters of /proc/pid/io, of the whole process.
type ioCounts struct {
	rchar, wchar, syscr, syscw atomic.Int64
}

// CountIO counts a call of the read or write family that moved n bytes.
func (t *Task) CountIO(write bool, n int64) {
	c := &t.tg.io
	if write {
		c.syscw.Add(1)
		c.wchar.Add(max(n, 0))
		return
	}
	c.syscr.Add(1)
	c.rchar.Add(max(n, 0))
}

// IO returns what CountIO counted: bytes read and written, calls of each kind.
func (tg *ThreadGroup) IO() (rchar, wchar, syscr, syscw int64) {
	c := &tg.io
	return c.rchar.Load(), c.wchar.Load(), c.syscr.Load(), c.syscw.Load()
}

// CPUResources is Resources without the size of memory, which costs more than
// all the rest.
func (tg *ThreadGroup) CPUResources() Resources {
	tg.k.ts.mu.RLock()
	defer tg.k.ts.mu.RUnlock()
	return tg.resourcesLocked()
}
