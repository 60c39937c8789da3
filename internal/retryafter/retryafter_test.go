package retryafter_test

import (
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/internal/retryafter"
)

func now() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

const longest = time.Duration(math.MaxInt64/1_000_000_000) * time.Second

func TestParse(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Duration{
		"0":                             0,
		"5":                             5 * time.Second,
		"007":                           7 * time.Second,
		"9223372036":                    9223372036 * time.Second,
		"9223372037":                    longest,
		"99999999999999999999999999999": longest,
		now().Add(90 * time.Second).Format(http.TimeFormat):             90 * time.Second,
		now().Add(-time.Hour).Format(http.TimeFormat):                   0,
		now().Add(time.Minute).Format("Monday, 02-Jan-06 15:04:05 MST"): time.Minute, // RFC 850
		now().Add(time.Minute).Format(time.ANSIC):                       time.Minute,
		now().AddDate(7000, 0, 0).Format(http.TimeFormat):               math.MaxInt64,
		" " + now().Add(90*time.Second).Format(http.TimeFormat):         90 * time.Second,
		strings.Repeat("0", 100) + "1":                                  time.Second,
	} {
		got, ok := retryafter.Parse(in, now())
		require.True(t, ok, "%q", in)
		require.Equal(t, want, got, "%q", in)
	}
	got, ok := retryafter.Parse(" 5\t", now())
	require.True(t, ok)
	require.Equal(t, 5*time.Second, got)
	for _, in := range []string{"", " ", "-1", "+1", "1.5", "1s", "0x10", "1e3", "١", "1 2", "soon", "Mon, 99 Nov 2026 12:00:00 GMT", "1\n", "\u00a05"} {
		got, ok := retryafter.Parse(in, now())
		require.False(t, ok, "%q", in)
		require.Zero(t, got)
	}
}

func TestSentAt(t *testing.T) {
	t.Parallel()
	sent := func(values ...string) time.Time { return retryafter.SentAt(http.Header{"Date": values}) }
	require.Equal(t, now(), sent(now().Format(http.TimeFormat)))
	for _, values := range [][]string{nil, {}, {""}, {"yesterday"}} {
		require.WithinDuration(t, time.Now(), sent(values...), time.Minute, "%q", values)
	}
}

func TestSecondsTakesDigitsOnly(t *testing.T) {
	t.Parallel()
	got, ok := retryafter.Seconds("12")
	require.True(t, ok)
	require.Equal(t, 12*time.Second, got)
	for _, in := range []string{"", " 1", "1 ", now().Format(http.TimeFormat)} {
		_, ok := retryafter.Seconds(in)
		require.False(t, ok, "%q", in)
	}
}

func FuzzParse(f *testing.F) {
	for _, in := range []string{"", "5", " 5 ", "-5", "99999999999999999999", now().Format(http.TimeFormat), now().Format(time.RFC850), "Mon"} {
		f.Add(in)
	}
	digits := regexp.MustCompile(`\A[0-9]+\z`)
	f.Fuzz(func(t *testing.T, in string) {
		got, ok := retryafter.Parse(in, now())
		require.GreaterOrEqual(t, got, time.Duration(0))
		if !ok {
			require.Zero(t, got)
		}
		text := strings.Trim(in, " \t")
		if digits.MatchString(text) {
			require.True(t, ok)
			want := longest
			if n, err := strconv.ParseInt(text, 10, 64); err == nil && n <= int64(longest/time.Second) {
				want = time.Duration(n) * time.Second
			}
			require.Equal(t, want, got)
			return
		}
		at, err := http.ParseTime(text)
		require.Equal(t, err == nil, ok)
		if ok {
			require.Equal(t, max(0, at.Sub(now())), got)
		}
	})
}
