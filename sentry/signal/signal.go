// Package signal has the data of signals: sets, siginfo, actions and the
// queue of pending ones (signal(7)). Who may send, which is delivered when and
// what stops or kills is kernel's.
//
// Nothing in here locks; the owner of a Queue does (ThreadGroup.sigMu).
package signal

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Numbers beyond unix.SIG*.
const (
	// Max is the highest signal number.
	Max = 64
	// RTMin is the kernel's first real-time signal.
	RTMin = 32
)

// Set is a set of signals: bit n-1 is signal n, as sigset_t.
type Set uint64

// Of makes a set.
func Of(sigs ...int32) Set {
	var s Set
	for _, n := range sigs {
		s |= 1 << (n - 1)
	}
	return s
}

// Has says whether n is in s.
func (s Set) Has(n int32) bool { return n > 0 && s>>(n-1)&1 != 0 }

// Unblockable are the signals no mask can hold back.
const Unblockable Set = 1<<(unix.SIGKILL-1) | 1<<(unix.SIGSTOP-1)

// Synchronous are the signals that faults raise: delivered before others.
const Synchronous Set = 1<<(unix.SIGSEGV-1) | 1<<(unix.SIGBUS-1) | 1<<(unix.SIGILL-1) |
	1<<(unix.SIGTRAP-1) | 1<<(unix.SIGFPE-1) | 1<<(unix.SIGSYS-1)

// StopSet are the signals whose default action stops.
const StopSet Set = 1<<(unix.SIGSTOP-1) | 1<<(unix.SIGTSTP-1) | 1<<(unix.SIGTTIN-1) | 1<<(unix.SIGTTOU-1)

// IgnoredByDefault are those whose default action is nothing.
const IgnoredByDefault Set = 1<<(unix.SIGCHLD-1) | 1<<(unix.SIGURG-1) | 1<<(unix.SIGWINCH-1) | 1<<(unix.SIGCONT-1)

// CoreSet are those whose default action dumps core.
const CoreSet Set = Synchronous | 1<<(unix.SIGQUIT-1) | 1<<(unix.SIGABRT-1) | 1<<(unix.SIGXCPU-1) | 1<<(unix.SIGXFSZ-1)

// Valid says whether n is a signal number (0 is not).
func Valid(n int32) bool { return n >= 1 && n <= Max }

// Codes of siginfo that more than one package uses.
const (
	SIUser    int32 = 0
	SIKernel  int32 = 0x80
	SIQueue   int32 = -1
	SITimer   int32 = -2
	SIMesgq   int32 = -3
	SIAsyncIO int32 = -4
	SISigIO   int32 = -5
	SITkill   int32 = -6

	CLDExited    int32 = 1
	CLDKilled    int32 = 2
	CLDDumped    int32 = 3
	CLDTrapped   int32 = 4
	CLDStopped   int32 = 5
	CLDContinued int32 = 6

	SEGVMaperr int32 = 1
	SEGVAccerr int32 = 2
	BUSAdraln  int32 = 1
	BUSAdrerr  int32 = 2
	TrapBrkpt  int32 = 1
	TrapTrace  int32 = 2
	SysSeccomp int32 = 1
)

// Info is siginfo_t, 128 bytes as user code sees it (sigaction(2)).
type Info struct {
	Signo, Errno, Code int32
	_                  int32
	Fields             [112]byte
}

func (i *Info) put32(off int, v uint32) { binary.LittleEndian.PutUint32(i.Fields[off:], v) }
func (i *Info) put64(off int, v uint64) { binary.LittleEndian.PutUint64(i.Fields[off:], v) }
func (i *Info) get32(off int) uint32    { return binary.LittleEndian.Uint32(i.Fields[off:]) }
func (i *Info) get64(off int) uint64    { return binary.LittleEndian.Uint64(i.Fields[off:]) }

// PID is si_pid of kill, child and queue signals.
func (i *Info) PID() int32 { return int32(i.get32(0)) }

// SetPID sets si_pid.
func (i *Info) SetPID(v int32) { i.put32(0, uint32(v)) }

// UID is si_uid.
func (i *Info) UID() uint32 { return i.get32(4) }

