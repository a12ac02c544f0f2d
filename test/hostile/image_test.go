package hostile

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type object = map[string]any

// TestImages starts containers whose images and configurations want set-up to
// touch the host: it must end in a running program or in one clear sentence,
// and the directory "outside" must stay as it was.
func TestImages(t *testing.T) {
	look := program(t, "look")
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	outside, vol := filepath.Join(dir, "outside"), filepath.Join(dir, "vol")
	sh := func(cmd string) {
		t.Helper()
		c := exec.Command("/bin/sh", "-ec", cmd)
		c.Dir = dir
		c.Env = append(os.Environ(), "LOOK="+look, "OUTSIDE="+outside)
		if b, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, b)
		}
	}
	sh(`mkdir outside vol; echo SECRET >outside/secret; echo volume >vol/x; ln -s /etc vol/link; ln -s /etc/passwd vol/file
		mkfifo vol/fifo; mknod vol/disk b 259 0; mknod vol/mem c 1 1; cp -p outside/secret vol/setuid; chmod 4755 vol/setuid`)
	bind := func(src, dst string, opts ...string) func(object) {
		return func(s object) {
			s["mounts"] = append(s["mounts"].([]object), object{"destination": dst, "type": "bind", "source": src, "options": append(opts, "rbind")})
		}
	}
	process := func(key string, v any) func(object) {
		return func(s object) { s["process"].(object)[key] = v }
	}
	args := func(a ...string) func(object) { return process("args", append([]string{"/bin/look"}, a...)) }
	const up = "../../../../../../../../.."
	for _, c := range []struct {
		name, prepare string
		change        []func(object)
		want          string // part of what is said; must start if empty
	}{
		{"plain", "", nil, ""},
		{"proc is a link to a directory", "mkdir etc; ln -s /etc proc", nil, ""},
		{"proc is a link out", "ln -s $OUTSIDE proc; ln -s $OUTSIDE dev; ln -s " + up + "$OUTSIDE sys", nil, "mounting /proc"},
		{"dev is a link up", "ln -s " + up + " dev", nil, "mounting /dev"},
		{"proc is a file", "echo x >proc", nil, "mounting /proc"},
		{"proc is a fifo", "mkfifo proc", nil, "mounting /proc"},
		{"sys is a disk", "mknod sys b 259 0", nil, "mounting /sys"},
		{"proc is a loop", "ln -s proc proc", nil, "mounting /proc"},
		{"mount point is a link out", "ln -s $OUTSIDE host", []func(object){bind(vol, "/host")}, "mounting /host"},
		{"mount point below a link out", "mkdir a; ln -s $OUTSIDE a/b", []func(object){bind(vol, "/a/b/c/d")}, "mounting /a/b/c/d"},
		{"mount point with dots", "", []func(object){bind(vol, "/../../.."+outside)}, ""},
		{"relative mount point with dots", "", []func(object){bind(vol, "a/"+up+outside)}, ""},
		{"cwd is a link out", "ln -s $OUTSIDE cw", []func(object){process("cwd", "/cw")}, "cwd"},
		{"cwd is below a link out", "ln -s " + up + "$OUTSIDE cw", []func(object){process("cwd", "/cw/x/y")}, "cwd"},
		{"cwd is a file", "echo x >cw", []func(object){process("cwd", "/cw")}, "not a directory"},
		{"passwd is a fifo", "mkdir etc; mkfifo etc/passwd etc/group", nil, ""},
		{"passwd is huge", "mkdir etc; truncate -s 1T etc/passwd etc/group", nil, ""},
		{"program is a fifo", "mkfifo bin/p", []func(object){process("args", []string{"/bin/p"})}, "permission denied"},
		{"program is a device", "mknod -m 755 bin/p c 1 5", []func(object){process("args", []string{"/bin/p"})}, "permission denied"},
		{"program is a directory", "mkdir bin/p", []func(object){process("args", []string{"/bin/p"})}, "directory"},
		{"program is its own interpreter", "echo '#!/bin/p' >bin/p; chmod 755 bin/p", []func(object){process("args", []string{"/bin/p"})}, "bin/p"},
		{"special files of a volume", "mkdir v", []func(object){bind(vol, "/v"), args("/v/disk", "/v/mem", "/v/file", "/v/link/passwd", "/v/"+up+outside+"/secret", "/v/fifo")}, ""},
		{"read-only volume", "mkdir v", []func(object){bind(vol, "/v", "ro"), args("/v/x")}, "/v/x: write EROFS"},
		{"fifo as a volume", "", []func(object){bind(vol+"/fifo", "/v")}, ""},
		{"disk as a volume", "", []func(object){bind(vol+"/disk", "/v"), args("/v")}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			sh("rm -rf b; mkdir -p b/rootfs/bin; cp $LOOK b/rootfs/bin/look; cd b/rootfs; " + c.prepare)
			spec := object{"ociVersion": "1.0.2",
				"process": object{"args": []string{"/bin/look"}, "cwd": "/", "env": []string{"PATH=/bin"}, "user": object{"uid": 0, "gid": 0}},
				"root":    object{"path": "rootfs"},
				"mounts": []object{{"destination": "/proc", "type": "proc", "source": "proc"}, {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
					{"destination": "/sys", "type": "sysfs", "source": "sysfs"}},
				"linux": object{"namespaces": []object{{"type": "pid"}, {"type": "mount"}}}}
			for _, f := range c.change {
				f(spec)
			}
			b, _ := json.Marshal(spec)
			if err := os.WriteFile(filepath.Join(dir, "b", "config.json"), b, 0o644); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			id := fmt.Sprintf("hostile-%d", os.Getpid())
			cmd := exec.CommandContext(ctx, runsc(), "--root", filepath.Join(dir, "state"), "run", "--bundle", filepath.Join(dir, "b"), id)
			cmd.WaitDelay = time.Second
			out, err := cmd.CombinedOutput()
			said := string(out)
			switch {
			case ctx.Err() != nil:
				exec.Command(runsc(), "--root", filepath.Join(dir, "state"), "delete", "--force", id).Run()
				t.Errorf("hangs: %s", said)
			case strings.Contains(said, "goroutine ") || strings.Contains(said, "SECRET"):
				t.Errorf("%v: %s", err, said)
			case c.want == "" && !strings.Contains(said, "look: started"):
				t.Errorf("did not start: %v: %s", err, said)
			case c.want != "" && !strings.Contains(said, c.want):
				t.Errorf("%v: %q is not in: %s", err, c.want, said)
			case strings.Contains(said, "/v/disk: open") || strings.Contains(said, "/v/mem: open") || strings.Contains(said, "root:"):
				t.Errorf("a special file of the host was opened: %s", said)
			}
			l, _ := os.ReadDir(outside)
			secret, _ := os.ReadFile(filepath.Join(outside, "secret"))
			if len(l) != 1 || string(secret) != "SECRET\n" {
				t.Errorf("the host was touched: %v, %q", l, secret)
			}
		})
	}
}
