package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go/features"
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/boot"
)

func cmdList(cfg *config, args []string) error {
	fs := newFlagSet("list", "[flags]")
	var format string
	var quiet bool
	fs.str(&format, "format f", "table", "table or json")
	fs.boolean(&quiet, "quiet q", false, "ids only")
	if _, err := fs.parse(args, true); err != nil {
		return err
	}
	if err := oneOf("format", format, "table", "json"); err != nil {
		return err
	}
	ids, err := listIDs(cfg)
	if err != nil {
		return err
	}
	type row struct {
		OCIVersion  string            `json:"ociVersion"`
		ID          string            `json:"id"`
		Pid         int               `json:"pid"`
		Status      string            `json:"status"`
		Bundle      string            `json:"bundle"`
		Rootfs      string            `json:"rootfs"`
		Created     time.Time         `json:"created"`
		Annotations map[string]string `json:"annotations,omitempty"`
		Owner       string            `json:"owner"`
	}
	rows := []row{}
	for _, id := range ids {
		if quiet {
			fmt.Fprintln(stdout, id)
			continue
		}
		c, err := loadContainer(cfg, id, false)
		if err != nil {
			continue // deleted meanwhile
		}
		r := row{specVersion, c.ID, 0, c.status(), c.Bundle, c.Rootfs, c.Created, c.Annotations, c.Owner}
		if r.Status != statusStopped {
			r.Pid = c.Sandbox.PID
		}
		rows = append(rows, r)
	}
	if quiet {
		return nil
	}
	if format == "json" {
		fmt.Fprintf(stdout, "%s\n", mustJSON(rows))
		return nil
	}
	w := tabwriter.NewWriter(stdout, 12, 1, 3, ' ', 0)
	fmt.Fprint(w, "ID\tPID\tSTATUS\tBUNDLE\tCREATED\tOWNER\n")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", r.ID, r.Pid, r.Status, r.Bundle, r.Created.Format(time.RFC3339Nano), r.Owner)
	}
	return w.Flush()
}

// running loads a container that has a live sandbox.
func running(cfg *config, id string) (*container, error) {
	c, err := loadContainer(cfg, id, false)
	if err != nil {
		return nil, err
	}
	if !c.Sandbox.alive() {
		return nil, errGone
	}
	return c, nil
}

func cmdPs(cfg *config, args []string) error {
	fs := newFlagSet("ps", "[flags] ID [ps options]")
	var format string
	fs.str(&format, "format f", "table", "table or json")
	rest, err := fs.parse(args, false)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		return errors.New("ps: a container id is needed")
	}
	if err := oneOf("format", format, "table", "json"); err != nil {
		return err
	}
	c, err := running(cfg, rest[0])
	if err != nil {
		return err
	}
	var procs []boot.ProcessInfo
	if err := c.call("ps", boot.ProcessRef{ID: c.ID}, &procs); err != nil {
		return err
	}
	if format == "json" {
		// Engines look the numbers up on the host (docker top), where there
		// is one process for all of the container's.
		fmt.Fprintf(stdout, "%s\n", mustJSON([]int{c.Sandbox.PID}))
		return nil
	}
	w := tabwriter.NewWriter(stdout, 1, 1, 2, ' ', 0)
	fmt.Fprint(w, "UID\tPID\tPPID\tC\tSTIME\tTTY\tTIME\tCMD\n")
	for _, p := range procs {
		fmt.Fprintf(w, "%d\t%d\t%d\t0\t%s\t%s\t%s\t%s\n", p.UID, p.PID, p.PPID, p.STime, p.TTY, p.Time, p.Cmd)
	}
	return w.Flush()
}

func cmdEvents(cfg *config, args []string) error {
	fs := newFlagSet("events", "[flags] ID")
	var stats bool
	var interval string
	fs.boolean(&stats, "stats", false, "print once and end")
	fs.str(&interval, "interval", "5s", "time between prints")
	id, err := oneID(fs, args)
	if err != nil {
		return err
	}
	every, err := time.ParseDuration(interval)
	if err != nil || every <= 0 {
		return fmt.Errorf("--interval=%s: want a duration such as 5s", interval)
	}
	for {
		c, err := running(cfg, id)
		if err != nil {
			return err
		}
		var ev boot.Events
		if err := c.call("events", boot.ProcessRef{ID: id}, &ev); err != nil {
			return err
		}
		if v := c.readCgroup("memory", "memory.usage_in_bytes", "memory.current", ""); v != 0 {
			ev.Memory.Usage.Usage = v
		}
		ev.Memory.Usage.Limit = c.readCgroup("memory", "memory.limit_in_bytes", "memory.max", "")
		if v := c.readCgroup("cpuacct", "cpuacct.usage", "cpu.stat", "usage_usec"); v != 0 {
			if cgroupV2() {
				v *= 1000
			}
			ev.CPU.Usage.Total = v
		}
		fmt.Fprintf(stdout, "{\"type\":\"stats\",\"id\":%s,\"data\":%s}\n", quoteJSON(id), oneLine(ev))
		if stats {
			return nil
		}
		time.Sleep(every)
	}
}

