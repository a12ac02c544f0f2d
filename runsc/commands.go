package main

import (
	"fmt"
	"io"
	"runtime/debug"

	"redoubt.dev/redoubt/boot"
)

// command is one word of the command line.
type command struct {
	name string
	help string
	run  func(cfg *config, args []string) error
}

var commands []command

// The table refers to functions that print it, so it is filled here.
func init() {
	commands = []command{
		{"do", "run one command in a sandbox over the host's files, writes thrown away", cmdDo},
		{"run", "create and start a container, and wait for it", cmdRun},
		{"create", "create a container from a bundle", cmdCreate},
		{"start", "start a created container", cmdStart},
		{"state", "print the state of a container as JSON", cmdState},
		{"kill", "send a signal to a container", cmdKill},
		{"delete", "delete a container that has stopped", cmdDelete},
		{"exec", "run one more process in a container", cmdExec},
		{"ps", "list the processes in a container", cmdPs},
		{"list", "list containers", cmdList},
		{"wait", "wait until a container ends and print its status", cmdWait},
		{"pause", "stop all processes of a container", cmdPause},
		{"resume", "continue a paused container", cmdResume},
		{"events", "print resource use", cmdEvents},
		{"update", "change resource limits", cmdUpdate},
		{"spec", "write a config.json to start from", cmdSpec},
		{"debug", "look into a running sandbox", cmdDebug},
		{"syscalls", "print which system calls are supported, and how far", cmdSyscalls},
		{"features", "print what this runtime supports as JSON", cmdFeatures},
		{"check", "say whether this host can run sandboxes", cmdCheck},
		{"help", "print this list", func(*config, []string) error { return cmdHelp() }},
		{"version", "print the version", func(*config, []string) error { printVersion(stdout); return nil }},
		{"boot", "", func(*config, []string) error { return errInternal }},
		{"gofer", "", func(*config, []string) error { return errInternal }},
	}
}

var errInternal = fmt.Errorf("this command is for runsc itself")

func cmdHelp() error {
	printUsage(stdout)
	return nil
}

func printUsage(w io.Writer) {
	fmt.Fprint(w, "usage: runsc [global flags] COMMAND [flags] [arguments]\n\n")
	for _, c := range commands {
		if c.help != "" {
			fmt.Fprintf(w, "  %-10s %s\n", c.name, c.help)
		}
	}
	fmt.Fprint(w, "\n'runsc COMMAND --help' prints a command's flags. Global flags:\n")
	cfg := &config{}
	fs := globalFlags(cfg)
	fs.help(w)
}

// version is set with -ldflags -X; without it the build's revision is used.
var version string

func versionString() string {
	if version != "" {
		return version
	}
	if bi, ok := debug.ReadBuildInfo(); ok {
		for _, s := range bi.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return "devel-" + s.Value[:12]
			}
		}
	}
	return "devel"
}

func printVersion(w io.Writer) {
	fmt.Fprintf(w, "runsc version redoubt-%s\nspec: %s\n", versionString(), specVersion)
}

// oneID parses a command line of flags and exactly one container id.
func oneID(fs *flagSet, args []string) (string, error) {
	rest, err := fs.parse(args, true)
	if err != nil {
		return "", err
	}
	if len(rest) != 1 {
		return "", fmt.Errorf("%s: exactly one container id is needed, got %d arguments", fs.Name(), len(rest))
	}
	return rest[0], nil
}

func cmdCreate(cfg *config, args []string) error {
	fs := newFlagSet("create", "[flags] ID")
	o := &createOpts{detach: true}
	o.flags(fs)
	id, err := oneID(fs, args)
	if err != nil {
		return err
	}
	c, _, err := createContainer(cfg, id, o)
	if err != nil {
		return err
	}
	c.release()
	return nil
}

