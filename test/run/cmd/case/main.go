// Command case runs the cases whose name contains an argument, natively and inside the
// sandbox, and shows both transcripts where they differ.
//
//	go run ./test/run/cmd/case [-native] [-v] [-strace] NAME...
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"redoubt.dev/redoubt/test/run"
)

func main() {
	native := flag.Bool("native", false, "run natively only")
	rewrite := flag.Bool("rewrite", false, "write the transcript from the native run")
	verbose := flag.Bool("v", false, "print the whole transcript, also when both agree")
	strace := flag.Bool("strace", false, "give runsc --strace and show what it wrote")
	runsc := flag.String("runsc", filepath.Join(run.Root(), "bin", "runsc"), "path of runsc")
	extra := flag.String("flags", "", "more global flags for runsc")
	list := flag.Bool("list", false, "list failing cases by name only")
	flag.Parse()
	bad, total := 0, 0
	for _, pattern := range append(flag.Args(), onlyIfNone(flag.NArg())...) {
		b, n := one(pattern, *native, *rewrite, *verbose, *strace, *list, *runsc, *extra)
		bad, total = bad+b, total+n
	}
	fmt.Printf("%d cases, %d differ\n", total, bad)
	if bad > 0 {
		os.Exit(1)
	}
}

func onlyIfNone(n int) []string {
	if n == 0 {
		return []string{""}
	}
	return nil
}

func one(pattern string, native, rewrite, verbose, strace, list bool, runsc, extra string) (bad, total int) {
	cases, err := run.Find(pattern)
	if err == nil {
		err = run.Build(cases)
	}
	check(err)
	if len(cases) == 0 {
		check(fmt.Errorf("no case contains %q", pattern))
	}
	leg := &run.Leg{Limit: 20 * time.Second, Shards: 2}
	want, err := leg.Run(cases)
	check(err)
	var got map[string]run.Result
	if !native && !rewrite {
		leg.Runsc = runsc
		leg.Flags = strings.Fields(extra)
		if strace {
			leg.Flags = append(leg.Flags, "--strace")
		}
		if strace || verbose {
			leg.Verbose = os.Stderr
		}
		got, err = leg.Run(cases)
		check(err)
	}
	for _, c := range cases {
		w := want[c.Name].Output
		if verbose {
			fmt.Printf("--- %s (%v)\n%s", c.Name, want[c.Name].Took.Round(time.Millisecond), w)
		}
		if rewrite {
			check(os.WriteFile(c.Golden, []byte(w), 0o644))
			continue
		}
		if g, err := os.ReadFile(c.Golden); !list {
			if err != nil {
				fmt.Printf("--- %s: no transcript\n", c.Name)
			} else if d := run.Diff("transcript", string(g), "Linux now", w); d != "" {
				fmt.Printf("--- %s: not steady on Linux\n%s", c.Name, d)
			}
		}
		if native {
			continue
		}
		if d := run.Diff("what Linux did", w, "what the sandbox did", got[c.Name].Output); d != "" {
			bad++
			if list {
				fmt.Println(c.Name)
			} else {
				fmt.Printf("--- %s: differs\n%s", c.Name, d)
			}
		}
	}
	return bad, len(cases)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "case:", err)
		os.Exit(1)
	}
}
