package ratelimit_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prusik-go/prusik/ratelimit"
)

const day = 24 * time.Hour

func TestParseLimits(t *testing.T) {
	t.Parallel()
	minute10 := ratelimit.Limit{Count: 10, Period: time.Minute}
	for in, want := range map[string]ratelimit.Limits{
		"10/minute":                     {minute10},
		"10 per minute":                 {minute10},
		"10per minute":                  {minute10},
		"10perminute":                   {minute10},
		"  10  /  minutes ":             {minute10},
		"10 PER Minute":                 {minute10},
		"10/1m":                         {minute10},
		"10/60 sec":                     {minute10},
		"100 per 2 hours":               {{Count: 100, Period: 2 * time.Hour}},
		"100/2hours":                    {{Count: 100, Period: 2 * time.Hour}},
		"10/minute; 100 per 2 hours":    {minute10, {Count: 100, Period: 2 * time.Hour}},
		"10/minute,100/2h|1000 per day": {minute10, {Count: 100, Period: 2 * time.Hour}, {Count: 1000, Period: day}},
		"1/s":                           {{Count: 1, Period: time.Second}},
		"5/month":                       {{Count: 5, Period: 30 * day}},
		"5 per 2 mo":                    {{Count: 5, Period: 60 * day}},
		"5/year":                        {{Count: 5, Period: 360 * day}},
		"10/minute burst 20":            {{Count: 10, Period: time.Minute, Burst: 20}},
		"10/minute burst 1;1/s":         {{Count: 10, Period: time.Minute, Burst: 1}, {Count: 1, Period: time.Second}},
		"10/minute burst 1 ; 1/s ":      {{Count: 10, Period: time.Minute, Burst: 1}, {Count: 1, Period: time.Second}},
	} {
		got, err := ratelimit.ParseLimits(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	for unit := range strings.FieldsSeq("s sec secs second seconds m min mins minute minutes h hr hrs hour hours d day days mo mos month months y yr yrs year years") {
		got, err := ratelimit.ParseLimits("7/" + unit)
		require.NoError(t, err, unit)
		require.Equal(t, map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': day, 'y': 360 * day, 'o': 30 * day}[unitOf(unit)], got[0].Period, unit)
	}
}

func unitOf(unit string) byte {
	if strings.HasPrefix(unit, "mo") {
		return 'o'
	}
	return unit[0]
}

func TestParseLimitsSaysWhatWhereAndWhatWasExpected(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                              `limits "": at byte 0: found the end, want a count such as the 10 of 10/minute`,
		"minute":                        `at byte 0: found "minute", want a count`,
		"10":                            `at byte 2: found the end, want "/" or "per"`,
		"10 minute":                     `at byte 3: found "minute", want "/" or "per"`,
		"10/":                           `at byte 3: found the end, want second, minute, hour, day, month or year`,
		"10/fortnight":                  `at byte 3: found "fortnight", want second, minute, hour, day, month or year`,
		"10/minute; 5/week":             `at byte 13: found "week", want second`,
		"0/minute":                      `at byte 0: found "0/minute", want a number from 1`,
		"10/0 minutes":                  `at byte 3: found "0", want a number from 1`,
		"-1/minute":                     `at byte 0: found "-1/minute", want a count`,
		"1.5/minute":                    `at byte 1: found ".5/minute", want "/" or "per"`,
		"10/minute;":                    `at byte 10: found the end, want a count`,
		";10/minute":                    `at byte 0: found ";10/minute", want a count`,
		"10/minute 5/hour":              `at byte 10: found "5/hour", want ',', ';', '|' or the end`,
		"10/minute burst":               `at byte 15: found the end, want how many may come at once`,
		"10/minute burst 0":             `at byte 16: found "0", want a number from 1`,
		"9223372036854775808/s":         `want a number that fits 64 bits`,
		"1/9223372036854775807 years":   `want a period of up to ten years`,
		"1/36028797018964028 seconds":   `want a period of up to ten years`, // a minute, where it overflows
		"1/11 years":                    `want a period of up to ten years`,
		"2000000000/second":             `want at most one a nanosecond`,
		"1/year burst 11":               `want a burst that comes back within ten years`,
		"1/s burst 9223372036854775807": `want a burst from 1 to 999999999999999`,
		"1/s burst 999999999":           `want a burst that comes back within ten years`,
		"10/минута":                     `at byte 3: found "\u043c`,
		strings.Repeat("1", 500):        "want a number that fits 64 bits",
	} {
		got, err := ratelimit.ParseLimits(in)
		require.Nil(t, got, in)
		require.ErrorContains(t, err, "ratelimit: limits ", in)
		if strings.Contains(want, `\u`) {
			want = "at byte 3"
		}
		require.ErrorContains(t, err, want, in)
		require.Less(t, len(err.Error()), 400, "a setting can be anything")
	}
}

func TestLimitString(t *testing.T) {
	t.Parallel()
	for want, l := range map[string]ratelimit.Limit{
		"10/minute":        {Count: 10, Period: time.Minute},
		"100 per 2 hours":  {Count: 100, Period: 2 * time.Hour, Burst: 100},
		"5 per 90 seconds": {Count: 5, Period: 90 * time.Second},
		"1/year":           {Count: 1, Period: 360 * day},
		"1 per 365 days":   {Count: 1, Period: 365 * day},
		"1/month":          {Count: 1, Period: 30 * day},
		"3/second burst 9": {Count: 3, Period: time.Second, Burst: 9},
		"10 per 250ms":     {Count: 10, Period: 250 * time.Millisecond},
		"0 per 0s":         {},
	} {
		require.Equal(t, want, l.String())
	}
	require.Equal(t, "10/minute; 1/day", ratelimit.Limits{{Count: 10, Period: time.Minute}, {Name: "d", Count: 1, Period: day}}.String())
}

func TestIntervalIsNeverShorterThanDeclared(t *testing.T) {
	t.Parallel()
	require.Equal(t, 6*time.Second, ratelimit.Limit{Count: 10, Period: time.Minute}.Interval())
	require.Equal(t, 333_333_334*time.Nanosecond, ratelimit.Limit{Count: 3, Period: time.Second}.Interval())
	require.Equal(t, time.Minute, ratelimit.Limit{Count: 10, Period: time.Minute}.Span())
	require.Zero(t, ratelimit.Limit{}.Interval(), "no division by zero")
	require.Zero(t, ratelimit.Limit{Count: -1, Period: 1}.Span())
}

func TestEveryParsedLimitMakesALimiterAndReadsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.StringMatching(`[1-9][0-9]{0,4}( per |/)([1-9][0-9]? ?)?(second|minute|hour|day|month)s?( burst [1-9][0-9]?)?`).Draw(t, "limit")
		readsBack(t, in)
	})
}

func readsBack(t require.TestingT, in string) {
	limits, err := ratelimit.ParseLimits(in)
	if err != nil {
		return
	}
	require.NotEmpty(t, limits)
	again, err := ratelimit.ParseLimits(limits.String())
	require.NoError(t, err, limits.String())
	require.Len(t, again, len(limits))
	for i, l := range limits {
		require.Positive(t, l.Count)
		require.Positive(t, l.Interval())
		require.Positive(t, l.Span())
		require.LessOrEqual(t, l.Interval(), l.Period)
		require.GreaterOrEqual(t, l.Interval()*time.Duration(l.Count), l.Period, "never more than declared")
		require.Equal(t, l.Span(), again[i].Span())
		require.Equal(t, l.Interval(), again[i].Interval())
	}
}

func FuzzParseLimits(f *testing.F) {
	for _, in := range []string{
		"10/minute", "10 per minute; 100 per 2 hours", "1/s,2/m|3/h", "0/minute", "10/minute burst 20", "1/10 years", "9223372036854775807/year",
		"", ";", "10", "10/", "10//minute", "per", "1/11 years", "1\xff/s", "1/s burst 18446744073709551617",
	} {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) { readsBack(t, in) })
}
