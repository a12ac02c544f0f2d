package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/boot"
)

// Container statuses: OCI's, and paused, which engines expect beside them.
const (
	statusCreating = "creating"
	statusCreated  = "created"
	statusRunning  = "running"
	statusPaused   = "paused"
	statusStopped  = "stopped"
)

const (
	stateFile   = "state.json"
	specFile    = "config.json"
	socketFile  = "control.sock"
	exitFile    = "exit.json"
	sandboxLog  = "sandbox.log"
	specVersion = "1.3.0"
)

var errNotExist = errors.New("does not exist")

// container is one directory under --root: state.json, written whole or not at
// all, beside the control socket, the bundle's config as it was, and the exit
// status. It is only a record: whether the sandbox lives is asked of the host.
type container struct {
	dir  string
	lock int // descriptor of dir with flock held, or -1
	saved
}

// saved is the content of state.json.
type saved struct {
	ID          string            `json:"id"`
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	Created     time.Time         `json:"created"`
	Owner       string            `json:"owner"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Status      string            `json:"status"` // creating, created or running: the last step done
	Creator     proc              `json:"creator"`
	Sandbox     proc              `json:"sandbox"`
	Gofer       proc              `json:"gofer"`
	Cgroups     []string          `json:"cgroups,omitempty"`
	CgroupOf    string            `json:"cgroupsPath,omitempty"`
	Terminal    bool              `json:"terminal,omitempty"`
	Flags       boot.Flags        `json:"flags"`
	// NetNS is the network namespace whose interfaces the sandbox took over:
	// later containers that name it join the sandbox.
	NetNS string `json:"netns,omitempty"`
	// Shares are the host namespaces that stand for the container's, by type.
	Shares map[string]string `json:"shares,omitempty"`
	// Within is the container whose sandbox this one is in, if it is not in
	// its own. Sandbox is then a proxy.
	Within    string `json:"within,omitempty"`
	SystemdCg bool   `json:"systemdCgroup,omitempty"`
}

// checkID refuses names that are not plain file names.
func checkID(id string) error {
	if id == "" {
		return errors.New("container id cannot be empty")
	}
	if len(id) > 1024 || id == "." || id == ".." {
		return fmt.Errorf("invalid container id format: %q", id)
	}
	for _, r := range id {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9',
			r == '_', r == '+', r == '-', r == '.':
		default:
			return fmt.Errorf("invalid container id format: %q may only hold letters, digits, '_', '+', '-' and '.'", id)
		}
	}
	return nil
}

// newContainer makes the record of a container that is being created and locks
// it. What a killed creator left without a state is taken over.
func newContainer(cfg *config, id string) (*container, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.root, 0o711); err != nil {
		return nil, fmt.Errorf("making the state directory: %w", err)
	}
	c := &container{dir: filepath.Join(cfg.root, id), lock: -1}
	c.ID = id
	err := os.Mkdir(c.dir, 0o700)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("making the state of %q: %w", id, err)
	}
	if lerr := c.acquire(unix.LOCK_EX | unix.LOCK_NB); lerr != nil {
		if err == nil && !errors.Is(lerr, unix.EWOULDBLOCK) {
			return nil, lerr
		}
		return nil, fmt.Errorf("container with id %q already exists", id)
	}
	if err != nil {
		if _, serr := os.Stat(filepath.Join(c.dir, stateFile)); serr == nil {
			c.release()
			return nil, fmt.Errorf("container with id %q already exists", id)
		}
	}
	return c, nil
}

// acquire locks the directory, and makes sure that it is still the one the
// name stands for.
func (c *container) acquire(how int) error {
	for {
		fd, err := unix.Open(c.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			if err == unix.ENOENT {
				return fmt.Errorf("container %q %w", filepath.Base(c.dir), errNotExist)
			}
			return fmt.Errorf("opening the state of %q: %w", filepath.Base(c.dir), err)
		}
		for err = unix.Flock(fd, how); err == unix.EINTR; {
			err = unix.Flock(fd, how)
		}
		if err != nil {
			unix.Close(fd)
			return fmt.Errorf("locking the state of %q: %w", filepath.Base(c.dir), err)
		}
		var held, named unix.Stat_t
		if unix.Fstat(fd, &held) == nil && unix.Stat(c.dir, &named) == nil &&
			held.Ino == named.Ino && held.Dev == named.Dev {
			c.lock = fd
			return nil
		}
		unix.Close(fd)
	}
}

func (c *container) release() {
	if c.lock >= 0 {
		unix.Close(c.lock)
		c.lock = -1
	}
}

// loadContainer reads a container's record; locked keeps others from changing
// it until release.
func loadContainer(cfg *config, id string, locked bool) (*container, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	c := &container{dir: filepath.Join(cfg.root, id), lock: -1}
	if locked {
		if err := c.acquire(unix.LOCK_EX); err != nil {
			return nil, err
		}
	}
	b, err := os.ReadFile(filepath.Join(c.dir, stateFile))
	if err != nil {
		c.release()
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("container %q %w", id, errNotExist)
		}
		return nil, fmt.Errorf("reading the state of %q: %w", id, err)
	}
	if err := json.Unmarshal(b, &c.saved); err != nil {
		c.release()
		return nil, fmt.Errorf("parsing the state of %q: %w", id, err)
	}
	return c, nil
}

// save writes the record whole.
func (c *container) save() error {
	return writeAtomic(filepath.Join(c.dir, stateFile), mustJSON(&c.saved), 0o600)
}

// writeAtomic replaces a file in one step, so that readers and crashes see the
// old content or the new.
func writeAtomic(path string, b []byte, mode os.FileMode) error {
	tmp := path + ".tmp" + strconv.Itoa(os.Getpid())
	if err := os.WriteFile(tmp, b, mode); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		os.Remove(tmp)
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// remove deletes the record; state.json goes first, so that what is left of an
// interrupted removal counts as nothing.
func (c *container) remove() error {
	os.Remove(filepath.Join(c.dir, stateFile))
	err := os.RemoveAll(c.dir)
	c.release()
	if err != nil {
		return fmt.Errorf("removing the state of %q: %w", c.ID, err)
	}
	return nil
}

// listIDs names every directory that holds a state.
func listIDs(cfg *config) ([]string, error) {
	ents, err := os.ReadDir(cfg.root)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading the state directory: %w", err)
	}
	var ids []string
	for _, e := range ents {
		if _, err := os.Stat(filepath.Join(cfg.root, e.Name(), stateFile)); err == nil {
			ids = append(ids, e.Name())
		}
	}
	sort.Strings(ids)
	return ids, nil
}

// status works out the truth: the record says how far creation came, the host
// whether the sandbox lives, the sandbox what it does.
func (c *container) status() string {
	if c.Status == statusCreating {
		if c.Creator.alive() {
			return statusCreating
		}
		return statusStopped
	}
	if !c.Sandbox.alive() {
		return statusStopped
	}
	var st boot.ContainerState
	if err := c.call("state", boot.ProcessRef{ID: c.ID}, &st); err != nil {
		if !c.Sandbox.alive() {
			return statusStopped
		}
		return c.Status
	}
	return st.Status
}

// dial connects to the sandbox's control socket. The name in the directory may
// be longer than a socket address, so it is reached through a descriptor.
func (c *container) dial() (*boot.Conn, error) {
	where := c.dir
	if c.Within != "" {
		where = filepath.Join(filepath.Dir(c.dir), c.Within)
	}
	dir, err := unix.Open(where, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		if c.Within != "" {
			return nil, errGone
		}
		return nil, fmt.Errorf("container %q %w", c.ID, errNotExist)
	}
	defer unix.Close(dir)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making a socket: %w", err)
	}
	addr := &unix.SockaddrUnix{Name: "/proc/self/fd/" + strconv.Itoa(dir) + "/" + socketFile}
	if err := unix.Connect(fd, addr); err != nil {
		unix.Close(fd)
		if !c.Sandbox.alive() {
			return nil, errGone
		}
		return nil, fmt.Errorf("connecting to the sandbox of %q: %w", c.ID, err)
	}
	return boot.NewConn(fd), nil
}

// call makes one request on a connection of its own.
func (c *container) call(op string, args, result any, fds ...int) error {
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Call(op, args, result, fds...)
}

// spec is the configuration the container was created with.
func (c *container) spec() (*specs.Spec, error) {
	b, err := os.ReadFile(filepath.Join(c.dir, specFile))
	if err != nil {
		return nil, fmt.Errorf("reading the configuration of %q: %w", c.ID, err)
	}
	s := new(specs.Spec)
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("parsing the configuration of %q: %w", c.ID, err)
	}
	return s, nil
}

// exitStatus is what the sandbox wrote before it ended.
func (c *container) exitStatus() (boot.ExitStatus, error) {
	var st boot.ExitStatus
	b, err := os.ReadFile(filepath.Join(c.dir, exitFile))
	if err != nil || len(b) == 0 {
		return boot.ExitStatus{Status: 9, Reason: tail(filepath.Join(c.dir, sandboxLog))}, nil
	}
	return st, json.Unmarshal(b, &st)
}

// ociState is the state JSON of the OCI runtime specification.
func (c *container) ociState(status string) *specs.State {
	s := &specs.State{Version: specVersion, ID: c.ID, Status: specs.ContainerState(status),
		Bundle: c.Bundle, Annotations: c.Annotations}
	if status != statusStopped {
		s.Pid = c.Sandbox.PID
	}
	return s
}
