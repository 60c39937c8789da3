package headers_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prusik-go/prusik/httpx/internal/headers"
)

func TestParseRateLimit(t *testing.T) {
	t.Parallel()
	const unknown = -1
	for name, tc := range map[string]struct {
		values    []string
		remaining int64
		reset     time.Duration
	}{
		"draft 07":                         {[]string{"limit=100, remaining=50, reset=30"}, 50, 30 * time.Second},
		"draft 07: any order, no spaces":   {[]string{"reset=30,remaining=0,limit=100"}, 0, 30 * time.Second},
		"draft 07: over several lines":     {[]string{"limit=100", "remaining=5", "reset=3"}, 5, 3 * time.Second},
		"draft 07: no reset":               {[]string{"remaining=5"}, 5, 0},
		"draft 07: the last counts":        {[]string{"remaining=5, remaining=4"}, 4, 0},
		"draft 07: last of a wrong type":   {[]string{"remaining=5, remaining=x"}, unknown, 0},
		"draft 07: parameters, others":     {[]string{`limit=100;w=60;comment="a,\"b\\", x-ext, y=?1, z=:aGk=:, remaining=5;a=1.25`}, 5, 0},
		"draft 07: no remaining":           {[]string{"limit=100, reset=30"}, unknown, 0},
		"draft 07: negative":               {[]string{"remaining=-1, reset=30"}, unknown, 0},
		"draft 07: negative reset":         {[]string{"remaining=1, reset=-30"}, unknown, 0},
		"draft 07: decimal":                {[]string{"remaining=1.5"}, unknown, 0},
		"draft 07: a boolean":              {[]string{"remaining, reset=30"}, unknown, 0},
		"draft 07: quoted":                 {[]string{`remaining="5"`}, unknown, 0},
		"draft 07: inner list":             {[]string{"remaining=5, x=(1 2)"}, unknown, 0},
		"draft 07: space before =":         {[]string{"remaining =5"}, unknown, 0},
		"draft 07: upper case":             {[]string{"Remaining=5"}, unknown, 0},
		"draft 08":                         {[]string{`"default";r=50;t=30`}, 50, 30 * time.Second},
		"draft 08: t before r, spaces":     {[]string{`  "default"; t=30;  r=50  `}, 50, 30 * time.Second},
		"draft 08: no t":                   {[]string{`"default";r=50`}, 50, 0},
		"draft 08: partition key":          {[]string{`"default";r=50;t=30;pk=:sdfjLJUOUH==:`}, 50, 30 * time.Second},
		"draft 08: least remaining":        {[]string{`"minute";r=50;t=30, "day";r=3;t=5, "hour";r=9;t=900`}, 3, 5 * time.Second},
		"draft 08: then the longest reset": {[]string{`"minute";r=3;t=30`, `"day";r=3;t=900`, `"hour";r=3;t=60`}, 3, 15 * time.Minute},
		"draft 08: exhausted":              {[]string{`"a";r=0;t=0`}, 0, 0},
		"draft 08: the last parameter":     {[]string{`"a";r=5;r=4`}, 4, 0},
		"draft 08: escapes":                {[]string{`"a\"b\\;r=1,";r=5`}, 5, 0},
		"draft 08: zero-padded":            {[]string{`"a";r=007`}, 7, 0},
		"draft 08: minus zero":             {[]string{`"a";r=-0`}, 0, 0},
		"draft 08: 15 digits":              {[]string{`"a";r=999999999999999;t=999999999999999`}, 999999999999999, 9223372036 * time.Second},
		"draft 08: 16 digits":              {[]string{`"a";r=1000000000000000`}, unknown, 0},
		"draft 08: no r":                   {[]string{`"default";t=30`}, unknown, 0},
		"draft 08: one of two without r":   {[]string{`"a";r=5, "b";t=30`}, unknown, 0},
		"draft 08: r missing, then not":    {[]string{`"a";t=30, "b";r=5`}, unknown, 0},
		"draft 08: bad, less restrictive":  {[]string{`"a";r=1, "b";r=5;t=soon`}, unknown, 0},
		"draft 08: r is a flag":            {[]string{`"a";r`}, unknown, 0},
		"draft 08: negative":               {[]string{`"a";r=-1`}, unknown, 0},
		"draft 08: t is not a number":      {[]string{`"a";r=1;t=soon`}, unknown, 0},
		"draft 08: empty parameter":        {[]string{`"a";r=;t=1`}, unknown, 0},
		"draft 08: no string":              {[]string{`default;r=5;t=3`}, unknown, 0},
		"draft 08: not closed":             {[]string{`"default;r=5`}, unknown, 0},
		"draft 08: bad escape":             {[]string{`"a\n";r=5`}, unknown, 0},
		"draft 08: control byte":           {[]string{"\"a\x01\";r=5"}, unknown, 0},
		"draft 08: not ASCII":              {[]string{`"ä";r=5`}, unknown, 0},
		"draft 08: trailing comma":         {[]string{`"a";r=5,`}, unknown, 0},
		"draft 08: trailing semicolon":     {[]string{`"a";r=5;`}, unknown, 0},
		"draft 08: trailing garbage":       {[]string{`"a";r=5 x`}, unknown, 0},
		"draft 08: space before ;":         {[]string{`"a" ;r=5`}, unknown, 0},
		"mixed forms":                      {[]string{`"a";r=5`, "remaining=3"}, unknown, 0},
		"mixed forms, dictionary first":    {[]string{"remaining=3", `"a";r=5`}, unknown, 0},
		"decimal without a fraction":       {[]string{"remaining=3, x=1."}, unknown, 0},
		"decimal with four":                {[]string{"remaining=3, x=1.2345"}, unknown, 0},
		"decimal of thirteen":              {[]string{"remaining=3, x=1234567890123.5"}, unknown, 0},
		"draft 03":                         {[]string{"50"}, unknown, 0},
		"empty line":                       {[]string{`"a";r=5`, ""}, unknown, 0},
		"empty":                            {[]string{""}, unknown, 0},
		"none":                             {nil, unknown, 0},
		"too long":                         {[]string{`"` + strings.Repeat("a", 8<<10) + `";r=5`}, unknown, 0},
		"too many lines":                   {make([]string, 9<<10), unknown, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			remaining, reset, ok := headers.ParseRateLimit(tc.values)
			if tc.remaining == unknown {
				require.False(t, ok)
				require.Zero(t, remaining)
				require.Zero(t, reset)
				return
			}
			require.True(t, ok)
			require.Equal(t, tc.remaining, remaining)
			require.Equal(t, tc.reset, reset)
		})
	}
}