// SetUID sets si_uid.
func (i *Info) SetUID(v uint32) { i.put32(4, v) }

// Value is si_value.
func (i *Info) Value() uint64 { return i.get64(8) }

// SetValue sets si_value.
func (i *Info) SetValue(v uint64) { i.put64(8, v) }

// Status is si_status of SIGCHLD.
func (i *Info) Status() int32 { return int32(i.get32(8)) }

// SetStatus sets si_status of SIGCHLD.
func (i *Info) SetStatus(v int32) { i.put32(8, uint32(v)) }

// SetTimes sets si_utime and si_stime in clock ticks.
func (i *Info) SetTimes(u, s int64) { i.put64(16, uint64(u)); i.put64(24, uint64(s)) }

// Times are si_utime and si_stime.
func (i *Info) Times() (u, s int64) { return int64(i.get64(16)), int64(i.get64(24)) }

// Addr is si_addr of a fault.
func (i *Info) Addr() uint64 { return i.get64(0) }

// SetAddr sets si_addr.
func (i *Info) SetAddr(v uint64) { i.put64(0, v) }

// TimerID is si_timerid.
func (i *Info) TimerID() int32 { return int32(i.get32(0)) }

// SetTimer sets si_timerid and si_overrun.
func (i *Info) SetTimer(id, overrun int32) { i.put32(0, uint32(id)); i.put32(4, uint32(overrun)) }

// Overrun is si_overrun.
func (i *Info) Overrun() int32 { return int32(i.get32(4)) }

// SetPoll sets si_band and si_fd of SIGIO.
func (i *Info) SetPoll(band int64, fd int32) { i.put64(0, uint64(band)); i.put32(8, uint32(fd)) }

// Band is si_band, FD is si_fd.
func (i *Info) Band() int64 { return int64(i.get64(0)) }

// FD is si_fd of SIGIO.
func (i *Info) FD() int32 { return int32(i.get32(8)) }

// SetSys sets si_call_addr, si_syscall and si_arch of SIGSYS.
func (i *Info) SetSys(addr uint64, nr int32, arch uint32) {
	i.put64(0, addr)
	i.put32(8, uint32(nr))
	i.put32(12, arch)
}

// CallAddr, Syscall and Arch of SIGSYS.
func (i *Info) CallAddr() uint64 { return i.get64(0) }

// Syscall is si_syscall.
func (i *Info) Syscall() int32 { return int32(i.get32(8)) }

// Arch is si_arch.
func (i *Info) Arch() uint32 { return i.get32(12) }

// FromKernel says whether the kernel made the signal (SI_FROMKERNEL).
func (i *Info) FromKernel() bool { return i.Code > 0 }

// Kernel returns the info of a signal the kernel sends for no further reason.
func Kernel(sig int32) *Info { return &Info{Signo: sig, Code: SIKernel} }

// Bits of sa_flags (linux: asm-generic/signal-defs.h).
const (
	SANoCldStop  = 0x00000001
	SANoCldWait  = 0x00000002
	SASigInfo    = 0x00000004
	SAUnsupp     = 0x00000400
	SAExposeTag  = 0x00000800
	SARestorer   = 0x04000000
	SAOnStack    = 0x08000000
	SARestart    = 0x10000000
	SANoDefer    = 0x40000000
	SAResetHand  = 0x80000000
	SAFlagsKnown = SANoCldStop | SANoCldWait | SASigInfo | SAExposeTag | SARestorer | SAOnStack | SARestart | SANoDefer | SAResetHand
)

// Handlers that are not addresses.
const (
	Default uint64 = 0
	Ignore  uint64 = 1
)

// Action is the kernel's struct sigaction.
type Action struct {
	Handler, Flags, Restorer uint64
	Mask                     Set
}

// Stack is stack_t (sigaltstack(2)).
type Stack struct {
	Addr  uint64
	Flags uint32
	_     uint32
	Size  uint64
}

// Flags of Stack.
const (
	SSOnStack    = 1
	SSDisable    = 2
	SSAutodisarm = 0x80000000
	// MinStack is MINSIGSTKSZ.
	MinStack = 2048
)

// Names has the names of the standard signals, by number.
var Names = [...]string{1: "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE",
	"SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD",
	"SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM",
	"SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS"}
