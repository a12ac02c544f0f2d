package goferfs

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/gofer"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/vfs"
	"redoubt.dev/redoubt/vfs/vfstest"
)

func TestSuite(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	old := unix.Umask(0)
	defer unix.Umask(old)
	for _, cache := range []string{"exclusive", "remote_revalidating"} {
		t.Run(cache, func(t *testing.T) {
			vfstest.Run(t, func(t *testing.T, ctx kctx.Ctx, sys *vfs.System) vfs.Super {
				root, err := unix.Open(t.TempDir(), unix.O_PATH|unix.O_CLOEXEC, 0)
				if err != nil {
					t.Fatal(err)
				}
				c9, s9 := pair(t, unix.SOCK_STREAM)
				cl, sl := pair(t, unix.SOCK_SEQPACKET)
				go gofer.Serve([]gofer.Mount{{Root: root, Conn: s9, Donate: sl}})
				sys.RegisterType(New(sys))
				s, err := sys.NewSuper(ctx, "gofer", "9p", vfs.MountOpts{Internal: Conn{RFD: c9, WFD: c9, DonationFD: cl, Cache: cache}})
				if err != nil {
					t.Fatal(err)
				}
				return s
			}, vfstest.Options{NoTmpfile: true})
		})
	}
}
