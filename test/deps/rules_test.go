package deps

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// files lists the tree's files with one of the endings, outside test/out and bin.
func files(t *testing.T, endings ...string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root(), func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root(), p)
		if d.IsDir() && (rel == ".git" || rel == "bin" || rel == "test/out") {
			return filepath.SkipDir
		}
		for _, e := range endings {
			if !d.IsDir() && strings.HasSuffix(p, e) {
				out = append(out, rel)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func read(t *testing.T, rel string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root(), rel))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPackageDocs(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

func TestGofmt(t *testing.T) {
	for _, f := range files(t, ".go") {
		b := read(t, f)
		if g, err := format.Source(b); err != nil {
			t.Errorf("%s: %v", f, err)
		} else if !bytes.Equal(b, g) {
			t.Errorf("%s is not formatted (gofmt -w %s)", f, f)
		}
	}
}

// unsafeMay are the files that use unsafe under another name, with the reason.
var unsafeMay = map[string]string{
	"sentry/kernel/misc.go": "kcmp(2) orders objects by their addresses",
}

func TestUnsafe(t *testing.T) {
	set := token.NewFileSet()
	for _, f := range files(t, ".go") {
		if strings.HasSuffix(f, "_test.go") || strings.HasSuffix(f, "_unsafe.go") || strings.HasSuffix(f, "_unsafe_amd64.go") || unsafeMay[f] != "" {
			continue
		}
		p, err := parser.ParseFile(set, f, read(t, f), parser.ImportsOnly)
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		for _, i := range p.Imports {
			forLinkname := i.Name != nil && i.Name.Name == "_"
			if i.Path.Value == `"unsafe"` && !forLinkname {
				t.Errorf("%s imports unsafe: move that part to a file ending in _unsafe.go", f)
			}
		}
	}
}

var marks = regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`)

func TestNoMarks(t *testing.T) {
	for _, f := range files(t, ".go", ".c", ".h", ".S", ".md") {
		if strings.HasPrefix(f, "test/deps/") {
			continue
		}
		for n, line := range strings.Split(string(read(t, f)), "\n") {
			if m := marks.FindString(line); m != "" && !strings.Contains(line, m+"XX") {
				t.Errorf("%s:%d: %s: what is missing is an error, a table note or klog.Stub", f, n+1, m)
			}
		}
	}
}

var (
	code = regexp.MustCompile("`([^`\n]+)`")
	path = regexp.MustCompile(`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*\.(go|c|h|S|txt|md|py|sh)$`)
	tree = regexp.MustCompile(`^(sentry|vfs|fsimpl|gofer|boot|runsc|test)(/[a-z0-9_.-]+)+/?$`)
	call = regexp.MustCompile(`^\*?([a-z][a-z0-9]*)\.([A-Za-z]\w*)(?:\.([A-Za-z]\w*))?(\(\))?$`)
	own  = regexp.MustCompile(`^(sys[A-Z]\w*)(\(\))?$`)
)

// TestReadmeNames checks that the files, folders and functions named in the READMEs exist.
func TestReadmeNames(t *testing.T) {
	decls := map[string]map[string]bool{} // package name -> declared names
	any := map[string]bool{}
	set := token.NewFileSet()
	for _, f := range files(t, ".go") {
		p, err := parser.ParseFile(set, f, read(t, f), parser.SkipObjectResolution)
		if err != nil {
			continue
		}
		names := decls[p.Name.Name]
		if names == nil {
			names = map[string]bool{}
			decls[p.Name.Name] = names
		}
		for _, d := range p.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				names[d.Name.Name] = true
				any[d.Name.Name] = true
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.TypeSpec:
						names[s.Name.Name] = true
						ast.Inspect(s.Type, func(n ast.Node) bool {
							if f, ok := n.(*ast.Field); ok {
								for _, i := range f.Names {
									names[i.Name] = true
								}
							}
							return true
						})
					case *ast.ValueSpec:
						for _, i := range s.Names {
							names[i.Name] = true
						}
					}
				}
			}
		}
	}
	for _, f := range files(t, "README.md", "BUILD.md", "RATIONALE.md") {
		for _, m := range code.FindAllStringSubmatch(string(read(t, f)), -1) {
			name := m[1]
			switch {
			case tree.MatchString(name) || path.MatchString(name):
				if strings.ContainsAny(name, "*<>{}") || strings.Contains(name, "FAMILY") || name == "config.json" || name == "state.json" {
					continue
				}
				if !exists(filepath.Dir(f), name) {
					t.Errorf("%s names `%s`, which does not exist", f, name)
				}
			case own.MatchString(name):
				if n := own.FindStringSubmatch(name)[1]; !any[n] {
					t.Errorf("%s names `%s`, which is not declared", f, name)
				}
			case call.MatchString(name):
				c := call.FindStringSubmatch(name)
				names := decls[c[1]]
				if names == nil {
					continue // not a package of ours
				}
				for _, n := range c[2:4] {
					if n != "" && !names[n] {
						t.Errorf("%s names `%s`, but package %s has no %s", f, name, c[1], n)
					}
				}
			}
		}
	}
}

// exists looks a name up from the top, from the README's folder, and as the end of a path
// below it.
func exists(dir, name string) bool {
	for _, d := range []string{"", dir} {
		if _, err := os.Stat(filepath.Join(root(), d, name)); err == nil {
			return true
		}
	}
	found := false
	filepath.WalkDir(filepath.Join(root(), dir), func(p string, d os.DirEntry, err error) error {
		found = found || (err == nil && strings.HasSuffix(p, "/"+name))
		return nil
	})
	return found
}
