package boot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestPlanOrder(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	spec := &specs.Spec{Root: &specs.Root{Path: dir, Readonly: true}, Mounts: []specs.Mount{
		{Destination: "/dev", Type: "tmpfs", Options: []string{"mode=755"}},
		{Destination: "/etc/x", Type: "bind", Source: "file", Options: []string{"rbind", "ro"}},
		{Destination: "data/", Type: "none", Source: dir, Options: []string{"bind"}},
	}}
	root, mounts, err := Plan(spec, dir, PlanOptions{OverlayRoot: true})
	if err != nil {
		t.Fatal(err)
	}
	if !root.ReadOnly || !root.Overlay || root.Source != dir {
		t.Errorf("root is %+v", root)
	}
	var got []string
	for _, m := range mounts {
		got = append(got, m.Type+":"+m.Dest)
	}
	want := "proc:/proc sysfs:/sys tmpfs:/dev tmpfs:/dev/shm devpts:/dev/pts bind:/etc/x bind:/data"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("mounts are %s\nwant       %s", s, want)
	}
	if f := mounts[5]; !f.File || !f.ReadOnly || f.Source != filepath.Join(dir, "file") {
		t.Errorf("file bind is %+v", f)
	}
}

func TestPlanRefuses(t *testing.T) {
	dir := t.TempDir()
	for text, m := range map[string]specs.Mount{
		"no destination":            {Type: "tmpfs"},
		"has no type":               {Destination: "/x"},
		"unknown mount type":        {Destination: "/x", Type: "ext4", Source: "/dev/sda"},
		"no such file or directory": {Destination: "/x", Type: "bind", Source: "missing"},
		"needs a source":            {Destination: "/x", Type: "bind"},
		"id-mapped":                 {Destination: "/x", Type: "bind", Source: "/", Options: []string{"idmap"}},
		"X-containerd":              {Destination: "/x", Type: "tmpfs", Options: []string{"X-containerd.mkdir.path=/y"}},
	} {
		_, _, err := Plan(&specs.Spec{Root: &specs.Root{Path: dir}, Mounts: []specs.Mount{m}}, dir, PlanOptions{})
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("mount %+v: error %v, want one with %q", m, err, text)
		}
	}
}

func TestParseMountOptions(t *testing.T) {
	s, err := ParseMountOptions([]string{"ro", "nosuid", "rw,noexec", "size=1m", "rslave", "mode=755", "rbind"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Flags != unix.MS_NOSUID|unix.MS_NOEXEC {
		t.Errorf("flags are %#x", s.Flags)
	}
	if strings.Join(s.Data, ",") != "size=1m,mode=755" || s.Propagation != unix.MS_SLAVE|unix.MS_REC || !s.Bind || !s.Rec {
		t.Errorf("options are %+v", s)
	}
}
