// Command engines drives docker, containerd and podman with two runtimes, runc
// first and runsc behind, through the same list of checks, and prints what
// differs. A check that runc fails on this machine is reported and not
// counted. Run it through `make engines`.
//
// Everything is private: daemons on sockets in a temporary folder, in a network
// namespace made for the run; all of it is gone at the end.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// Each file is a list of checks: a line "== name" and a shell script until the
// next one. The script succeeds or fails; $RT is the runtime, $N a name that is
// free, $W a folder that is empty. After " -- " the name line says why the check
// cannot succeed with a sandbox: it is then tried, and not counted.
var (
	//go:embed docker.checks
	dockerChecks string
	//go:embed containerd.checks
	containerdChecks string
	//go:embed podman.checks
	podmanChecks string
)

type check struct{ engine, name, cannot, script string }

func parse(engine, text string) (l []check) {
	for _, part := range strings.Split("\n"+text, "\n== ")[1:] {
		name, script, _ := strings.Cut(part, "\n")
		name, cannot, _ := strings.Cut(name, " -- ")
		l = append(l, check{engine, strings.TrimSpace(name), strings.TrimSpace(cannot), script})
	}
	return l
}

type env struct {
	dir, runsc, netns string
	vars              []string
	stop              []func()
}

func main() {
	runsc := flag.String("runsc", "bin/runsc", "the runtime under test")
	only := flag.String("run", "", "only checks whose engine/name matches this expression")
	engines := flag.String("engines", "docker,containerd,podman", "which engines")
	runtimes := flag.String("runtimes", "runc,runsc", "the reference, then the runtime under test")
	keep := flag.Bool("keep", false, "leave the daemons' folder behind")
	verbose := flag.Bool("v", false, "print the output of failing checks")
	flag.Parse()
	if err := run(*runsc, *only, *engines, strings.Split(*runtimes, ","), *keep, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "engines:", err)
		os.Exit(1)
	}
}

func run(runsc, only, engines string, runtimes []string, keep, verbose bool) (err error) {
	if os.Getuid() != 0 {
		return errors.New("starting private daemons: this needs root")
	}
	abs, err := filepath.Abs(runsc)
	if err != nil {
		return err
	}
	if _, err := os.Stat(abs); err != nil {
		return fmt.Errorf("finding the runtime under test: %w; run make first", err)
	}
	dir, err := os.MkdirTemp("", "engines-")
	if err != nil {
		return err
	}
	e := &env{dir: dir, runsc: abs, netns: "rdt" + fmt.Sprint(os.Getpid())}
	defer func() {
		for i := len(e.stop) - 1; i >= 0; i-- {
			e.stop[i]()
		}
		if !keep {
			// Shims of containers that a failed check left name the folder.
			exec.Command("pkill", "-f", dir+"/").Run()
			exec.Command("sh", "-c", `grep -o " $0[^ ]*" /proc/mounts | sort -r | xargs -r umount -l`, dir).Run()
			os.RemoveAll(dir)
		}
	}()
	if err := e.setup(); err != nil {
		return err
	}
	match, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	var failed, passed, skipped int
	for _, eng := range strings.Split(engines, ",") {
		var checks []check
		var start func() error
		switch eng {
		case "docker":
			checks, start = parse(eng, dockerChecks), e.docker
		case "containerd":
			checks, start = parse(eng, containerdChecks), e.containerd
		case "podman":
			checks, start = parse(eng, podmanChecks), e.podman
		default:
			return fmt.Errorf("no engine %q: docker, containerd, podman are known", eng)
		}
		var wanted []check
		for _, c := range checks {
			if match.MatchString(c.engine + "/" + c.name) {
				wanted = append(wanted, c)
			}
		}
		if len(wanted) == 0 {
			continue
		}
		if err := start(); err != nil {
			return fmt.Errorf("starting %s: %w", eng, err)
		}
		for _, c := range wanted {
			bad := ""
			for i, rt := range runtimes {
				t := time.Now()
				out, err := e.check(c, rt)
				if err == nil {
					continue
				}
				if i == 0 && len(runtimes) > 1 {
					fmt.Printf("skip  %s/%s: %s fails it here: %v\n", c.engine, c.name, rt, err)
					if verbose {
						fmt.Println(indent(out))
					}
					bad = "skip"
					skipped++
					break
				}
				if c.cannot != "" {
					fmt.Printf("known %s/%s: %s\n", c.engine, c.name, c.cannot)
					bad = "known"
					skipped++
					break
				}
				bad = "fail"
				fmt.Printf("FAIL  %s/%s with %s: %v (%.1fs)\n", c.engine, c.name, rt, err, time.Since(t).Seconds())
				if verbose {
					fmt.Println(indent(out))
				}
			}
			switch bad {
			case "":
				passed++
				fmt.Printf("ok    %s/%s\n", c.engine, c.name)
			case "fail":
				failed++
			}
		}
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	if failed > 0 {
		return fmt.Errorf("%d checks fail with %s", failed, runtimes[len(runtimes)-1])
	}
	return nil
}

func indent(s string) string {
	if len(s) > 3000 {
		s = s[len(s)-3000:]
	}
	return "      | " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n      | ")
}

var count int

func (e *env) check(c check, rt string) (string, error) {
	count++
	w := filepath.Join(e.dir, fmt.Sprintf("w%d", count))
	if err := os.Mkdir(w, 0o755); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	cmd := e.command(ctx, "bash", "-c", "set -e -o pipefail\n"+c.script)
	cmd.Dir = w
	cmd.Env = append(cmd.Env, "RT="+rt, fmt.Sprintf("N=c%d", count), "W="+w)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = errors.New("timed out")
	}
	return string(out), err
}

