package flags_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/flags"
)

const doc = "A sentence."

// What three popular libraries read as true, as false, as the default or as an error, each as it likes.
func TestABoolIsReadInOneWay(t *testing.T) {
	t.Parallel()
	const want = `flags "app": FEATURE = `
	for _, c := range []struct {
		text string
		on   bool
		err  string
	}{
		{text: "true", on: true},
		{text: "True", on: true},
		{text: "TRUE", on: true},
		{text: "1", on: true},
		{text: "false"},
		{text: "False"},
		{text: "0"},
		{text: "", on: true}, // the default
		{text: "yes", err: `"yes": want true or false: did you mean true?`},
		{text: "on", err: `"on": want true or false: did you mean true?`},
		{text: "Off", err: `"Off": want true or false: did you mean false?`},
		{text: "no", err: `"no": want true or false: did you mean false?`},
		{text: "flase", err: `"flase": want true or false: did you mean false?`},
		{text: "ture", err: `"ture": want true or false: did you mean true?`},
		{text: "t", err: `"t": want true or false`},
		{text: "2", err: `"2": want true or false`},
		{text: "true ", err: `"true ": want true or false, without white space around it`},
		{text: "true\n", err: `"true\n": want true or false, without white space around it`},
		{text: " ", err: `" ": want true or false, without white space around it`},
		{text: `"true"`, err: `"\"true\"": want true or false: did you mean true?`},
	} {
		set := flags.New("app", flags.Config{})
		f := set.Bool("FEATURE", flags.Default(true), flags.Doc(doc))
		err := set.Load([]string{"FEATURE=" + c.text})
		if c.err == "" {
			require.NoError(t, err, "%q", c.text)
			require.Equal(t, c.on, f.Get(), "%q", c.text)
			require.NoError(t, set.Err())
			continue
		}
		require.EqualError(t, err, want+c.err, "%q", c.text)
		require.True(t, f.Get(), "the default")
		require.Error(t, set.Err(), "not loaded")
	}
}

func TestUnsetIsTheDefault(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	on, off := set.Bool("AAAAAAAA", flags.Default(true), flags.Doc(doc)), set.Bool("ZZZZZZZZ", flags.Doc(doc))
	require.NoError(t, set.Load(nil))
	require.True(t, on.Get())
	require.False(t, off.Get())
}

