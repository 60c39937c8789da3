package flagstest

import (
	"bytes"
	"io"
	"os"
	"strings"

	"github.com/prusik-go/prusik/flags"
)

// T is the part of [testing.T] that is used.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
	Cleanup(func())
	Name() string
}

// UpdateVariable is the environment variable that, set to 1, has [Golden] and [GoldenSection] write what they would compare.
const UpdateVariable = "FLAGSTEST_UPDATE"

// Golden fails where the file at path is not what write writes, such as [flags.Set.WriteEnv].
func Golden(t T, path string, write func(io.Writer) error) {
	t.Helper()
	want := render(t, write)
	have, err := os.ReadFile(path) //nolint:gosec // the test's own file
	if err != nil && !os.IsNotExist(err) {
		t.Fatalf("%v", err)
		return
	}
	compare(t, path, have, want)
}

// GoldenSection fails where the part of the file at path between the lines
//
//	<!-- begin name -->
//	<!-- end name -->
//
// is not what write writes, such as [flags.Set.WriteMarkdown]. Both lines have to be there, once.
func GoldenSection(t T, path, name string, write func(io.Writer) error) {
	t.Helper()
	section := render(t, write)
	have, err := os.ReadFile(path) //nolint:gosec // the test's own file
	if err != nil {
		t.Fatalf("%v", err)
		return
	}
	begin, end := "<!-- begin "+name+" -->\n", "<!-- end "+name+" -->\n"
	before, rest, ok := strings.Cut(string(have), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed || strings.Contains(rest, begin) || strings.Contains(after, end) {
		t.Fatalf("%s: want the lines %q and %q, once each and in this order", path, strings.TrimSpace(begin), strings.TrimSpace(end))
		return
	}
	compare(t, path, have, []byte(before+begin+"\n"+string(section)+"\n"+end+after))
}

func render(t T, write func(io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatalf("%v", err)
	}
	return b.Bytes()
}

func compare(t T, path string, have, want []byte) {
	t.Helper()
	if bytes.Equal(have, want) {
		return
	}
	if os.Getenv(UpdateVariable) == "1" {
		if err := os.WriteFile(path, want, 0o644); err != nil { //nolint:gosec // a document
			t.Fatalf("%v", err)
			return
		}
		t.Logf("%s: written", path)
		return
	}
	line, is, should := difference(string(have), string(want))
	t.Errorf("%s:%d is not what the flags say; %s=1 go test writes it\n is:     %s\n should: %s", path, line, UpdateVariable, is, should)
}

// difference is the first line that differs.
func difference(have, want string) (line int, is, should string) {
	a, b := strings.Split(have, "\n"), strings.Split(want, "\n")
	for i := range max(len(a), len(b)) {
		is, should = "(nothing)", "(nothing)"
		if i < len(a) {
			is = a[i]
		}
		if i < len(b) {
			should = b[i]
		}
		if is != should {
			return i + 1, is, should
		}
	}
	return 0, "", ""
}

// RequireCurrent fails for each flag that should be gone: see [flags.RemoveBy].
func RequireCurrent(t T, set *flags.Set) {
	t.Helper()
	for _, f := range set.List().Flags {
		if f.Overdue {
			t.Errorf("%s should have been gone by %s: remove it, or say another day", f.Name, f.RemoveBy)
		}
	}
}

// Override sets a flag until the test is over. Tests that run in parallel see each other's.
func Override(t T, set *flags.Set, flag, value string) {
	t.Helper()
	change := flags.Change{Flag: flag, Value: value, Author: "test", Reason: reason(t)}
	if err := set.Override(change); err != nil {
		t.Fatalf("%v", err)
		return
	}
	t.Cleanup(func() {
		change.Value = ""
		if err := set.Clear(change); err != nil {
			t.Errorf("%v", err)
		}
	})
}

// reason is the test's name, at the length that is accepted.
func reason(t T) string {
	name := "test " + t.Name()
	return name[:min(len(name), 200)]
}
