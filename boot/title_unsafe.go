package boot

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TitleRoom is an argument that leaves room for setTitle.
const TitleRoom = 256

// setName names the process in lists that show no arguments: prctl(2),
// PR_SET_NAME. Called on the main thread it names the process.
func setName(s string) {
	b := append([]byte(s), 0)
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&b[0])), 0, 0, 0)
}

// setTitle overwrites this process's arguments, which is what ps(1) on the
// host and `docker top` show. It is cut to the room the arguments have.
func setTitle(s string) {
	if len(os.Args) == 0 || len(os.Args[0]) == 0 {
		return
	}
	// The runtime does not copy argv: the strings lie in one row, each with a
	// NUL behind it (execve(2)).
	first, last := os.Args[0], os.Args[len(os.Args)-1]
	if len(last) < TitleRoom {
		return // nobody made room
	}
	start := unsafe.StringData(first)
	room := int(uintptr(unsafe.Pointer(unsafe.StringData(last)))-uintptr(unsafe.Pointer(start))) + len(last)
	if room <= 0 || room > 1<<16 {
		return
	}
	mem := unsafe.Slice(start, room)
	n := copy(mem, s)
	clear(mem[n:])
}
