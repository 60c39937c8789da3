// Package house_test holds the house rules that no compiler checks.
package house_test

import (
	"encoding/json"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/prusik-go/prusik"

// floors of the house, from the ground up. A package imports only what is on a lower floor, or internal.
var floors = map[string]int{"errors": 1, "correlation": 2, "breaker": 2, "ratelimit": 2, "flags": 2, "metrics": 3, "httpx": 4}

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Imports,Deps", "./...")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	require.NoError(t, err)
	var pkgs []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p pkg
		require.NoError(t, dec.Decode(&p))
		pkgs = append(pkgs, p)
	}
	return pkgs
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	require.NoError(t, err)
	return dir
}

// room is the top-level folder of a package of ours.
func room(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, module+"/")
	name, _, _ := strings.Cut(rest, "/")
	return name, ok
}

func TestImportsRunDownwardsOnly(t *testing.T) {
	seen := 0
	for _, p := range list(t) {
		name, ours := room(p.ImportPath)
		if !ours || name == "internal" {
			continue
		}
		floor, known := floors[name]
		require.True(t, known, "%s is in no floor of the house: add it to the table, and to DESIGN", p.ImportPath)
		for _, dep := range p.Deps {
			other, ours := room(dep)
			if strings.HasPrefix(dep, "github.com/prometheus/") {
				require.Contains(t, []string{"metrics", "httpx"}, name, "%s reaches Prometheus", p.ImportPath)
			}
			if !ours || other == "internal" || other == name {
				continue
			}
			seen++
			require.Less(t, floors[other], floor, "%s imports %s", p.ImportPath, dep)
		}
	}
	require.Positive(t, seen, "no import of ours was seen: this test looks at nothing")
}

// httpx reaches Prometheus through metrics, and names nothing of it.
func TestOnlyMetricsImportsPrometheus(t *testing.T) {
	importers := map[string]bool{}
	for _, p := range list(t) {
		if _, ours := room(p.ImportPath); !ours {
			continue
		}
		for _, dep := range p.Imports {
			if strings.HasPrefix(dep, "github.com/prometheus/") {
				importers[p.ImportPath] = true
			}
		}
	}
	require.Equal(t, map[string]bool{module + "/metrics": true}, importers)
}

func TestTheFloorNeedsTheStandardLibraryOnly(t *testing.T) {
	for _, p := range list(t) {
		if p.ImportPath != module+"/errors" {
			continue
		}
		for _, dep := range p.Deps {
			require.NotContains(t, strings.SplitN(dep, "/", 2)[0], ".", "errors reaches %s", dep)
		}
		return
	}
	t.Fatal("no package errors")
}

// The status page stands on the roof: what is under it does not know it, and it brings nothing but the standard library.
func TestTheStatusPageStandsOnTheRoof(t *testing.T) {
	const page = module + "/httpx/status"
	seen := false
	for _, p := range list(t) {
		if p.ImportPath != page {
			require.NotContains(t, p.Deps, page, "%s imports the status page", p.ImportPath)
			continue
		}
		seen = true
		for _, dep := range p.Imports {
			_, ours := room(dep)
			require.True(t, ours || !strings.Contains(strings.SplitN(dep, "/", 2)[0], "."), "the status page imports %s", dep)
		}
	}
	require.True(t, seen, "no package %s", page)
}

// The idempotency keys of our own callers are under the same roof as the calls we make, and stand alone there.
func TestIdempotencyStandsAlone(t *testing.T) {
	const keys = module + "/httpx/idempotency"
	seen := false
	for _, p := range list(t) {
		if p.ImportPath != keys {
			continue
		}
		seen = true
		for _, dep := range p.Deps {
			name, ours := room(dep)
			require.True(t, !ours || name == "internal" || name == "errors" || name == "correlation", "%s imports %s", keys, dep)
		}
	}
	require.True(t, seen, "no package %s", keys)
}

