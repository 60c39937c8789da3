package ratelimit_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/ratelimit"
)

// storeFunc is a Store that refunds nothing.
type storeFunc func(context.Context, ratelimit.Request) (ratelimit.Result, error)

func (f storeFunc) Take(ctx context.Context, r ratelimit.Request) (ratelimit.Result, error) {
	return f(ctx, r)
}

func (f storeFunc) Refund(context.Context, ratelimit.Request, [ratelimit.MaxLimits]time.Duration) error {
	return nil
}

type pointerStore struct{ storeFunc }

func TestEveryFaultIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := ratelimit.New("a b", ratelimit.Config{
		Limits:        ratelimit.Limits{{Count: 0, Period: time.Minute}, {Count: 1, Period: time.Minute, Name: `say "x"`}},
		OnOutage:      ratelimit.FailOpen,
		Replicas:      3,
		MaxKeys:       -1,
		MaxWait:       11 * 365 * day,
		AllowList:     []string{"ok", ""},
		AllowNetworks: []netip.Prefix{{}, netip.MustParsePrefix("2001:db8::/65")},
		Mode:          9,
		QuotaUnit:     "bytes",
		Legacy:        9,
	})
	require.Error(t, err)
	var got []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		rest, ok := strings.CutPrefix(line, `ratelimit "a b": `)
		require.True(t, ok, line)
		got = append(got, rest)
	}
	want := []string{
		"name = ", "Limits[0] = ", "Limits[1] = ", "OnOutage = open: want none without a Store", "Replicas = 3: want 0 unless",
		"MaxKeys = -1: want 1 to", "MaxWait = ", `AllowList[1] = "": want a key`, "AllowNetworks[0] = ", "AllowNetworks[1] = ",
		"Mode = 9: want", "Legacy = 9: want", `QuotaUnit = "bytes": want`,
	}
	require.Len(t, got, len(want), "%q", got)
	for i := range want {
		require.Contains(t, got[i], want[i])
	}
}

func TestConfigFaults(t *testing.T) {
	t.Parallel()
	store := storeFunc(func(context.Context, ratelimit.Request) (ratelimit.Result, error) { return ratelimit.Result{}, nil })
	minute := ratelimit.Limits{{Count: 10, Period: time.Minute}}
	var typedNil *pointerStore
	nine := make(ratelimit.Limits, 9)
	for i := range nine {
		nine[i] = ratelimit.Limit{Count: int64(i + 1), Period: time.Minute}
	}
	for want, cfg := range map[string]ratelimit.Config{
		"Limits = 0: want 1 to 8 limits":                        {},
		"Limits = 9: want 1 to 8 limits":                        {Limits: nine},
		`Limits[1] = "api/10/minute": want a name of its own`:   {Limits: ratelimit.Limits{minute[0], minute[0]}},
		"want a count from 1 to 999999999999999":                {Limits: ratelimit.Limits{{Count: -3, Period: time.Minute}}},
		"want a period of up to ten years":                      {Limits: ratelimit.Limits{{Count: 3}}},
		"want a burst from 1 to 999999999999999, or 0":          {Limits: ratelimit.Limits{{Count: 3, Period: time.Minute, Burst: -1}}},
		"OnOutage = 0: want FailOpen, FailClosed or LocalShare": {Limits: minute, Store: store},
		"OnOutage = 4: want FailOpen, FailClosed or LocalShare": {Limits: minute, Store: store, OnOutage: 4},
		"Store = nil of *ratelimit_test.pointerStore":           {Limits: minute, Store: typedNil, OnOutage: ratelimit.FailOpen},
		"Store = nil of ratelimit_test.storeFunc":               {Limits: minute, Store: storeFunc(nil), OnOutage: ratelimit.FailOpen},
		"Replicas = 0: want 1 to 100000":                        {Limits: minute, Store: store, OnOutage: ratelimit.LocalShare},
		"Replicas = 2: want 0 unless OnOutage is LocalShare":    {Limits: minute, Store: store, OnOutage: ratelimit.FailOpen, Replicas: 2},
		// A share's period of 2^64 ns and a minute, which is a minute where it overflows.
		"Replicas = 65536: want fewer for Limits[0]":          {Limits: ratelimit.Limits{{Count: 1, Period: 1<<48 + time.Second}}, Store: store, OnOutage: ratelimit.LocalShare, Replicas: 65_536},
		"Replicas = 100000: want fewer for Limits[0]":         {Limits: ratelimit.Limits{{Count: 1, Period: day}}, Store: store, OnOutage: ratelimit.LocalShare, Replicas: 100_000},
		"MaxKeys = 5: want 0 where nothing is kept in memory": {Limits: minute, Store: store, OnOutage: ratelimit.FailClosed, MaxKeys: 5},
		"AllowNetworks[0] = 2001:db8::/96: want a network":    {Limits: minute, AllowNetworks: []netip.Prefix{netip.MustParsePrefix("2001:db8::/96")}},
	} {
		l, err := ratelimit.New("api", cfg)
		require.Nil(t, l, want)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "\n", "one fault, one line")
	}
}

