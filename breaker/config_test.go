package breaker_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
)

// withoutFuncs strips what require.Equal cannot compare.
func withoutFuncs(c breaker.Config) breaker.Config {
	c.Classify = nil
	return c
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ given, want breaker.Config }{
		"zero": {breaker.Config{}, breaker.Config{
			Failures: 3, Window: 3, OpenFor: 30 * time.Second, MaxOpenFor: 300 * time.Second, Jitter: 0.1,
			Probes: 1, ProbeSuccesses: 1, ProbeLease: time.Minute,
		}},
		"time window": {breaker.Config{FailureRatio: 0.5}, breaker.Config{
			FailureRatio: 0.5, Period: 30 * time.Second, MinCalls: 10,
			OpenFor: 30 * time.Second, MaxOpenFor: 300 * time.Second, Jitter: 0.1,
			Probes: 1, ProbeSuccesses: 1, ProbeLease: time.Minute,
		}},
		"derived": {breaker.Config{Failures: 7, OpenFor: time.Second, Probes: 4}, breaker.Config{
			Failures: 7, Window: 7, OpenFor: time.Second, MaxOpenFor: 10 * time.Second, Jitter: 0.1,
			Probes: 4, ProbeSuccesses: 4, ProbeLease: time.Minute,
		}},
		"off stays off": {breaker.Config{MaxOpenFor: -1, Jitter: -1}, breaker.Config{
			Failures: 3, Window: 3, OpenFor: 30 * time.Second, MaxOpenFor: -1, Jitter: -1,
			Probes: 1, ProbeSuccesses: 1, ProbeLease: time.Minute,
		}},
		"a window alone": {breaker.Config{Window: 9}, breaker.Config{
			Failures: 3, Window: 9, OpenFor: 30 * time.Second, MaxOpenFor: 300 * time.Second, Jitter: 0.1,
			Probes: 1, ProbeSuccesses: 1, ProbeLease: time.Minute,
		}},
	} {
		b, err := breaker.New("vendor", c.given)
		require.NoError(t, err, name)
		require.NotNil(t, b.Config().Classify, name)
		require.Equal(t, c.want, withoutFuncs(b.Config()), name)
		again, err := breaker.New("vendor", b.Config())
		require.NoError(t, err, name)
		require.Equal(t, c.want, withoutFuncs(again.Config()), "%s: an effective configuration makes the same breaker", name)
		g, err := breaker.NewGroup("hosts", breaker.GroupConfig{Breaker: c.given})
		require.NoError(t, err, name)
		require.Equal(t, c.want, withoutFuncs(g.Config()), name)
		require.Equal(t, c.want, withoutFuncs(g.Get("a").Config()), name)
	}
}

