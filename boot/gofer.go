package boot

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/boot/hostfilter"
	"redoubt.dev/redoubt/gofer"
	"redoubt.dev/redoubt/gofer/wire"
)

// GoferMain is the whole life of the gofer process: it learns what to serve,
// leaves itself nothing but that, and serves until the sandbox is gone.
func GoferMain(unconfined bool) {
	setName("runsc-gofer")
	time.Local = time.UTC // no zone files are in reach later
	if err := goferMain(unconfined); err != nil {
		fmt.Fprintf(os.Stderr, "runsc-gofer: %v\n", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func goferMain(unconfined bool) error {
	unix.CloseOnExec(controlFD)
	conn := NewConn(controlFD)
	m, fds, err := conn.Recv()
	if err != nil {
		return nil // runsc gave up before there was anything to serve
	}
	var a GoferArgs
	if err := json.Unmarshal(m.Args, &a); err != nil {
		return fmt.Errorf("parsing the mounts: %w", err)
	}
	at := func(i int) (int, error) {
		if i < 0 || i >= len(fds) {
			return -1, fmt.Errorf("descriptor %d of %d is missing", i, len(fds))
		}
		return fds[i], nil
	}
	mounts := make([]gofer.Mount, len(a.Mounts))
	for i, gm := range a.Mounts {
		if mounts[i].Conn, err = at(gm.Conn); err != nil {
			return err
		}
		if mounts[i].Donate, err = at(gm.Donate); err == nil && mounts[i].Donate >= 0 {
			mounts[i].Prepared = wire.Prepare(mounts[i].Donate) == nil
		}
		if err != nil {
			return err
		}
		mounts[i].ReadOnly = gm.ReadOnly
		mounts[i].OpenUDS = gm.HostUDS == "open" || gm.HostUDS == "all"
	}
	open := func(i int, path string) error {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("opening %s: %w", a.Mounts[i].Source, err)
		}
		// A single file cannot be opened anew below its descriptor: open it now
		// with all the access that clients may get.
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
			flags := unix.O_RDWR
			if a.Mounts[i].ReadOnly {
				flags = unix.O_RDONLY
			}
			f, err := unix.Open(path, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
			if err == unix.EROFS || err == unix.EACCES || err == unix.ETXTBSY {
				f, err = unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
			}
			if err == nil {
				unix.Close(fd)
				fd = f
			}
		}
		mounts[i].Root = fd
		return nil
	}
	if unconfined {
		for i, gm := range a.Mounts {
			if err := open(i, gm.Source); err != nil {
				return err
			}
		}
		return gofer.Serve(mounts)
	}
	// Each served tree is bound below the new, otherwise empty root, so that
	// nothing else of the host has a name here. A read-only mount is so for
	// the gofer too: a broken sentry cannot write what the bundle forbade.
	err = emptyRoot(func(dir string) error {
		for i, gm := range a.Mounts {
			target := filepath.Join(dir, strconv.Itoa(i))
			if err := bindTree(gm.Source, target); err != nil {
				return err
			}
			if gm.ReadOnly {
				attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
				if err := unix.MountSetattr(-1, target, unix.AT_RECURSIVE, &attr); err != nil {
					return fmt.Errorf("making %s read-only: %w", gm.Source, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range a.Mounts {
		if err := open(i, "/"+strconv.Itoa(i)); err != nil {
			return err
		}
	}
	if os.Getuid() == 0 {
		if err := dropPrivileges(goferCaps); err != nil {
			return err
		}
	}
	deny := hostfilter.Kill
	if a.Debug {
		deny = hostfilter.Trap
	}
	if err := hostfilter.Install(hostfilter.Gofer(a.HostUDS), deny); err != nil {
		return err
	}
	return gofer.Serve(mounts)
}

// bindTree binds source, a directory or any other file, on a new target.
func bindTree(source, target string) error {
	var st unix.Stat_t
	if err := unix.Stat(source, &st); err != nil {
		return fmt.Errorf("finding %s: %w", source, err)
	}
	var err error
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		err = unix.Mkdir(target, 0o755)
	} else {
		var fd int
		if fd, err = unix.Open(target, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o644); err == nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		return fmt.Errorf("making the mount point of %s: %w", source, err)
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("binding %s: %w", source, err)
	}
	return nil
}
