// Package gofer serves host directories to one sandbox.
//
// It runs as a process of its own (runsc gofer), confined by its mount
// namespace and a seccomp filter. Each mount is a Tree with two sockets (see
// gofer/wire): 9P2000.L, served by hugelgupf/p9 with the File of p9file.go, and
// the lane of donated descriptors and path calls, served by calls.go.
//
// The client is hostile. Three rules keep it inside: every name and path is
// checked before use; every resolution is one openat2(2) below the attach
// point's descriptor with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, so that the
// kernel itself refuses ".." and links whatever is renamed meanwhile; and only
// regular files and directories are ever opened. A call needs no state that
// outlives it, so there is nothing to exhaust but the descriptors of 9P fids,
// which are counted.
package gofer

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/gofer/wire"
)

// Mount is one tree to serve.
type Mount struct {
	// Root is a descriptor of the directory or file served.
	Root int
	// Conn is the 9P socket (a stream), or -1.
	Conn int
	// Donate is the lane's socket (SOCK_SEQPACKET), or -1.
	Donate int
	// Prepared says that wire.Prepare was called for Donate.
	Prepared bool
	ReadOnly bool
	// OpenUDS lets clients connect to host sockets in the tree (--host-uds).
	OpenUDS bool
}

// Serve serves all mounts until every connection has ended. It owns the
// descriptors.
func Serve(mounts []Mount) error {
	unix.Umask(0)
	// A lane may hold its P (wire.Server).
	if n := len(mounts) + 1; n > runtime.GOMAXPROCS(0) {
		runtime.GOMAXPROCS(n)
	}
	var wg sync.WaitGroup
	var errs []error
	for i, m := range mounts {
		t, err := newTree(m)
		if err != nil {
			errs = append(errs, fmt.Errorf("serving mount %d: %w", i, err))
			continue
		}
		if m.Conn >= 0 {
			unix.SetNonblock(m.Conn, true)
			f := os.NewFile(uintptr(m.Conn), "9p")
			wg.Add(1)
			go func() {
				defer wg.Done()
				serve9P(t, f)
			}()
		}
		if m.Donate >= 0 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				s := wire.NewServer(m.Donate)
				defer s.Close()
				if m.Prepared {
					s.MayHold()
				}
				t.serveLane(s)
			}()
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}

// tree is one attach point.
type tree struct {
	root     int
	dir      bool
	readOnly bool
	openUDS  bool
}

func newTree(m Mount) (*tree, error) {
	var st unix.Stat_t
	if err := unix.Fstat(m.Root, &st); err != nil {
		return nil, err
	}
	typ := st.Mode & unix.S_IFMT
	return &tree{root: m.Root, dir: typ == unix.S_IFDIR, readOnly: m.ReadOnly, openUDS: m.OpenUDS}, nil
}
