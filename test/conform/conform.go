// Package conform runs outside suites, written by others against Linux, in slices: each slice
// once natively and once inside the sandbox. What fails on both sides is the machine's
// business; only tests whose results differ are reported. It needs the build tag conform.
package conform
