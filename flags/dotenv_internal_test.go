package flags

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFile(t *testing.T) {
	t.Parallel()
	found, faults := parseFile("\ufeff# comment\r\n\r\nA=1\r\nexport B= two words # not me\nC='# $x \"y\" \\n' # c\nD=\"a\\nb\\t\\\"\\$\\\\\"\nE=\nF=a#b\n_g1=\"\"\n  H = no\nI=# none")
	require.Equal(t, []assignment{
		{"A", "1", 3}, {"B", "two words", 4}, {"C", `# $x "y" \n`, 5}, {"D", "a\nb\t\"$\\", 6}, {"E", "", 7}, {"F", "a#b", 8}, {"_g1", "", 9}, {"I", "", 11},
	}, found)
	require.Equal(t, []lineFault{{10, "NAME=value, without white space around the name"}}, faults)

	for line, want := range map[string]string{
		"A":          "NAME=value, without white space around the name",
		"=b":         "NAME=value, without white space around the name",
		"1A=b":       "NAME=value, without white space around the name",
		"A-B=c":      "NAME=value, without white space around the name",
		"A='b":       "the closing quote, and nothing but a comment behind it",
		"A='b'c":     "the closing quote, and nothing but a comment behind it",
		"A='b'#c":    "the closing quote, and nothing but a comment behind it",
		`A="b`:       "the closing quote",
		`A="b\`:      "the closing quote",
		`A="b"c`:     "nothing but a comment behind the closing quote",
		`A="b\x"`:    "after a backslash one of n, t, \", $, ` and \\",
		`A="$HOME"`:  "a value with dollars in single quotes: nothing is expanded",
		"A=$HOME":    "a value with quotes, backslashes or dollars in single quotes",
		`A=C:\x`:     "a value with quotes, backslashes or dollars in single quotes",
		"A=it's":     "a value with quotes, backslashes or dollars in single quotes",
		"A=1\nA=2":   "each variable once, and A is there already",
		"A=`uname`":  "a value with quotes, backslashes or dollars in single quotes",
		"A=\"`x`\"":  "a value with dollars in single quotes: nothing is expanded",
		"export A":   "NAME=value, without white space around the name",
		"A='b' 'c' ": "the closing quote, and nothing but a comment behind it",
	} {
		_, faults := parseFile(line)
		require.Len(t, faults, 1, "%q", line)
		require.Equal(t, want, faults[0].want, "%q", line)
	}
}

// Whatever is in the file, it is a value or a fault, and a value survives being written again.
func FuzzFile(f *testing.F) {
	for _, s := range []string{"A=1", "A='b c' # d", `A="b\n\"c\\"`, "export A=x # y", "A=a#b", "A= b", "\ufeffA=1\r\n", "A=~", "A=*", "A=a;b", "A=<x", "A=(x)", "A=&"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found, faults := parseFile(text)
		for _, a := range found {
			require.True(t, identifier(a.name))
			require.Positive(t, a.line)
			require.NotContains(t, a.name, "=")
			if !plain(a.text) {
				continue // no flag would take it
			}
			again, faults := parseFile("X=" + doubleQuoted(a.text))
			require.Empty(t, faults)
			require.Equal(t, []assignment{{"X", a.text, 1}}, again)
		}
		for _, fault := range faults {
			require.NotEmpty(t, fault.want)
		}
		require.LessOrEqual(t, len(found)+len(faults), strings.Count(text, "\n")+1)
	})
}

func TestTheExampleFileChangesNothing(t *testing.T) {
	t.Parallel()
	set := New("app", Config{})
	set.Duration("WAIT", Default(90*time.Second), Unit(time.Second), Doc("Waits."))
	set.String("GREETING", Default("it's \"two\" $words, `one` \\ none"), Doc("Greets."))
	set.String("MOTTO", Default("'$x' # {}"), Doc("Says."))
	set.Enum("COLOUR", []string{"red", "dark green"}, Default("dark green"), Doc("Paints."))
	set.Float("SHARE", Default(1e-9), Doc("Shares."))
	secret := set.String("TOKEN", Secret(), Default("s"), Doc("Opens."))
	set.Bool("ON", Default(true), Follows(set.Bool("ALL_ON", Default(true), Doc("Lights."))), Doc("Lights one."))
	require.NoError(t, set.Load(nil))
	before := set.List().Flags

	var b bytes.Buffer
	require.NoError(t, set.WriteEnv(&b))
	path := filepath.Join(t.TempDir(), ".env")
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	require.NoError(t, set.Load([]string{"APP_ENV=development"}, path))
	for i, e := range set.List().Flags {
		require.Equal(t, before[i].Value, e.Value, e.Name)
	}
	require.Equal(t, "s", secret.Get())
	require.Equal(t, FromFile, set.List().Flags[0].Source)

	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh")
	}
	out, err := exec.CommandContext(t.Context(), sh, "-c", `set -a; . "$0"; printf '%s|%s|%s|%s' "$WAIT" "$GREETING" "$MOTTO" "$COLOUR"`, path).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, "1m30s|it's \"two\" $words, `one` \\ none|'$x' # {}|dark green", string(out), "a shell reads the same")
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "abd", 1}, {"abc", "ab", 1}, {"abc", "xabc", 1}, {"abcd", "badc", 2}, {"abc", "xyz", 3},
	} {
		require.Equal(t, c.want, distance(c.a, c.b, 9), "%s %s", c.a, c.b)
		require.Equal(t, c.want, distance(c.b, c.a, 9), "%s %s", c.b, c.a)
		require.Equal(t, min(c.want, 2), distance(c.a, c.b, 2))
	}
	require.Equal(t, "TWO", nearest("tow", []string{"ONE", "TWO"}))
	require.Empty(t, nearest("four", []string{"ONE", "TWO"}))
	require.Empty(t, nearest("", []string{"A"}))
}
