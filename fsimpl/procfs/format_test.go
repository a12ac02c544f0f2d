package procfs

import (
	"bytes"
	"testing"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/mm"
	"redoubt.dev/redoubt/sentry/platform"
	"redoubt.dev/redoubt/vfs"
)

var ctx = kctx.Background(creds.NewRoot(creds.NewRootNS()))

// The lines are the host's own, from /proc/self/maps.
func TestMapLine(t *testing.T) {
	for _, c := range []struct {
		a    mm.VMA
		want string
	}{
		{mm.VMA{Start: 0x563892cdd000, End: 0x563892ce6000, Prot: platform.Read | platform.Write, Offset: 0x12c000, ID: memmap.Identity{DevMajor: 0xfe, Ino: 246999, Path: "/usr/bin/bash"}},
			"563892cdd000-563892ce6000 rw-p 0012c000 fe:00 246999                     /usr/bin/bash\n"},
		{mm.VMA{Start: 0x563892ce6000, End: 0x563892cf1000, Prot: platform.Read | platform.Write},
			"563892ce6000-563892cf1000 rw-p 00000000 00:00 0 \n"},
		{mm.VMA{Start: 0x56389fc60000, End: 0x56389fcf4000, Prot: platform.Read | platform.Write, Name: "[heap]"},
			"56389fc60000-56389fcf4000 rw-p 00000000 00:00 0                          [heap]\n"},
		{mm.VMA{Start: 0x400000, End: 0x401000, Prot: platform.Read | platform.Exec, Shared: true, ID: memmap.Identity{Path: "/a\nb"}},
			"00400000-00401000 r-xs 00000000 00:00 0                                  /a\\012b\n"},
	} {
		var w bytes.Buffer
		(&mapWriter{ctx: ctx}).line(&w, &c.a)
		if w.String() != c.want {
			t.Errorf("got  %q\nLinux %q", w.String(), c.want)
		}
	}
}

func TestMountLines(t *testing.T) {
	m := vfs.MountInfo{ID: 41, ParentID: 31, Dev: vfs.Dev{Minor: 38}, Root: "/", Point: "/a b", Flags: vfs.MountNoSuid | vfs.MountRelatime, ReadOnly: true, Type: "tmpfs", Source: "", Options: "size=4k", Shared: 3, Master: 2}
	var w bytes.Buffer
	mountInfoLine(&w, &m)
	if want := "41 31 0:38 / /a\\040b rw,nosuid,relatime shared:3 master:2 - tmpfs none ro,size=4k\n"; w.String() != want {
		t.Errorf("got %q, want %q", w.String(), want)
	}
	w.Reset()
	mountsLine(&w, &m)
	if want := "none /a\\040b tmpfs ro,nosuid,relatime,size=4k 0 0\n"; w.String() != want {
		t.Errorf("got %q, want %q", w.String(), want)
	}
}

func TestNumbers(t *testing.T) {
	if got := cpuList(10, func(i int) bool { return i != 3 && i != 5 && i < 9 }); got != "0-2,4,6-8" {
		t.Errorf("cpuList %q", got)
	}
	if got := ttyNr(136, 300); got != 136<<8|300&0xff|(300&^0xff)<<12 {
		t.Errorf("ttyNr %#x", got)
	}
	for s, want := range map[string]int32{"1": 1, "012": 0, "": 0, "-1": 0, "4194304": 4194304, "99999999999": 0, "1x": 0} {
		if got := parsePID(s); got != want {
			t.Errorf("parsePID(%q) = %d, want %d", s, got, want)
		}
	}
}

func TestKnob(t *testing.T) {
	k := &knob{val: "1", min: 0, max: 2}
	for s, ok := range map[string]bool{"2\n": true, "3\n": false, "x": false, "": false, "0x1": true} {
		if err := k.set(s); (err == nil) != ok {
			t.Errorf("set(%q): %v", s, err)
		}
	}
	r := &knob{min: 1, max: 65535}
	if err := r.set("1024  2048\n"); err != nil || r.get() != "1024\t2048" {
		t.Errorf("%v %q", err, r.get())
	}
}
