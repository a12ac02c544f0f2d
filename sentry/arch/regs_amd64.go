package arch

// Regs is the general register file of one user thread, in the order of
// struct user_regs_struct (linux: arch/x86/include/asm/user_64.h), so that
// ptrace(PTRACE_GETREGS) and core files can copy it as it is.
type Regs struct {
	R15, R14, R13, R12, Rbp, Rbx     uint64
	R11, R10, R9, R8                 uint64
	Rax, Rcx, Rdx, Rsi, Rdi, OrigRax uint64
	Rip, Cs, Eflags, Rsp, Ss         uint64
	FsBase, GsBase                   uint64
	Ds, Es, Fs, Gs                   uint64
}

// Selectors of 64-bit user mode as Linux sets them.
const (
	UserCS = 0x33
	UserSS = 0x2b
)

// UserEflagsMask has the flag bits user code may choose (linux: FIX_EFLAGS);
// all others are forced when registers come from user memory.
const UserEflagsMask = 0x50dd5 &^ 0x200 // RF AC OF DF TF SF ZF AF PF CF

// SyscallNo returns the number of the system call the thread trapped with.
func (r *Regs) SyscallNo() uint64 { return r.OrigRax }

// SetReturn stores a system call's result.
func (r *Regs) SetReturn(v uint64) { r.Rax = v }

// SyscallArgs returns the six arguments of the trapped system call.
func (r *Regs) SyscallArgs() Args { return Args{r.Rdi, r.Rsi, r.Rdx, r.R10, r.R8, r.R9} }

// Args are the six raw arguments of one system call.
type Args [6]uint64

// Int returns argument i as a C int.
func (a *Args) Int(i int) int32 { return int32(a[i]) }

// Uint returns argument i as a C unsigned int.
func (a *Args) Uint(i int) uint32 { return uint32(a[i]) }

// Int64 returns argument i as a C long.
func (a *Args) Int64(i int) int64 { return int64(a[i]) }

// Uint64 returns argument i as a C unsigned long.
func (a *Args) Uint64(i int) uint64 { return a[i] }

// Ptr returns argument i as a user address.
func (a *Args) Ptr(i int) uint64 { return a[i] }

// Size returns argument i as a size_t.
func (a *Args) Size(i int) uint64 { return a[i] }

// Mode returns argument i as a mode_t.
func (a *Args) Mode(i int) uint32 { return uint32(a[i]) }
