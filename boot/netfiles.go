package boot

import (
	"bytes"
	"fmt"

	"redoubt.dev/redoubt/fsimpl/procfs"
	"redoubt.dev/redoubt/sentry/kernel"
	unixsock "redoubt.dev/redoubt/sentry/socket/unix"
)

// showUnix writes the rows of /proc/net/unix.
func showUnix(ns *kernel.NetNamespace, w *bytes.Buffer) {
	for _, i := range unixsock.List(ns) {
		name := i.Name
		if name != "" {
			name = " " + name
		}
		fmt.Fprintf(w, "%016x: %08X %08X %08X %04X %02X %5d%s\n", 0, i.Refs, 0, i.Flags, i.Type, i.State, i.Ino, name)
	}
}

func registerNetFiles() { procfs.RegisterNet("unix", showUnix) }