func cmdDebug(cfg *config, args []string) error {
	fs := newFlagSet("debug", "[flags] ID")
	var stacks, tasks, mounts, stubs, ps bool
	var strace string
	fs.boolean(&stacks, "stacks", false, "goroutine stacks of the sentry")
	fs.boolean(&tasks, "tasks", false, "every task, with the call it is in")
	fs.boolean(&mounts, "mounts", false, "the container's mounts")
	fs.boolean(&stubs, "stubs", false, "what guests asked for that is accepted and ignored, with counts")
	fs.boolean(&ps, "ps", false, "processes")
	fs.str(&strace, "strace", "", "all or off: log the calls of guests from now on")
	fs.ignoredStr("signal log-level profile-cpu profile-heap duration mount", "not offered")
	id, err := oneID(fs, args)
	if err != nil {
		return err
	}
	c, err := running(cfg, id)
	if err != nil {
		return err
	}
	if ps {
		if err := cmdPs(cfg, []string{id}); err != nil {
			return err
		}
	}
	for _, q := range []struct {
		on bool
		op string
	}{{stacks, "stacks"}, {tasks, "tasks"}, {mounts, "mounts"}, {stubs, "stubs"}} {
		if !q.on {
			continue
		}
		var text string
		if err := c.call(q.op, boot.ProcessRef{ID: id}, &text); err != nil {
			return err
		}
		fmt.Fprint(stdout, text)
	}
	if strace != "" {
		if err := oneOf("strace", strace, "all", "off"); err != nil {
			return err
		}
		return c.call("strace", strace, nil)
	}
	return nil
}

func cmdSyscalls(cfg *config, args []string) error {
	fs := newFlagSet("syscalls", "[flags]")
	var format string
	fs.str(&format, "format o", "table", "table, csv or json")
	if _, err := fs.parse(args, true); err != nil {
		return err
	}
	rows := boot.Syscalls()
	switch format {
	case "json":
		fmt.Fprintf(stdout, "%s\n", mustJSON(rows))
	case "csv":
		for _, r := range rows {
			fmt.Fprintf(stdout, "%d,%s,%s,%q\n", r.Number, r.Name, r.Level, r.Note)
		}
	case "table":
		w := tabwriter.NewWriter(stdout, 1, 1, 2, ' ', 0)
		fmt.Fprint(w, "NUMBER\tNAME\tSUPPORT\tNOTE\n")
		for _, r := range rows {
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", r.Number, r.Name, r.Level, r.Note)
		}
		return w.Flush()
	default:
		return oneOf("format", format, "table", "csv", "json")
	}
	return nil
}

func cmdFeatures(cfg *config, args []string) error {
	if _, err := newFlagSet("features", "").parse(args, true); err != nil {
		return err
	}
	yes, no := true, false
	f := features.Features{
		OCIVersionMin: "1.0.0",
		OCIVersionMax: specVersion,
		Hooks:         []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"},
		MountOptions:  boot.MountOptions(),
		Linux: &features.Linux{
			Namespaces:   []string{"cgroup", "ipc", "mount", "network", "pid", "user", "uts"},
			Capabilities: capNames,
			Cgroup:       &features.Cgroup{V1: &yes, V2: &yes, Systemd: &yes, SystemdUser: &no, Rdma: &no},
			Seccomp: &features.Seccomp{Enabled: &yes,
				Actions: []string{"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
					"SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP"},
				Operators: []string{"SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT",
					"SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"},
				Archs: []string{"SCMP_ARCH_X86_64"}},
			Apparmor:        &features.Apparmor{Enabled: &no},
			Selinux:         &features.Selinux{Enabled: &no},
			IntelRdt:        &features.IntelRdt{Enabled: &no},
			MountExtensions: &features.MountExtensions{IDMap: &features.IDMap{Enabled: &no}},
		},
		Annotations: map[string]string{"dev.redoubt.version": versionString()},
	}
	fmt.Fprintf(stdout, "%s\n", mustJSON(f))
	return nil
}

// cmdCheck looks at what a sandbox needs of a host and says how to get what is
// missing.
func cmdCheck(cfg *config, args []string) error {
	if _, err := newFlagSet("check", "").parse(args, true); err != nil {
		return err
	}
	bad := 0
	report := func(ok bool, what, remedy string) {
		if ok {
			fmt.Fprintf(stdout, "ok    %s\n", what)
			return
		}
		bad++
		fmt.Fprintf(stdout, "BAD   %s: %s\n", what, remedy)
	}
	report(runtime.GOARCH == "amd64", "processor is x86-64", "other processors are not supported")
	var uts unix.Utsname
	unix.Uname(&uts)
	release := unix.ByteSliceToString(uts.Release[:])
	var major, minor int
	fmt.Sscanf(release, "%d.%d", &major, &minor)
	report(major > 5 || major == 5 && minor >= 11, "kernel "+release, "5.11 or later is needed")
	b, err := os.ReadFile("/proc/sys/user/max_user_namespaces")
	report(err == nil && strings.TrimSpace(string(b)) != "0", "user namespaces", "set sysctl user.max_user_namespaces above 0")
	_, err = os.Stat("/proc/self/ns/net")
	report(err == nil, "network namespaces", "mount /proc, and use a kernel with CONFIG_NET_NS")
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, 2, 0, 0) // SECCOMP_GET_ACTION_AVAIL of nothing
	report(e != unix.ENOSYS, "seccomp filters", "use a kernel with CONFIG_SECCOMP_FILTER")
	fd, err := unix.MemfdCreate("check", unix.MFD_CLOEXEC)
	if err == nil {
		unix.Close(fd)
	}
	report(err == nil, "memfd", fmt.Sprint(err))
	s, err := spawnSandbox(cfg, 2)
	if err == nil {
		s.kill()
	}
	report(err == nil, "a sandbox process starts", fmt.Sprint(err))
	switch {
	case cgroupV2():
		fmt.Fprintln(stdout, "info  cgroups: unified (v2)")
	default:
		fmt.Fprintln(stdout, "info  cgroups: v1, or none")
	}
	if bad > 0 {
		return &exitError{code: 1, msg: fmt.Sprintf("%d of the things a sandbox needs are missing", bad)}
	}
	return nil
}
