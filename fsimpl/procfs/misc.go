package procfs

import (
	"fmt"
	"strings"

	"redoubt.dev/redoubt/sentry/kernel"
)

// schedOf returns policy, real-time priority, and stat's priority and nice.
func schedOf(t *kernel.Task) (policy, rt, prio, nice int32) {
	s := t.Sched()
	prio = 20 + s.Nice
	if s.Policy == 1 || s.Policy == 2 {
		prio = -1 - s.Prio
	}
	return s.Policy, s.Prio, prio, s.Nice
}

// exitOf returns the exit signal and, for a zombie, the wait status.
func exitOf(t *kernel.Task) (sig int32, code uint32) {
	sig, code = t.ExitInfo()
	if s := t.State(); s != 'Z' && s != 'X' {
		code = 0
	}
	return sig, code
}

func tracerOf(t *kernel.Task, ns *kernel.PIDNamespace) int32 { return t.TracerPID(ns) }

func groupPIDs(tg *kernel.ThreadGroup) (pg, sid *kernel.PID) { return tg.GroupPIDs() }

func seccompOf(t *kernel.Task) (mode, filters int) { return t.SeccompMode(), t.SeccompFilters() }

// affinityOf formats the processors a task may use as a mask and a list.
func affinityOf(t *kernel.Task, n int) (mask, list string) {
	words := t.Affinity()
	var m []string
	for i := (n - 1) / 32; i >= 0; i-- {
		w := uint32(0)
		if i/2 < len(words) {
			w = uint32(words[i/2] >> (i % 2 * 32))
		}
		if len(m) == 0 {
			m = append(m, fmt.Sprintf("%x", w))
		} else {
			m = append(m, fmt.Sprintf("%08x", w))
		}
	}
	return strings.Join(m, ","), cpuList(n, func(i int) bool { return i/64 < len(words) && words[i/64]>>(i%64)&1 != 0 })
}

// cpuList formats a set of processors ("0-3,8").
func cpuList(n int, has func(int) bool) string {
	var l []string
	for i := 0; i < n; i++ {
		if !has(i) {
			continue
		}
		j := i
		for j+1 < n && has(j+1) {
			j++
		}
		if i == j {
			l = append(l, fmt.Sprint(i))
		} else {
			l = append(l, fmt.Sprintf("%d-%d", i, j))
		}
		i = j
	}
	return strings.Join(l, ",")
}
