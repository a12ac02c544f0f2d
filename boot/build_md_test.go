package boot

import (
	"os"
	"sort"
	"strings"
	"testing"

	"redoubt.dev/redoubt/boot/hostfilter"
)

// TestBuildMD keeps the lists of host calls in BUILD.md equal to the tables.
// With REDOUBT_REWRITE set it writes them.
func TestBuildMD(t *testing.T) {
	const file = "../BUILD.md"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	sentry := hostfilter.Names(SentryFilter())
	for _, s := range []struct {
		after string
		names []string
	}{
		{"### Sandbox process\n\n", sentry},
		{"### Gofer\n\n", hostfilter.Names(hostfilter.Gofer(false))},
	} {
		sort.Strings(s.names)
		want := wrap(s.names)
		i := strings.Index(text, s.after)
		if i < 0 {
			t.Fatalf("BUILD.md has no %q", s.after)
		}
		i += len(s.after)
		end := strings.Index(text[i:]+"\n\n", "\n\n")
		got := strings.TrimRight(text[i:min(i+end, len(text))], "\n")
		if got == want {
			continue
		}
		if os.Getenv("REDOUBT_REWRITE") == "" {
			t.Errorf("BUILD.md, after %q: the list is not the table's; REDOUBT_REWRITE=1 go test ./boot writes it", s.after)
			continue
		}
		text = text[:i] + want + text[min(i+len(got), len(text)):]
	}
	if text != string(b) && os.Getenv("REDOUBT_REWRITE") != "" {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func wrap(names []string) string {
	var b strings.Builder
	col := 0
	for _, n := range names {
		if col > 0 && col+1+len(n) > 110 {
			b.WriteByte('\n')
			col = 0
		} else if col > 0 {
			b.WriteByte(' ')
			col++
		}
		b.WriteString(n)
		col += len(n)
	}
	return b.String()
}