func TestEveryFaultIsNamed(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, c := range []struct {
		name   string
		cfg    breaker.Config
		faults []string // field = value: range
	}{
		{"negative failures", breaker.Config{Failures: -1}, []string{"Failures = -1: want 1 to 100000", "Window = -1: want 1 to 100000"}},
		{"too many failures", breaker.Config{Failures: 100_001}, []string{"Failures = 100001: want 1 to 100000", "Window = 100001: want 100000 to 100000"}},
		{"window below failures", breaker.Config{Failures: 5, Window: 4}, []string{"Window = 4: want 5 to 100000"}},
		{"window below the default", breaker.Config{Window: 2}, []string{"Window = 2: want 3 to 100000"}},
		{"both windows", breaker.Config{Failures: 3, FailureRatio: 0.5}, []string{"FailureRatio, Period, MinCalls = [0.5 0s 0]"}},
		{"both windows, by halves", breaker.Config{Window: 3, MinCalls: 5}, []string{"FailureRatio, Period, MinCalls = [0 0s 5]", "FailureRatio = 0: want 0.01 to 1"}},
		{"a period without a ratio", breaker.Config{Period: time.Minute}, []string{"FailureRatio = 0: want 0.01 to 1"}},
		{"calls without a ratio", breaker.Config{MinCalls: 5}, []string{"FailureRatio = 0: want 0.01 to 1"}},
		{"negative ratio", breaker.Config{FailureRatio: -0.5}, []string{"FailureRatio = -0.5: want 0.01 to 1"}},
		{"a ratio in percent", breaker.Config{FailureRatio: 50}, []string{"FailureRatio = 50: want 0.01 to 1"}},
		{"a ratio that would round to nothing", breaker.Config{FailureRatio: 0.009}, []string{"FailureRatio = 0.009: want 0.01 to 1"}},
		{"ratio NaN", breaker.Config{FailureRatio: math.NaN()}, []string{"FailureRatio = NaN: want 0.01 to 1"}},
		{"short period", breaker.Config{FailureRatio: 1, Period: 1}, []string{"Period = 1ns: want 10ms to 24h0m0s"}},
		{"negative period", breaker.Config{FailureRatio: 1, Period: -1}, []string{"Period = -1ns: want 10ms to 24h0m0s"}},
		{"long period", breaker.Config{FailureRatio: 1, Period: day + 1}, []string{"Period = 24h0m0.000000001s"}},
		{"negative calls", breaker.Config{FailureRatio: 1, MinCalls: -1}, []string{"MinCalls = -1: want 1 to 1000000"}},
		{"too many calls", breaker.Config{FailureRatio: 1, MinCalls: 1_000_001}, []string{"MinCalls = 1000001: want 1 to 1000000"}},
		{"negative slow", breaker.Config{SlowCall: -1}, []string{"SlowCall = -1ns: want 0s to 24h0m0s"}},
		{"long slow", breaker.Config{SlowCall: day + 1}, []string{"SlowCall = 24h0m0.000000001s"}},
		{"negative open", breaker.Config{OpenFor: -1}, []string{"OpenFor = -1ns: want 1ns to 24h0m0s"}},
		{"long open", breaker.Config{OpenFor: day + 1}, []string{"OpenFor = 24h0m0.000000001s"}},
		{"max below open", breaker.Config{MaxOpenFor: 29 * time.Second}, []string{"MaxOpenFor = 29s: want 30s to 240h0m0s"}},
		{"long max", breaker.Config{MaxOpenFor: 11 * day}, []string{"MaxOpenFor = 264h0m0s: want 30s to 240h0m0s"}},
		{"jitter", breaker.Config{Jitter: 1.01}, []string{"Jitter = 1.01: want at most 1, or negative for none"}},
		{"jitter NaN", breaker.Config{Jitter: math.NaN()}, []string{"Jitter = NaN: want at most 1, or negative for none"}},
		{"negative probes", breaker.Config{Probes: -1}, []string{"Probes = -1: want 1 to 1000", "ProbeSuccesses = -1: want 1 to 1000000"}},
		{"too many probes", breaker.Config{Probes: 1001}, []string{"Probes = 1001: want 1 to 1000"}},
		{"negative successes", breaker.Config{ProbeSuccesses: -1}, []string{"ProbeSuccesses = -1: want 1 to 1000000"}},
		{"too many successes", breaker.Config{ProbeSuccesses: 1_000_001}, []string{"ProbeSuccesses = 1000001: want 1 to 1000000"}},
		{"negative lease", breaker.Config{ProbeLease: -1}, []string{"ProbeLease = -1ns: want 1ns to 24h0m0s"}},
		{"long lease", breaker.Config{ProbeLease: day + 1}, []string{"ProbeLease = 24h0m0.000000001s"}},
		{"mode", breaker.Config{Mode: 3}, []string{"Mode = 3: want Enabled, Shadow or Disabled"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, err := breaker.New("vendor", c.cfg)
			require.Nil(t, b)
			require.Error(t, err)
			lines := strings.Split(err.Error(), "\n")
			require.Len(t, lines, len(c.faults), "%v", err)
			for i, want := range c.faults {
				require.True(t, strings.HasPrefix(lines[i], `breaker "vendor": `+want), "%q, want %q", lines[i], want)
			}
		})
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	everything := breaker.Config{
		Failures: -1, Window: -1, FailureRatio: 2, Period: -1, MinCalls: -1, SlowCall: -1, OpenFor: -1, MaxOpenFor: 999 * time.Hour,
		Jitter: 2, Probes: -1, ProbeSuccesses: -1, ProbeLease: -1, Mode: 9,
	}
	fields := []string{
		"name", "FailureRatio, Period, MinCalls", "FailureRatio", "Period", "MinCalls", "Failures", "Window", "SlowCall",
		"OpenFor", "MaxOpenFor", "Jitter", "Probes", "ProbeSuccesses", "ProbeLease", "Mode",
	}
	_, err := breaker.New("a b", everything)
	require.Error(t, err)
	require.Len(t, strings.Split(err.Error(), "\n"), len(fields))
	for _, field := range fields {
		require.ErrorContains(t, err, `: `+field+` = `)
	}
	_, err = breaker.NewGroup("a b", breaker.GroupConfig{Max: -1, Breaker: everything})
	require.Error(t, err)
	require.Len(t, strings.Split(err.Error(), "\n"), len(fields)+1)
	require.ErrorContains(t, err, "Max = -1: want 1 to 100000")
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "a b", "a/b", "ä", "a\n", strings.Repeat("x", 65)} {
		_, err := breaker.New(name, breaker.Config{})
		require.Error(t, err, "%q", name)
		_, err = breaker.NewGroup(name, breaker.GroupConfig{})
		require.Error(t, err, "%q", name)
	}
	for _, name := range []string{"a", "api.twilio.com", "A_b-9", strings.Repeat("x", 64)} {
		_, err := breaker.New(name, breaker.Config{})
		require.NoError(t, err, "%q", name)
	}
}

func TestLimitsAreAccepted(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, cfg := range []breaker.Config{
		{Failures: 100_000, OpenFor: day, MaxOpenFor: 10 * day, Jitter: 1, Probes: 1000, ProbeSuccesses: 1_000_000, ProbeLease: day, SlowCall: day},
		{FailureRatio: 0.01, Period: 10 * time.Millisecond, MinCalls: 1_000_000, OpenFor: 1, ProbeLease: 1, SlowCall: 1},
		{FailureRatio: 1, Period: day, MinCalls: 1, OpenFor: day},
	} {
		b, err := breaker.New("vendor", cfg)
		require.NoError(t, err)
		report(t, b, ok, bad, ign)
	}
}
