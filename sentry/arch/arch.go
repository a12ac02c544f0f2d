// Package arch describes the guest CPU as the rest of the sentry sees it:
// registers, system-call arguments, floating-point state and signal frames.
//
// Everything specific to an architecture has a file name ending in _amd64.
// The package knows nothing of tasks or memory management: frame building gets
// a usermem.IO and returns register values.
package arch

// PageSize is the guest and host page size in bytes.
const PageSize = 4096

// PageMask rounds an address down to its page with addr &^ PageMask.
const PageMask = PageSize - 1
