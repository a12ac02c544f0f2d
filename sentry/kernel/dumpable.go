package kernel

import "redoubt.dev/redoubt/sentry/mm"

// Dumpable is PR_GET_DUMPABLE of the process (prctl(2)); a process whose
// memory is gone is not.
func (tg *ThreadGroup) Dumpable() mm.Dumpable {
	if t := tg.Leader(); t != nil {
		if m := t.MM(); m != nil {
			return m.Dumpable()
		}
	}
	return mm.NotDumpable
}
