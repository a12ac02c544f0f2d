// Package lock has mutexes that carry their class in their type, so that
// order.go is the one list of which lock comes before which. Under the build
// tag lockdep a wrong order panics naming both; otherwise they cost nothing
// over sync.Mutex.
package lock

import "sync"

// Class is a lock class: a type of order.go.
type Class interface{ rank() int }

// Mutex is a sync.Mutex of class C. The zero value is unlocked.
type Mutex[C Class] struct{ m sync.Mutex }

// RWMutex is a sync.RWMutex of class C.
type RWMutex[C Class] struct{ m sync.RWMutex }

// Lock locks m.
func (m *Mutex[C]) Lock() { before[C](); m.m.Lock() }

// TryLock tries to lock m.
func (m *Mutex[C]) TryLock() bool {
	if !m.m.TryLock() {
		return false
	}
	before[C]()
	return true
}

// Unlock unlocks m.
func (m *Mutex[C]) Unlock() { m.m.Unlock(); after[C]() }

// Lock locks m for writing.
func (m *RWMutex[C]) Lock() { before[C](); m.m.Lock() }

// Unlock undoes Lock.
func (m *RWMutex[C]) Unlock() { m.m.Unlock(); after[C]() }

// RLock locks m for reading.
func (m *RWMutex[C]) RLock() { before[C](); m.m.RLock() }

// RUnlock undoes RLock.
func (m *RWMutex[C]) RUnlock() { m.m.RUnlock(); after[C]() }
