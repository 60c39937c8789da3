package headers_test

import (
	"math"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prusik-go/prusik/httpx/internal/headers"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const longest = time.Duration(math.MaxInt64)

func TestWait(t *testing.T) {
	t.Parallel()
	const unknown = -1
	epoch := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).Unix(), 10) }
	for name, tc := range map[string]struct {
		unit headers.Unit
		v    string
		want time.Duration
	}{
		"retry-after: seconds":         {headers.RetryAfter, "120", 2 * time.Minute},
		"retry-after: zero":            {headers.RetryAfter, "0", 0},
		"retry-after: spaces":          {headers.RetryAfter, "\t 7 ", 7 * time.Second},
		"retry-after: date":            {headers.RetryAfter, "Mon, 23 Nov 2026 12:00:30 GMT", 30 * time.Second},
		"retry-after: past date":       {headers.RetryAfter, "Fri, 31 Dec 1999 23:59:59 GMT", 0},
		"retry-after: far date":        {headers.RetryAfter, "Fri, 31 Dec 9999 23:59:59 GMT", longest},
		"retry-after: too many":        {headers.RetryAfter, "99999999999999999999", 9223372036 * time.Second},
		"retry-after: fraction":        {headers.RetryAfter, "1.5", unknown},
		"retry-after: negative":        {headers.RetryAfter, "-1", unknown},
		"retry-after: signed":          {headers.RetryAfter, "+1", unknown},
		"retry-after: twice":           {headers.RetryAfter, "1, 2", unknown},
		"retry-after: empty":           {headers.RetryAfter, "", unknown},
		"seconds":                      {headers.Seconds, "30", 30 * time.Second},
		"seconds: fraction":            {headers.Seconds, "1.001", 1001 * time.Millisecond}, // 1000999999.9999999 ns as a float
		"seconds: below a nanosecond":  {headers.Seconds, "1.0000000001", time.Second},
		"seconds: beyond 2^53 ns":      {headers.Seconds, "9007199255", 9007199255 * time.Second},
		"seconds: the most":            {headers.Seconds, "9223372036", 9223372036 * time.Second},
		"seconds: one more":            {headers.Seconds, "9223372037", longest},
		"seconds: too many":            {headers.Seconds, strings.Repeat("9", 400), longest},
		"seconds: too many, fraction":  {headers.Seconds, strings.Repeat("9", 400) + ".5", longest},
		"seconds: two dots":            {headers.Seconds, "1.2.3", unknown},
		"seconds: dot":                 {headers.Seconds, ".", unknown},
		"seconds: empty":               {headers.Seconds, " ", unknown},
		"seconds: exponent":            {headers.Seconds, "1e3", unknown},
		"seconds: hex":                 {headers.Seconds, "0x10", unknown},
		"seconds: nan":                 {headers.Seconds, "NaN", unknown},
		"seconds: inf":                 {headers.Seconds, "inf", unknown},
		"seconds: negative":            {headers.Seconds, "-5", unknown},
		"seconds: underscore":          {headers.Seconds, "1_000", unknown},
		"milliseconds":                 {headers.Milliseconds, "1500", 1500 * time.Millisecond},
		"milliseconds: fraction":       {headers.Milliseconds, "0.5", 500 * time.Microsecond},
		"milliseconds: too many":       {headers.Milliseconds, "9223372036855", longest},
		"milliseconds: negative":       {headers.Milliseconds, "-1", unknown},
		"epoch":                        {headers.EpochSeconds, epoch(time.Hour), time.Hour},
		"epoch: now":                   {headers.EpochSeconds, epoch(0), 0},
		"epoch: past":                  {headers.EpochSeconds, epoch(-time.Hour), 0},
		"epoch: zero":                  {headers.EpochSeconds, "0", 0},
		"epoch: year 2300":             {headers.EpochSeconds, "10413792000", time.Duration(10413792000-now.Unix()) * time.Second},
		"epoch: milliseconds":          {headers.EpochSeconds, "1764000000000", longest},
		"epoch: too many":              {headers.EpochSeconds, "99999999999999999999", longest},
		"epoch: negative":              {headers.EpochSeconds, "-1", unknown},
		"epoch: fraction":              {headers.EpochSeconds, "1764000000.5", unknown},
		"duration: seconds":            {headers.GoDuration, "1s", time.Second},
		"duration: minutes":            {headers.GoDuration, "6m0s", 6 * time.Minute},
		"duration: milliseconds":       {headers.GoDuration, "850ms", 850 * time.Millisecond},
		"duration: fraction":           {headers.GoDuration, "2.5s", 2500 * time.Millisecond},
		"duration: zero":               {headers.GoDuration, "0", 0},
		"duration: too long":           {headers.GoDuration, "9999999999h1.5s2µs", longest},
		"duration: too long, garbled":  {headers.GoDuration, "9999999999h1..5s", unknown},
		"duration: too long, no unit":  {headers.GoDuration, "9999999999h1", unknown},
		"duration: too long, bad unit": {headers.GoDuration, "9999999999h1d", unknown},
		"duration: no unit":            {headers.GoDuration, "5", unknown},
		"duration: negative":           {headers.GoDuration, "-1s", unknown},
		"duration: negative, too long": {headers.GoDuration, "-9999999999h", unknown},
		"duration: signed":             {headers.GoDuration, "+1s", unknown},
		"duration: empty":              {headers.GoDuration, "", unknown},
		"no such unit":                 {headers.Unit(99), "5", unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := headers.Wait(tc.v, tc.unit, now)
			if tc.want == unknown {
				require.False(t, ok)
				require.Zero(t, got)
				return
			}
			require.True(t, ok)
			require.Equal(t, tc.want, got)
		})
	}
}

