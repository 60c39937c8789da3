package flagstest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/flags/flagstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake hears what a test would be told.
type fake struct {
	heard    []string
	cleanups []func()
}

func (*fake) Helper()                        {}
func (*fake) Name() string                   { return strings.Repeat("x", 300) }
func (f *fake) Cleanup(fn func())            { f.cleanups = append(f.cleanups, fn) }
func (f *fake) Errorf(s string, args ...any) { f.heard = append(f.heard, fmt.Sprintf(s, args...)) }
func (f *fake) Fatalf(s string, args ...any) { f.heard = append(f.heard, fmt.Sprintf(s, args...)) }
func (f *fake) Logf(s string, args ...any)   { f.heard = append(f.heard, fmt.Sprintf(s, args...)) }

func set(t *testing.T) *flags.Set {
	t.Helper()
	s := flags.New("app", flags.Config{})
	s.Bool("STUB", flags.RemoveBy("2020-01-01"), flags.Doc("Serves canned data."))
	s.Bool("LATER", flags.RemoveBy("9999-01-01"), flags.Doc("Serves canned data."))
	return s
}

func TestGolden(t *testing.T) {
	s, path := set(t), filepath.Join(t.TempDir(), ".env.example")
	f := &fake{}
	flagstest.Golden(f, path, s.WriteEnv)
	require.Len(t, f.heard, 1)
	require.Contains(t, f.heard[0], ".env.example:1 is not what the flags say; FLAGSTEST_UPDATE=1 go test writes it")

	t.Setenv(flagstest.UpdateVariable, "1")
	f = &fake{}
	flagstest.Golden(f, path, s.WriteEnv)
	require.Equal(t, []string{path + ": written"}, f.heard)

	t.Setenv(flagstest.UpdateVariable, "")
	f = &fake{}
	flagstest.Golden(f, path, s.WriteEnv)
	require.Empty(t, f.heard)
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(raw), "STUB=false", "STUB=true", 1)), 0o600))
	flagstest.Golden(f, path, s.WriteEnv)
	require.Len(t, f.heard, 1)
	require.Contains(t, f.heard[0], "is:     STUB=true")
	require.Contains(t, f.heard[0], "should: STUB=false")
}

func TestGoldenSection(t *testing.T) {
	s, path := set(t), filepath.Join(t.TempDir(), "README.md")
	write := func(text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
	const begin, end = "<!-- begin flags -->\n", "<!-- end flags -->\n"
	for _, text := range []string{"", begin, end, end + begin, begin + begin + end, begin + end + end} {
		write(text)
		f := &fake{}
		flagstest.GoldenSection(f, path, "flags", s.WriteMarkdown)
		require.Len(t, f.heard, 1, "%q", text)
		require.Contains(t, f.heard[0], "once each and in this order")
	}
	write("before\n" + begin + "old\n" + end + "after\n")
	f := &fake{}
	flagstest.GoldenSection(f, path, "flags", s.WriteMarkdown)
	require.Len(t, f.heard, 1)
	require.Contains(t, f.heard[0], "README.md:3 is not what the flags say")
	t.Setenv(flagstest.UpdateVariable, "1")
	flagstest.GoldenSection(f, path, "flags", s.WriteMarkdown)
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "before\n"+begin+"\n| variable | default | what it does |\n|---|---|---|\n"+
		"| `APP_ENV` | `production` | Where the program runs: development, test, staging, production. Any other name counts as production. |\n"+
		"| `STUB` | `false` | Serves canned data. (true or false; to be gone by 2020-01-01) |\n"+
		"| `LATER` | `false` | Serves canned data. (true or false; to be gone by 9999-01-01) |\n\n"+end+"after\n", string(raw))
	t.Setenv(flagstest.UpdateVariable, "")
	f = &fake{}
	flagstest.GoldenSection(f, path, "flags", s.WriteMarkdown)
	require.Empty(t, f.heard)
	flagstest.GoldenSection(f, filepath.Join(t.TempDir(), "none"), "flags", s.WriteMarkdown)
	require.Len(t, f.heard, 1)
}

func TestAWrongDeclarationIsTold(t *testing.T) {
	s := set(t)
	s.Bool("STUB", flags.Doc("Twice."))
	f := &fake{}
	flagstest.Golden(f, filepath.Join(t.TempDir(), "x"), s.WriteEnv)
	require.Contains(t, f.heard[0], "STUB: declared twice")
}

func TestRequireCurrent(t *testing.T) {
	f := &fake{}
	flagstest.RequireCurrent(f, set(t))
	require.Equal(t, []string{"STUB should have been gone by 2020-01-01: remove it, or say another day"}, f.heard)
}

func TestOverride(t *testing.T) {
	s := flags.New("app", flags.Config{})
	stub := s.Bool("STUB", flags.Doc("Serves canned data."))
	f := &fake{}
	flagstest.Override(f, s, "STUB", "true")
	require.Len(t, f.heard, 1, "not loaded")
	require.NoError(t, s.Load(nil))
	f = &fake{}
	flagstest.Override(f, s, "STUB", "true")
	require.Empty(t, f.heard)
	require.True(t, stub.Get())
	for _, fn := range f.cleanups {
		fn()
	}
	require.False(t, stub.Get())
}
