package boot

import (
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
)

func TestProcessCreds(t *testing.T) {
	c, err := processCreds(&specs.Process{
		User: specs.User{UID: 7, GID: 8, AdditionalGids: []uint32{9}}, NoNewPrivileges: true,
		Capabilities: &specs.LinuxCapabilities{Bounding: []string{"CAP_CHOWN", "CAP_KILL", "CAP_NONSENSE"},
			Permitted: []string{"CAP_KILL"}, Effective: []string{"CAP_KILL", "CAP_CHOWN"}},
	}, creds.NewRootNS())
	if err != nil || c.FSUID != 7 || c.SGID != 8 || len(c.Groups) != 1 || !c.NoNewPrivs {
		t.Errorf("credentials are %+v", c)
	}
	if c.Bounding != 1<<creds.CapChown|1<<creds.CapKill || c.Effective != 1<<creds.CapKill {
		t.Errorf("bounding %#x, effective %#x", c.Bounding, c.Effective)
	}
}

func TestProcessLimits(t *testing.T) {
	l, err := processLimits(&specs.Process{Rlimits: []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 5, Hard: 6}}})
	if err != nil || l.Get(unix.RLIMIT_NOFILE) != (unix.Rlimit{Cur: 5, Max: 6}) {
		t.Errorf("limits are %v, error %v", l, err)
	}
	for _, r := range []specs.POSIXRlimit{{Type: "RLIMIT_FOO"}, {Type: "RLIMIT_CPU", Soft: 2, Hard: 1}} {
		if _, err := processLimits(&specs.Process{Rlimits: []specs.POSIXRlimit{r}}); err == nil {
			t.Errorf("%+v was accepted", r)
		}
	}
}

func TestHomeOf(t *testing.T) {
	const passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nbin:x:2:2::/bin\nu:x:1000:1000::/home/u:/bin/sh"
	for uid, want := range map[uint32]string{0: "/root", 1000: "/home/u", 2: "/bin", 5: "/"} {
		if got := homeOf(passwd, uid); got != want {
			t.Errorf("home of %d is %s", uid, got)
		}
	}
}

func TestCommandPaths(t *testing.T) {
	for _, c := range []struct{ name, env, want string }{
		{"sh", "PATH=/a:/b", "/a/sh /b/sh"},
		{"./sh", "PATH=/a", "./sh"},
		{"sh", "PATH=:/b", "./sh /b/sh"},
	} {
		if got := strings.Join(commandPaths(c.name, []string{c.env}), " "); got != c.want {
			t.Errorf("%s with %s: %s", c.name, c.env, got)
		}
	}
	if got := commandPaths("sh", nil); len(got) != 6 {
		t.Errorf("without PATH: %v", got)
	}
}
