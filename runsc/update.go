package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"redoubt.dev/redoubt/boot"
)

func cmdUpdate(cfg *config, args []string) error {
	fs := newFlagSet("update", "[flags] ID")
	var resources string
	var memory, reservation, swap, quota, period, shares, pids int64
	var cpus, mems string
	fs.str(&resources, "resources r", "", "file with linux.resources, - for standard input")
	for name, p := range map[string]*int64{"memory": &memory, "memory-reservation": &reservation, "memory-swap": &swap,
		"cpu-quota": &quota, "cpu-period": &period, "cpu-share": &shares, "pids-limit": &pids} {
		fs.Int64Var(p, name, 0, "as in linux.resources")
	}
	fs.str(&cpus, "cpuset-cpus", "", "CPUs to use")
	fs.str(&mems, "cpuset-mems", "", "memory nodes to use")
	fs.ignoredStr("blkio-weight cpu-rt-period cpu-rt-runtime cpu-burst kernel-memory kernel-memory-tcp l3-cache-schema mem-bw-schema cpu-idle", "not enforced")
	id, err := oneID(fs, args)
	if err != nil {
		return err
	}
	var r specs.LinuxResources
	if resources != "" {
		var b []byte
		if resources == "-" {
			b, err = io.ReadAll(os.Stdin)
		} else {
			b, err = os.ReadFile(resources)
		}
		if err != nil {
			return fmt.Errorf("reading --resources: %w", err)
		}
		if err := json.Unmarshal(b, &r); err != nil {
			return fmt.Errorf("parsing --resources: %w", err)
		}
	}
	if memory != 0 || reservation != 0 || swap != 0 {
		r.Memory = &specs.LinuxMemory{Limit: &memory, Reservation: &reservation, Swap: &swap}
	}
	if quota != 0 || period != 0 || shares != 0 || cpus != "" || mems != "" {
		up, us := uint64(period), uint64(shares)
		r.CPU = &specs.LinuxCPU{Quota: &quota, Period: &up, Shares: &us, Cpus: cpus, Mems: mems}
	}
	if pids != 0 {
		r.Pids = &specs.LinuxPids{Limit: &pids}
	}
	c, err := loadContainer(cfg, id, true)
	if err != nil {
		return err
	}
	defer c.release()
	if c.status() == statusStopped {
		return errGone
	}
	if err := c.call("update", boot.UpdateArgs{ID: c.ID, Resources: r}, nil); err != nil {
		return err
	}
	if len(c.Cgroups) == 0 {
		return nil // limits the sentry keeps itself are all there is
	}
	return c.setLimits(&r)
}

func oneLine(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return []byte("{}")
	}
	return b
}