func TestValuesAreReadStrictly(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	number := set.Int("NUMBER", flags.Range(1, 10), flags.Default(3), flags.Doc(doc))
	share := set.Float("SHARE", flags.Range(0.0, 1.0), flags.Doc(doc))
	wait := set.Duration("WAIT", flags.Unit(time.Second), flags.Range(time.Second, time.Hour), flags.Default(time.Minute), flags.Doc(doc))
	plain := set.Duration("PLAIN_WAIT", flags.Doc(doc))
	word := set.String("WORD", flags.Doc(doc))
	colour := set.Enum("COLOUR", []string{"red", "green"}, flags.Doc(doc))

	good := func(variable string) {
		t.Helper()
		require.NoError(t, set.Load([]string{variable}))
	}
	bad := func(variable, want string) {
		t.Helper()
		require.EqualError(t, set.Load([]string{variable}), `flags "app": `+want)
	}
	good("NUMBER=10")
	require.Equal(t, 10, number.Get())
	good("SHARE=.5")
	require.InEpsilon(t, 0.5, share.Get(), 1e-9)
	require.Equal(t, 3, number.Get(), "another environment")
	good("SHARE=1e-3")
	good("WAIT=30")
	require.Equal(t, 30*time.Second, wait.Get())
	good("WAIT=1.5")
	require.Equal(t, 1500*time.Millisecond, wait.Get())
	good("WAIT=1m30s")
	require.Equal(t, 90*time.Second, wait.Get())
	good("PLAIN_WAIT=250ms")
	require.Equal(t, 250*time.Millisecond, plain.Get())
	good("WORD=two words, é")
	require.Equal(t, "two words, é", word.Get())
	require.Equal(t, "red", colour.Get())
	good("COLOUR=green")
	require.Equal(t, "green", colour.Get())

	bad("NUMBER=0", `NUMBER = "0": want 1 to 10`)
	bad("NUMBER=11", `NUMBER = "11": want 1 to 10`)
	bad("NUMBER=3.0", `NUMBER = "3.0": want a whole number`)
	bad("NUMBER=0x5", `NUMBER = "0x5": want a whole number`)
	bad("NUMBER=1_0", `NUMBER = "1_0": want a whole number`)
	bad("NUMBER=99999999999999999999", `NUMBER = "99999999999999999999": want a whole number`)
	bad("SHARE=NaN", `SHARE = "NaN": want a number`)
	bad("SHARE=Inf", `SHARE = "Inf": want a number`)
	bad("SHARE=0x1p-2", `SHARE = "0x1p-2": want a number`)
	bad("SHARE=50%", `SHARE = "50%": want a number`)
	bad("SHARE=1.01", `SHARE = "1.01": want 0 to 1`)
	bad("WAIT=0", `WAIT = "0": want 1s to 1h0m0s`)
	bad("WAIT=1 minute", `WAIT = "1 minute": want a duration such as 3s, or a number of seconds`)
	bad("WAIT=1e300", `WAIT = "1e300": want a duration such as 3s, or a number of seconds`)
	for _, zero := range []string{"0", "+0", "-0"} {
		bad("PLAIN_WAIT="+zero, `PLAIN_WAIT = "`+zero+`": want a duration with its unit, such as 30s`)
	}
	good("PLAIN_WAIT=0s")
	good("COLOUR=green")
	bad("PLAIN_WAIT=30", `PLAIN_WAIT = "30": want a duration with its unit, such as 30s`)
	bad("WORD=a\tb", `WORD = "a\tb": want text without control characters`)
	bad("WORD=\xff", `WORD = "\xff": want text without control characters`)
	bad("WORD=x ", `WORD = "x ": want text without control characters, without white space around it`)
	bad("COLOUR=gren", `COLOUR = "gren": want one of red, green: did you mean green?`)
	bad("COLOUR=Red", `COLOUR = "Red": want one of red, green: did you mean red?`)
	bad("WORD="+strings.Repeat("\x01", 1000), `WORD = "`+strings.Repeat(`\x01`, 100)+`...": want text without control characters`)
	require.Equal(t, "green", colour.Get(), "what failed to load changed nothing")
}

func TestEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	set := flags.New("a b", flags.Config{
		Variable: "env", Prefixes: []string{"VOICE", ""}, Environments: []flags.Environment{"qa", "qa", "q a", flags.Test},
	})
	set.Own("voice_")
	set.Bool("lower", flags.Doc(doc))
	set.Bool("TWICE", flags.Doc(doc))
	set.Int("TWICE", flags.Doc(doc))
	set.Bool("NO_DOC")
	set.Bool("TWO_LINES", flags.Doc("a\nb"))
	set.Int("TEXT_DEFAULT", flags.Default("x"), flags.Doc(doc))
	set.Duration("INT_DEFAULT", flags.Default(3), flags.Doc(doc))
	set.Int("OUT_OF_RANGE", flags.Default(0), flags.Range(1, 2), flags.Doc(doc))
	set.Int("UPSIDE_DOWN", flags.Range(2, 1), flags.Doc(doc))
	set.Int("FLOAT_RANGE", flags.Range(1.0, 2.0), flags.Doc(doc))
	set.Bool("NOWHERE", flags.NeverIn("mars"), flags.Doc(doc))
	set.Bool("BOTH", flags.NeverIn(flags.Test), flags.RequiredIn(flags.Test), flags.Doc(doc))
	set.Int("UNIT", flags.Unit(time.Second), flags.Doc(doc))
	set.Enum("ONE", []string{"a"}, flags.Doc(doc))
	set.Enum("SAME", []string{"a", "a"}, flags.Doc(doc))
	set.Enum("NO_SUCH", []string{"a", "b"}, flags.Default("c"), flags.Doc(doc))
	set.Bool("SOME_DAY", flags.RemoveBy("soon"), flags.Doc(doc))
	set.Bool("WRONG_KIND", flags.Follows(set.Int("FOLLOWED", flags.Doc(doc))), flags.Doc(doc))
	set.Int("WRONG_SET", flags.Follows(flags.New("other", flags.Config{}).Int("X", flags.Doc(doc))), flags.Doc(doc))

	err := set.Load([]string{"FOLLOWED=x"})
	require.Error(t, err)
	want := []string{
		`flags "a b": name = "a b": want 1 to 64 of letters, digits, ".", "_" and "-"`,
		`flags "a b": Variable = "env": want 1 to 100 of A to Z, 0 to 9 and _, the first a letter`,
		`flags "a b": Environments[1] = "qa": want a name that is not known already`,
		`flags "a b": Environments[2] = "q a": want 1 to 64 of letters, digits, ".", "_" and "-"`,
		`flags "a b": Environments[3] = "test": want a name that is not known already`,
		`flags "a b": Prefixes[0] = "VOICE": want the beginning of a variable up to an underscore, such as "VOICE_"`,
		`flags "a b": Prefixes[1] = "": want the beginning of a variable up to an underscore, such as "VOICE_"`,
		`flags "a b": Own = "voice_": want the beginning of a variable up to an underscore, such as "VOICE_"`,
		`flags "a b": lower: the name: want 1 to 100 of A to Z, 0 to 9 and _, the first a letter`,
		`flags "a b": TWICE: declared twice: want one declaration`,
		`flags "a b": NO_DOC: Doc(""): want a sentence on one line for those who deploy`,
		`flags "a b": TWO_LINES: Doc("a\nb"): want a sentence on one line for those who deploy`,
		`flags "a b": TEXT_DEFAULT: Default(x): want one of the flag's type, int`,
		`flags "a b": INT_DEFAULT: Default(3): want one of the flag's type, duration`,
		`flags "a b": OUT_OF_RANGE: Default(0): want 1 to 2`,
		`flags "a b": UPSIDE_DOWN: Range(2, 1): want two of the flag's type, int, the lower one first`,
		`flags "a b": FLOAT_RANGE: Range(1, 2): want two of the flag's type, int, the lower one first`,
		`flags "a b": NOWHERE: NeverIn or RequiredIn("mars"): want an environment of the set`,
		`flags "a b": BOTH: RequiredIn("test"): want it not in NeverIn as well`,
		`flags "a b": UNIT: Unit(1s): want a positive one, for a duration`,
		`flags "a b": ONE: Enum(["a"]): want two choices or more, each once and a text as of a String, not empty`,
		`flags "a b": SAME: Enum(["a" "a"]): want two choices or more, each once and a text as of a String, not empty`,
		`flags "a b": NO_SUCH: Default(c): want one of a, b`,
		`flags "a b": SOME_DAY: RemoveBy("soon"): want a day such as 2026-12-31`,
		`flags "a b": WRONG_KIND: Follows(FOLLOWED): want a flag of the same set and type`,
		`flags "a b": WRONG_SET: Follows(X): want a flag of the same set and type`,
		`flags "a b": FOLLOWED = "x": want a whole number`,
	}
	require.Equal(t, strings.Join(want, "\n"), err.Error())
	require.Error(t, set.WriteEnv(&bytes.Buffer{}), "a document of a wrong declaration")
}

// What no variable could say is no default and no choice: the documents could not say it either.
func TestADefaultIsWhatAVariableCouldSay(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	set.Float("NOT_A_NUMBER", flags.Default(math.NaN()), flags.Doc(doc))
	set.Float("WITHOUT_END", flags.Default(math.Inf(1)), flags.Doc(doc))
	set.String("SPACED", flags.Default(" x"), flags.Doc(doc))
	set.String("TWO_LINES", flags.Default("a\nb"), flags.Doc(doc))
	set.String("NO_TEXT", flags.Default("\xff"), flags.Doc(doc))
	set.Enum("SPACED_CHOICE", []string{"a", "b "}, flags.Doc(doc))
	set.Enum("CONTROL_CHOICE", []string{"a", "b\x00"}, flags.Doc(doc))
	require.EqualError(t, set.Load(nil), `flags "app": NOT_A_NUMBER: Default(NaN): want a number
flags "app": WITHOUT_END: Default(+Inf): want a number
flags "app": SPACED: Default( x): want text without control characters, without white space around it
flags "app": TWO_LINES: Default(a
b): want text without control characters
flags "app": NO_TEXT: Default(`+"\xff"+`): want text without control characters
flags "app": SPACED_CHOICE: Enum(["a" "b "]): want two choices or more, each once and a text as of a String, not empty
flags "app": CONTROL_CHOICE: Enum(["a" "b\x00"]): want two choices or more, each once and a text as of a String, not empty`)

	good := flags.New("app", flags.Config{})
	good.Duration("WAIT", flags.Unit(time.Second), flags.Doc(doc))
	good.Duration("LONG_WAIT", flags.Default(36*time.Hour), flags.Doc(doc))
	good.Float("SHARE", flags.Default(1e-9), flags.Doc(doc))
	good.Int("NEGATIVE", flags.Default(-1), flags.Doc(doc))
	require.NoError(t, good.Load(nil))
}

