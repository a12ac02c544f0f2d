package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"redoubt.dev/redoubt/boot"
)

// cmdDo runs one command over the host's own files. There is no state: the
// sandbox ends with the connection it was made with, even if runsc is killed.
func cmdDo(cfg *config, args []string) error {
	fs := newFlagSet("do", "[flags] COMMAND [ARGUMENTS]")
	var root, cwd, host string
	var uid, gid int
	var env, volumes list
	fs.str(&root, "root", "/", "directory to be the root")
	fs.str(&cwd, "cwd", "", "working directory (default the current one, if it is inside)")
	fs.str(&host, "hostname", "", "host name inside (default the host's)")
	fs.num(&uid, "uid", 0, "user to run as")
	fs.num(&gid, "gid", 0, "group to run as")
	fs.list(&env, "env e", "NAME=VALUE to set besides the inherited environment")
	fs.list(&volumes, "volume v", "SRC:DST[:ro]: host directory or file whose changes are kept")
	fs.ignoredBool("force-overlay quiet", "the root is always thrown away")
	argv, err := fs.parse(args, false)
	if err != nil {
		return err
	}
	if len(argv) == 0 {
		return errors.New("do: a command is needed")
	}
	s, err := spawnSandbox(cfg, 2)
	if err != nil {
		return err
	}
	defer func() { s.kill() }()
	stop := func() {}
	if isTerminal(0) && isTerminal(1) && isTerminal(2) {
		stop = lendTerminal(func(rows, cols uint16) {
			s.boot.conn.Notify("resize", boot.ProcessRef{ID: s.args.ID, Rows: rows, Cols: cols})
		})
	}
	defer func() { stop() }()
	if err := func() error {
		spec, err := doSpec(root, cwd, host, uid, gid, env, volumes, argv)
		if err != nil {
			return err
		}
		ov := *cfg
		if cfg.overlay == "none" {
			ov.overlay = "root:memory"
		}
		id := fmt.Sprintf("do-%d", os.Getpid())
		if s.args.Log, err = s.logTo(cfg, id); err != nil {
			return err
		}
		s.args.Attached, s.args.KeepEnv = true, true
		if err := s.prepare(&ov, id, spec, "/"); err != nil {
			return err
		}
		if isTerminal(0) && isTerminal(1) && isTerminal(2) {
			s.args.Stdio = terminalStdio(s.pass(0, false), 0)
		} else {
			s.args.Stdio.Files = s.passPlain()
		}
		return s.create(cfg)
	}(); err != nil {
		return notFoundStatus(err)
	}
	unforward := forward(func(sig int32) {
		s.boot.conn.Notify("signal", boot.ProcessRef{ID: s.args.ID, Sig: sig})
	})
	defer unforward()
	err = s.boot.conn.Call("start", boot.ProcessRef{ID: s.args.ID}, nil)
	if err != nil {
		return notFoundStatus(s.explain(err))
	}
	st, err := s.waitResult()
	if err != nil {
		return err
	}
	return exitWith(st)
}

// logTo opens the debug log for the sandbox process, if there is one.
func (s *sandbox) logTo(cfg *config, id string) (int, error) {
	fd, err := cfg.openLog(id, "boot")
	if err != nil || fd < 0 {
		return -1, err
	}
	return s.pass(fd, true), nil
}

// doSpec is the configuration of a throw-away container.
func doSpec(root, cwd, host string, uid, gid int, env, volumes list, argv []string) (*specs.Spec, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("finding --root: %w", err)
	}
	if host == "" {
		host, _ = os.Hostname()
	}
	if cwd == "" {
		cwd = "/"
		if wd, err := os.Getwd(); err == nil {
			if rel, err := filepath.Rel(abs, wd); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
				cwd = filepath.Join("/", rel)
			}
		}
	}
	spec := defaultSpec()
	spec.Root = &specs.Root{Path: abs}
	spec.Hostname = host
	spec.Process.Args = argv
	spec.Process.Cwd = cwd
	spec.Process.Terminal = false
	spec.Process.NoNewPrivileges = false
	spec.Process.User = specs.User{UID: uint32(uid), GID: uint32(gid)}
	spec.Process.Env = mergeEnv(os.Environ(), env)
	spec.Process.Capabilities = allCaps(uid == 0)
	spec.Process.Rlimits = nil
	spec.Linux.MaskedPaths, spec.Linux.ReadonlyPaths, spec.Linux.Seccomp = nil, nil, nil
	for _, v := range volumes {
		src, rest, ok := strings.Cut(v, ":")
		dst, mode, _ := strings.Cut(rest, ":")
		if !ok || src == "" || !filepath.IsAbs(dst) || (mode != "" && mode != "ro" && mode != "rw") {
			return nil, fmt.Errorf("--volume=%s: want SRC:DST[:ro] with an absolute DST", v)
		}
		src, err := filepath.Abs(src)
		if err != nil {
			return nil, err
		}
		opts := []string{"rbind"}
		if mode == "ro" {
			opts = append(opts, "ro")
		}
		spec.Mounts = append(spec.Mounts, specs.Mount{Destination: dst, Type: "bind", Source: src, Options: opts})
	}
	return spec, checkSpec(spec, "/")
}

// mergeEnv sets variables over an environment.
func mergeEnv(base, more []string) []string {
	out := append([]string(nil), base...)
next:
	for _, kv := range more {
		name, _, _ := strings.Cut(kv, "=")
		for i, old := range out {
			if strings.HasPrefix(old, name+"=") {
				out[i] = kv
				continue next
			}
		}
		out = append(out, kv)
	}
	return out
}