// command runs inside the network namespace.
func (e *env) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--net=/run/netns/" + e.netns}, args...)...)
	cmd.Env = append(append(os.Environ(), "RUNSC="+e.runsc, "DIR="+e.dir, "TMPDIR="+e.dir), e.vars...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd
}

func (e *env) setup() error {
	if out, err := exec.Command("ip", "netns", "add", e.netns).CombinedOutput(); err != nil {
		return fmt.Errorf("making a network namespace: %w: %s", err, out)
	}
	e.stop = append(e.stop, func() { exec.Command("ip", "netns", "del", e.netns).Run() })
	script := `ip link set lo up
mkdir -p $DIR/rootfs/bin $DIR/rootfs/tmp $DIR/rootfs/etc $DIR/rootfs/root $DIR/rootfs/home
cp /bin/busybox $DIR/rootfs/bin/
for a in $(/bin/busybox --list); do [ $a = busybox ] || ln -s busybox $DIR/rootfs/bin/$a; done
echo 'root:x:0:0:root:/root:/bin/sh
user:x:1000:1000:user:/home:/bin/sh' > $DIR/rootfs/etc/passwd
echo 'root:x:0:
user:x:1000:
extra:x:2000:user' > $DIR/rootfs/etc/group
chmod 1777 $DIR/rootfs/tmp
tar -C $DIR/rootfs -cf $DIR/image.tar .
`
	if out, err := e.command(context.Background(), "bash", "-ec", script).CombinedOutput(); err != nil {
		return fmt.Errorf("making the image: %w: %s", err, out)
	}
	return nil
}

