package run

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	rewrite    = flag.Bool("rewrite", false, "write the transcripts anew from the native leg")
	only       = flag.String("case", "", "run only cases whose name contains this")
	nativeOnly = flag.Bool("native-only", os.Getenv("REDOUBT_NATIVE_ONLY") != "", "leave the sandbox out")
	runsc      = flag.String("runsc", filepath.Join(Root(), "bin", "runsc"), "path of runsc")
	platforms  = flag.String("platforms", "systrap", "platforms to run on, with commas between")
	rounds     = flag.Int("rounds", 1, "repeat the native leg this often (to find cases that are not steady)")
)

func load(t *testing.T) []*Case {
	t.Helper()
	cases, err := Find(*only)
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatalf("no case contains %q", *only)
	}
	if err := Build(cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

func golden(c *Case) string {
	b, err := os.ReadFile(c.Golden)
	if err != nil {
		return "(no transcript; run with -rewrite)\n"
	}
	return string(b)
}

// TestNative repeats every case on the host's Linux, which must say what it said before.
func TestNative(t *testing.T) {
	cases := load(t)
	leg := &Leg{Limit: 20 * time.Second, Shards: 2}
	for range *rounds {
		results, err := leg.Run(cases)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			t.Run(c.Name, func(t *testing.T) {
				got := results[c.Name].Output
				if *rewrite && !strings.Contains(got, "[timeout]") && !strings.Contains(got, "[leg died") {
					if err := os.WriteFile(c.Golden, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				if d := Diff("transcript", golden(c), "Linux now", got); d != "" {
					t.Errorf("the case is not steady on Linux:\n%s", d)
				}
				if took := results[c.Name].Took; took > 2*time.Second {
					t.Logf("slow: %v", took)
				}
			})
		}
		*rewrite = false
	}
}

// TestSandbox runs every case inside the sandbox, which must say what Linux said.
func TestSandbox(t *testing.T) {
	if *nativeOnly || *rewrite {
		t.Skip("native leg only")
	}
	if _, err := os.Stat(*runsc); err != nil {
		t.Skipf("%s is missing (run make)", *runsc)
	}
	known, err := ReadKnown()
	if err != nil {
		t.Fatal(err)
	}
	cases := load(t)
	for _, platform := range strings.Split(*platforms, ",") {
		t.Run(platform, func(t *testing.T) {
			leg := &Leg{Runsc: *runsc, Flags: []string{"--platform=" + platform}, Limit: 20 * time.Second, Shards: 2}
			results, err := leg.Run(cases)
			if err != nil {
				t.Fatal(err)
			}
			passed, accepted := 0, 0
			for _, c := range cases {
				t.Run(c.Name, func(t *testing.T) {
					reason := known.Reason(c.Name, platform)
					d := Diff("what Linux did", golden(c), "what the sandbox did", results[c.Name].Output)
					switch {
					case d == "" && reason != "":
						t.Errorf("passes, but known.txt lists it (%s): remove the line", reason)
					case d == "":
						passed++
					case reason != "":
						accepted++
						t.Skipf("known: %s", reason)
					default:
						t.Errorf("differs from Linux:\n%s", d)
					}
				})
			}
			t.Logf("%d cases: %d as on Linux, %d known to differ, %d failing", len(cases), passed, accepted, len(cases)-passed-accepted)
		})
	}
}

// TestKnown checks that every line of known.txt names a case that exists.
func TestKnown(t *testing.T) {
	known, err := ReadKnown()
	if err != nil {
		t.Fatal(err)
	}
	for name := range known {
		if strings.HasPrefix(name, "conform/") || strings.HasPrefix(name, "images/") {
			continue
		}
		if _, err := os.Stat(filepath.Join(Root(), "test", "cases", name+".c")); err != nil {
			t.Errorf("known.txt names %s, which does not exist", name)
		}
	}
}

func TestDiff(t *testing.T) {
	if d := Diff("a", "x\ny\n", "b", "x\ny\n"); d != "" {
		t.Errorf("same texts differ: %s", d)
	}
	d := Diff("a", "one\ntwo\nthree\n", "b", "one\nTWO\nthree\n")
	if !strings.Contains(d, "! two") || !strings.Contains(d, "| TWO") || strings.Contains(d, "! one") {
		t.Errorf("unexpected diff:\n%s", d)
	}
	if d := Diff("a", "one\ntwo\n", "b", "one\n"); !strings.Contains(d, "(nothing)") {
		t.Errorf("lost line is not shown:\n%s", d)
	}
}
