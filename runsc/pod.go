package main

import (
	"fmt"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/boot"
)

// Kubernetes' runtimes call a container at a time and say in annotations how
// they belong together: the first one of a pod is the sandbox, later ones name
// it. Each speaks its own words.
var podWords = []struct{ kind, sandbox string }{
	{"io.kubernetes.cri.container-type", "io.kubernetes.cri.sandbox-id"},   // containerd
	{"io.kubernetes.cri-o.ContainerType", "io.kubernetes.cri-o.SandboxID"}, // CRI-O, podman
}

// pod is a container's place: sandbox is the id of its pod's first container,
// "" without a pod.
type pod struct {
	container bool // not the first one
	sandbox   string
	loose     bool // the sandbox need not exist
}

func podOf(annotations map[string]string) (p pod, err error) {
	for _, w := range podWords {
		kind, ok := annotations[w.kind]
		id, named := annotations[w.sandbox]
		switch {
		case !ok && !named:
			continue
		case !ok:
			return p, fmt.Errorf("annotation %s is given without %s", w.sandbox, w.kind)
		case kind != "sandbox" && kind != "container":
			return p, fmt.Errorf("annotation %s: unknown type %q: want sandbox or container", w.kind, kind)
		case kind == "container" && !named:
			return p, fmt.Errorf("annotation %s is container: %s must name its sandbox", w.kind, w.sandbox)
		case named:
			if err := checkID(id); err != nil {
				return p, fmt.Errorf("annotation %s: %w", w.sandbox, err)
			}
		}
		// podman uses the words for pods without a sandbox too.
		q := pod{container: kind == "container", sandbox: id, loose: annotations["io.container.manager"] == "libpod"}
		if p.sandbox != "" && (p.sandbox != q.sandbox || p.container != q.container) {
			return p, fmt.Errorf("annotations %s and %s contradict each other", podWords[0].kind, w.kind)
		}
		p = q
	}
	return p, nil
}

// podSandbox is the container whose sandbox this one is made in.
func (c *container) podSandbox(cfg *config, p pod) (*container, error) {
	o, err := loadContainer(cfg, p.sandbox, false)
	if err != nil {
		if p.loose {
			return nil, nil
		}
		return nil, fmt.Errorf("container %q belongs to sandbox %q: %w", c.ID, p.sandbox, err)
	}
	switch {
	case o.ID == c.ID:
		return nil, fmt.Errorf("container %q cannot belong to itself", c.ID)
	case o.Within != "":
		return nil, fmt.Errorf("container %q belongs to %q, which is no sandbox but a container of sandbox %q", c.ID, o.ID, o.Within)
	case o.Flags.Network != cfg.network:
		return nil, fmt.Errorf("container %q has --network=%s and its sandbox %q has --network=%s", c.ID, cfg.network, o.ID, o.Flags.Network)
	}
	if st := o.status(); st != statusCreated && st != statusRunning && st != statusPaused {
		return nil, fmt.Errorf("container %q belongs to sandbox %q, which is %s", c.ID, o.ID, st)
	}
	return o, nil
}

// namespaceFiles are the namespaces that containers of a sandbox can share, as
// /proc/PID/ns names them.
var namespaceFiles = map[specs.LinuxNamespaceType]string{
	specs.UserNamespace: "user", specs.PIDNamespace: "pid", specs.IPCNamespace: "ipc", specs.UTSNamespace: "uts",
}

// namespaceIDs are the host namespaces that stand for a container's own: the
// helper's, or those that the configuration names. Containers with the same one
// share it inside.
func namespaceIDs(spec *specs.Spec, helper int) map[string]string {
	m := make(map[string]string)
	for _, ns := range spec.Linux.Namespaces {
		file, ok := namespaceFiles[ns.Type]
		if !ok {
			continue
		}
		path := ns.Path
		if path == "" {
			path = "/proc/" + strconv.Itoa(helper) + "/ns/" + file
		}
		if id := netnsID(path); id != "" {
			m[string(ns.Type)] = id
		}
	}
	return m
}

// sharedWith says which containers of sandbox o this one shares namespaces
// with.
func (c *container) sharedWith(cfg *config, o *container) (map[string]string, error) {
	ids, err := listIDs(cfg)
	if err != nil {
		return nil, err
	}
	share := make(map[string]string)
	for _, id := range ids {
		other, err := loadContainer(cfg, id, false)
		if err != nil || other.ID == c.ID || other.ID != o.ID && other.Within != o.ID ||
			other.Status == statusCreating || !other.Sandbox.alive() {
			continue
		}
		for typ, key := range other.Shares {
			if c.Shares[typ] == key {
				share[typ] = other.ID
			}
		}
	}
	return share, nil
}

// left waits until the sandbox has forgotten a container whose helpers were
// ended, so that its id can be used again.
func (c *container) left() error {
	if c.Within == "" {
		return nil
	}
	for range 1000 {
		if c.call("state", boot.ProcessRef{ID: c.ID}, nil) != nil {
			return nil // not there, or the sandbox is gone
		}
		unix.Poll(nil, 10)
	}
	return fmt.Errorf("sandbox %q does not let go of container %q", c.Within, c.ID)
}