// What is written by the drafts' grammar is read back as its most restrictive item, however it is spaced and
// split over lines.
func TestParseRateLimitModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[ !#-\[\]-~]{0,8}`)
		extra := rapid.SampledFrom([]string{"", ";x", ";x=1.5", ";pk=:aGk=:", `;c="a, b;r=0"`, ";k=tok/en:1", ";b=?0", ";neg=-7"})
		sep := rapid.SampledFrom([]string{",", ", ", "\t,  "})
		count := rapid.Int64Range(0, 5)
		var lines []string
		least, longest := int64(math.MaxInt64), int64(0)
		for i := range rapid.IntRange(1, 6).Draw(t, "items") {
			r, reset := count.Draw(t, "r"), count.Draw(t, "t")
			if r < least || r == least && reset > longest {
				least, longest = r, reset
			}
			item := fmt.Sprintf(`"%s"%s;r=%d;t=%d%s`, name.Draw(t, "name"), extra.Draw(t, "before"), r, reset, extra.Draw(t, "after"))
			if i > 0 && rapid.Bool().Draw(t, "same line") {
				lines[len(lines)-1] += sep.Draw(t, "sep") + item
			} else {
				lines = append(lines, item)
			}
		}
		remaining, reset, ok := headers.ParseRateLimit(lines)
		require.True(t, ok, "%q", lines)
		require.Equal(t, least, remaining, "%q", lines)
		require.Equal(t, time.Duration(longest)*time.Second, reset, "%q", lines)
	})
}

func FuzzParseRateLimit(f *testing.F) {
	for _, v := range []string{
		"limit=100, remaining=50, reset=30", `"default";r=50;t=30`, `"a";r=1;t=2, "b";r=0;t=9;pk=:aGk=:`, `"a\"";r=-1`, "",
		"remaining=5\nreset=3", `"a";r=999999999999999;t=999999999999999`, "remaining=(1 2)", "remaining=1.25", "x;y=?1", ":::", `"`,
	} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		lines := strings.Split(v, "\n")
		remaining, reset, ok := headers.ParseRateLimit(lines)
		require.GreaterOrEqual(t, remaining, int64(0))
		require.GreaterOrEqual(t, reset, time.Duration(0))
		require.Less(t, remaining, int64(1e15))
		require.Zero(t, reset%time.Second)
		if !ok {
			require.Zero(t, remaining)
			require.Zero(t, reset)
			return
		}
		require.LessOrEqual(t, len(v), 8<<10)
		// Lines of one field and one joined line are the same field.
		r2, t2, ok2 := headers.ParseRateLimit([]string{strings.Join(lines, ", ")})
		if len(v)+len(lines) < 8<<10 {
			require.True(t, ok2)
			require.Equal(t, remaining, r2)
			require.Equal(t, reset, t2)
		}
		// One more item of a list can only restrict it.
		if strings.HasPrefix(strings.TrimLeft(v, " "), `"`) && len(v) < 8000 {
			r3, t3, ok3 := headers.ParseRateLimit(append(lines, `"one more";r=0;t=1`))
			require.True(t, ok3)
			require.Zero(t, r3)
			require.GreaterOrEqual(t, t3, time.Second)
		}
	})
}

func TestParseRateLimitDoesNotAllocate(t *testing.T) {
	lines := []string{`"minute";r=50;t=30, "day";r=3;t=5`}
	require.Zero(t, testing.AllocsPerRun(100, func() { headers.ParseRateLimit(lines) }))
}
