package systrap

import (
	"sync/atomic"

	"redoubt.dev/redoubt/sentry/arch"
)

// The constants and structures of stub/layout.h, which explains them.
const (
	maxAddr   = 0x7ff500000000
	vdsoBase  = 0x7ff700000000
	stubBase  = 0x7ff800000000
	cmdBase   = 0x7ff810000000
	areaBase  = 0x7ff820000000
	confBase  = 0x7ff800100000
	trampBase = 0x7ff808000000
	// tableAddr is in user space: see patch.go.
	tableAddr = 0x60000

	maxThreads = 4096
	areaSize   = 1 << 15
	slots      = 4
	slotSize   = 1 << 11
	slotOps    = 50
	maxFDs     = 8

	cmdBytes    = slots * slotSize
	cmdRegion   = maxThreads * cmdBytes
	areaRegion  = maxThreads * areaSize
	trampRegion = 0x8000
	fastStack   = 8192
	altTop      = areaSize - fastStack

	turnStub   = 0
	turnSentry = 1
	turnPark   = 2

	cmdResume = 1
	cmdGate   = 2
	cmdPlain  = 4
	cmdExit   = 8
	cmdDeep   = 16

	sigFast    = 256
	sigDeep    = 257
	sigFastInt = 258

	pageSize = 4096

	cloneFlags = 0x150b00
)

// area is the shared page of one thread. User code can write to all of it at
// any time: every read is one load into a local that is validated.
type area struct {
	turn        atomic.Uint32
	stubSleep   atomic.Uint32
	_           [14]uint32
	sentrySleep atomic.Uint32
	spin        uint32
	_           [14]uint32
	cmd         uint32
	slot        uint32
	ack         atomic.Uint32
	err         int32
	sig         int32
	code        int32
	addr        uint64
	trapNo      uint64
	errCode     uint64
	arch        uint32
	fp          uint32
	deferred    uint32
	sentryCPU   uint32
	_           [16]uint32
	regs        arch.Regs
	_           [5]uint64
	msg         [7]uint64
	iov         [2]uint64
	cbuf        [8]uint64
	data        [15]uint64
	tid         int32
	_           [3]uint32
	ss          [3]uint64
}

// op is one operation of a batch.
type op struct {
	addr, length    uint64
	nr, prot, flags uint32
	fd              int32
	offset          uint64
}

// slot is a batch as the stub reads it.
type slot struct {
	count uint64
	_     uint64
	ops   [slotOps]op
	_     [slotSize - 16 - slotOps*40]byte
}
