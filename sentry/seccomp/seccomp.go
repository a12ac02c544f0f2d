// Package seccomp runs the system-call filters that guests install
// (seccomp(2)): it checks and interprets classic BPF programs.
package seccomp

// Filters is the chain of filters of a task, newest first. Immutable.
type Filters struct {
	prev *Filters
}
