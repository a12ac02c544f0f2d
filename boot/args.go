package boot

import (
	"net/netip"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Flags are the settings of runsc that reach into the sandbox.
type Flags struct {
	Platform       string `json:"platform"`
	Network        string `json:"network"`
	Overlay        string `json:"overlay,omitempty"` // "none", "root:self", "all:memory", ...
	FileAccess     string `json:"fileAccess,omitempty"`
	Debug          bool   `json:"debug,omitempty"`
	Strace         bool   `json:"strace,omitempty"`
	StraceSyscalls string `json:"straceSyscalls,omitempty"`
	HostUDS        string `json:"hostUDS,omitempty"`
	OCISeccomp     bool   `json:"ociSeccomp,omitempty"`
	NetRaw         bool   `json:"netRaw,omitempty"`
	Unconfined     bool   `json:"unconfined,omitempty"` // --TESTONLY-unconfined
	NoPatching     bool   `json:"noPatching,omitempty"` // --systrap-disable-syscall-patching
}

// Mount is one mount of the container with its source resolved by runsc.
type Mount struct {
	Dest    string   `json:"dest"`
	Type    string   `json:"type"`
	Source  string   `json:"source,omitempty"`
	Options []string `json:"options,omitempty"`
	// Conn and Donate index the message's descriptors for a mount the gofer
	// serves: the 9P connection and the socket donated descriptors come by.
	Gofer  bool `json:"gofer,omitempty"`
	Conn   int  `json:"conn,omitempty"`
	Donate int  `json:"donate,omitempty"`
	// File says that the source is not a directory.
	File     bool `json:"file,omitempty"`
	ReadOnly bool `json:"readonly,omitempty"`
	Overlay  bool `json:"overlay,omitempty"` // throw-away writable layer on top
}

// Stdio is where a process's descriptors 0 to 2 come from: indexes into the
// message's descriptors, or for a terminal the host terminal to pump from.
type Stdio struct {
	Terminal bool   `json:"terminal,omitempty"`
	TTY      int    `json:"tty,omitempty"`   // host terminal
	Owned    bool   `json:"owned,omitempty"` // it was made for this process
	Rows     uint16 `json:"rows,omitempty"`
	Cols     uint16 `json:"cols,omitempty"`
	Files    []int  `json:"files,omitempty"` // 0, 1, 2; -1 is /dev/null
	Extra    []int  `json:"extra,omitempty"` // 3 and up (--preserve-fds)
}

// CreateArgs is the first message a sandbox gets, and with it all that a
// container is made of.
type CreateArgs struct {
	ID       string      `json:"id"`
	Spec     *specs.Spec `json:"spec"`
	Flags    Flags       `json:"flags"`
	Root     Mount       `json:"root"`
	Mounts   []Mount     `json:"mounts,omitempty"`
	Stdio    Stdio       `json:"stdio"`
	Listen   int         `json:"listen"`   // control socket to accept on, or -1
	ExitFile int         `json:"exitFile"` // where the exit status is written, or -1
	Life     int         `json:"life"`     // closes when the gofer dies, or -1
	Log      int         `json:"log"`      // log, or -1 for standard error
	// Attached: the sandbox ends when the connection it was made with closes.
	Attached bool `json:"attached,omitempty"`
	// Share names containers of the sandbox whose namespaces, by type, are
	// this one's too.
	Share map[string]string `json:"share,omitempty"`
	// KeepEnv: HOME and the like come from the caller (runsc do).
	KeepEnv bool `json:"keepEnv,omitempty"`
}

// ExecArgs starts one more process in a container.
type ExecArgs struct {
	ID      string         `json:"id"`
	Process *specs.Process `json:"process"`
	Stdio   Stdio          `json:"stdio"`
}

// UpdateArgs change limits of a container that the sentry keeps itself.
type UpdateArgs struct {
	ID        string               `json:"id"`
	Resources specs.LinuxResources `json:"resources"`
}

// ProcessRef names a container and, if PID is not 0, one process in it by its
// id inside.
type ProcessRef struct {
	ID    string `json:"id"`
	PID   int32  `json:"pid,omitempty"`
	Sig   int32  `json:"sig,omitempty"`
	All   bool   `json:"all,omitempty"`   // every process of the container
	Group bool   `json:"group,omitempty"` // the foreground group of its terminal
	Rows  uint16 `json:"rows,omitempty"`
	Cols  uint16 `json:"cols,omitempty"`
	State string `json:"state,omitempty"` // OCI state JSON, for startContainer hooks
}

// ExitStatus is how a process ended, in the form of wait(2).
type ExitStatus struct {
	Status uint32 `json:"status"`
	Reason string `json:"reason,omitempty"` // the sandbox's own words, if it failed
}

// Code is the exit status a shell would report.
func (s ExitStatus) Code() int {
	if sig := s.Status & 0x7f; sig != 0 {
		return 128 + int(sig)
	}
	return int(s.Status >> 8 & 0xff)
}

// ContainerState is what the sandbox says of a container.
type ContainerState struct {
	Status string `json:"status"` // created, running, paused, stopped
}

// ProcessInfo is one line of ps.
type ProcessInfo struct {
	PID     int32  `json:"pid"`
	PPID    int32  `json:"ppid"`
	UID     uint32 `json:"uid"`
	Threads int    `json:"threads"`
	State   string `json:"state"`
	STime   string `json:"stime"`
	Time    string `json:"time"`
	TTY     string `json:"tty"`
	Cmd     string `json:"cmd"`
}

// GoferMount is one tree the gofer serves.
type GoferMount struct {
	Source   string `json:"source"`
	ReadOnly bool   `json:"readonly,omitempty"`
	Conn     int    `json:"conn"`
	Donate   int    `json:"donate"`
	HostUDS  string `json:"hostUDS,omitempty"`
}

// GoferArgs is the message a gofer gets.
type GoferArgs struct {
	Mounts     []GoferMount `json:"mounts"`
	Life       int          `json:"life"`
	Log        int          `json:"log"`
	Debug      bool         `json:"debug,omitempty"`
	HostUDS    bool         `json:"hostUDS,omitempty"`
	Unconfined bool         `json:"unconfined,omitempty"`
}

// Network is what the sandbox's own TCP/IP stack takes over of a host network
// namespace.
type Network struct {
	Links  []NetLink  `json:"links"`
	Routes []NetRoute `json:"routes,omitempty"`
	// DNS indexes a socket connected to docker's resolver, or is -1.
	DNS int `json:"dns"`
}

// NetLink is one interface. FD indexes the message's descriptors: a packet
// socket bound to it; -1 for the loopback.
type NetLink struct {
	Index    int            `json:"index"`
	Name     string         `json:"name"`
	MTU      int            `json:"mtu"`
	MAC      []byte         `json:"mac,omitempty"`
	Loopback bool           `json:"loopback,omitempty"`
	Up       bool           `json:"up,omitempty"`
	Addrs    []netip.Prefix `json:"addrs,omitempty"` // address with its prefix length
	FD       int            `json:"fd"`
}

// NetRoute is one route of the main table.
type NetRoute struct {
	Dst     netip.Prefix `json:"dst"`
	Gateway netip.Addr   `json:"gateway"`
	Src     netip.Addr   `json:"src"`
	Link    int          `json:"link"` // interface index
}
