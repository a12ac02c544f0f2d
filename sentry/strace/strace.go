// Package strace formats system calls for the log, from the argument kinds of
// the call table. It knows numbers and user memory, not tasks.
package strace

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/signal"
	"redoubt.dev/redoubt/sentry/usermem"
)

// maxString is how much of a string or buffer is shown.
const maxString = 64

// Kinds splits the kinds of a row; a kind may be preceded by "name:".
func Kinds(args string) []string {
	if args == "" {
		return nil
	}
	l := strings.Split(args, ",")
	for i, k := range l {
		if _, kind, ok := strings.Cut(k, ":"); ok {
			l[i] = kind
		}
	}
	return l
}

// Arguments formats the arguments at entry. Buffers the call fills are shown
// by Results.
func Arguments(m usermem.IO, kinds []string, a [6]uint64) string {
	var b strings.Builder
	for i, k := range kinds {
		if i >= len(a) {
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		next := uint64(maxString)
		if i+1 < len(a) {
			next = a[i+1]
		}
		b.WriteString(format(m, k, a[i], next))
	}
	return b.String()
}

func format(m usermem.IO, kind string, v, next uint64) string {
	switch kind {
	case "int", "fd", "pid", "whence", "long":
		if kind == "long" {
			return strconv.FormatInt(int64(v), 10)
		}
		return strconv.FormatInt(int64(int32(v)), 10)
	case "dirfd":
		if int32(v) == unix.AT_FDCWD {
			return "AT_FDCWD"
		}
		return strconv.FormatInt(int64(int32(v)), 10)
	case "uint", "uid", "gid", "resource", "clockid":
		if uint32(v) == 0xffffffff {
			return "-1"
		}
		return strconv.FormatUint(uint64(uint32(v)), 10)
	case "size":
		return strconv.FormatUint(v, 10)
	case "off":
		return strconv.FormatInt(int64(v), 10)
	case "mode":
		return "0" + strconv.FormatUint(v&0o7777777, 8)
	case "signo", "sig":
		return Signal(int32(v))
	case "path", "str", "string":
		return str(m, v)
	case "inbuf":
		return bytes(m, v, next)
	case "strv":
		return strv(m, v)
	case "oflags":
		return OpenFlags(uint32(v))
	case "prot", "mprot":
		return prot(v)
	case "mmapflags":
		return flags(v, mapFlags)
	case "cloneflags":
		return flags(v&^0xff, cloneFlags) + "|" + Signal(int32(v&0xff))
	case "timespec":
		var ts unix.Timespec
		if v == 0 || usermem.Get(m, v, &ts) != nil {
			return hex(v)
		}
		return fmt.Sprintf("{%d.%09d}", ts.Sec, ts.Nsec)
	case "sigset":
		var s signal.Set
		if v == 0 || usermem.Get(m, v, &s) != nil {
			return hex(v)
		}
		return set(s)
	case "futexop":
		return futexOp(uint32(v))
	}
	return hex(v)
}

func hex(v uint64) string {
	if v == 0 {
		return "0"
	}
	return "0x" + strconv.FormatUint(v, 16)
}

func str(m usermem.IO, addr uint64) string {
	if addr == 0 {
		return "NULL"
	}
	s, err := usermem.CopyInString(m, addr, 4096)
	if err != nil {
		return hex(addr)
	}
	if len(s) > 256 {
		return strconv.Quote(s[:256]) + "..."
	}
	return strconv.Quote(s)
}

func bytes(m usermem.IO, addr, n uint64) string {
	b := make([]byte, min(n, maxString))
	k, err := m.CopyIn(addr, b)
	if err != nil && k == 0 {
		return hex(addr)
	}
	s := strconv.Quote(string(b[:k]))
	if n > maxString {
		s += "..."
	}
	return s
}

func strv(m usermem.IO, addr uint64) string {
	if addr == 0 {
		return "NULL"
	}
	var b strings.Builder
	b.WriteByte('[')
	for i := 0; ; i++ {
		var p [8]byte
		if _, err := m.CopyIn(addr+uint64(i)*8, p[:]); err != nil {
			return hex(addr)
		}
		s := binary.LittleEndian.Uint64(p[:])
		if s == 0 {
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		if i == 16 {
			b.WriteString("...")
			break
		}
		b.WriteString(str(m, s))
	}
	b.WriteByte(']')
	return b.String()
}

// Signal names a signal.
func Signal(n int32) string {
	switch {
	case n == 0:
		return "0"
	case n > 0 && int(n) < len(signal.Names):
		return signal.Names[n]
	case n >= signal.RTMin && n <= signal.Max:
		return "SIGRT_" + strconv.Itoa(int(n-signal.RTMin))
	}
	return strconv.Itoa(int(n))
}

func set(s signal.Set) string {
	if s == ^signal.Set(0) {
		return "~[]"
	}
	var l []string
	for n := int32(1); n <= signal.Max; n++ {
		if s.Has(n) {
			l = append(l, strings.TrimPrefix(Signal(n), "SIG"))
		}
	}
	return "[" + strings.Join(l, " ") + "]"
}

type flag struct {
	v    uint64
	name string
}

func flags(v uint64, names []flag) string {
	if v == 0 {
		return "0"
	}
	var l []string
	for _, f := range names {
		if v&f.v == f.v {
			l = append(l, f.name)
			v &^= f.v
		}
	}
	if v != 0 {
		l = append(l, hex(v))
	}
	return strings.Join(l, "|")
}

func prot(v uint64) string {
	if v == 0 {
		return "PROT_NONE"
	}
	return flags(v, []flag{{unix.PROT_READ, "PROT_READ"}, {unix.PROT_WRITE, "PROT_WRITE"}, {unix.PROT_EXEC, "PROT_EXEC"}})
}

var mapFlags = []flag{
	{unix.MAP_SHARED_VALIDATE, "MAP_SHARED_VALIDATE"}, {unix.MAP_SHARED, "MAP_SHARED"}, {unix.MAP_PRIVATE, "MAP_PRIVATE"},
	{unix.MAP_FIXED, "MAP_FIXED"}, {unix.MAP_ANONYMOUS, "MAP_ANONYMOUS"}, {unix.MAP_32BIT, "MAP_32BIT"},
	{unix.MAP_GROWSDOWN, "MAP_GROWSDOWN"}, {unix.MAP_DENYWRITE, "MAP_DENYWRITE"}, {unix.MAP_LOCKED, "MAP_LOCKED"},
	{unix.MAP_NORESERVE, "MAP_NORESERVE"}, {unix.MAP_POPULATE, "MAP_POPULATE"}, {unix.MAP_STACK, "MAP_STACK"},
	{unix.MAP_FIXED_NOREPLACE, "MAP_FIXED_NOREPLACE"},
}

var cloneFlags = []flag{
	{unix.CLONE_VM, "CLONE_VM"}, {unix.CLONE_FS, "CLONE_FS"}, {unix.CLONE_FILES, "CLONE_FILES"},
	{unix.CLONE_SIGHAND, "CLONE_SIGHAND"}, {unix.CLONE_PIDFD, "CLONE_PIDFD"}, {unix.CLONE_PTRACE, "CLONE_PTRACE"},
	{unix.CLONE_VFORK, "CLONE_VFORK"}, {unix.CLONE_PARENT, "CLONE_PARENT"}, {unix.CLONE_THREAD, "CLONE_THREAD"},
	{unix.CLONE_NEWNS, "CLONE_NEWNS"}, {unix.CLONE_SYSVSEM, "CLONE_SYSVSEM"}, {unix.CLONE_SETTLS, "CLONE_SETTLS"},
	{unix.CLONE_PARENT_SETTID, "CLONE_PARENT_SETTID"}, {unix.CLONE_CHILD_CLEARTID, "CLONE_CHILD_CLEARTID"},
	{unix.CLONE_CHILD_SETTID, "CLONE_CHILD_SETTID"}, {unix.CLONE_NEWCGROUP, "CLONE_NEWCGROUP"},
	{unix.CLONE_NEWUTS, "CLONE_NEWUTS"}, {unix.CLONE_NEWIPC, "CLONE_NEWIPC"}, {unix.CLONE_NEWUSER, "CLONE_NEWUSER"},
	{unix.CLONE_NEWPID, "CLONE_NEWPID"}, {unix.CLONE_NEWNET, "CLONE_NEWNET"}, {unix.CLONE_IO, "CLONE_IO"},
}

var openFlags = []flag{
	{unix.O_TMPFILE, "O_TMPFILE"}, {unix.O_CREAT, "O_CREAT"}, {unix.O_EXCL, "O_EXCL"}, {unix.O_NOCTTY, "O_NOCTTY"},
	{unix.O_TRUNC, "O_TRUNC"}, {unix.O_APPEND, "O_APPEND"}, {unix.O_NONBLOCK, "O_NONBLOCK"}, {unix.O_SYNC, "O_SYNC"},
	{unix.O_DSYNC, "O_DSYNC"}, {unix.O_DIRECT, "O_DIRECT"}, {unix.O_DIRECTORY, "O_DIRECTORY"},
	{unix.O_NOFOLLOW, "O_NOFOLLOW"}, {unix.O_NOATIME, "O_NOATIME"}, {unix.O_CLOEXEC, "O_CLOEXEC"}, {unix.O_PATH, "O_PATH"},
}

// OpenFlags formats O_*.
func OpenFlags(v uint32) string {
	s := [...]string{"O_RDONLY", "O_WRONLY", "O_RDWR", "3"}[v&3]
	if v&^3 != 0 {
		s += "|" + flags(uint64(v&^3), openFlags)
	}
	return s
}

func futexOp(v uint32) string {
	names := [...]string{"WAIT", "WAKE", "FD", "REQUEUE", "CMP_REQUEUE", "WAKE_OP", "LOCK_PI", "UNLOCK_PI",
		"TRYLOCK_PI", "WAIT_BITSET", "WAKE_BITSET", "WAIT_REQUEUE_PI", "CMP_REQUEUE_PI", "LOCK_PI2"}
	cmd := v &^ 384
	s := strconv.FormatUint(uint64(cmd), 10)
	if int(cmd) < len(names) {
		s = "FUTEX_" + names[cmd]
	}
	if v&128 != 0 {
		s += "_PRIVATE"
	}
	if v&256 != 0 {
		s += "|FUTEX_CLOCK_REALTIME"
	}
	return s
}

// Results formats what a call that returned n wrote into buffers.
func Results(m usermem.IO, kinds []string, a [6]uint64, n uint64) string {
	for i, k := range kinds {
		if k == "buf" && i < len(a) {
			return " " + bytes(m, a[i], n)
		}
	}
	return ""
}

// Result formats a return value.
func Result(ret uint64, err error) string {
	if err == nil {
		if ret >= 1<<32 {
			return hex(ret)
		}
		return strconv.FormatUint(ret, 10)
	}
	if errno.IsRestart(err) {
		return "? " + err.Error()
	}
	e, _ := errno.Of(err)
	return "-1 " + e.Error()
}
