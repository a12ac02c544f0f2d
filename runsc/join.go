package main

import (
	"fmt"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/boot"
)

// netnsID names the network namespace a file stands for, "" if it cannot be
// told.
func netnsID(path string) string {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return ""
	}
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

// join finds the sandbox that has taken over the network namespace this
// container is to share, as the containers of a pod do, and connects to it:
// the container is then made there. Without one the container gets a sandbox
// of its own, and is found by later ones.
func (c *container) join(cfg *config, s *sandbox, spec *specs.Spec) error {
	if cfg.network != "sandbox" || cfg.unconfined {
		return nil
	}
	path := netnsPath(spec, s.boot.pid)
	if path == "" {
		// Nobody added an interface, but another container may share it later.
		path = fmt.Sprintf("/proc/%d/ns/net", s.boot.pid)
	}
	id := netnsID(path)
	if id == "" || id == netnsID("/proc/self/ns/net") {
		return nil
	}
	c.NetNS = id
	ids, err := listIDs(cfg)
	if err != nil {
		return err
	}
	for _, other := range ids {
		o, err := loadContainer(cfg, other, false)
		if err != nil || o.ID == c.ID || o.NetNS != id || o.Within != "" || o.Status == statusCreating || !o.Sandbox.alive() {
			continue
		}
		conn, err := o.dial()
		if err != nil {
			continue // it is ending
		}
		s.ctl = conn
		c.Within = o.ID
		break
	}
	return c.save()
}

// startProxy makes the sandbox process that was started for this container
// stand for it, if it was made in another sandbox.
func (c *container) startProxy(s *sandbox, spec *specs.Spec) error {
	if c.Within == "" {
		return nil
	}
	args := boot.ProxyArgs{ID: c.ID, Title: strings.Join(spec.Process.Args, " ")}
	if err := s.boot.conn.Call("proxy", args, nil, s.ctl.FD()); err != nil {
		return s.explain(err)
	}
	// The proxy owns that connection now: ours is another.
	conn, err := c.dial()
	if err != nil {
		return err
	}
	unix.Close(s.ctl.FD())
	s.ctl = conn
	return nil
}
