package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// runHooks runs the hooks of one stage in order, each with the container's
// state on standard input. The first that fails ends the stage.
func runHooks(hooks []specs.Hook, st *specs.State, stage string) error {
	for i, h := range hooks {
		ctx, cancel := context.Background(), context.CancelFunc(func() {})
		if h.Timeout != nil {
			ctx, cancel = context.WithTimeout(ctx, time.Duration(*h.Timeout)*time.Second)
		}
		cmd := exec.CommandContext(ctx, h.Path)
		if len(h.Args) > 0 {
			cmd.Args = h.Args
		}
		cmd.Env = h.Env
		if cmd.Env == nil {
			cmd.Env = []string{}
		}
		cmd.Dir = st.Bundle
		cmd.Stdin = bytes.NewReader(mustJSON(st))
		cmd.WaitDelay = time.Second
		out, err := cmd.CombinedOutput()
		if ctx.Err() != nil {
			err = fmt.Errorf("no end after %d s", *h.Timeout)
		}
		cancel()
		if err != nil {
			return fmt.Errorf("running %s hook #%d (%s): %w: %s", stage, i, h.Path, err, bytes.TrimSpace(out))
		}
	}
	return nil
}
