package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/boot"
)

// config is what the global flags say.
type config struct {
	root          string
	log           string
	logFormat     string
	debug         bool
	debugLog      string
	platform      string
	network       string
	overlay       string
	fileAccess    string
	strace        bool
	straceCalls   string
	hostUDS       string
	systemdCgroup bool
	ignoreCgroups bool
	rootless      string
	ociSeccomp    bool
	netRaw        bool
	unconfined    bool
	noPatching    bool
}

func quoteJSON(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// flagSet is the standard package's with two names per flag, repeated string
// values, and runsc's wording of errors.
type flagSet struct {
	*flag.FlagSet
	usage string
}

func newFlagSet(name, usage string) *flagSet {
	fs := &flagSet{flag.NewFlagSet(name, flag.ContinueOnError), usage}
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	return fs
}

func (fs *flagSet) str(p *string, names, def, help string) {
	for _, n := range strings.Fields(names) {
		fs.StringVar(p, n, def, help)
	}
}

func (fs *flagSet) boolean(p *bool, names string, def bool, help string) {
	for _, n := range strings.Fields(names) {
		fs.BoolVar(p, n, def, help)
	}
}

func (fs *flagSet) num(p *int, names string, def int, help string) {
	for _, n := range strings.Fields(names) {
		fs.IntVar(p, n, def, help)
	}
}

type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func (fs *flagSet) list(p *list, names, help string) {
	for _, n := range strings.Fields(names) {
		fs.Var(p, n, help)
	}
}

// ignored flags exist for runc's callers: there is nothing to do for them
// here, for the reason given as help.
func (fs *flagSet) ignoredBool(names, why string) {
	fs.boolean(new(bool), names, false, "accepted, nothing to do: "+why)
}

func (fs *flagSet) ignoredStr(names, why string) {
	fs.str(new(string), names, "", "accepted, nothing to do: "+why)
}

// parse reads flags up to the first other argument. With mixed, flags may also
// stand between and after the arguments.
func (fs *flagSet) parse(args []string, mixed bool) ([]string, error) {
	var rest []string
	for {
		err := fs.Parse(args)
		if err == flag.ErrHelp {
			fs.help(os.Stdout)
			return nil, &exitError{code: 0}
		}
		if err != nil {
			msg := strings.Replace(err.Error(), "flag provided but not defined: -", "unknown flag --", 1)
			return nil, fmt.Errorf("%s: %s (see 'runsc %s --help')", fs.Name(), msg, fs.Name())
		}
		if !mixed || fs.NArg() == 0 {
			return append(rest, fs.Args()...), nil
		}
		rest = append(rest, fs.Arg(0))
		args = fs.Args()[1:]
	}
}

func (fs *flagSet) help(w io.Writer) {
	fmt.Fprintf(w, "usage: runsc %s %s\n\nflags:\n", fs.Name(), fs.usage)
	fs.VisitAll(func(f *flag.Flag) {
		dash := "--"
		if len(f.Name) == 1 {
			dash = "-"
		}
		def := ""
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" {
			def = " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(w, "  %-30s %s%s\n", dash+f.Name, f.Usage, def)
	})
}

func globalFlags(cfg *config) *flagSet {
	fs := newFlagSet("", "[global flags] COMMAND [flags] [arguments]")
	fs.str(&cfg.root, "root", "", "directory of container state (default /run/runsc, or under XDG_RUNTIME_DIR for a user)")
	fs.str(&cfg.log, "log", "", "file that errors are also written to")
	fs.str(&cfg.logFormat, "log-format", "text", "format of --log: text or json")
	fs.boolean(&cfg.debug, "debug", false, "log what the sandbox does; trap instead of kill on a forbidden host call")
	fs.str(&cfg.debugLog, "debug-log", "", "file or directory/ of debug logs; %ID% and %COMMAND% are replaced")
	fs.str(&cfg.platform, "platform", "systrap", "how user code runs: systrap")
	fs.str(&cfg.network, "network", "sandbox", "sandbox, none, or host (which has only a loopback so far)")
	fs.str(&cfg.overlay, "overlay2", "none", "throw-away writable layer: none, root:memory or all:memory")
	fs.str(&cfg.fileAccess, "file-access", "exclusive", "who else changes the root: exclusive or shared")
	fs.boolean(&cfg.strace, "strace", false, "log the guest's system calls")
	fs.str(&cfg.straceCalls, "strace-syscalls", "", "comma-separated calls to log with --strace (default all)")
	fs.str(&cfg.hostUDS, "host-uds", "none", "host unix sockets in mounts: none, open, create or all")
	fs.boolean(&cfg.systemdCgroup, "systemd-cgroup", false, "cgroupsPath has systemd's form slice:prefix:name")
	fs.boolean(&cfg.ignoreCgroups, "ignore-cgroups", false, "do not touch cgroups")
	fs.str(&cfg.rootless, "rootless", "auto", "run without root: auto, true or false")
	fs.boolean(&cfg.ociSeccomp, "oci-seccomp", true, "enforce the bundle's seccomp profile inside")
	fs.boolean(&cfg.netRaw, "net-raw", false, "allow raw sockets with CAP_NET_RAW")
	fs.boolean(&cfg.unconfined, "TESTONLY-unconfined", false, "for bringing up the kernel only: no namespaces, no filter, NO SECURITY")
	fs.boolean(&cfg.noPatching, "systrap-disable-syscall-patching", false, "leave the text of programs as it is")
	for _, n := range []string{"file-access-mounts", "host-fifo", "character-device-policy", "qdisc", "watchdog-action",
		"pcap-log", "panic-log", "debug-log-format", "debug-command", "log-level", "cgroup-manager", "dcache", "fdlimit",
		"num-network-channels", "metric-server", "profiling-metrics", "criu", "coverage-report", "user-log", "log-fd",
		"debug-log-fd", "panic-log-fd", "app-huge-pages", "host-settings"} {
		fs.ignoredStr(n, "no such choice here")
	}
	for _, n := range []string{"log-packets", "profile", "alsologtostderr", "gso", "software-gso", "gvisor-gro",
		"tx-checksum-offload", "rx-checksum-offload", "directfs", "allow-suid", "enable-core-tags", "cpu-num-from-quota",
		"mount-cgroup-v2", "allow-packet-socket-write", "reproduce-nat", "reproduce-nftables", "net-disconnect-ok",
		"allow-flag-override", "lisafs", "iouring", "nvproxy", "tpuproxy", "strace-event", "buffer-pooling"} {
		fs.ignoredBool(n, "no such choice here")
	}
	return fs
}

// parseGlobal reads the flags before the command and finds the command.
func parseGlobal(cfg *config, args []string) (*command, []string, error) {
	fs := globalFlags(cfg)
	var version, v bool
	fs.boolean(&version, "version", false, "print the version")
	fs.boolean(&v, "v", false, "print the version")
	rest, err := fs.parse(args, false)
	if err != nil {
		if _, ok := err.(*exitError); ok {
			printUsage(os.Stdout)
		}
		return nil, nil, fixName(err)
	}
	if version || v {
		printVersion(os.Stdout)
		return nil, nil, nil
	}
	if err := cfg.check(); err != nil {
		return nil, nil, err
	}
	if len(rest) == 0 {
		printUsage(os.Stderr)
		return nil, nil, &exitError{code: 1}
	}
	for i := range commands {
		if commands[i].name == rest[0] {
			return &commands[i], rest[1:], nil
		}
	}
	return nil, nil, fmt.Errorf("unknown command %q (see 'runsc help')", rest[0])
}

// fixName drops the empty name of the global flag set from an error.
func fixName(err error) error {
	if _, ok := err.(*exitError); ok {
		return err
	}
	s := strings.TrimPrefix(err.Error(), ": ")
	return fmt.Errorf("%s", strings.Replace(s, "runsc  --help", "runsc --help", 1))
}

func oneOf(flag, val string, allowed ...string) error {
	for _, a := range allowed {
		if val == a {
			return nil
		}
	}
	return fmt.Errorf("--%s=%s: want one of %s", flag, val, strings.Join(allowed, ", "))
}

func (cfg *config) check() error {
	for _, err := range []error{
		oneOf("platform", cfg.platform, "systrap", "ptrace"),
		oneOf("network", cfg.network, "sandbox", "host", "none"),
		oneOf("log-format", cfg.logFormat, "text", "json"),
		oneOf("file-access", cfg.fileAccess, "exclusive", "shared"),
		oneOf("host-uds", cfg.hostUDS, "none", "open", "create", "all"),
		oneOf("rootless", cfg.rootless, "auto", "true", "false"),
	} {
		if err != nil {
			return err
		}
	}
	if _, err := parseOverlay(cfg.overlay); err != nil {
		return err
	}
	if cfg.root == "" {
		cfg.root = "/run/runsc"
		if os.Geteuid() != 0 {
			if d := os.Getenv("XDG_RUNTIME_DIR"); d != "" {
				cfg.root = filepath.Join(d, "runsc")
			} else {
				cfg.root = filepath.Join(os.TempDir(), "runsc-"+strconv.Itoa(os.Geteuid()))
			}
		}
	}
	abs, err := filepath.Abs(cfg.root)
	if err != nil {
		return fmt.Errorf("finding --root: %w", err)
	}
	cfg.root = abs
	return nil
}

// overlayChoice says which mounts get a throw-away writable layer.
type overlayChoice struct{ root, all bool }

func parseOverlay(s string) (overlayChoice, error) {
	where, medium, _ := strings.Cut(s, ":")
	switch where {
	case "none", "":
		return overlayChoice{}, nil
	case "root":
	case "all":
	default:
		return overlayChoice{}, fmt.Errorf("--overlay2=%s: want none, root:MEDIUM or all:MEDIUM", s)
	}
	m, _, _ := strings.Cut(medium, ",")
	if m != "" && m != "memory" && m != "self" && !strings.HasPrefix(m, "dir=") {
		return overlayChoice{}, fmt.Errorf("--overlay2=%s: the layer can be in memory only", s)
	}
	return overlayChoice{root: true, all: where == "all"}, nil
}

func (cfg *config) bootFlags() boot.Flags {
	return boot.Flags{
		Platform: cfg.platform, Network: cfg.network, Overlay: cfg.overlay, FileAccess: cfg.fileAccess,
		Debug: cfg.debug, Strace: cfg.strace, StraceSyscalls: cfg.straceCalls, HostUDS: cfg.hostUDS,
		OCISeccomp: cfg.ociSeccomp, NetRaw: cfg.netRaw, Unconfined: cfg.unconfined, NoPatching: cfg.noPatching,
	}
}

// openLog opens what --debug-log names for a command, or returns -1.
func (cfg *config) openLog(id, command string) (int, error) {
	if cfg.debugLog == "" {
		return -1, nil
	}
	p := cfg.debugLog
	if strings.HasSuffix(p, "/") {
		p += "runsc.%ID%.%COMMAND%.log"
	}
	p = strings.NewReplacer("%ID%", id, "%COMMAND%", command, "%TIMESTAMP%", strconv.Itoa(os.Getpid())).Replace(p)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		return -1, fmt.Errorf("making the log directory: %w", err)
	}
	fd, err := unix.Open(p, unix.O_CREAT|unix.O_APPEND|unix.O_WRONLY|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return -1, fmt.Errorf("opening the log %s: %w", p, err)
	}
	return fd, nil
}
