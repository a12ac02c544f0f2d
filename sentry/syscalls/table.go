// Package syscalls has the system calls of the sentry: one table, one handler
// per call, one file per family of man pages.
//
// Each family file lists its rows; table.go joins the families. Dispatch,
// strace, runsc syscalls and the coverage page all read the same rows.
// A number without a row, or a row without a handler, answers ENOSYS.
package syscalls

import (
	"sort"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
)

// Handler runs one system call.
type Handler func(t *kernel.Task, a arch.Args) (uint64, error)

// Level says how much of a call works.
type Level uint8

// Levels of support.
const (
	None    Level = iota // ENOSYS, or a fixed error as the note says
	Stub                 // accepted; the note says what does not happen
	Partial              // the note says what is missing
	Full
)

func (l Level) String() string { return [...]string{"none", "stub", "partial", "full"}[l] }

// Row is one system call. Args has the kinds of its arguments, comma
// separated, with optional names ("fd:int,buf,size"); sentry/strace knows the
// kinds.
type Row struct {
	Nr    uint16
	Name  string
	Fn    Handler
	Args  string
	Level Level
	Note  string
}

// families are the lists of the family files; an owner adds his here.
var families = [][]Row{
	processRows,
	mmapRows,
	numaRows,
	execRows,
	signalRows,
	futexRows,
	timeRows,
	idRows,
	schedRows,
	miscRows,
	prctlRows,
	seccompRows,
	ptraceRows,
	sysvRows,
	socketRows,
	anonRows,
	xattrRows,
	mountRows,
	aioRows,
	fsopenRows,
	inotifyRows,
	syncRows,
	statRows,
	spliceRows,
	readRows,
	pipeRows,
	pollRows,
	openRows,
	linkRows,
	ioctlRows,
	fcntlRows,
	epollRows,
	dirRows,
	attrRows,
}

// Max is the first number beyond the table.
const Max = 512

var table [Max]*Row

func init() {
	for _, f := range families {
		for i := range f {
			r := &f[i]
			if table[r.Nr] != nil {
				panic("two rows for system call " + r.Name + " and " + table[r.Nr].Name)
			}
			table[r.Nr] = r
		}
	}
	for i := range handlers {
		handlers[i] = nosys
		if r := table[i]; r != nil && r.Fn != nil {
			handlers[i] = r.Fn
		}
	}
}

var handlers [Max]Handler

func nosys(t *kernel.Task, a arch.Args) (uint64, error) { return 0, errno.ENOSYS }

// Dispatch runs call nr (kernel.Args.Dispatch).
func Dispatch(t *kernel.Task, nr uint64, a arch.Args) (uint64, error) {
	if nr >= Max {
		return 0, errno.ENOSYS
	}
	return handlers[nr](t, a)
}

// Lookup returns the row of a number, or nil.
func Lookup(nr uint64) *Row {
	if nr >= Max {
		return nil
	}
	return table[nr]
}

// ByName returns the row of a name, or nil.
func ByName(name string) *Row {
	for _, r := range table {
		if r != nil && r.Name == name {
			return r
		}
	}
	return nil
}

// Table returns all rows by number.
func Table() []Row {
	var l []Row
	for _, r := range table {
		if r != nil {
			l = append(l, *r)
		}
	}
	sort.Slice(l, func(i, j int) bool { return l[i].Nr < l[j].Nr })
	return l
}
