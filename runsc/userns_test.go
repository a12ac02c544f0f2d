package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestUserNamespace maps ids as docker's userns-remap does: what root writes
// belongs to a user of the host who is nobody.
func TestUserNamespace(t *testing.T) {
	root := t.TempDir()
	vol := t.TempDir()
	remap := func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 2000}}
		s.Linux.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 200000, Size: 3000}}
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: capNames, Effective: capNames, Permitted: capNames}
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/vol", Type: "bind", Source: vol, Options: []string{"bind"}},
			specs.Mount{Destination: "/mine", Type: "tmpfs", Source: "tmpfs"})
	}
	if err := os.Chown(vol, 100000, 200000); err != nil {
		t.Skip(err)
	}
	script := `id -u; echo $(cat /proc/self/uid_map /proc/self/gid_map); stat -c '%u:%g' /vol /mine /dev /etc/passwd
echo x > /vol/f; touch /mine/f /vol/g; chown 5:6 /vol/g; stat -c '%u:%g' /vol/f /mine/f /vol/g
chown 2000 /vol/g 2>/dev/null || echo unmapped; mount -t tmpfs x /mine && echo mounted; hostname other && hostname`
	code, out, errOut := sandboxed(t, root, "run", "--bundle", hostBundle(t, []string{"sh", "-c", script}, remap), "c1")
	const wantOut = "0\n0 100000 2000 0 200000 3000\n0:0\n0:0\n0:0\n65534:65534\n0:0\n0:0\n5:6\nunmapped\nmounted\nother\n"
	if code != 0 || out != wantOut {
		t.Errorf("status %d, output %q, want %q, error %q", code, out, wantOut, errOut)
	}
	for name, ids := range map[string][2]uint32{"f": {100000, 200000}, "g": {100005, 200006}} {
		st, err := os.Stat(filepath.Join(vol, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if s := st.Sys().(*syscall.Stat_t); s.Uid != ids[0] || s.Gid != ids[1] {
			t.Errorf("%s belongs to %d:%d on the host, want %v", name, s.Uid, s.Gid, ids)
		}
	}
	code, _, errOut = sandboxed(t, root, "run", "--bundle", hostBundle(t, []string{"true"}, func(s *specs.Spec) {
		remap(s)
		s.Process.User.UID = 2000
	}), "c1")
	if code == 0 {
		t.Error("a user without an id runs")
	}
	_ = errOut
}
