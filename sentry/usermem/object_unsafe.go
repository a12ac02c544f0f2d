package usermem

import (
	"unsafe"

	"redoubt.dev/redoubt/sentry/errno"
)

// asBytes views a fixed-size value without pointers as bytes. Guest and host
// share byte order and layout (x86-64).
func asBytes[T any](v *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}

// Get copies a fixed-size structure without pointers in from addr.
func Get[T any](io IO, addr uint64, v *T) error {
	if _, err := io.CopyIn(addr, asBytes(v)); err != nil {
		return errno.EFAULT
	}
	return nil
}

// Put copies a fixed-size structure without pointers out to addr.
func Put[T any](io IO, addr uint64, v *T) error {
	if _, err := io.CopyOut(addr, asBytes(v)); err != nil {
		return errno.EFAULT
	}
	return nil
}

// GetSlice copies len(v) structures in from addr.
func GetSlice[T any](io IO, addr uint64, v []T) error {
	if len(v) == 0 {
		return nil
	}
	p := unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), uintptr(len(v))*unsafe.Sizeof(v[0]))
	if _, err := io.CopyIn(addr, p); err != nil {
		return errno.EFAULT
	}
	return nil
}

// PutSlice copies len(v) structures out to addr.
func PutSlice[T any](io IO, addr uint64, v []T) error {
	if len(v) == 0 {
		return nil
	}
	p := unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), uintptr(len(v))*unsafe.Sizeof(v[0]))
	if _, err := io.CopyOut(addr, p); err != nil {
		return errno.EFAULT
	}
	return nil
}

// AsBytes views a fixed-size value without pointers as bytes, as user memory
// holds it.
func AsBytes[T any](v *T) []byte { return asBytes(v) }

// AsBytesOf views a slice of fixed-size values without pointers as bytes.
func AsBytesOf[T any](v []T) []byte {
	if len(v) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), uintptr(len(v))*unsafe.Sizeof(v[0]))
}