func TestTheEffectiveConfigMakesTheSameLimiterAgain(t *testing.T) {
	t.Parallel()
	in := ratelimit.Config{Limits: ratelimit.Limits{{Count: 10, Period: time.Minute}, {Name: "daily", Count: 5, Period: day, Burst: 2}}}
	l, err := ratelimit.New("api", in)
	require.NoError(t, err)
	cfg := l.Config()
	require.Equal(t, ratelimit.Limits{
		{Name: "api/10/minute", Count: 10, Period: time.Minute, Burst: 10}, {Name: "daily", Count: 5, Period: day, Burst: 2},
	}, cfg.Limits)
	require.Equal(t, 1_000_000, cfg.MaxKeys)
	require.Equal(t, 30*time.Second, cfg.MaxWait)
	require.Empty(t, in.Limits[0].Name, "what was passed is not changed")
	again, err := ratelimit.New("api", cfg)
	require.NoError(t, err)
	require.Equal(t, cfg, again.Config())
	cfg.Limits[0].Name = "mine"
	require.Equal(t, "api/10/minute", l.Config().Limits[0].Name, "a copy")
	require.Equal(t, "api", l.Name())
	single := newLimiter(t, "10/minute", ratelimit.Config{MaxWait: -1})
	require.Equal(t, "api", single.Config().Limits[0].Name)
	require.Equal(t, time.Duration(-1), single.Config().MaxWait)
}

func TestTheLargestConfigIsNone(t *testing.T) {
	t.Parallel()
	eight := make(ratelimit.Limits, ratelimit.MaxLimits)
	for i := range eight {
		eight[i] = ratelimit.Limit{Name: strings.Repeat("~", 160-i), Count: 1, Period: 10 * 365 * day}
	}
	cfg := ratelimit.Config{
		Limits: eight, MaxWait: 10 * 365 * day, AllowList: []string{"friend"},
		AllowNetworks: []netip.Prefix{netip.MustParsePrefix("2001:db8::/64")},
	}
	l, err := ratelimit.New("api", cfg)
	require.NoError(t, err)
	cfg.AllowList[0], cfg.AllowNetworks[0] = "foe", netip.MustParsePrefix("2001:db9::/64")
	require.Equal(t, []string{"friend"}, l.Config().AllowList, "a copy")
	require.Equal(t, "2001:db8::/64", l.Config().AllowNetworks[0].String())
	d, err := l.AllowN(t.Context(), "2001:db8::/64", 1)
	require.NoError(t, err)
	require.Equal(t, ratelimit.Exempt, d.Verdict)
}

// The longest names there are make no name that is too long.
func TestTheNamesOfLimitsAreNames(t *testing.T) {
	t.Parallel()
	l, err := ratelimit.New(strings.Repeat("a", 64), ratelimit.Config{Limits: ratelimit.Limits{
		{Count: 999_999_999_999_999, Period: 9*365*day - 1, Burst: 999_999_999_999_998},
		{Count: 1, Period: time.Second},
	}})
	require.NoError(t, err)
	again, err := ratelimit.New(l.Name(), l.Config())
	require.NoError(t, err)
	require.Equal(t, l.Config(), again.Config())
	_, err = ratelimit.New("a", ratelimit.Config{Limits: ratelimit.Limits{{Name: strings.Repeat("a", 161), Count: 1, Period: time.Second}}})
	require.ErrorContains(t, err, "want a name of up to 160")
}

func TestNamesOfConstants(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]interface{ MarshalText() ([]byte, error) }{
		"enabled": ratelimit.Enabled, "shadow": ratelimit.Shadow, "disabled": ratelimit.Disabled,
		"open": ratelimit.FailOpen, "closed": ratelimit.FailClosed, "local": ratelimit.LocalShare,
		"allowed": ratelimit.Allowed, "denied": ratelimit.Denied, "would_deny": ratelimit.WouldDeny, "exempt": ratelimit.Exempt,
	} {
		text, err := got.MarshalText()
		require.NoError(t, err)
		require.Equal(t, want, string(text))
	}
	require.Equal(t, "unknown", ratelimit.Mode(9).String())
	require.Empty(t, ratelimit.Outage(0).String())
	require.Empty(t, ratelimit.Verdict(0).String())
}
