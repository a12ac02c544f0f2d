package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// PlanOptions are the settings that change a mount plan.
type PlanOptions struct {
	OverlayRoot bool // throw-away writable layer over the root
	OverlayAll  bool // and over every bind
}

// plain are the mount types the sentry makes by itself.
var plain = map[string]bool{"proc": true, "sysfs": true, "tmpfs": true, "devpts": true, "mqueue": true,
	"ramfs": true, "cgroup": true, "cgroup2": true, "devtmpfs": true, "devfs": true, "overlay": true}

// Plan turns a configuration into the list of mounts in the order they are
// made: the container's own in theirs, with what OCI wants to exist always
// added where it is missing. It looks at the sources of binds, which must
// exist.
func Plan(spec *specs.Spec, bundle string, o PlanOptions) (root Mount, mounts []Mount, err error) {
	root = Mount{Dest: "/", Type: "bind", Source: spec.Root.Path, ReadOnly: spec.Root.Readonly, Overlay: o.OverlayRoot}
	have := make(map[string]bool)
	for i, m := range spec.Mounts {
		p, err := planMount(m, bundle, o)
		if err != nil {
			return root, nil, fmt.Errorf("mount #%d (%s): %w", i, m.Destination, err)
		}
		have[p.Dest] = true
		mounts = append(mounts, p)
	}
	// The mandatory ones go first, parents before children, unless a listed
	// mount already provides them.
	var first []Mount
	for _, m := range []Mount{
		{Dest: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "nodev", "noexec"}},
		{Dest: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "nodev", "noexec", "ro"}},
		{Dest: "/dev", Type: "devtmpfs", Source: "dev", Options: []string{"nosuid"}},
		{Dest: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "mode=0620", "ptmxmode=0666", "gid=5"}},
		{Dest: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "nodev", "mode=1777"}},
	} {
		if !have[m.Dest] {
			// A child of a listed mount must come after it.
			if parent := filepath.Dir(m.Dest); have[parent] {
				mounts = insertAfter(mounts, parent, m)
			} else {
				first = append(first, m)
			}
		}
	}
	return root, append(first, mounts...), nil
}

func insertAfter(l []Mount, dest string, m Mount) []Mount {
	for i := len(l) - 1; i >= 0; i-- {
		if l[i].Dest == dest {
			return append(l[:i+1:i+1], append([]Mount{m}, l[i+1:]...)...)
		}
	}
	return append(l, m)
}

func planMount(m specs.Mount, bundle string, o PlanOptions) (Mount, error) {
	if m.Destination == "" {
		return Mount{}, errors.New("it has no destination")
	}
	p := Mount{Dest: filepath.Clean("/" + m.Destination), Type: m.Type, Source: m.Source, Options: m.Options}
	bind := m.Type == "bind" || m.Type == "rbind" || m.Type == "none" && hasBind(m.Options) || m.Type == "" && hasBind(m.Options)
	if !bind && hasBind(m.Options) && !plain[m.Type] {
		bind = true
	}
	if len(m.UIDMappings) > 0 || len(m.GIDMappings) > 0 {
		return p, errors.New("id-mapped mounts are not supported")
	}
	opt, err := ParseMountOptions(m.Options)
	if err != nil {
		return p, err
	}
	p.ReadOnly = opt.Flags&unix.MS_RDONLY != 0
	if !bind {
		if m.Type == "" {
			return p, errors.New("it has no type")
		}
		if !plain[m.Type] {
			return p, fmt.Errorf("unknown mount type %q", m.Type)
		}
		return p, nil
	}
	p.Type, p.Overlay = "bind", o.OverlayAll
	if p.Source == "" {
		return p, errors.New("a bind needs a source")
	}
	if !filepath.IsAbs(p.Source) {
		p.Source = filepath.Join(bundle, p.Source)
	}
	real, err := filepath.EvalSymlinks(p.Source)
	if err != nil {
		return p, fmt.Errorf("bind source %s: %w", p.Source, cause(err))
	}
	st, err := os.Stat(real)
	if err != nil {
		return p, fmt.Errorf("bind source %s: %w", p.Source, cause(err))
	}
	p.Source, p.File = real, !st.IsDir()
	return p, nil
}

func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func hasBind(opts []string) bool {
	for _, o := range opts {
		if o == "bind" || o == "rbind" {
			return true
		}
	}
	return false
}

// MountOptionSet is a parsed option list.
type MountOptionSet struct {
	Flags       uintptr  // MS_* of the mount
	Propagation uintptr  // MS_SHARED, ... with MS_REC, or 0
	Bind, Rec   bool     //
	Data        []string // what the file system itself must understand, in order
	CopyUp      bool     // tmpcopyup
}

type optionEffect struct {
	clear       bool
	flag        uintptr
	propagation uintptr
}

