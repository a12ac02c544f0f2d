package overlayfs

import (
	"testing"

	"redoubt.dev/redoubt/fsimpl/tmpfs"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/pages"
	"redoubt.dev/redoubt/vfs"
	"redoubt.dev/redoubt/vfs/vfstest"
)

func TestSuite(t *testing.T) {
	vfstest.Run(t, func(t *testing.T, ctx kctx.Ctx, sys *vfs.System) vfs.Super {
		mem, err := pages.NewMemory("test")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(mem.Close)
		sys.RegisterType(tmpfs.NewType(sys, mem))
		sys.RegisterType(New(sys))
		up, err := sys.NewSuper(ctx, "", "tmpfs", vfs.MountOpts{})
		if err != nil {
			t.Fatal(err)
		}
		low, err := sys.NewSuper(ctx, "", "tmpfs", vfs.MountOpts{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := sys.NewSuper(ctx, "", "overlay", vfs.MountOpts{Internal: Layers{Upper: &Layer{Super: up}, Lowers: []Layer{{Super: low}}}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}, vfstest.Options{})
}
