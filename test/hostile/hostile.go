// Package hostile attacks the sandbox: programs inside that do their worst
// (test/hostile/c), and a look from the host at what the processes of a
// sandbox still hold. A sandbox may refuse, slow down or kill a program; it
// may not break, hang, or let go of what keeps it in.
//
// HOSTILE_SECONDS makes the random part longer than the slice that every test
// run takes, HOSTILE_SEED gives it another seed.
package hostile
