package errors_test

import (
	stderrors "errors"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
)

// exported returns the exported names a package declares at its top level.
func exported(t *testing.T, dir string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		add := func(ids ...*ast.Ident) {
			for _, id := range ids {
				if id.IsExported() {
					names[id.Name] = true
				}
			}
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					add(d.Name)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.TypeSpec:
						add(s.Name)
					case *ast.ValueSpec:
						add(s.Names...)
					}
				}
			}
		}
	}
	return names
}

func TestNamesAreASupersetOfTheStandardPackage(t *testing.T) {
	t.Parallel()
	std, err := build.Import("errors", "", build.FindOnly)
	require.NoError(t, err)
	theirs, ours := exported(t, std.Dir), exported(t, ".")
	require.Contains(t, theirs, "AsType", "the standard package was read")
	for name := range theirs {
		require.Contains(t, ours, name, "a Go release has added errors.%s", name)
	}
}

func TestStandardFunctionsAreTheStandardOnes(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]any{
		{errors.New, stderrors.New},
		{errors.Is, stderrors.Is},
		{errors.As, stderrors.As},
		{errors.Unwrap, stderrors.Unwrap},
		{errors.Join, stderrors.Join},
		{errors.AsType[*fs.PathError], stderrors.AsType[*fs.PathError]},
	} {
		require.Equal(t, reflect.TypeOf(pair[1]), reflect.TypeOf(pair[0]))
	}
	require.Same(t, stderrors.ErrUnsupported, errors.ErrUnsupported)

	inner := &fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}
	joined := errors.Join(errors.New("first"), nil, inner)
	require.Equal(t, "first\nopen x: file does not exist", joined.Error())
	require.NoError(t, errors.Join(nil, nil))
	require.True(t, errors.Is(joined, fs.ErrNotExist))
	require.False(t, errors.Is(joined, fs.ErrExist))
	var target *fs.PathError
	require.True(t, errors.As(joined, &target))
	require.Same(t, inner, target)
	found, ok := errors.AsType[*fs.PathError](joined)
	require.True(t, ok)
	require.Same(t, inner, found)
	require.Equal(t, fs.ErrNotExist, errors.Unwrap(inner))
	require.NotEqual(t, errors.New("x"), errors.New("y"))
}

// The floor of the house stands on the standard library alone.
func TestImportsTheStandardLibraryOnly(t *testing.T) {
	t.Parallel()
	const this = "github.com/prusik-go/prusik/errors"
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	require.NoError(t, err)
	require.Equal(t, []string{this}, strings.Fields(string(out)))
}
