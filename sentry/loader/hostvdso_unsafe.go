package loader

import "unsafe"

// hostVDSO is this process's own vDSO, nil if there is none. One page or two:
// the sections are within what the header says.
func hostVDSO() []byte {
	base := hostAux()[atSysinfoEhdr]
	if base == 0 {
		return nil
	}
	p := *(*unsafe.Pointer)(unsafe.Pointer(&base)) // a mapping of the host's kernel, for good
	h := unsafe.Slice((*byte)(p), 64)
	end := le64(h[40:]) + uint64(le16(h[58:]))*uint64(le16(h[60:])) // section headers come last
	if end > 64<<10 {
		return nil
	}
	return unsafe.Slice((*byte)(p), end)
}

func le64(b []byte) uint64 { return *(*uint64)(unsafe.Pointer(&b[0])) }
func le16(b []byte) uint16 { return *(*uint16)(unsafe.Pointer(&b[0])) }
