package systrap

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"sync"

	"redoubt.dev/redoubt/sentry/arch"
)

// HostVDSO implements platform.VDSOKeeper.
func (p *Platform) HostVDSO() uint64 { return p.z.vdso }

// ReadHost learns from /proc/self what New needs. Where /proc goes away before
// New, it is to be called earlier.
func ReadHost() { vdsoLayout() }

type vdsoSizes struct {
	sizes  string
	before uint64
}

var vdsoLayout = sync.OnceValue(func() vdsoSizes {
	s, b := hostVDSO()
	return vdsoSizes{s, b}
})

// hostVDSO describes the host's vDSO for keep_vdso in stub.c, from this
// process's own: the sizes of its mappings, and how many bytes of data precede
// the image. Both are empty if there is none or it looks unfamiliar; time
// then costs the guest system calls.
func hostVDSO() (sizes string, before uint64) {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return "", 0
	}
	defer f.Close()
	var last uint64
	for sc := bufio.NewScanner(f); sc.Scan(); {
		line := sc.Text()
		if !strings.Contains(line, "[vvar") && !strings.HasSuffix(line, "[vdso]") {
			continue
		}
		var lo, hi uint64
		if _, err := fmt.Sscanf(line, "%x-%x", &lo, &hi); err != nil || last != 0 && lo != last || (hi-lo)/arch.PageSize > 40 {
			return "", 0
		}
		sizes += string(rune('0' + (hi-lo)/arch.PageSize))
		if strings.HasSuffix(line, "[vdso]") {
			return sizes, before
		}
		before += hi - lo
		last = hi
	}
	return "", 0
}
