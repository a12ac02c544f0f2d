package arch

// XFeatures is the set of extended states the processor saves (XCR0), without
// those Linux gives only on request (AMX tiles).
func XFeatures() uint64 {
	_, _, c, _ := CPUID(1, 0)
	if c&(1<<27) == 0 { // OSXSAVE
		return 3
	}
	return xgetbv() &^ (1<<17 | 1<<18)
}

// CPUID executes the instruction.
func CPUID(leaf, sub uint32) (a, b, c, d uint32)

func xgetbv() uint64