func TestNoDeclarationTellsASecret(t *testing.T) {
	t.Parallel()
	const planted = "hunter2"
	set := flags.New("app", flags.Config{})
	set.Int("WRONG_TYPE", flags.Secret(), flags.Default(planted), flags.Doc(doc))
	set.Int("OUT_OF_RANGE", flags.Default(77), flags.Range(1, 5), flags.Secret(), flags.Doc(doc))
	set.String("SPACED", flags.Secret(), flags.Default(planted+" "), flags.Doc(doc))
	set.Enum("SAME", []string{planted, planted}, flags.Secret(), flags.Doc(doc))
	followed := set.String("FOLLOWED", flags.Secret(), flags.Doc(doc))
	set.Int("FOLLOWS", flags.Follows(followed), flags.Default(planted), flags.Doc(doc))
	err := set.Load(nil)
	require.ErrorContains(t, err, "WRONG_TYPE: Default((secret)): want one of the flag's type, int")
	require.ErrorContains(t, err, "OUT_OF_RANGE: Default((secret)): want 1 to 5")
	require.ErrorContains(t, err, "SAME: Enum((secret)): want two choices")
	require.ErrorContains(t, err, "FOLLOWS: Follows(FOLLOWED): want a flag of the same set and type")
	require.NotContains(t, err.Error(), planted)
	require.NotContains(t, err.Error(), "77")
}

// Whether a secret is its type's zero is a part of the secret: of a bool it is all of it.
func TestTheZeroOfASecretIsNotTold(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	set.Bool("DOOR", flags.Secret(), flags.NeverIn(flags.Staging), flags.Doc(doc))
	set.Int("PIN", flags.Secret(), flags.Doc(doc))
	set.String("TOKEN", flags.Secret(), flags.Doc(doc))
	require.NoError(t, set.Load([]string{"PIN=0"}))
	for _, e := range set.List().Flags[:2] {
		require.Equal(t, []string{"(secret)", "(secret)"}, []string{e.Value, e.Default}, e.Name)
	}
	require.Empty(t, set.List().Flags[2].Value)
	require.EqualError(t, set.Load([]string{"DOOR=yes"}), `flags "app": DOOR = (secret): want true or false`)
	require.ErrorContains(t, set.Load([]string{"DOOR=true", "APP_ENV=staging"}), `DOOR = (secret): want it unset in staging, which is what APP_ENV says`)
}

func TestADocumentSaysWhatIsNeverSet(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	set.String("BANNER", flags.NeverIn(flags.Production), flags.Doc(doc))
	set.String("TOKEN", flags.Default("x"), flags.Secret(), flags.NeverIn(flags.Production), flags.Doc(doc))
	set.Int("LIMIT", flags.Default(3), flags.NeverIn(flags.Production), flags.Doc(doc))
	var b strings.Builder
	require.NoError(t, set.WriteMarkdown(&b))
	require.Contains(t, b.String(), "| `BANNER` | unset | A sentence. (string; never set in production) |\n")
	require.Contains(t, b.String(), "(string; never set in production; secret)")
	require.Contains(t, b.String(), "(int; never anything but 3 in production)")
}

func TestAWordThatIsNoEnvironmentIsCut(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	set.String("BANNER", flags.NeverIn(flags.Production), flags.Doc(doc))
	require.EqualError(t, set.Load([]string{"BANNER=x", "APP_ENV=" + strings.Repeat("y", 5000)}),
		`flags "app": BANNER = x: want it unset in production, and APP_ENV = "`+strings.Repeat("y", 100)+
			`..." is no environment, which counts as production: set APP_ENV=development where this is no production, or unset BANNER`)
}

