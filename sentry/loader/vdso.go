package loader

import (
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/mm"
)

// VDSO is the vDSO's image and its parameter page, one per sandbox.
type VDSO struct{}

func (v *VDSO) mapInto(ctx kctx.Ctx, m *mm.Space) (uint64, error) { return 0, nil }
