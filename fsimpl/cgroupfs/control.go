package cgroupfs

import (
	"fmt"
	"strconv"
	"strings"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
)

// number takes "max" or a number that is not negative.
func number(s string) (string, error) {
	if s == "max" {
		return s, nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err != nil || n < 0 {
		return "", errno.EINVAL
	}
	return s, nil
}

// size takes "max" or a number of bytes, perhaps with K, M or G, rounded down
// to pages.
func size(s string) (string, error) {
	if s == "max" {
		return s, nil
	}
	shift := 0
	if s != "" {
		switch s[len(s)-1] | 0x20 {
		case 'k':
			shift = 10
		case 'm':
			shift = 20
		case 'g':
			shift = 30
		case 't':
			shift = 40
		}
		if shift != 0 {
			s = s[:len(s)-1]
		}
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || n > 1<<62>>shift {
		return "", errno.EINVAL
	}
	return strconv.FormatUint(n<<shift&^4095, 10), nil
}

func between(lo, hi int) func(string) (string, error) {
	return func(s string) (string, error) {
		n, err := strconv.Atoi(strings.TrimPrefix(s, "default "))
		if err != nil {
			return "", errno.EINVAL
		}
		if n < lo || n > hi {
			return "", errno.ERANGE
		}
		return strconv.Itoa(n), nil
	}
}

// cpuMax takes "$MAX [$PERIOD]".
func (g *Group) cpuMax(s string) (string, error) {
	f := strings.Fields(s)
	if len(f) == 0 || len(f) > 2 {
		return "", errno.EINVAL
	}
	if len(f) == 1 {
		period := "100000"
		g.tr.mu.Lock()
		if old := strings.Fields(g.values["cpu.max"]); len(old) == 2 {
			period = old[1]
		}
		g.tr.mu.Unlock()
		f = append(f, period)
	}
	if n, err := strconv.Atoi(f[0]); f[0] != "max" && (err != nil || n < 1000) {
		return "", errno.EINVAL
	}
	if n, err := strconv.Atoi(f[1]); err != nil || n < 1000 || n > 1000000 {
		return "", errno.EINVAL
	}
	return f[0] + " " + f[1], nil
}

func anyText(s string) (string, error) { return s, nil }

func (g *Group) memory() uint64 {
	if g.parent == nil && g.tr.t.only(g.tr) {
		if m := g.tr.k.Memory(); m != nil {
			return m.Usage()
		}
		return 0
	}
	n := uint64(0)
	g.each(true, func(tg *kernel.ThreadGroup) {
		if t := tg.Leader(); t != nil {
			if s := t.MM(); s != nil {
				n += s.Stats().RSSAnon
			}
		}
	})
	return n
}

// files are the names that each controller adds, for hide.
var files = map[string][]string{
	"pids":   {"pids.max", "pids.current", "pids.peak", "pids.events"},
	"memory": {"memory.current", "memory.peak", "memory.max", "memory.high", "memory.low", "memory.min", "memory.oom.group", "memory.events", "memory.events.local", "memory.stat", "memory.swap.current", "memory.swap.max", "memory.swap.high", "memory.swap.events", "memory.reclaim"},
	"cpu":    {"cpu.max", "cpu.max.burst", "cpu.weight", "cpu.weight.nice", "cpu.idle"},
	"cpuset": {"cpuset.cpus", "cpuset.cpus.effective", "cpuset.mems", "cpuset.mems.effective", "cpuset.cpus.partition"},
	"io":     {"io.stat", "io.max", "io.weight"},
}

func (g *Group) hide(controller string) {
	for _, f := range files[controller] {
		g.dir.Remove(f)
		delete(g.values, f)
	}
}

// show adds a controller's files.
func (g *Group) show(controller string) {
	zero := func(names ...string) func() string {
		var b strings.Builder
		for _, n := range names {
			b.WriteString(n + " 0\n")
		}
		return b.String
	}
	switch controller {
	case "pids":
		g.value("pids.max", "max", number)
		g.text("pids.current", func() string { return fmt.Sprintf("%d\n", g.tasks()) })
		g.text("pids.peak", func() string {
			n := g.tasks()
			g.tr.mu.Lock()
			defer g.tr.mu.Unlock()
			g.peak = max(g.peak, n)
			return fmt.Sprintf("%d\n", g.peak)
		})
		g.text("pids.events", func() string {
			g.tr.mu.Lock()
			defer g.tr.mu.Unlock()
			return fmt.Sprintf("max %d\n", g.maxHits)
		})
	case "memory":
		g.text("memory.current", func() string { return fmt.Sprintf("%d\n", g.memory()) })
		g.text("memory.peak", func() string { return fmt.Sprintf("%d\n", g.memory()) })
		for _, n := range []string{"memory.max", "memory.high", "memory.swap.max", "memory.swap.high"} {
			g.value(n, "max", size)
		}
		g.value("memory.low", "0", size)
		g.value("memory.min", "0", size)
		g.value("memory.oom.group", "0", between(0, 1))
		g.text("memory.events", zero("low", "high", "max", "oom", "oom_kill", "oom_group_kill"))
		g.text("memory.events.local", zero("low", "high", "max", "oom", "oom_kill", "oom_group_kill"))
		g.text("memory.stat", func() string {
			return fmt.Sprintf("anon %d\n", g.memory()) + zero("file", "kernel", "kernel_stack", "pagetables", "sec_pagetables", "percpu", "sock", "vmalloc", "shmem", "zswap", "zswapped", "file_mapped", "file_dirty", "file_writeback", "swapcached", "anon_thp", "file_thp", "shmem_thp", "inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable", "slab_reclaimable", "slab_unreclaimable", "slab", "workingset_refault_anon", "workingset_refault_file", "pgfault", "pgmajfault", "pgrefill", "pgscan", "pgsteal", "pgactivate", "pgdeactivate", "pglazyfree", "pglazyfreed", "thp_fault_alloc", "thp_collapse_alloc")()
		})
		g.text("memory.swap.current", func() string { return "0\n" })
		g.text("memory.swap.events", zero("high", "max", "fail"))
	case "cpu":
		g.value("cpu.max", "max 100000", g.cpuMax)
		g.value("cpu.max.burst", "0", number)
		g.value("cpu.weight", "100", between(1, 10000))
		g.value("cpu.weight.nice", "0", between(-20, 19))
		g.value("cpu.idle", "0", between(0, 1))
	case "cpuset":
		all := fmt.Sprintf("0-%d", g.tr.k.CPUs()-1)
		if g.tr.k.CPUs() == 1 {
			all = "0"
		}
		g.value("cpuset.cpus", "", anyText)
		g.value("cpuset.mems", "", anyText)
		g.text("cpuset.cpus.effective", func() string { return all + "\n" })
		g.text("cpuset.mems.effective", func() string { return "0\n" })
		g.value("cpuset.cpus.partition", "member", anyText)
	case "io":
		g.text("io.stat", func() string { return "" })
		g.value("io.max", "", anyText)
		g.value("io.weight", "default 100", anyText)
	}
}
