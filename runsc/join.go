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

// join finds the sandbox this container is to be made in, and connects to it:
// the one its annotations name, or the one that has taken over the network
// namespace it is to share. Without one the container gets a sandbox of its
// own, and is found by later ones.
func (c *container) join(cfg *config, s *sandbox, spec *specs.Spec) error {
	pod, err := podOf(spec.Annotations)
	if err != nil {
		return err
	}
	if pod.container && cfg.unconfined {
		return fmt.Errorf("container %q belongs to sandbox %q: that cannot be unconfined", c.ID, pod.sandbox)
	}
	if cfg.unconfined {
		return nil
	}
	if pod.sandbox != "" && !pod.container && pod.sandbox != c.ID {
		return fmt.Errorf("annotations make %q a sandbox, and name another one, %q", c.ID, pod.sandbox)
	}
	c.Shares = namespaceIDs(spec, s.boot.pid)
	if path := netnsPath(spec, s.boot.pid); path != "" {
		c.NetNS = netnsID(path)
	} else {
		// Nobody added an interface, but another container may share it later.
		c.NetNS = netnsID(fmt.Sprintf("/proc/%d/ns/net", s.boot.pid))
	}
	if cfg.network != "sandbox" || c.NetNS == netnsID("/proc/self/ns/net") {
		c.NetNS = ""
	}
	var o *container
	switch {
	case pod.container:
		if o, err = c.podSandbox(cfg, pod); err != nil {
			return err
		}
	case pod.sandbox != "":
		return c.save()
	}
	if o == nil && c.NetNS != "" {
		if o, err = c.netSandbox(cfg); err != nil {
			return err
		}
	}
	if o == nil {
		return c.save()
	}
	conn, err := o.dial()
	if err != nil {
		if !pod.container {
			return c.save() // it is ending
		}
		return fmt.Errorf("joining sandbox %q: %w", o.ID, err)
	}
	s.ctl = conn
	c.Within = o.ID
	if s.args.Share, err = c.sharedWith(cfg, o); err != nil {
		return err
	}
	return c.save()
}

// netSandbox finds the sandbox that has taken over this container's network
// namespace, nil if none has.
func (c *container) netSandbox(cfg *config) (*container, error) {
	ids, err := listIDs(cfg)
	if err != nil {
		return nil, err
	}
	for _, other := range ids {
		o, err := loadContainer(cfg, other, false)
		if err != nil || o.ID == c.ID || o.NetNS != c.NetNS || o.Within != "" || o.Status == statusCreating || !o.Sandbox.alive() {
			continue
		}
		return o, nil
	}
	return nil, nil
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
