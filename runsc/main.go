//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Package main is runsc, the OCI command line of Redoubt: it keeps the state
// of containers as files, starts the sandbox and the gofer, and asks the
// sandbox over its control socket for everything else.
//
// One file per command. A command is a function of the global settings and its
// own arguments; commands.go lists them. runsc knows nothing of how a kernel
// works: that is boot's.
//
// The go:debug lines spare three processes per container the reading of cgroup
// files at start.
package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/boot"
)

// exitError ends runsc with a status of its own and, usually, no message.
type exitError struct {
	code int
	msg  string
}

func (e *exitError) Error() string { return e.msg }

func main() {
	// The helpers go their own way before anything is parsed.
	if len(os.Args) > 1 {
		unconfined := len(os.Args) > 2 && os.Args[2] == "--TESTONLY-unconfined"
		switch os.Args[0] {
		case "runsc-boot":
			boot.Main(unconfined)
		case "runsc-gofer":
			boot.GoferMain(unconfined)
		}
	}
	// Descriptors that our caller forgot to close must reach neither helper:
	// one of a host directory would be a way out.
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	os.Exit(realMain(os.Args[1:]))
}

func realMain(args []string) int {
	cfg := &config{}
	cmd, rest, err := parseGlobal(cfg, args)
	if err == nil && cmd != nil {
		err = cmd.run(cfg, rest)
	}
	if err == nil {
		return 0
	}
	var ee *exitError
	if errors.As(err, &ee) {
		if ee.msg != "" {
			cfg.report(ee.msg)
		}
		return ee.code
	}
	cfg.report(err.Error())
	return 1
}

// report tells people on standard error and engines in the log they asked for.
func (cfg *config) report(msg string) {
	fmt.Fprintf(os.Stderr, "runsc: %s\n", msg)
	if cfg.log == "" {
		return
	}
	f, err := os.OpenFile(cfg.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return
	}
	defer f.Close()
	now := time.Now().Format(time.RFC3339)
	if cfg.logFormat == "json" {
		fmt.Fprintf(f, "{\"level\":\"error\",\"msg\":%s,\"time\":%q}\n", quoteJSON(msg), now)
	} else {
		fmt.Fprintf(f, "time=%q level=error msg=%q\n", now, msg)
	}
}