func TestWhatIsDeclaredAfterLoadIsNotSilent(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	set.Bool("FIRST", flags.Doc(doc))
	require.NoError(t, set.Load(nil))
	late := set.Int("LATE", flags.Default(7), flags.Doc(doc))
	require.Equal(t, 7, late.Get())
	require.ErrorContains(t, set.Err(), "LATE = declared after Load: want every flag declared before it")
	require.Error(t, set.Override(flags.Change{Flag: "LATE", Value: "8", Author: "ann", Reason: "x"}))
	require.NoError(t, set.Load(nil))
	set.Int("LATER", flags.Doc(doc))
	require.ErrorContains(t, set.Err(), "LATER = declared after Load")
	require.NotContains(t, set.Err().Error(), "LATE =", "that one has been read since")
}

func TestAFlagIsOverdueFromTheDayAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a bubble begins at midnight UTC, of 2000-01-01
		set := flags.New("app", flags.Config{})
		set.Bool("OLD", flags.RemoveBy("2000-01-01"), flags.Doc(doc))
		time.Sleep(24*time.Hour - 1)
		require.False(t, set.List().Flags[0].Overdue, "on that day")
		time.Sleep(time.Nanosecond)
		require.True(t, set.List().Flags[0].Overdue)
	})
}

func TestAMisspelledVariableStopsTheStart(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{Prefixes: []string{"VOICE_"}, Foreign: []string{"INTEGRATION_STUB_MODE"}})
	set.Own("BREAKER_")
	set.Own("BREAKER_")
	set.Bool("INTEGRATIONS_STUB_MODE", flags.Doc(doc))
	set.Int("VOICE_LIMIT", flags.Doc(doc))
	set.Bool("PORT", flags.Doc(doc))
	bad := func(want string, variables ...string) {
		t.Helper()
		require.EqualError(t, set.Load(variables), `flags "app": `+want)
	}
	const secret = "=hunter2"
	bad("VOICE_LIMT = set: want a flag that is declared, as it begins with VOICE_: did you mean VOICE_LIMIT?", "VOICE_LIMT"+secret)
	bad("VOICE_OTHER = set: want a flag that is declared, as it begins with VOICE_", "VOICE_OTHER"+secret)
	bad("VOICE_OTHER = set: want a flag that is declared, as it begins with VOICE_", "VOICE_OTHER=")
	bad("BREAKER_X = set: want a flag that is declared, as it begins with BREAKER_", "BREAKER_X=1")
	const looks = " = set: want it declared, or named in Config.Foreign, as it looks like a flag that is not set: did you mean INTEGRATIONS_STUB_MODE?"
	bad("INTEGRATIONS_STUB_MOD"+looks, "INTEGRATIONS_STUB_MOD=true")
	bad("INTEGRATIONS_SUTB_MODE"+looks, "INTEGRATIONS_SUTB_MODE=true")
	bad("integrations_stub_mode"+looks, "integrations_stub_mode=true")
	require.NoError(t, set.Load([]string{"INTEGRATIONS_STUB_MOD=true", "INTEGRATIONS_STUB_MODE=false"}), "the flag itself is set: the other is somebody else's")
	require.NoError(t, set.Load([]string{"INTEGRATION_STUB_MODE=true"}), "Foreign")
	require.NoError(t, set.Load([]string{"STUB_MODE=true", "PORTS=1", "HOME=/", "=C:=x", "nonsense"}), "too unlike, or too short to tell")
	require.NoError(t, set.Load([]string{
		"VOICE_SERVICE_HOST=10.0.0.1", "VOICE_SERVICE_PORT=80", "VOICE_SERVICE_PORT_HTTP=80", "VOICE_PORT=tcp://10.0.0.1:80",
		"VOICE_PORT_80_TCP=tcp://10.0.0.1:80", "VOICE_PORT_80_TCP_ADDR=10.0.0.1", "VOICE_API_PORT_53_UDP_PROTO=udp",
	}), "what Kubernetes puts there for a Service")
	bad("VOICE_PORT = set: want a flag that is declared, as it begins with VOICE_", "VOICE_PORT=8080")
	require.NoError(t, set.Load([]string{"VOICE_LIMIT=1", "VOICE_LIMIT=x"}), "the first counts, as for os.Getenv")
}

