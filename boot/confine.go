package boot

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// goferCaps is what the gofer needs to serve files as their owner would:
// everything else is given up.
var goferCaps = []uintptr{unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH,
	unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_MKNOD, unix.CAP_SETFCAP}

// emptyRoot makes an empty read-only tmpfs the root of this mount namespace
// and lets go of the host's tree. With fill, the tmpfs is first writable and
// fill puts into it, by its path, what shall stay reachable.
func emptyRoot(fill func(dir string) error) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	// /proc is a directory that every host has; what is mounted there is not
	// needed any more, except by fill, which works on other paths.
	const dir = "/proc"
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("redoubt", dir, "tmpfs", flags, "mode=0755,size=1m"); err != nil {
		return fmt.Errorf("mounting an empty root: %w", err)
	}
	if fill != nil {
		if err := fill(dir); err != nil {
			return err
		}
	}
	if err := unix.Chdir(dir); err != nil {
		return fmt.Errorf("entering the empty root: %w", err)
	}
	// Both arguments "." stack the old root on the new one: pivot_root(2).
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivoting to the empty root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("letting go of the host's root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", flags|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("making the empty root read-only: %w", err)
	}
	return nil
}

// dropPrivileges leaves every thread with the capabilities in keep alone and
// no way to get others.
func dropPrivileges(keep []uintptr) error {
	var mask uint64
	for _, c := range keep {
		mask |= 1 << c
	}
	// No capabilities by being uid 0 across an exec: capabilities(7).
	const bits = 1<<0 | 1<<1 | 1<<2 | 1<<3 // NOROOT, NO_SETUID_FIXUP and their locks
	if err := allThreads(unix.SYS_PRCTL, unix.PR_SET_SECUREBITS, bits, 0); err != nil {
		return fmt.Errorf("setting securebits: %w", err)
	}
	if err := allThreads(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0); err != nil {
		return fmt.Errorf("setting no_new_privs: %w", err)
	}
	if err := setCaps(mask); err != nil {
		return fmt.Errorf("dropping capabilities: %w", err)
	}
	return nil
}

func allThreads(nr, a1, a2, a3 uintptr) error {
	_, _, e := syscall.AllThreadsSyscall6(nr, a1, a2, a3, 0, 0, 0)
	if e == syscall.ENOTSUP {
		return errors.New("this binary was built with cgo; build it with CGO_ENABLED=0")
	}
	if e != 0 {
		return e
	}
	return nil
}
