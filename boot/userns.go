package boot

import (
	"errors"
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/kctx"
)

// A container's user namespace is the sandbox's root one unless its
// configuration maps ids. The ids of the root namespace are the host's, as the
// gofer sees them: what the container's root writes belongs on the host to the
// id that root is mapped to.

// userNamespace makes the namespace that linux.uidMappings and gidMappings ask
// for, and ctx, by which the container's files are set up: it may do anything,
// and what it makes belongs to the container's root.
func (c *container) userNamespace(share map[string]string) error {
	k := c.s.k
	c.userns, c.ctx = k.RootUserNS(), c.s.ctx
	l := c.spec.Linux
	if l == nil || len(l.UIDMappings) == 0 && len(l.GIDMappings) == 0 {
		return nil
	}
	listed := false
	for _, ns := range l.Namespaces {
		listed = listed || ns.Type == specs.UserNamespace
	}
	if !listed {
		return errors.New("ids are mapped, but no user namespace is listed")
	}
	if id := share[string(specs.UserNamespace)]; id != "" {
		other, err := c.s.container(id)
		if err != nil {
			return fmt.Errorf("sharing its user namespace: %w", err)
		}
		c.userns, c.ctx = other.userns, other.ctx
		return nil
	}
	root := creds.NewRoot(k.RootUserNS())
	ns, err := k.RootUserNS().NewChild(root, k.NewInode())
	if err != nil {
		return fmt.Errorf("making the user namespace: %w", err)
	}
	for _, m := range []struct {
		group bool
		name  string
		list  []specs.LinuxIDMapping
	}{{false, "uidMappings", l.UIDMappings}, {true, "gidMappings", l.GIDMappings}} {
		lines := make([]creds.IDMap, len(m.list))
		for i, x := range m.list {
			lines[i] = creds.IDMap{Inside: x.ContainerID, Outside: x.HostID, Length: x.Size}
		}
		if err := ns.SetMap(m.group, lines, root, root); err != nil {
			return fmt.Errorf("linux.%s is not a valid map: %s", m.name, errText(err))
		}
	}
	c.userns = ns
	uid, uok := ns.KUID(0)
	gid, gok := ns.KGID(0)
	if uok && gok {
		setID(root, uid, gid)
	}
	c.ctx = kctx.Background(root)
	return nil
}

func setID(c *creds.Credentials, uid creds.KUID, gid creds.KGID) {
	c.RUID, c.EUID, c.SUID, c.FSUID = uid, uid, uid, uid
	c.RGID, c.EGID, c.SGID, c.FSGID = gid, gid, gid, gid
}