func TestTheEnvironmentIsProductionUnlessItSaysOtherwise(t *testing.T) {
	t.Parallel()
	const flag = `flags "app": STUB = true: want false in production, and APP_ENV `
	for variable, want := range map[string]string{
		"X=":                  flag + `is not set, which counts as production: set APP_ENV=development where this is no production, or unset STUB`,
		"APP_ENV=":            flag + `is not set, which counts as production: set APP_ENV=development where this is no production, or unset STUB`,
		"APP_ENV=dev":         flag + `= "dev" is no environment, which counts as production: set APP_ENV=development where this is no production, or unset STUB`,
		"APP_ENV=Development": flag + `= "Development" is no environment, which counts as production: set APP_ENV=development where this is no production, or unset STUB`,
	} {
		set := flags.New("app", flags.Config{})
		set.Bool("STUB", flags.NeverIn(flags.Production), flags.Doc(doc))
		require.EqualError(t, set.Load([]string{variable, "STUB=true"}), want, variable)
		require.NoError(t, set.Load([]string{variable, "STUB=false"}))
		require.Equal(t, flags.Production, set.Environment())
	}
	set := flags.New("app", flags.Config{Variable: "STAGE", Environments: []flags.Environment{"qa"}})
	f := set.Bool("STUB", flags.NeverIn(flags.Production, flags.Staging), flags.Doc(doc))
	require.Equal(t, flags.Production, set.Environment(), "before Load")
	require.NoError(t, set.Load([]string{"STAGE=qa", "STUB=true"}))
	require.Equal(t, flags.Environment("qa"), set.Environment())
	require.True(t, f.Get())
	require.EqualError(t, set.Load([]string{"STAGE=staging", "STUB=true"}),
		`flags "app": STUB = true: want false in staging, which is what STAGE says: set STAGE=development where this is no staging, or unset STUB`)
	require.True(t, f.Get(), "nothing was changed")
	require.Equal(t, flags.Environment("qa"), set.Environment())
}

func TestNeverInHoldsThroughWhatIsFollowed(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	all := set.Bool("STUB", flags.Doc(doc))
	set.Bool("MAIL_STUB", flags.Follows(all), flags.NeverIn(flags.Production), flags.Doc(doc))
	require.ErrorContains(t, set.Load([]string{"STUB=true"}), `flags "app": MAIL_STUB = true: want false in production, and APP_ENV is not set, which counts as production: set APP_ENV=development where this is no production, or unset STUB`)
	require.NoError(t, set.Load([]string{"STUB=true", "MAIL_STUB=false"}))
	require.ErrorContains(t, set.Override(flags.Change{Flag: "MAIL_STUB", Value: "true", Author: "a", Reason: "r"}), "MAIL_STUB = true is not allowed in production")
	require.NoError(t, set.Load(nil))
	require.ErrorContains(t, set.Override(flags.Change{Flag: "STUB", Value: "true", Author: "a", Reason: "r"}), "MAIL_STUB = true is not allowed in production")
	require.False(t, all.Get())
}

func TestWhatIsRequiredHasToBeSet(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	set.String("TOKEN", flags.RequiredIn(flags.Production, flags.Staging), flags.Secret(), flags.Doc(doc))
	require.EqualError(t, set.Load(nil), `flags "app": TOKEN = unset: want a value in production: and APP_ENV is not set, which counts as production`)
	require.ErrorContains(t, set.Load([]string{"TOKEN=", "APP_ENV=staging"}), "TOKEN = unset: want a value in staging")
	require.NoError(t, set.Load([]string{"APP_ENV=test"}))
	require.NoError(t, set.Load([]string{"TOKEN=x"}))
}

func TestASecretIsNeverTold(t *testing.T) {
	t.Parallel()
	const planted = "hunter2"
	var heard bytes.Buffer
	set := flags.New("app", flags.Config{Hooks: flags.Hooks{
		OnChange:  func(e flags.ChangeEvent) { heard.WriteString(e.From + " " + e.To + "\n") },
		OnRefusal: func(e flags.RefusalEvent) { heard.WriteString(e.Err.Error() + "\n") },
	}})
	token := set.String("TOKEN", flags.Secret(), flags.Doc(doc))
	set.Int("PIN", flags.Secret(), flags.Default(1), flags.Range(1, 5), flags.Doc(doc))
	set.Enum("KEY", []string{"hunter1", "hunter3"}, flags.Secret(), flags.Doc(doc))
	for _, environ := range [][]string{{"TOKEN=" + planted + " "}, {"PIN=" + planted}, {"PIN=77"}, {"KEY=" + planted}} {
		err := set.Load(environ)
		require.Error(t, err)
		require.NotContains(t, err.Error(), planted)
		require.NotContains(t, err.Error(), "77")
	}
	require.NoError(t, set.Load([]string{"TOKEN=" + planted, "PIN=4"}))
	require.Equal(t, planted, token.Get())
	require.NoError(t, set.Override(flags.Change{Flag: "TOKEN", Value: planted + "!", Author: "a", Reason: "r"}))
	require.Error(t, set.Override(flags.Change{Flag: "TOKEN", Value: planted + " ", Author: "a", Reason: "r"}))
	for _, e := range set.List().Flags {
		require.NotContains(t, e.Value+e.Default, planted)
		require.Nil(t, e.Number)
	}
	require.NoError(t, set.WriteEnv(&heard))
	require.NoError(t, set.WriteMarkdown(&heard))
	require.NoError(t, set.WriteChecklist(&heard))
	require.NotContains(t, heard.String(), planted)
	require.Contains(t, heard.String(), "(secret) (secret)")
}

