package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const cgroupRoot = "/sys/fs/cgroup"

// v1Controllers are the hierarchies a container is put into on hosts without
// the unified one.
var v1Controllers = []string{"cpu", "cpuacct", "cpuset", "memory", "pids", "blkio", "freezer", "devices"}

func cgroupV2() bool {
	var st unix.Statfs_t
	return unix.Statfs(cgroupRoot, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
}

// cgroupPath turns linux.cgroupsPath into a path below a hierarchy. systemd's
// slice:prefix:name form names the same place systemd would choose.
func cgroupPath(p string, systemd bool) (string, error) {
	if parts := strings.Split(p, ":"); systemd && len(parts) == 3 {
		slice, prefix, name := parts[0], parts[1], parts[2]
		if slice == "" {
			slice = "system.slice"
		}
		if !strings.HasSuffix(slice, ".slice") {
			return "", fmt.Errorf("cgroupsPath %q: %q is not a slice", p, slice)
		}
		var dir, sofar string
		for part := range strings.SplitSeq(strings.TrimSuffix(slice, ".slice"), "-") {
			if part == "" {
				break
			}
			sofar += part
			dir += "/" + sofar + ".slice"
			sofar += "-"
		}
		unit := name
		if !strings.HasSuffix(name, ".slice") {
			unit = prefix + "-" + name + ".scope"
		}
		return dir + "/" + unit, nil
	}
	clean := filepath.Clean("/" + p)
	if strings.Contains(p, "..") {
		return "", fmt.Errorf("cgroupsPath %q leaves the hierarchy", p)
	}
	return clean, nil
}

// placeInCgroup makes the container's cgroups, sets their limits and moves the
// sandbox process there. A path that was asked for must work; without one the
// caller's cgroup will do.
func (c *container) placeInCgroup(cfg *config, spec *specs.Spec) error {
	if spec.Linux.CgroupsPath == "" {
		return nil
	}
	path, err := cgroupPath(spec.Linux.CgroupsPath, cfg.systemdCgroup)
	if err != nil {
		return err
	}
	c.CgroupOf = path
	if cgroupV2() {
		err = c.placeV2(path)
	} else {
		err = c.placeV1(path)
	}
	if err == nil {
		if err = c.save(); err == nil && spec.Linux.Resources != nil {
			err = c.setLimits(spec.Linux.Resources)
		}
	}
	if err != nil && os.Geteuid() != 0 && (errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS)) {
		return nil // a user without delegated cgroups runs without limits
	}
	return err
}

func (c *container) placeV2(path string) error {
	dir := filepath.Join(cgroupRoot, path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making cgroup %s: %w", path, err)
	}
	c.Cgroups = []string{dir}
	// Controllers are enabled from the top down; those that cannot be show when
	// a limit is set.
	at := cgroupRoot
	for part := range strings.SplitSeq(strings.Trim(filepath.Dir(path), "/"), "/") {
		for _, ctl := range []string{"cpu", "cpuset", "memory", "pids", "io"} {
			_ = os.WriteFile(filepath.Join(at, "cgroup.subtree_control"), []byte("+"+ctl), 0o644)
		}
		at = filepath.Join(at, part)
	}
	return c.enter(dir)
}

func (c *container) placeV1(path string) error {
	for _, ctl := range v1Controllers {
		top := filepath.Join(cgroupRoot, ctl)
		if _, err := os.Stat(filepath.Join(top, "cgroup.procs")); err != nil {
			continue
		}
		dir := filepath.Join(top, path)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("making cgroup %s of %s: %w", path, ctl, err)
		}
		c.Cgroups = append(c.Cgroups, dir)
		if ctl == "cpuset" {
			inheritCPUSet(top, path)
		}
		if err := c.enter(dir); err != nil {
			return err
		}
	}
	return nil
}

// inheritCPUSet copies cpus and mems down: a cpuset without them takes no
// process (cpusets(7)).
func inheritCPUSet(top, path string) {
	at := top
	for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		next := filepath.Join(at, part)
		for _, f := range []string{"cpuset.cpus", "cpuset.mems"} {
			if b, err := os.ReadFile(filepath.Join(next, f)); err == nil && strings.TrimSpace(string(b)) == "" {
				if up, err := os.ReadFile(filepath.Join(at, f)); err == nil {
					_ = os.WriteFile(filepath.Join(next, f), up, 0o644)
				}
			}
		}
		at = next
	}
}

func (c *container) enter(dir string) error {
	err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(c.Sandbox.PID)), 0o644)
	if err != nil {
		return fmt.Errorf("moving the sandbox to cgroup %s: %w", dir, err)
	}
	return nil
}

