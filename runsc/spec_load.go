package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// loadBundle reads and checks the configuration of a bundle; raw is the file.
func loadBundle(bundle string) (spec *specs.Spec, raw []byte, abs string, err error) {
	abs, err = filepath.Abs(bundle)
	if err != nil {
		return nil, nil, "", fmt.Errorf("finding the bundle: %w", err)
	}
	raw, err = os.ReadFile(filepath.Join(abs, "config.json"))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, "", fmt.Errorf("JSON specification file %s not found: no such file or directory (make one with 'runsc spec')", filepath.Join(abs, "config.json"))
		}
		return nil, nil, "", fmt.Errorf("reading the bundle's configuration: %w", err)
	}
	spec = new(specs.Spec)
	if err := json.Unmarshal(raw, spec); err != nil {
		return nil, nil, "", fmt.Errorf("parsing %s: %w", filepath.Join(abs, "config.json"), err)
	}
	return spec, raw, abs, checkSpec(spec, abs)
}

// checkSpec refuses what the OCI specification forbids, before anything is
// made. It also makes root.path absolute.
func checkSpec(spec *specs.Spec, bundle string) error {
	if v := spec.Version; !strings.HasPrefix(v, "1.") && !strings.HasPrefix(v, "0.") {
		return fmt.Errorf("ociVersion %q is not supported (1.x is)", v)
	}
	if spec.Linux == nil {
		spec.Linux = &specs.Linux{}
	}
	if spec.Root == nil || spec.Root.Path == "" {
		return errors.New("the configuration has no root.path")
	}
	if !filepath.IsAbs(spec.Root.Path) {
		spec.Root.Path = filepath.Join(bundle, spec.Root.Path)
	}
	real, err := filepath.EvalSymlinks(spec.Root.Path)
	if err != nil {
		return fmt.Errorf("finding the root file system: %w", err)
	}
	st, err := os.Stat(real)
	if err != nil {
		return fmt.Errorf("finding the root file system: %w", err)
	}
	if !st.IsDir() {
		return fmt.Errorf("root file system %s: not a directory", real)
	}
	spec.Root.Path = real
	if p := spec.Process; p != nil {
		if err := checkProcess(p); err != nil {
			return err
		}
	}
	return nil
}

func checkProcess(p *specs.Process) error {
	if len(p.Args) == 0 {
		return errors.New("process.args must not be empty")
	}
	if p.Cwd == "" {
		return errors.New("cwd property must not be empty")
	}
	if !filepath.IsAbs(p.Cwd) {
		return fmt.Errorf("cwd must be an absolute path, got %q", p.Cwd)
	}
	seen := make(map[string]bool)
	for _, r := range p.Rlimits {
		if seen[r.Type] {
			return fmt.Errorf("rlimit %s is given twice", r.Type)
		}
		seen[r.Type] = true
	}
	for _, e := range p.Env {
		if strings.ContainsRune(e, 0) {
			return errors.New("an environment variable contains a NUL byte")
		}
	}
	for _, a := range p.Args {
		if strings.ContainsRune(a, 0) {
			return errors.New("an argument contains a NUL byte")
		}
	}
	return nil
}