func TestAFileIsForDevelopment(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "my.env")
	write := func(text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
	set := flags.New("app", flags.Config{Prefixes: []string{"VOICE_"}})
	limit := set.Int("VOICE_LIMIT", flags.Default(1), flags.Doc(doc))
	write("# mine\nVOICE_LIMIT=5\nSOMEBODY_ELSES=1\n")

	for _, env := range []string{"production", "staging", "test", ""} {
		require.NoError(t, set.Load([]string{"APP_ENV=" + env}, path))
		require.Equal(t, 1, limit.Get(), env)
	}
	require.NoError(t, set.Load([]string{"APP_ENV=development"}, filepath.Join(t.TempDir(), "none"), path))
	require.Equal(t, 5, limit.Get())
	e := set.List()
	require.Equal(t, []string{path}, e.Files)
	require.Equal(t, flags.FromFile, e.Flags[0].Source)
	require.Equal(t, path+":2", e.Flags[0].Origin)
	require.NoError(t, set.Load([]string{"APP_ENV=development", "VOICE_LIMIT=7"}, path))
	require.Equal(t, 7, limit.Get(), "the environment wins")
	require.NoError(t, set.Load([]string{"APP_ENV=development", "VOICE_LIMIT="}, path))
	require.Equal(t, 5, limit.Get(), "empty is unset")

	other := filepath.Join(t.TempDir(), "other.env")
	require.NoError(t, os.WriteFile(other, []byte("VOICE_LIMIT=6"), 0o600))
	require.NoError(t, set.Load([]string{"APP_ENV=development"}, path, other))
	require.Equal(t, 5, limit.Get(), "the first of several files")
	require.NoError(t, os.WriteFile(other, []byte("VOICE_LIMIT="), 0o600))
	require.NoError(t, set.Load([]string{"APP_ENV=development"}, other, path))
	require.Equal(t, 5, limit.Get(), "empty is unset there too")

	bad := func(text, want string) {
		t.Helper()
		write(text)
		require.EqualError(t, set.Load([]string{"APP_ENV=development"}, path), `flags "app": `+want)
	}
	bad("APP_ENV=development", path+":1 = APP_ENV: want it in the environment itself: a file that is shipped by accident would turn production into development")
	bad("\nVOICE_LIMIT=x", `VOICE_LIMIT = "x" in `+path+":2: want a whole number")
	bad("VOICE_LIMT=3", "VOICE_LIMT = set in "+path+":1: want a flag that is declared, as it begins with VOICE_: did you mean VOICE_LIMIT?")
	bad("A = b\nVOICE_LIMIT=3", path+":1 = unreadable: want NAME=value, without white space around the name")
	require.ErrorContains(t, set.Load([]string{"APP_ENV=development"}, t.TempDir()), "want one that can be read, or none: ")
}

// A program's switch with followers for each vendor is one mistake, and one sentence says what to do.
func TestOneMistakeIsOneSentence(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	all := set.Bool("STUB", flags.NeverIn(flags.Production), flags.Doc(doc))
	set.Bool("MAIL_STUB", flags.Follows(all), flags.NeverIn(flags.Production), flags.Doc(doc))
	require.EqualError(t, set.Load([]string{"STUB=true"}), `flags "app": STUB = true: want false in production, and APP_ENV is not set, which counts as production: set APP_ENV=development where this is no production, or unset STUB`)
	require.ErrorContains(t, set.Load([]string{"STUB=false", "MAIL_STUB=true"}), "MAIL_STUB = true: want false in production")
}