// The card's five, and two for tests.
func TestTheRootRequiresTheCardsPackagesOnly(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(root(t), "go.mod"))
	require.NoError(t, err)
	allowed := []string{
		"github.com/failsafe-go/failsafe-go", "github.com/prometheus/client_golang", "github.com/google/uuid",
		"github.com/stretchr/testify", "github.com/h2non/gock", "go.uber.org/goleak", "pgregory.net/rapid",
	}
	n := 0
	for _, m := range regexp.MustCompile(`(?m)^\s+(\S+) v\S+( // indirect)?$`).FindAllStringSubmatch(string(raw), -1) {
		if m[2] == "" {
			n++
			require.Contains(t, allowed, m[1])
		}
	}
	require.Positive(t, n)
}

// What is heavy is in a module of its own: nothing in the root reaches it, not even as a requirement of a requirement.
func TestWhatIsHeavyIsInItsOwnModuleOnly(t *testing.T) {
	all := list(t)
	for heavy, home := range map[string]string{
		"go.opentelemetry.io":     "httpx/tracing",
		"github.com/open-feature": "flags/openfeature",
	} {
		for _, p := range all {
			for _, dep := range p.Deps {
				require.NotContains(t, dep, heavy, "%s reaches it", p.ImportPath)
			}
		}
		requires := map[string]bool{}
		for _, dir := range modules(t) {
			raw, err := os.ReadFile(filepath.Join(root(t), dir, "go.mod"))
			require.NoError(t, err)
			requires[dir] = regexp.MustCompile(`(?m)^\s+` + regexp.QuoteMeta(heavy) + `\S* v\S+$`).Match(raw)
			if dir == "." {
				require.NotContains(t, string(raw), heavy)
			}
		}
		for dir, does := range requires {
			require.Equal(t, dir == home, does, "%s: %s", heavy, dir)
		}
	}
}

// A module that is not in the Makefile is built, tested and linted by nobody. The tools' own has no code.
func TestEveryModuleIsInTheMakefile(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(root(t), "Makefile"))
	require.NoError(t, err)
	listed := regexp.MustCompile(`(?m)^MODULES := (.*)$`).FindStringSubmatch(string(raw))
	require.NotNil(t, listed)
	require.ElementsMatch(t, append(strings.Fields(listed[1]), "internal/tools"), modules(t))
}

// modules are the folders with a go.mod, from the root.
func modules(t *testing.T) []string {
	t.Helper()
	var dirs []string
	require.NoError(t, filepath.WalkDir(root(t), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && len(d.Name()) > 1 && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		if d.Name() == "go.mod" {
			rel, err := filepath.Rel(root(t), filepath.Dir(path))
			if err != nil {
				return err
			}
			dirs = append(dirs, filepath.ToSlash(rel))
		}
		return nil
	}))
	return dirs
}

// Every exported identifier is documented, and every public package has a doc.go and a runnable Example.
func TestEverythingPublicIsDocumentedAndShown(t *testing.T) {
	dirs := map[string]bool{}
	require.NoError(t, filepath.WalkDir(root(t), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "internal" || name == "examples" || strings.HasPrefix(name, ".") || name == "testdata") {
			return fs.SkipDir
		}
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			dirs[filepath.Dir(path)] = true
		}
		return nil
	}))
	require.NotEmpty(t, dirs)
	for dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			require.FileExists(t, filepath.Join(dir, "doc.go"))
			fset := token.NewFileSet()
			paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
			require.NoError(t, err)
			var code, tests []*ast.File
			for _, path := range paths {
				f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
				require.NoError(t, err)
				if strings.HasSuffix(path, "_test.go") {
					tests = append(tests, f)
				} else {
					code = append(code, f)
				}
			}
			shown := slices.ContainsFunc(doc.Examples(tests...), func(e *doc.Example) bool { return e.Output != "" })
			require.True(t, shown, "no Example with an output")
			p, err := doc.NewFromFiles(fset, code, "x")
			require.NoError(t, err)
			require.NotEmpty(t, p.Doc)
			undocumented(t, p)
		})
	}
}

func undocumented(t *testing.T, p *doc.Package) {
	t.Helper()
	funcs := p.Funcs
	for _, typ := range p.Types {
		require.NotEmpty(t, typ.Doc, typ.Name)
		funcs = append(funcs, typ.Funcs...)
		funcs = append(funcs, typ.Methods...)
	}
	for _, f := range funcs {
		require.NotEmpty(t, f.Doc, f.Name)
	}
}