func cmdStart(cfg *config, args []string) error {
	id, err := oneID(newFlagSet("start", "ID"), args)
	if err != nil {
		return err
	}
	c, err := loadContainer(cfg, id, true)
	if err != nil {
		return err
	}
	defer c.release()
	if st := c.status(); st != statusCreated {
		return fmt.Errorf("cannot start a container in the %s state", st)
	}
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	return startContainer(c, conn)
}

// startContainer lets the first process run, with the hooks around it.
func startContainer(c *container, conn *boot.Conn) error {
	spec, err := c.spec()
	if err != nil {
		return err
	}
	if err := conn.Call("start", boot.ProcessRef{ID: c.ID, State: string(oneLine(c.ociState(statusCreated)))}, nil); err != nil {
		return notFoundStatus(err)
	}
	c.Status = statusRunning
	if err := c.save(); err != nil {
		return err
	}
	if spec.Hooks != nil {
		if err := runHooks(spec.Hooks.Poststart, c.ociState(statusRunning), "poststart"); err != nil {
			// The container goes on: the specification asks for a warning.
			fmt.Fprintf(stderr, "runsc: warning: %v\n", err)
		}
	}
	return nil
}

func cmdState(cfg *config, args []string) error {
	id, err := oneID(newFlagSet("state", "ID"), args)
	if err != nil {
		return err
	}
	c, err := loadContainer(cfg, id, false)
	if err != nil {
		return err
	}
	st := c.status()
	out := struct {
		OCIVersion  string            `json:"ociVersion"`
		ID          string            `json:"id"`
		Pid         int               `json:"pid"`
		Status      string            `json:"status"`
		Bundle      string            `json:"bundle"`
		Rootfs      string            `json:"rootfs"`
		Created     string            `json:"created"`
		Annotations map[string]string `json:"annotations,omitempty"`
		Owner       string            `json:"owner"`
	}{specVersion, c.ID, 0, st, c.Bundle, c.Rootfs, c.Created.Format("2006-01-02T15:04:05.999999999Z07:00"), c.Annotations, c.Owner}
	if st != statusStopped {
		out.Pid = c.Sandbox.PID
	}
	fmt.Fprintf(stdout, "%s\n", mustJSON(out))
	return nil
}

func cmdWait(cfg *config, args []string) error {
	fs := newFlagSet("wait", "[flags] ID")
	var pid, rootpid int
	fs.num(&pid, "pid", 0, "wait for this process instead, by its id inside")
	fs.num(&rootpid, "rootpid", 0, "the same")
	id, err := oneID(fs, args)
	if err != nil {
		return err
	}
	if pid == 0 {
		pid = rootpid
	}
	c, err := loadContainer(cfg, id, false)
	if err != nil {
		return err
	}
	var st boot.ExitStatus
	if err := c.call("wait", boot.ProcessRef{ID: c.ID, PID: int32(pid)}, &st); err != nil {
		if pid != 0 {
			return err
		}
		if c.Sandbox.alive() && !c.Sandbox.waitGone(2000) {
			return err
		}
		if st, err = c.exitStatus(); err != nil {
			return err
		}
	}
	fmt.Fprintf(stdout, "%s\n", mustJSON(struct {
		ID         string `json:"id"`
		ExitStatus int    `json:"exitStatus"`
	}{c.ID, st.Code()}))
	return nil
}

func cmdPause(cfg *config, args []string) error {
	return pauseOrResume(cfg, "pause", statusRunning, args)
}

func cmdResume(cfg *config, args []string) error {
	return pauseOrResume(cfg, "resume", statusPaused, args)
}

func pauseOrResume(cfg *config, op, from string, args []string) error {
	id, err := oneID(newFlagSet(op, "ID"), args)
	if err != nil {
		return err
	}
	c, err := loadContainer(cfg, id, true)
	if err != nil {
		return err
	}
	defer c.release()
	st := c.status()
	if st == statusStopped {
		return errGone
	}
	if st != from {
		return fmt.Errorf("cannot %s a container in the %s state", op, st)
	}
	return c.call(op, boot.ProcessRef{ID: c.ID}, nil)
}
