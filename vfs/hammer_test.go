package vfs_test

import (
	"fmt"
	"math/rand"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

// TestHammer runs random operations on a few names from several goroutines; it
// looks for deadlocks, races and lost inodes.
func TestHammer(t *testing.T) {
	e := newTree(t)
	var wg sync.WaitGroup
	stop := time.Now().Add(time.Second)
	for g := 0; g < 6; g++ {
		wg.Add(1)
		go func(seed int64) {
			defer wg.Done()
			rng := rand.New(rand.NewSource(seed))
			name := func() string {
				p := ""
				for i := rng.Intn(3); i >= 0; i-- {
					p += fmt.Sprintf("/%c", 'a'+rng.Intn(4))
				}
				return p
			}
			for time.Now().Before(stop) {
				for i := 0; i < 50; i++ {
					step(e, rng, name)
				}
			}
		}(int64(g))
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("deadlock")
	}
	// Mounts whose path changed before they were unmounted. One may lie below
	// what another covers, so go on while there is progress.
	for last := -1; ; {
		l := e.ns.Mounts(e.root)
		if len(l) <= 1 || len(l) == last {
			if len(l) > 1 {
				t.Errorf("cannot unmount %s", l[1].Point)
			}
			break
		}
		last = len(l)
		for i := len(l) - 1; i > 0; i-- {
			e.sys.Umount(e.ctx, e.op(l[i].Point), unix.MNT_DETACH)
		}
	}
	clean(e, "/")
	st, _ := e.root.Mount.Super().Statfs(e.ctx)
	if st.Ffree != st.Files-1 || st.Bfree != st.Blocks {
		t.Errorf("left behind: %d inodes, %d pages", st.Files-1-st.Ffree, st.Blocks-st.Bfree)
	}
}

// clean removes everything below dir.
func clean(e *tree, dir string) {
	f, err := e.sys.OpenAt(e.ctx, e.op(dir), unix.O_DIRECTORY, 0)
	if err != nil {
		e.t.Fatal(err)
	}
	var names []vfs.Dirent
	f.Readdir(e.ctx, func(d vfs.Dirent) bool {
		if d.Name[0] != '.' {
			names = append(names, d)
		}
		return true
	})
	f.DecRef(e.ctx)
	for _, d := range names {
		p := dir + "/" + d.Name
		if d.Type == unix.DT_DIR {
			clean(e, p)
			err = e.sys.RmdirAt(e.ctx, e.op(p))
		} else {
			err = e.sys.UnlinkAt(e.ctx, e.op(p))
		}
		if err != nil {
			e.t.Errorf("removing %s: %v", p, err)
		}
	}
}

func step(e *tree, rng *rand.Rand, name func() string) {
	ctx, sys := e.ctx, e.sys
	switch rng.Intn(12) {
	case 0:
		sys.MkdirAt(ctx, e.op(name()), 0o755)
	case 1:
		sys.RmdirAt(ctx, e.op(name()))
	case 2:
		sys.UnlinkAt(ctx, e.op(name()))
	case 3:
		sys.RenameAt(ctx, e.op(name()), e.op(name()), uint32(rng.Intn(3)))
	case 4:
		sys.LinkAt(ctx, e.op(name()), e.op(name()))
	case 5:
		sys.SymlinkAt(ctx, name()[1:], e.op(name()))
	case 6, 7:
		if f, err := sys.OpenAt(ctx, e.op(name()), unix.O_CREAT|unix.O_RDWR, 0o644); err == nil {
			f.Write(ctx, usermem.Bytes(make([]byte, rng.Intn(9000))))
			f.Truncate(ctx, int64(rng.Intn(9000)))
			f.Pread(ctx, usermem.Bytes(make([]byte, 5000)), 0)
			f.DecRef(ctx)
		}
	case 8:
		if f, err := sys.OpenAt(ctx, e.op(name()), unix.O_DIRECTORY, 0); err == nil {
			f.Readdir(ctx, func(vfs.Dirent) bool { return true })
			f.DecRef(ctx)
		}
	case 9:
		if p, err := sys.Walk(ctx, e.op(name())); err == nil {
			p.String(e.root)
			up := e.op("../..")
			up.Start = p
			sys.StatAt(ctx, up)
			p.DecRef()
		}
	case 10:
		if rng.Intn(20) == 0 {
			p := name()
			if sys.MountAt(ctx, "x", e.op(p), "tmpfs", 0, vfs.MountOpts{}) == nil {
				sys.Umount(ctx, e.op(p), unix.MNT_DETACH)
			}
		}
	default:
		sys.StatAt(ctx, e.op(name()))
	}
}
