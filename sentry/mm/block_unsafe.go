package mm

import "unsafe"

// adjacent says whether b follows a in host memory with room in a's capacity
// for it (so that a can be extended).
func adjacent(a, b []byte) bool {
	return cap(a)-len(a) >= len(b) && unsafe.Add(unsafe.Pointer(unsafe.SliceData(a)), len(a)) == unsafe.Pointer(unsafe.SliceData(b))
}
