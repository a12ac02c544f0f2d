package boot

import (
	"fmt"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/limits"
)

// capNumbers are the capabilities by name.
var capNames = [...]string{"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID",
	"SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
	"SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
	"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
	"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
	"CHECKPOINT_RESTORE"}

// capSet parses capability names; those nobody knows are ignored with a
// warning by every runtime, so here too.
func capSet(names []string) creds.CapSet {
	var s creds.CapSet
	for _, n := range names {
		n = strings.TrimPrefix(strings.ToUpper(n), "CAP_")
		for i, c := range capNames {
			if c == n {
				s |= 1 << i
			}
		}
	}
	return s
}

// processCreds are the credentials a process starts with.
func processCreds(p *specs.Process, ns *creds.UserNamespace) (*creds.Credentials, error) {
	uid, uok := ns.KUID(p.User.UID)
	gid, gok := ns.KGID(p.User.GID)
	if !uok || !gok {
		return nil, fmt.Errorf("user %d, group %d has no id in the user namespace", p.User.UID, p.User.GID)
	}
	c := &creds.Credentials{UserNS: ns, NoNewPrivs: p.NoNewPrivileges}
	setID(c, uid, gid)
	for _, g := range p.User.AdditionalGids {
		k, ok := ns.KGID(g)
		if !ok {
			return nil, fmt.Errorf("group %d has no id in the user namespace", g)
		}
		c.Groups = append(c.Groups, k)
	}
	if caps := p.Capabilities; caps != nil {
		c.Bounding = capSet(caps.Bounding)
		c.Permitted = capSet(caps.Permitted)
		c.Effective = capSet(caps.Effective) & c.Permitted
		c.Inheritable = capSet(caps.Inheritable)
		c.Ambient = capSet(caps.Ambient) & c.Permitted & c.Inheritable
	}
	return c, nil
}

var rlimitNumbers = map[string]int{
	"RLIMIT_CPU": unix.RLIMIT_CPU, "RLIMIT_FSIZE": unix.RLIMIT_FSIZE, "RLIMIT_DATA": unix.RLIMIT_DATA,
	"RLIMIT_STACK": unix.RLIMIT_STACK, "RLIMIT_CORE": unix.RLIMIT_CORE, "RLIMIT_RSS": unix.RLIMIT_RSS,
	"RLIMIT_NPROC": unix.RLIMIT_NPROC, "RLIMIT_NOFILE": unix.RLIMIT_NOFILE, "RLIMIT_MEMLOCK": unix.RLIMIT_MEMLOCK,
	"RLIMIT_AS": unix.RLIMIT_AS, "RLIMIT_LOCKS": limits.Locks, "RLIMIT_SIGPENDING": limits.SigPending,
	"RLIMIT_MSGQUEUE": limits.MsgQueue, "RLIMIT_NICE": limits.Nice, "RLIMIT_RTPRIO": limits.RTPrio,
	"RLIMIT_RTTIME": limits.RTTime,
}

// processLimits are the resource limits a process starts with.
func processLimits(p *specs.Process) (*limits.Set, error) {
	l := limits.Default()
	for _, r := range p.Rlimits {
		n, ok := rlimitNumbers[r.Type]
		if !ok {
			return nil, fmt.Errorf("rlimit type %q is unknown", r.Type)
		}
		if r.Soft > r.Hard {
			return nil, fmt.Errorf("rlimit %s: soft limit %d is above the hard limit %d", r.Type, r.Soft, r.Hard)
		}
		l.Set(n, unix.Rlimit{Cur: r.Soft, Max: r.Hard})
	}
	return l, nil
}

// lookupEnv returns the last value of a variable.
func lookupEnv(env []string, name string) (string, bool) {
	for i := len(env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(env[i], name+"="); ok {
			return v, true
		}
	}
	return "", false
}

// homeOf finds a user's home directory in the text of /etc/passwd (passwd(5)).
func homeOf(passwd string, uid uint32) string {
	for line := range strings.Lines(passwd) {
		f := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(f) < 6 {
			continue
		}
		if n, err := strconv.ParseUint(f[2], 10, 32); err == nil && uint32(n) == uid && f[5] != "" {
			return f[5]
		}
	}
	return "/"
}

// defaultPath is searched for a command when the environment has no PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// commandPaths lists where a command may lie, in order: execvp(3).
func commandPaths(name string, env []string) []string {
	if strings.ContainsRune(name, '/') {
		return []string{name}
	}
	path, ok := lookupEnv(env, "PATH")
	if !ok {
		path = defaultPath
	}
	var l []string
	for dir := range strings.SplitSeq(path, ":") {
		if dir == "" {
			dir = "."
		}
		l = append(l, dir+"/"+name)
	}
	return l
}