func TestWaitFractionOfNow(t *testing.T) {
	t.Parallel()
	// The wait ends at the point named, not at the second after now.
	got, ok := headers.Wait(strconv.FormatInt(now.Unix()+10, 10), headers.EpochSeconds, now.Add(250*time.Millisecond))
	require.True(t, ok)
	require.Equal(t, 9750*time.Millisecond, got)
}

func TestFirstWait(t *testing.T) {
	t.Parallel()
	list := []headers.WaitHeader{{Name: "retry-after-ms", Unit: headers.Milliseconds}, {Name: "X-Wait", Unit: headers.GoDuration}}
	header := func(kv ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(kv); i += 2 {
			h.Add(kv[i], kv[i+1])
		}
		return h
	}
	for name, tc := range map[string]struct {
		h    http.Header
		list []headers.WaitHeader
		want time.Duration
		ok   bool
	}{
		"the list's order":        {header("X-Wait", "9s", "Retry-After-Ms", "1500", "Retry-After", "60"), list, 1500 * time.Millisecond, true},
		"unreadable: the next":    {header("Retry-After-Ms", "soon", "X-Wait", "9s", "Retry-After", "60"), list, 9 * time.Second, true},
		"all unreadable":          {header("Retry-After-Ms", "soon", "X-Wait", "9", "Retry-After", "60"), list, time.Minute, true},
		"zero is known":           {header("Retry-After-Ms", "0", "Retry-After", "60"), list, 0, true},
		"only Retry-After":        {header("Retry-After", "60"), list, time.Minute, true},
		"no list":                 {header("Retry-After", "Mon, 23 Nov 2026 12:01:00 GMT"), nil, time.Minute, true},
		"twice: the first":        {header("Retry-After", "5", "Retry-After", "60"), nil, 5 * time.Second, true},
		"nothing":                 {header("X-Other", "1"), list, 0, false},
		"nil header":              {nil, list, 0, false},
		"Retry-After unreadable":  {header("Retry-After", "later"), list, 0, false},
		"unnamed entry":           {header("Retry-After", "5"), []headers.WaitHeader{{}}, 5 * time.Second, true},
		"Retry-After, other unit": {header("Retry-After", "5"), []headers.WaitHeader{{Name: "Retry-After", Unit: headers.Milliseconds}}, 5 * time.Millisecond, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := headers.FirstWait(tc.h, tc.list, now)
			require.Equal(t, tc.ok, ok)
			require.Equal(t, tc.want, got)
		})
	}
}

func TestInt(t *testing.T) {
	t.Parallel()
	for v, want := range map[string]int64{
		"0": 0, "150000": 150000, " 7\t": 7, "007": 7, "9223372036854775806": math.MaxInt64 - 1,
		"": -1, "-1": -1, "+5": -1, "1.0": -1, "5, 6": -1, "five": -1, "0x5": -1, "9223372036854775807": -1, "99999999999999999999": -1,
	} {
		n, ok := headers.Int(http.Header{"X-N": {v}}, "x-n")
		require.Equal(t, want >= 0, ok, "%q", v)
		if ok {
			require.Equal(t, want, n, "%q", v)
		}
	}
	_, ok := headers.Int(http.Header{"": {"5"}}, "")
	require.False(t, ok, "no name is no header")
	_, ok = headers.Int(nil, "X-N")
	require.False(t, ok)
}