// optionWords are the words mount(8) and the OCI specification give meaning to
// for any file system; later words win.
var optionWords = map[string]optionEffect{
	"acl": {}, "async": {clear: true, flag: unix.MS_SYNCHRONOUS}, "atime": {clear: true, flag: unix.MS_NOATIME},
	"bind": {}, "rbind": {}, "defaults": {}, "dev": {clear: true, flag: unix.MS_NODEV},
	"diratime": {clear: true, flag: unix.MS_NODIRATIME}, "dirsync": {flag: unix.MS_DIRSYNC},
	"exec": {clear: true, flag: unix.MS_NOEXEC}, "iversion": {flag: unix.MS_I_VERSION},
	"lazytime": {flag: unix.MS_LAZYTIME}, "loud": {clear: true, flag: unix.MS_SILENT},
	"mand": {flag: unix.MS_MANDLOCK}, "noacl": {}, "noatime": {flag: unix.MS_NOATIME}, "nodev": {flag: unix.MS_NODEV},
	"nodiratime": {flag: unix.MS_NODIRATIME}, "noexec": {flag: unix.MS_NOEXEC},
	"noiversion": {clear: true, flag: unix.MS_I_VERSION}, "nolazytime": {clear: true, flag: unix.MS_LAZYTIME},
	"nomand": {clear: true, flag: unix.MS_MANDLOCK}, "norelatime": {clear: true, flag: unix.MS_RELATIME},
	"nostrictatime": {clear: true, flag: unix.MS_STRICTATIME}, "nosuid": {flag: unix.MS_NOSUID},
	"nosymfollow": {flag: unix.MS_NOSYMFOLLOW}, "symfollow": {clear: true, flag: unix.MS_NOSYMFOLLOW},
	"relatime": {flag: unix.MS_RELATIME}, "remount": {flag: unix.MS_REMOUNT},
	"ro": {flag: unix.MS_RDONLY}, "rw": {clear: true, flag: unix.MS_RDONLY},
	"silent": {flag: unix.MS_SILENT}, "strictatime": {flag: unix.MS_STRICTATIME},
	"suid": {clear: true, flag: unix.MS_NOSUID}, "sync": {flag: unix.MS_SYNCHRONOUS},
	"rro": {flag: unix.MS_RDONLY}, "rrw": {clear: true, flag: unix.MS_RDONLY},
	"rnosuid": {flag: unix.MS_NOSUID}, "rsuid": {clear: true, flag: unix.MS_NOSUID},
	"rnodev": {flag: unix.MS_NODEV}, "rdev": {clear: true, flag: unix.MS_NODEV},
	"rnoexec": {flag: unix.MS_NOEXEC}, "rexec": {clear: true, flag: unix.MS_NOEXEC},
	"rnoatime": {flag: unix.MS_NOATIME}, "ratime": {clear: true, flag: unix.MS_NOATIME},
	"rnodiratime": {flag: unix.MS_NODIRATIME}, "rdiratime": {clear: true, flag: unix.MS_NODIRATIME},
	"rrelatime": {flag: unix.MS_RELATIME}, "rnorelatime": {clear: true, flag: unix.MS_RELATIME},
	"rstrictatime": {flag: unix.MS_STRICTATIME}, "rnostrictatime": {clear: true, flag: unix.MS_STRICTATIME},
	"rnosymfollow": {flag: unix.MS_NOSYMFOLLOW}, "rsymfollow": {clear: true, flag: unix.MS_NOSYMFOLLOW},
	"shared": {propagation: unix.MS_SHARED}, "rshared": {propagation: unix.MS_SHARED | unix.MS_REC},
	"slave": {propagation: unix.MS_SLAVE}, "rslave": {propagation: unix.MS_SLAVE | unix.MS_REC},
	"private": {propagation: unix.MS_PRIVATE}, "rprivate": {propagation: unix.MS_PRIVATE | unix.MS_REC},
	"unbindable": {propagation: unix.MS_UNBINDABLE}, "runbindable": {propagation: unix.MS_UNBINDABLE | unix.MS_REC},
	"tmpcopyup": {}, "nofail": {}, "copy": {}, "z": {}, "Z": {}, "U": {},
}

// MountOptions lists the words, for `runsc features`.
func MountOptions() []string {
	var l []string
	for w := range optionWords {
		switch w {
		case "copy", "z", "Z", "U", "nofail":
		default:
			l = append(l, w)
		}
	}
	sort.Strings(l)
	return l
}

// ParseMountOptions splits options into flags and the file system's own data.
func ParseMountOptions(opts []string) (MountOptionSet, error) {
	var s MountOptionSet
	for _, o := range opts {
		for w := range strings.SplitSeq(o, ",") {
			if w == "" {
				continue
			}
			e, ok := optionWords[w]
			switch {
			case w == "idmap" || w == "ridmap":
				return s, errors.New("id-mapped mounts are not supported")
			case strings.HasPrefix(w, "X-containerd."):
				return s, fmt.Errorf("option %q was not handled by containerd", w)
			case !ok:
				s.Data = append(s.Data, w)
				continue
			}
			switch {
			case e.clear:
				s.Flags &^= e.flag
			default:
				s.Flags |= e.flag
			}
			if e.propagation != 0 {
				s.Propagation = e.propagation
			}
			switch w {
			case "bind":
				s.Bind = true
			case "rbind":
				s.Bind, s.Rec = true, true
			case "tmpcopyup":
				s.CopyUp = true
			}
		}
	}
	return s, nil
}