// daemon starts a server and stops it at the end.
func (e *env) daemon(ready string, args ...string) error {
	log, err := os.Create(filepath.Join(e.dir, args[0]+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := e.command(context.Background(), args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	gone := make(chan struct{})
	go func() { cmd.Wait(); close(gone) }()
	e.stop = append(e.stop, func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-gone:
		case <-time.After(20 * time.Second):
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
	})
	for range 150 {
		if e.command(context.Background(), "bash", "-c", ready+" >/dev/null 2>&1").Run() == nil {
			return nil
		}
		select {
		case <-gone:
			b, _ := os.ReadFile(log.Name())
			return fmt.Errorf("%s ended: %s", args[0], b)
		case <-time.After(200 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s is not ready after 30 s, see %s", args[0], log.Name())
}

func (e *env) docker() error {
	d := filepath.Join(e.dir, "docker")
	if err := os.MkdirAll(d, 0o755); err != nil {
		return err
	}
	conf := fmt.Sprintf(`{"runtimes":{"runsc":{"path":%q,"runtimeArgs":["--root=%s/runsc"]}},"experimental":true}`, e.runsc, d)
	if err := os.WriteFile(d+"/daemon.json", []byte(conf), 0o644); err != nil {
		return err
	}
	e.vars = append(e.vars, "DK=docker -H unix://"+d+"/sock", "DOCKER_BUILDKIT=0")
	err := e.daemon("$DK info", "dockerd", "--config-file", d+"/daemon.json", "--data-root", d+"/data", "--exec-root", d+"/exec",
		"--pidfile", d+"/pid", "-H", "unix://"+d+"/sock")
	if err != nil {
		return err
	}
	e.stop = append(e.stop, func() {
		e.command(context.Background(), "bash", "-c", "$DK rm -f $($DK ps -aq)").Run()
	})
	out, err := e.command(context.Background(), "bash", "-c", "$DK import $DIR/image.tar bb").CombinedOutput()
	if err != nil {
		return fmt.Errorf("importing the image: %w: %s", err, out)
	}
	return nil
}

func (e *env) containerd() error {
	d := filepath.Join(e.dir, "containerd")
	if err := os.MkdirAll(d, 0o755); err != nil {
		return err
	}
	conf := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = %q\n", d+"/root", d+"/state", d+"/sock")
	if err := os.WriteFile(d+"/config.toml", []byte(conf), 0o644); err != nil {
		return err
	}
	e.vars = append(e.vars, "CTR=ctr -a "+d+"/sock", "CTRROOT="+d)
	if err := e.daemon("$CTR version", "containerd", "-c", d+"/config.toml"); err != nil {
		return err
	}
	// ctr imports image archives: wrap the root as a docker-archive.
	script := `mkdir -p $DIR/arc/l && cd $DIR/arc && cp $DIR/image.tar l/layer.tar
id=$(sha256sum l/layer.tar | cut -d' ' -f1)
echo '{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin"],"Cmd":["sh"]},"rootfs":{"type":"layers","diff_ids":["sha256:'$id'"]}}' > config.json
echo '[{"Config":"config.json","RepoTags":["docker.io/library/bb:latest"],"Layers":["l/layer.tar"]}]' > manifest.json
tar cf $DIR/arc.tar manifest.json config.json l && $CTR images import $DIR/arc.tar`
	if out, err := e.command(context.Background(), "bash", "-ec", script).CombinedOutput(); err != nil {
		return fmt.Errorf("importing the image: %w: %s", err, out)
	}
	return nil
}

func (e *env) podman() error {
	d := filepath.Join(e.dir, "podman")
	if err := os.MkdirAll(d, 0o755); err != nil {
		return err
	}
	conf := fmt.Sprintf("[containers]\ndefault_ulimits=[\"nofile=1024:4096\",\"nproc=1024:4096\"]\n[engine]\ncgroup_manager=\"cgroupfs\"\nevents_logger=\"file\"\ntmp_dir=%q\n[engine.runtimes]\nrunsc=[%q]\n[network]\nnetwork_config_dir=%q\n", d+"/tmp", e.runsc, d+"/net")
	if err := os.WriteFile(d+"/containers.conf", []byte(conf), 0o644); err != nil {
		return err
	}
	e.vars = append(e.vars, "PM=podman --root "+d+"/root --runroot "+d+"/run --storage-driver vfs", "CONTAINERS_CONF="+d+"/containers.conf")
	e.stop = append(e.stop, func() {
		e.command(context.Background(), "bash", "-c", "$PM pod rm -fa; $PM rm -fa -t 0").Run()
	})
	out, err := e.command(context.Background(), "bash", "-c", "$PM import $DIR/image.tar bb").CombinedOutput()
	if err != nil {
		return fmt.Errorf("importing the image: %w: %s", err, out)
	}
	return nil
}
