package procfs

import (
	"bytes"
	"fmt"
	"strings"

	"redoubt.dev/redoubt/fsimpl/kernfs"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

// mangle escapes what would break a line of fields (linux: seq_path).
var mangle = strings.NewReplacer(" ", "\\040", "\t", "\\011", "\n", "\\012", "\\", "\\134", "#", "\\043").Replace

// mountOptions are the per-mount flags as text.
func mountOptions(fl vfs.MountFlags) string {
	l := []string{"rw"}
	if fl&vfs.MountReadOnly != 0 {
		l[0] = "ro"
	}
	for _, f := range []struct {
		bit  vfs.MountFlags
		name string
	}{
		{vfs.MountNoSuid, "nosuid"}, {vfs.MountNoDev, "nodev"}, {vfs.MountNoExec, "noexec"},
		{vfs.MountNoAtime, "noatime"}, {vfs.MountNoDirAtime, "nodiratime"}, {vfs.MountRelatime, "relatime"},
		{vfs.MountNoSymFollow, "nosymfollow"},
	} {
		if fl&f.bit != 0 {
			l = append(l, f.name)
		}
	}
	return strings.Join(l, ",")
}

func source(m *vfs.MountInfo) string {
	if m.Source == "" {
		return "none"
	}
	return mangle(m.Source)
}

// superOptions are those of the file system, after ro or rw.
func superOptions(m *vfs.MountInfo, ro bool) string {
	s := "rw"
	if ro {
		s = "ro"
	}
	if m.Options != "" {
		s += "," + m.Options
	}
	return s
}

// mountInfoLine is a line of mountinfo (proc_pid_mountinfo(5)).
func mountInfoLine(w *bytes.Buffer, m *vfs.MountInfo) {
	fmt.Fprintf(w, "%d %d %d:%d %s %s %s", m.ID, m.ParentID, m.Dev.Major, m.Dev.Minor, mangle(m.Root), mangle(m.Point), mountOptions(m.Flags))
	if m.Shared != 0 {
		fmt.Fprintf(w, " shared:%d", m.Shared)
	}
	if m.Master != 0 {
		fmt.Fprintf(w, " master:%d", m.Master)
	}
	if m.Unbindable {
		w.WriteString(" unbindable")
	}
	fmt.Fprintf(w, " - %s %s %s\n", m.Type, source(m), superOptions(m, m.ReadOnly))
}

// mountsLine is a line of mounts (fstab(5)).
func mountsLine(w *bytes.Buffer, m *vfs.MountInfo) {
	o := mountOptions(m.Flags)
	if m.ReadOnly {
		o = "ro" + o[2:]
	}
	if m.Options != "" {
		o += "," + m.Options
	}
	fmt.Fprintf(w, "%s %s %s %s 0 0\n", source(m), mangle(m.Point), m.Type, o)
}

// mountStatsLine is a line of mountstats.
func mountStatsLine(w *bytes.Buffer, m *vfs.MountInfo) {
	fmt.Fprintf(w, "device %s mounted on %s with fstype %s\n", source(m), mangle(m.Point), m.Type)
}

// mountFile makes a file that lists the mounts its task sees. A reader may
// poll it for changes (mount_namespaces(7)).
func mountFile(line func(*bytes.Buffer, *vfs.MountInfo)) func(v *view, i *kernfs.Inode) vfs.Inode {
	return func(v *view, i *kernfs.Inode) vfs.Inode {
		i.Show = func(ctx kctx.Ctx, w *bytes.Buffer) error {
			ns, fs := v.t.MountNS(), v.t.FS()
			if ns == nil || fs == nil {
				return errno.EINVAL
			}
			root := fs.Root()
			defer root.DecRef()
			for _, m := range ns.Mounts(root) {
				line(w, &m)
			}
			return nil
		}
		i.Watch = func() (uint64, *wait.Queue) {
			if ns := v.t.MountNS(); ns != nil {
				return ns.Event()
			}
			return 0, nil
		}
		return i
	}
}
