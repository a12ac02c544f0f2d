//go:build lockdep

package lock

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

var (
	heldMu sync.Mutex
	held   = map[int64][]int{}
)

func goid() int64 {
	var b [64]byte
	s := string(b[:runtime.Stack(b[:], false)])
	n, _ := strconv.ParseInt(strings.Fields(s)[1], 10, 64)
	return n
}

func before[C Class]() {
	var c C
	g := goid()
	heldMu.Lock()
	defer heldMu.Unlock()
	for _, r := range held[g] {
		if r >= c.rank() {
			panic(fmt.Sprintf("lock order: %T (rank %d) taken while a lock of rank %d is held", c, c.rank(), r))
		}
	}
	held[g] = append(held[g], c.rank())
}

func after[C Class]() {
	var c C
	g := goid()
	heldMu.Lock()
	defer heldMu.Unlock()
	s := held[g]
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == c.rank() {
			s = append(s[:i], s[i+1:]...)
			break
		}
	}
	if len(s) == 0 {
		delete(held, g)
	} else {
		held[g] = s
	}
}