func TestUnitString(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for u := headers.RetryAfter; u <= headers.GoDuration+1; u++ {
		require.NotEmpty(t, u.String())
		require.False(t, seen[u.String()], "%s twice", u)
		seen[u.String()] = true
	}
	require.Equal(t, "unknown unit", headers.Unit(99).String())
}

func TestWaitIsTheInverseOfWriting(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := now.Add(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "now")))
		d := time.Duration(rapid.Int64Min(0).Draw(t, "d"))
		got, ok := headers.Wait(d.String(), headers.GoDuration, now)
		require.True(t, ok)
		require.Equal(t, d, got)

		ms := rapid.Int64Range(0, math.MaxInt64/int64(time.Millisecond)).Draw(t, "ms")
		got, ok = headers.Wait(strconv.FormatInt(ms, 10), headers.Milliseconds, now)
		require.True(t, ok)
		require.Equal(t, time.Duration(ms)*time.Millisecond, got)

		at := time.Unix(now.Unix()+rapid.Int64Range(-1<<30, 1<<32).Draw(t, "at"), 0)
		got, ok = headers.Wait(strconv.FormatInt(at.Unix(), 10), headers.EpochSeconds, now)
		require.True(t, ok)
		require.Equal(t, max(0, at.Sub(now)), got)
	})
}

func FuzzWait(f *testing.F) {
	for _, v := range []string{
		"", "0", "120", "1.5", ".5", "5.", ".", "1e9", "-1", "+1", "-1s", "+1s", "1s", "6m0s", "850ms", "1µs", "9999999999h", "1764000000",
		"Mon, 23 Nov 2026 12:00:30 GMT", "Friday, 31-Dec-99 23:59:59 GMT", "Fri Dec 31 23:59:59 9999",
		"99999999999999999999", "9223372036", "9223372037", "0x1p4", "NaN", "Inf", "1,2", "\t7 ", "1_000", "١٢٣",
	} {
		for u := range uint8(6) {
			f.Add(v, u, int64(1764000000), int64(0))
		}
	}
	f.Add("1", uint8(headers.EpochSeconds), int64(math.MinInt64), int64(0))
	f.Add("1", uint8(headers.EpochSeconds), int64(math.MaxInt64), int64(999999999))
	f.Fuzz(func(t *testing.T, v string, unit uint8, sec, nsec int64) {
		u, now := headers.Unit(unit%6), time.Unix(sec, nsec)
		wait, ok := headers.Wait(v, u, now)
		require.GreaterOrEqual(t, wait, time.Duration(0))
		if !ok {
			require.Zero(t, wait)
		}
		trimmed := strings.Trim(v, " \t")
		if trimmed == "" || strings.ContainsAny(trimmed[:1], "+-") {
			require.False(t, ok, "%q", v)
		}
		n, whole := new(big.Int).SetString(trimmed, 10)
		if whole = whole && strings.Trim(trimmed, "0123456789") == ""; whole {
			one := map[headers.Unit]time.Duration{
				headers.RetryAfter: time.Second, headers.Seconds: time.Second, headers.Milliseconds: time.Millisecond,
			}[u]
			exact := new(big.Int).Mul(n, big.NewInt(int64(one)))
			switch {
			case one == 0:
			case exact.IsInt64():
				require.Equal(t, time.Duration(exact.Int64()), wait, "%q is exact", v)
			default:
				require.GreaterOrEqual(t, wait, longest-time.Second, "%q saturates", v)
			}
			wants := u < headers.GoDuration || u == headers.GoDuration && trimmed == "0" // "5" is no duration
			require.Equal(t, wants, ok, "%q", v)
		}
		if u == headers.EpochSeconds {
			require.Equal(t, whole, ok, "%q", v)
			if ok && n.IsInt64() && n.Int64() < 1<<33 && sec >= 0 && sec < 1<<33 && nsec == 0 {
				require.Equal(t, time.Duration(max(0, n.Int64()-sec))*time.Second, wait, "%q at %d", v, sec)
			}
		}
		if u == headers.GoDuration {
			if d, err := time.ParseDuration(trimmed); err == nil && strings.Trim(trimmed[:1], "+-") != "" {
				require.True(t, ok)
				require.Equal(t, d, wait)
			} else if ok {
				require.Equal(t, longest, wait, "%q", v)
			}
		}
	})
}
