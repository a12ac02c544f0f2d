package kernel

import (
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/mm"
)

// CommitCreds installs credentials that a call of t changed, with the side
// effects of linux: kernel/cred.c commit_creds.
func (t *Task) CommitCreds(n *creds.Credentials) {
	o := t.Creds()
	if o.EUID != n.EUID || o.EGID != n.EGID || o.FSUID != n.FSUID || o.FSGID != n.FSGID || n.Permitted&^o.Permitted != 0 {
		if t.space != nil {
			t.space.SetDumpable(mm.NotDumpable)
		}
		t.tg.sigMu.Lock()
		t.pdeathsig = 0
		t.tg.sigMu.Unlock()
	}
	if o.RUID != n.RUID {
		nu := t.k.user(n.RUID)
		if ou := t.ucount.Swap(nu); ou != nil {
			ou.procs.Add(-1)
		}
		nu.procs.Add(1)
	}
	t.SetCreds(n)
}

// PDeathSig is PR_GET_PDEATHSIG.
func (t *Task) PDeathSig() int32 {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	return t.pdeathsig
}

// SetPDeathSig is PR_SET_PDEATHSIG.
func (t *Task) SetPDeathSig(sig int32) {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	t.pdeathsig = sig
}

// Subreaper is PR_GET_CHILD_SUBREAPER.
func (tg *ThreadGroup) Subreaper() bool {
	tg.k.ts.mu.RLock()
	defer tg.k.ts.mu.RUnlock()
	return tg.subreaper
}

// SetSubreaper is PR_SET_CHILD_SUBREAPER.
func (tg *ThreadGroup) SetSubreaper(on bool) {
	tg.k.ts.mu.Lock()
	defer tg.k.ts.mu.Unlock()
	tg.subreaper = on
	if !on {
		return
	}
	// Descendants that exist already look for one, too.
	var mark func(*ThreadGroup)
	mark = func(p *ThreadGroup) {
		for c := p.children.head; c != nil; c = c.sibling.next {
			if !c.hasSubreaper {
				c.hasSubreaper = true
				mark(c)
			}
		}
	}
	mark(tg)
}
