// Package klog is the sentry's log: leveled lines to one descriptor, and the
// counted list of things guests asked for that are accepted but not done.
package klog

import (
	"fmt"
	"io"
	"os"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// Level orders messages by importance.
type Level int32

// Levels; messages above the set level are dropped before formatting.
const (
	Error Level = iota
	Warning
	Info
	Debug
)

var (
	level atomic.Int32
	outMu sync.Mutex
	out   io.Writer = os.Stderr
)

func init() { level.Store(int32(Warning)) }

// SetLevel sets the most verbose level that is written.
func SetLevel(l Level) { level.Store(int32(l)) }

// SetOutput sends the log to w.
func SetOutput(w io.Writer) {
	outMu.Lock()
	defer outMu.Unlock()
	out = w
}

// On says whether messages of level l are written, to guard costly arguments.
func On(l Level) bool { return level.Load() >= int32(l) }

// Logf writes a line at level l.
func Logf(l Level, format string, args ...any) {
	if !On(l) {
		return
	}
	line := fmt.Sprintf("%s %c "+format+"\n", append([]any{time.Now().Format("15:04:05.000000"), "EWID"[l]}, args...)...)
	outMu.Lock()
	defer outMu.Unlock()
	io.WriteString(out, line)
}

// Errorf logs what the operator must see.
func Errorf(format string, args ...any) { Logf(Error, format, args...) }

// Warningf logs what may explain a failure.
func Warningf(format string, args ...any) { Logf(Warning, format, args...) }

// Infof logs rare events of normal life.
func Infof(format string, args ...any) { Logf(Info, format, args...) }

// Debugf logs details for developers.
func Debugf(format string, args ...any) { Logf(Debug, format, args...) }

var stubs sync.Map // text -> *atomic.Int64

// Stub counts that a guest asked for what is accepted and ignored; what says
// what, in a phrase ("sched_setattr: deadline ignored"). Logged once.
func Stub(what string) {
	c, seen := stubs.LoadOrStore(what, new(atomic.Int64))
	c.(*atomic.Int64).Add(1)
	if !seen {
		Infof("stub: %s", what)
	}
}

// StubCount is one line of Stubs.
type StubCount struct {
	What  string
	Count int64
}

// Stubs lists the counts of Stub, most frequent first.
func Stubs() []StubCount {
	var l []StubCount
	stubs.Range(func(k, v any) bool {
		l = append(l, StubCount{k.(string), v.(*atomic.Int64).Load()})
		return true
	})
	sort.Slice(l, func(i, j int) bool { return l[i].Count > l[j].Count })
	return l
}