// setLimits writes what is given in r, in the words of the host's version.
func (c *container) setLimits(r *specs.LinuxResources) error {
	v2 := cgroupV2()
	var writes []struct{ ctl, file, val string }
	add := func(ctl, file, val string) {
		writes = append(writes, struct{ ctl, file, val string }{ctl, file, val})
	}
	limit := func(v int64) string {
		if v < 0 {
			if v2 {
				return "max"
			}
			return "-1"
		}
		return strconv.FormatInt(v, 10)
	}
	if m := r.Memory; m != nil {
		if m.Limit != nil && *m.Limit != 0 {
			add("memory", pick(v2, "memory.max", "memory.limit_in_bytes"), limit(*m.Limit))
		}
		if m.Reservation != nil && *m.Reservation != 0 {
			add("memory", pick(v2, "memory.low", "memory.soft_limit_in_bytes"), limit(*m.Reservation))
		}
		if m.Swap != nil && *m.Swap != 0 {
			if !v2 {
				add("memory", "memory.memsw.limit_in_bytes", limit(*m.Swap))
			} else if m.Limit != nil && *m.Swap >= 0 {
				add("memory", "memory.swap.max", limit(max(*m.Swap-*m.Limit, 0)))
			} else {
				add("memory", "memory.swap.max", limit(*m.Swap))
			}
		}
	}
	if p := r.CPU; p != nil {
		period := uint64(100000)
		if p.Period != nil && *p.Period != 0 {
			period = *p.Period
			if !v2 {
				add("cpu", "cpu.cfs_period_us", strconv.FormatUint(period, 10))
			}
		}
		if p.Quota != nil && *p.Quota != 0 {
			if v2 {
				add("cpu", "cpu.max", fmt.Sprintf("%s %d", limit(*p.Quota), period))
			} else {
				add("cpu", "cpu.cfs_quota_us", limit(*p.Quota))
			}
		}
		if p.Shares != nil && *p.Shares != 0 {
			if v2 {
				// The conversion systemd and runc use: [2..262144] to [1..10000].
				add("cpu", "cpu.weight", strconv.FormatUint(1+(*p.Shares-2)*9999/262142, 10))
			} else {
				add("cpu", "cpu.shares", strconv.FormatUint(*p.Shares, 10))
			}
		}
		if p.Cpus != "" {
			add("cpuset", "cpuset.cpus", p.Cpus)
		}
		if p.Mems != "" {
			add("cpuset", "cpuset.mems", p.Mems)
		}
	}
	// pids.limit counts the guest's tasks, which the sentry does; the host
	// would count the sandbox's own threads.
	for k, v := range r.Unified {
		if v2 && !strings.Contains(k, "/") {
			add("", k, v)
		}
	}
	for _, w := range writes {
		if err := c.writeCgroup(v2, w.ctl, w.file, w.val); err != nil {
			return err
		}
	}
	return nil
}

func pick(cond bool, a, b string) string {
	if cond {
		return a
	}
	return b
}

func (c *container) writeCgroup(v2 bool, ctl, file, val string) error {
	for _, dir := range c.Cgroups {
		if !v2 && !strings.HasPrefix(dir, filepath.Join(cgroupRoot, ctl)+"/") {
			continue
		}
		err := os.WriteFile(filepath.Join(dir, file), []byte(val), 0o644)
		if errors.Is(err, fs.ErrNotExist) && strings.Contains(file, "sw") {
			return nil // no swap accounting on this host
		}
		if err != nil {
			return fmt.Errorf("setting %s to %s: %w", file, val, err)
		}
		return nil
	}
	return fmt.Errorf("setting %s to %s: the host has no %s cgroup for it", file, val, ctl)
}

// removeCgroups removes what placeInCgroup made, deepest first by itself; a
// busy one is given a moment to empty.
func removeCgroups(dirs []string) error {
	var firstErr error
	for _, d := range dirs {
		for try := 0; ; try++ {
			err := unix.Rmdir(d)
			if err == nil || err == unix.ENOENT {
				break
			}
			if err == unix.EBUSY && try < 50 {
				unix.Poll(nil, 10)
				continue
			}
			if firstErr == nil {
				firstErr = fmt.Errorf("removing cgroup %s: %w", d, err)
			}
			break
		}
	}
	return firstErr
}

// readCgroup reads a number of the container's cgroup, 0 if there is none.
func (c *container) readCgroup(ctl, v1file, v2file, key string) uint64 {
	v2 := cgroupV2()
	for _, dir := range c.Cgroups {
		if !v2 && !strings.HasPrefix(dir, filepath.Join(cgroupRoot, ctl)+"/") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, pick(v2, v2file, v1file)))
		if err != nil {
			return 0
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if (!v2 || key == "") && len(f) == 1 {
				n, _ := strconv.ParseUint(f[0], 10, 64)
				return n
			}
			if len(f) == 2 && f[0] == key {
				n, _ := strconv.ParseUint(f[1], 10, 64)
				return n
			}
		}
	}
	return 0
}
