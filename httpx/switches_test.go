package httpx_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/ratelimit"
)

// switched is a client that flags govern, and its set.
func switched(t *testing.T, base http.RoundTripper, edit func(*httpx.Config), environ ...string) (*flags.Set, *httpx.Transport, *http.Client) {
	t.Helper()
	set := flags.New("app", flags.Config{})
	cfg := httpx.FromFlags(set, "twilio")
	require.NoError(t, set.Load(environ))
	cfg.Base, cfg.MaxAttempts = base, -1
	if edit != nil {
		edit(&cfg)
	}
	c, err := httpx.NewClient("twilio", cfg)
	require.NoError(t, err)
	return set, pipeline(t, c), c
}

func override(t *testing.T, set *flags.Set, flag, value string) {
	t.Helper()
	require.NoError(t, set.Override(flags.Change{Flag: flag, Value: value, Author: "ann", Reason: "outage"}))
}

func restore(t *testing.T, set *flags.Set, flag string) {
	t.Helper()
	require.NoError(t, set.Clear(flags.Change{Flag: flag, Author: "ann", Reason: "over"}))
}

func TestFlagsAreOnThePath(t *testing.T) {
	t.Parallel()
	_, tr, _ := switched(t, follow(answer(200, "")), nil,
		"CIRCUIT_BREAKER_THRESHOLD=5", "TWILIO_CIRCUIT_BREAKER_RECOVERY_TIMEOUT=45", "CIRCUIT_BREAKER_RECOVERY_TIMEOUT=20")
	b := tr.Breaker().Config()
	require.Equal(t, 5, b.Failures, "the program's")
	require.Equal(t, 45*time.Second, b.OpenFor, "its own")
	e := tr.Explain()
	require.Equal(t, []string{
		"TWILIO_KILL_SWITCH", "TWILIO_CIRCUIT_BREAKER_ENABLED", "TWILIO_CIRCUIT_BREAKER_FORCE_OPEN", "TWILIO_CIRCUIT_BREAKER_THRESHOLD",
		"TWILIO_CIRCUIT_BREAKER_RECOVERY_TIMEOUT", "TWILIO_RATE_LIMIT_PER_MINUTE",
	}, e.Flags)
	require.Contains(t, e.String(), "changed by         TWILIO_KILL_SWITCH, ")

	_, tr, _ = switched(t, follow(answer(200, "")), nil)
	require.Equal(t, 3, tr.Breaker().Config().Failures)
	require.Equal(t, 30*time.Second, tr.Breaker().Config().OpenFor)
	require.Equal(t, breaker.Enabled, tr.Breaker().Config().Mode)
	_, tr, _ = switched(t, follow(answer(200, "")), nil, "CIRCUIT_BREAKER_ENABLED=false")
	require.Equal(t, breaker.DisabledState, tr.Breaker().State())
	require.NotContains(t, tr.Explain().String(), "  breaker ")
}

// A threshold or a recovery timeout that changes in an outage counts in that outage, and nothing is forgotten.
func TestAChangeKeepsTheBreakersState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := follow(answer(503, ""))
		set, tr, c := switched(t, base, func(cfg *httpx.Config) { cfg.Breaker.Jitter = -1 })
		b := tr.Breaker()
		send(t, t.Context(), c, "GET", "")
		send(t, t.Context(), c, "GET", "")
		override(t, set, "CIRCUIT_BREAKER_THRESHOLD", "4")
		send(t, t.Context(), c, "GET", "")
		require.Equal(t, breaker.Closed, b.State(), "three of four")
		send(t, t.Context(), c, "GET", "")
		require.Equal(t, breaker.Open, b.State(), "the first three were not forgotten")

		override(t, set, "TWILIO_CIRCUIT_BREAKER_RECOVERY_TIMEOUT", "10")
		require.Equal(t, breaker.Open, b.State())
		require.Equal(t, 10*time.Second, b.Snapshot().RetryAfter)
		time.Sleep(10 * time.Second)
		sent := base.count()
		send(t, t.Context(), c, "GET", "")
		require.Equal(t, sent+1, base.count(), "a probe, after the new timeout")

		override(t, set, "TWILIO_CIRCUIT_BREAKER_ENABLED", "false")
		require.Equal(t, breaker.DisabledState, b.State())
		send(t, t.Context(), c, "GET", "")
		require.Equal(t, sent+2, base.count())
		require.NotContains(t, tr.Explain().String(), "  breaker ", "declared is not wired")
		restore(t, set, "TWILIO_CIRCUIT_BREAKER_ENABLED")
		require.Equal(t, breaker.Closed, b.State())
		require.Contains(t, tr.Explain().String(), "opens at 4 failures in a row, for 10s")
		require.Equal(t, 4, tr.Config().Breaker.Failures)
	})
}

func TestAnOverrideThatEndsTakesItsChangeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set, tr, _ := switched(t, follow(answer(200, "")), nil)
		require.NoError(t, set.Override(flags.Change{
			Flag: "TWILIO_CIRCUIT_BREAKER_THRESHOLD", Value: "9", Author: "ann", Reason: "deploy", For: time.Minute,
		}))
		require.Equal(t, 9, tr.Breaker().Config().Failures)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, 3, tr.Breaker().Config().Failures)
	})
}

func TestTheKillSwitchAndForceOpenAreThrownOnClientsInUse(t *testing.T) {
	t.Parallel()
	for _, perHost := range []bool{false, true} {
		base := follow(answer(200, ""))
		mine := false
		set, tr, c := switched(t, base, func(cfg *httpx.Config) {
			cfg.BreakerPerHost = perHost
			cfg.KillSwitch = func() bool { return mine }
		})
		kind := func() errors.Kind {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://vendor.test/", http.NoBody)
			require.NoError(t, err)
			resp, err := c.Do(req)
			if err == nil {
				resp.Body.Close()
				return ""
			}
			return errors.KindOf(err)
		}
		require.Empty(t, kind())
		override(t, set, "TWILIO_KILL_SWITCH", "true")
		require.Equal(t, errors.FeatureDisabled, kind())
		restore(t, set, "TWILIO_KILL_SWITCH")
		override(t, set, "KILL_SWITCH", "true")
		require.Equal(t, errors.FeatureDisabled, kind())
		restore(t, set, "KILL_SWITCH")
		mine = true
		require.Equal(t, errors.FeatureDisabled, kind(), "the caller's own holds as well")
		mine = false

		override(t, set, "TWILIO_CIRCUIT_BREAKER_FORCE_OPEN", "true")
		require.Equal(t, errors.CircuitOpen, kind())
		override(t, set, "TWILIO_CIRCUIT_BREAKER_THRESHOLD", "7")
		require.Equal(t, errors.CircuitOpen, kind(), "it stays forced open")
		restore(t, set, "TWILIO_CIRCUIT_BREAKER_FORCE_OPEN")
		require.Empty(t, kind())

		if b := tr.Breaker(); b != nil { // what a person has forced open on the status page is not the switch's to reset
			b.ForceOpen()
			override(t, set, "TWILIO_CIRCUIT_BREAKER_THRESHOLD", "8")
			require.Equal(t, errors.CircuitOpen, kind())
			b.Reset()
		} else {
			require.Equal(t, 7, tr.Breakers().Config().Failures)
		}
		sent := base.count()
		require.Empty(t, kind())
		require.Equal(t, sent+1, base.count())
	}
}

func TestForcedOpenFromTheStart(t *testing.T) {
	t.Parallel()
	base := follow(answer(200, ""))
	_, tr, _ := switched(t, base, nil, "CIRCUIT_BREAKER_FORCE_OPEN=true")
	require.Equal(t, breaker.ForcedOpen, tr.Breaker().State())
}

// A breaker that is forced open is on the path, whatever else is said of it.
func TestWhatIsForcedOpenIsExplained(t *testing.T) {
	t.Parallel()
	for _, perHost := range []bool{false, true} {
		for _, environ := range [][]string{nil, {"CIRCUIT_BREAKER_ENABLED=false"}} {
			m, reg := counters(t)
			set, tr, c := switched(t, follow(answer(200, "")), func(cfg *httpx.Config) { cfg.BreakerPerHost, cfg.Metrics = perHost, m }, environ...)
			require.NotContains(t, tr.Explain().String(), "forced open")
			override(t, set, "CIRCUIT_BREAKER_FORCE_OPEN", "true")
			_, err := c.Get("http://vendor.test/")
			require.Equal(t, errors.CircuitOpen, errors.KindOf(err))
			require.Contains(t, tr.Explain().String(), "  breaker            forced open: TWILIO_CIRCUIT_BREAKER_FORCE_OPEN")
			require.Contains(t, samples(t, reg, "resilience_policy_info"), `resilience_policy_info{policy="breaker"}`)
			restore(t, set, "CIRCUIT_BREAKER_FORCE_OPEN")
			require.NotContains(t, tr.Explain().String(), "forced open")
		}
	}
	_, shadow, _ := switched(t, follow(answer(200, "")), func(cfg *httpx.Config) { cfg.Breaker.Mode = breaker.Shadow }, "CIRCUIT_BREAKER_FORCE_OPEN=true")
	require.Contains(t, shadow.Explain().String(), "  breaker            forced open: TWILIO_CIRCUIT_BREAKER_FORCE_OPEN; shadow: reports, never refuses")
}

func TestALimitComesAndGoesAtRunTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := follow(answer(200, ""))
		set, tr, c := switched(t, base, func(cfg *httpx.Config) { cfg.TotalTimeout = 5 * time.Second })
		limited := func() (n int) {
			for range 20 {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://vendor.test/", http.NoBody)
				require.NoError(t, err)
				start := time.Now()
				resp, err := c.Do(req)
				switch {
				case err != nil:
					require.Equal(t, errors.VendorRateLimited, errors.KindOf(err))
					n++
				default:
					require.Equal(t, time.Duration(0), time.Since(start))
					resp.Body.Close()
				}
			}
			return n
		}
		require.Empty(t, tr.Limiters())
		require.Zero(t, limited())
		require.NotContains(t, tr.Explain().String(), "rate_limit")

		override(t, set, "TWILIO_RATE_LIMIT_PER_MINUTE", "6")
		require.Equal(t, 14, limited(), "ten seconds for the next one, and five is all there is")
		require.Contains(t, tr.Explain().String(), "6/minute before every attempt")
		require.Len(t, tr.Limiters(), 1)
		require.IsType(t, &ratelimit.Outbound{}, tr.Limiters()[0], "what a status page can read")

		override(t, set, "TWILIO_RATE_LIMIT_PER_MINUTE", "10")
		require.Equal(t, 20, limited(), "who has used all has used all of the new limit")
		restore(t, set, "TWILIO_RATE_LIMIT_PER_MINUTE")
		require.Zero(t, limited())
		require.Empty(t, tr.Limiters())

		_, tr, _ = switched(t, base, nil, "RATE_LIMIT_PER_MINUTE=5")
		require.Empty(t, tr.Limiters(), "the program's is for its own routes")
		_, tr, _ = switched(t, base, nil, "TWILIO_RATE_LIMIT_PER_MINUTE=5")
		require.Len(t, tr.Limiters(), 1)
	})
}

// A limit of a switch is a limiter like the others: it learns, pauses, and takes back what was not sent.
func TestASwitchedLimitIsALimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		few := answer(200, "", "RateLimit", `"default";r=7;t=600`)
		base := follow(few, few, few, answer(429, "", "Retry-After", "20"))
		_, tr, c := switched(t, base, func(cfg *httpx.Config) {
			cfg.TotalTimeout = 5 * time.Second
			cfg.Profile.Rates = []httpx.Rate{{
				Name: "posts", Match: func(r *http.Request) bool { return r.Method == "POST" },
				Limits: ratelimit.Limits{{Count: 1, Period: time.Hour}},
			}}
		}, "TWILIO_RATE_LIMIT_PER_MINUTE=4")
		snapshot := func() ratelimit.OutboundSnapshot { return tr.Limiters()[0].(*ratelimit.Outbound).Snapshot() }
		_, _, err := send(t, t.Context(), c, "POST", "x")
		require.NoError(t, err)
		require.Equal(t, int64(7), snapshot().Remaining)
		for range 5 {
			_, _, err = send(t, t.Context(), c, "POST", "x")
			require.Equal(t, errors.StopRateLimited, errors.StopOf(err), "by the rate behind the switch's")
		}
		for range 2 {
			_, _, err = send(t, t.Context(), c, "GET", "")
			require.NoError(t, err, "what was not sent was given back")
		}
		require.Zero(t, snapshot().PausedFor)
		_, _, err = send(t, t.Context(), c, "GET", "")
		require.NoError(t, err)
		require.GreaterOrEqual(t, snapshot().PausedFor, 20*time.Second)
		require.Equal(t, 4, base.count())
	})
}

func TestWhatFlagsGovernIsTheirs(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	cfg := httpx.FromFlags(set, "twilio")
	_, err := httpx.NewClient("twilio", cfg)
	require.EqualError(t, err, `httpx "twilio": its flags: flags "app": the set = not loaded: want a Load that succeeds before its flags are used`)
	require.NoError(t, set.Load(nil))
	cfg.Breaker = breaker.Config{
		Failures: 7, Window: 9, FailureRatio: 0.5, Period: time.Minute, MinCalls: 3, OpenFor: time.Second, MaxOpenFor: time.Minute, Mode: breaker.Disabled,
	}
	cfg.MaxAttempts = 99
	_, err = httpx.NewClient("twilio", cfg)
	for _, want := range []string{
		`httpx "twilio": Breaker.Failures = 7: want 0: TWILIO_CIRCUIT_BREAKER_THRESHOLD governs it`,
		`Breaker.Window = 9: want 0: TWILIO_CIRCUIT_BREAKER_THRESHOLD governs it`,
		`Breaker.FailureRatio = 0.5: want 0: `, `Breaker.Period = 1m0s: want 0: `, `Breaker.MinCalls = 3: want 0: `,
		`Breaker.OpenFor = 1s: want 0: TWILIO_CIRCUIT_BREAKER_RECOVERY_TIMEOUT governs it`, `Breaker.MaxOpenFor = 1m0s: want 0: `,
		`Breaker.Mode = disabled: want Enabled or Shadow: TWILIO_CIRCUIT_BREAKER_ENABLED governs it`,
		`MaxAttempts = 99: want 1 to 10`,
	} {
		require.ErrorContains(t, err, want)
	}
	_, err = httpx.NewClient("twilio", httpx.FromFlags(nil, "twilio"))
	require.EqualError(t, err, `httpx "twilio": FromFlags = nil: want a set of flags`)

	cfg = httpx.FromFlags(set, "twilio") // once more, after Load: all is declared already
	cfg.Breaker.Mode, cfg.Breaker.MaxOpenFor = breaker.Shadow, -1
	tr, err := httpx.NewTransport("twilio", cfg)
	require.NoError(t, err)
	require.Equal(t, breaker.Shadow, tr.Breaker().Config().Mode)
	override(t, set, "CIRCUIT_BREAKER_ENABLED", "false")
	require.Equal(t, breaker.Disabled, tr.Breaker().Config().Mode)
	restore(t, set, "CIRCUIT_BREAKER_ENABLED")
	require.Equal(t, breaker.Shadow, tr.Breaker().Config().Mode)

	_ = httpx.FromFlags(set, "vapi")
	require.ErrorContains(t, set.Err(), "VAPI_KILL_SWITCH = declared after Load")
}

func TestTheProgramsOwnDeclarationIsUsed(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	mine := set.Bool("INTEGRATIONS_STUB_MODE", flags.Doc("Mine."))
	sw := httpx.DeclareSwitches(set, "")
	require.Same(t, mine, sw.StubMode)
	require.Same(t, sw.BreakerThreshold, httpx.DeclareSwitches(set, "").BreakerThreshold)
	require.NoError(t, set.Load([]string{"INTEGRATIONS_STUB_MODE=true"}))
	require.True(t, sw.StubMode.Get())

	wrong := flags.New("app", flags.Config{})
	wrong.Int("KILL_SWITCH", flags.Doc("A number."))
	wrong.Bool("CIRCUIT_BREAKER_THRESHOLD", flags.Doc("A bool."))
	httpx.DeclareSwitches(wrong, "my-mail.v2")
	err := wrong.Load([]string{"MY_MAIL_V2_CIRCUIT_BREAKER_TRESHOLD=4"})
	require.ErrorContains(t, err, "KILL_SWITCH: declared twice")
	require.ErrorContains(t, err, "CIRCUIT_BREAKER_THRESHOLD: declared twice")
	require.ErrorContains(t, err, "MY_MAIL_V2_CIRCUIT_BREAKER_TRESHOLD = set: want a flag that is declared, as it begins with MY_MAIL_V2_CIRCUIT_BREAKER_: did you mean MY_MAIL_V2_CIRCUIT_BREAKER_THRESHOLD?")
}

func TestStubModeIsNeverOnInProduction(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	calendar := httpx.DeclareSwitches(set, "calendar").StubMode
	require.ErrorContains(t, set.Load([]string{"CALENDAR_INTEGRATIONS_STUB_MODE=true"}), "want false in production, and APP_ENV is not set")
	err := set.Load([]string{"INTEGRATIONS_STUB_MODE=true"})
	require.ErrorContains(t, err, "INTEGRATIONS_STUB_MODE = true: want false in production")
	require.NotContains(t, err.Error(), "CALENDAR", "one thing is wrong")
	require.NoError(t, set.Load([]string{"INTEGRATIONS_STUB_MODE=true", "APP_ENV=development"}))
	require.True(t, calendar.Get())
}

func TestTheProgramsLimitFollowsItsFlag(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	_, err := httpx.LimiterFromFlags(nil, "api", ratelimit.Config{})
	require.EqualError(t, err, `httpx "api": LimiterFromFlags = nil: want a set of flags`)
	_, err = httpx.LimiterFromFlags(set, "api", ratelimit.Config{})
	require.ErrorContains(t, err, `httpx "api": RATE_LIMIT_PER_MINUTE = not declared: want DeclareSwitches or FromFlags before the set is loaded`)
	httpx.DeclareSwitches(set, "")
	_, err = httpx.LimiterFromFlags(set, "api", ratelimit.Config{})
	require.ErrorContains(t, err, "not loaded")
	require.NoError(t, set.Load(nil))
	_, err = httpx.LimiterFromFlags(set, "a b", ratelimit.Config{})
	require.ErrorContains(t, err, "name")

	l, err := httpx.LimiterFromFlags(set, "api", ratelimit.Config{Limits: ratelimit.Limits{{Count: 1000, Period: time.Hour}}})
	require.NoError(t, err)
	require.Equal(t, "10/minute; 1000/hour", l.Config().Limits.String())
	allowed := func(key string) (n int) {
		for range 50 {
			d, err := l.Allow(t.Context(), key)
			require.NoError(t, err)
			if d.Allowed() {
				n++
			}
		}
		return n
	}
	require.Equal(t, 10, allowed("a"))
	override(t, set, "RATE_LIMIT_PER_MINUTE", "30")
	require.Equal(t, "30/minute; 1000/hour", l.Config().Limits.String())
	require.Equal(t, 30, allowed("b"))
	restore(t, set, "RATE_LIMIT_PER_MINUTE")
	require.Equal(t, 10, allowed("c"))
}

// The flag may come to the very limit that stands beside it.
func TestTheProgramsLimitMayEqualAnother(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	httpx.DeclareSwitches(set, "")
	require.NoError(t, set.Load([]string{"RATE_LIMIT_PER_MINUTE=5"}))
	beside := ratelimit.Config{Limits: ratelimit.Limits{{Count: 10, Period: time.Minute}}}
	l, err := httpx.LimiterFromFlags(set, "api", beside)
	require.NoError(t, err)
	override(t, set, "RATE_LIMIT_PER_MINUTE", "10")
	require.Equal(t, "10/minute; 10/minute", l.Config().Limits.String())
	require.Equal(t, "api/RATE_LIMIT_PER_MINUTE", l.Config().Limits[0].Name)
	_, err = httpx.LimiterFromFlags(set, "api", beside)
	require.NoError(t, err)
	l, err = httpx.LimiterFromFlags(set, "api", ratelimit.Config{})
	require.NoError(t, err)
	require.Equal(t, "api", l.Config().Limits[0].Name)
}

// A service has to have a name: the program's RATE_LIMIT_PER_MINUTE is for those who call us, and not for whom we call.
func TestFlagsGovernAServiceByItsName(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	cfg := httpx.FromFlags(set, "")
	require.NoError(t, set.Load(nil))
	_, err := httpx.NewTransport("twilio", cfg)
	require.EqualError(t, err, `httpx "twilio": FromFlags = "": want the name of a service`)

	one, other := httpx.DeclareSwitches(flags.New("app", flags.Config{}), "a_b"), httpx.DeclareSwitches(flags.New("app", flags.Config{}), "a-b")
	require.Equal(t, one.KillSwitch.Name(), other.KillSwitch.Name())

	long := strings.Repeat("x", 64)
	set = flags.New("app", flags.Config{})
	httpx.DeclareSwitches(set, long)
	require.NoError(t, set.Load(nil), "every name of a client that begins with a letter")
	set = flags.New("app", flags.Config{})
	httpx.DeclareSwitches(set, "2captcha")
	require.ErrorContains(t, set.Load(nil), "2CAPTCHA_KILL_SWITCH: the name: want 1 to 100 of A to Z, 0 to 9 and _, the first a letter")
}

// A hook of the breaker may throw a switch, also while New brings the client to what the switches say.
func TestAHookMayThrowASwitch(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	cfg := httpx.FromFlags(set, "twilio")
	require.NoError(t, set.Load([]string{"CIRCUIT_BREAKER_FORCE_OPEN=true"}))
	cfg.Breaker.Hooks.OnTransition = func(e breaker.TransitionEvent) {
		if e.To == breaker.ForcedOpen {
			override(t, set, "TWILIO_CIRCUIT_BREAKER_THRESHOLD", "6")
		}
	}
	tr, err := httpx.NewTransport("twilio", cfg)
	require.NoError(t, err)
	require.Equal(t, 6, tr.Breaker().Config().Failures)
	require.Equal(t, breaker.ForcedOpen, tr.Breaker().State())
}

// What the switches say holds, whatever a hook does that hears of the half of it.
func TestAPanicOfAHookLeavesNoSwitchHalfThrown(t *testing.T) {
	t.Parallel()
	for _, perHost := range []bool{false, true} {
		set, tr, _ := switched(t, follow(answer(200, "")), func(cfg *httpx.Config) {
			cfg.BreakerPerHost = perHost
			cfg.Breaker.Hooks.OnTransition = func(breaker.TransitionEvent) { panic("hook") }
			cfg.Breaker.Hooks.OnReconfigure = func(breaker.ReconfigureEvent) { panic("hook") }
		})
		look := func() (breaker.State, int) {
			if perHost {
				for b := range tr.Breakers().All() {
					return b.State(), tr.Breakers().Config().Failures
				}
			}
			return tr.Breaker().State(), tr.Breaker().Config().Failures
		}
		change := func(flag, value string) flags.Change {
			return flags.Change{Flag: "TWILIO_" + flag, Value: value, Author: "ann", Reason: "outage"}
		}
		require.Panics(t, func() {
			_ = set.Override(change("CIRCUIT_BREAKER_FORCE_OPEN", "true"), change("CIRCUIT_BREAKER_THRESHOLD", "9"), change("RATE_LIMIT_PER_MINUTE", "6"))
		})
		state, threshold := look()
		require.Equal(t, breaker.ForcedOpen, state)
		require.Equal(t, 9, threshold)
		require.Len(t, tr.Limiters(), 1)
		require.Panics(t, func() {
			_ = set.Clear(change("CIRCUIT_BREAKER_FORCE_OPEN", ""), change("CIRCUIT_BREAKER_THRESHOLD", ""), change("RATE_LIMIT_PER_MINUTE", ""))
		})
		state, threshold = look()
		require.Equal(t, breaker.Closed, state)
		require.Equal(t, 3, threshold)
		require.Empty(t, tr.Limiters())
	}
}

// Every value that a switch takes is one that the client takes, at the start and in use.
func TestTheBoundsOfTheSwitchesAreThoseOfWhatTheyGovern(t *testing.T) {
	t.Parallel()
	bounds := map[string][2]string{
		"CIRCUIT_BREAKER_THRESHOLD": {"1", "100000"}, "CIRCUIT_BREAKER_RECOVERY_TIMEOUT": {"1s", "24h"}, "RATE_LIMIT_PER_MINUTE": {"0", "1000000"},
	}
	for flag, ends := range bounds {
		for _, value := range ends {
			_, atStart, _ := switched(t, follow(answer(200, "")), nil, "TWILIO_"+flag+"="+value)
			set, inUse, _ := switched(t, follow(answer(200, "")), nil)
			override(t, set, "TWILIO_"+flag, value)
			require.Equal(t, atStart.Explain(), inUse.Explain(), "%s=%s", flag, value)
		}
	}
}

func TestSwitchesAreThrownUnderLoad(t *testing.T) {
	t.Parallel()
	set, tr, c := switched(t, follow(answer(200, "")), nil)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 200 {
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://vendor.test/", http.NoBody)
				if resp, err := c.Do(req); err == nil {
					resp.Body.Close()
				}
			}
		})
	}
	for w := range 4 {
		wg.Go(func() {
			for i := range 50 {
				for _, f := range []string{"THRESHOLD=" + fmt.Sprint(1+(w+i)%9), "RECOVERY_TIMEOUT=" + fmt.Sprint(1+i), "ENABLED=" + fmt.Sprint(i%2 == 0), "FORCE_OPEN=" + fmt.Sprint(i%3 == 0)} {
					name, value, _ := strings.Cut(f, "=")
					if err := set.Override(flags.Change{Flag: "TWILIO_CIRCUIT_BREAKER_" + name, Value: value, Author: "w", Reason: "race"}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	for name, value := range map[string]string{"THRESHOLD": "4", "RECOVERY_TIMEOUT": "7", "ENABLED": "true", "FORCE_OPEN": "false"} {
		override(t, set, "TWILIO_CIRCUIT_BREAKER_"+name, value)
	}
	b := tr.Breaker()
	require.Equal(t, 4, b.Config().Failures)
	require.Equal(t, 7*time.Second, b.Config().OpenFor)
	require.Equal(t, breaker.Closed, b.State())
}

// A client that is dropped is not kept by the set.
func TestASetDoesNotKeepClients(t *testing.T) {
	set := flags.New("app", flags.Config{})
	cfg := httpx.FromFlags(set, "twilio")
	require.NoError(t, set.Load(nil))
	cfg.Base = follow(answer(200, ""))
	gone := make(chan struct{})
	func() {
		tr, err := httpx.NewTransport("twilio", cfg)
		require.NoError(t, err)
		runtime.AddCleanup(tr, func(c chan struct{}) { close(c) }, gone)
	}()
	require.Eventually(t, func() bool {
		runtime.GC()
		select {
		case <-gone:
			return true
		default:
			return false
		}
	}, 10*time.Second, time.Millisecond)
	override(t, set, "TWILIO_CIRCUIT_BREAKER_THRESHOLD", "4")
}

// "Declared but not wired" is seen at run time too: a breaker that a flag has switched off is no policy on the path.
func TestWhatFlagsChangeIsSeen(t *testing.T) {
	t.Parallel()
	m, reg := counters(t)
	set, tr, _ := switched(t, follow(answer(200, "")), func(cfg *httpx.Config) { cfg.Metrics = m })
	look := func() map[string]int { return samples(t, reg, "resilience_policy_info", "feature_flag_") }
	breakerOn, limitOn := `resilience_policy_info{policy="breaker"}`, `resilience_policy_info{policy="rate_limit"}`
	require.Contains(t, look(), breakerOn)
	require.NotContains(t, look(), limitOn)
	require.Equal(t, 3, look()[`feature_flag_value{flag="TWILIO_CIRCUIT_BREAKER_THRESHOLD"}`])
	override(t, set, "TWILIO_CIRCUIT_BREAKER_ENABLED", "false")
	override(t, set, "TWILIO_RATE_LIMIT_PER_MINUTE", "60")
	override(t, set, "CIRCUIT_BREAKER_THRESHOLD", "5")
	require.NotContains(t, look(), breakerOn)
	require.Contains(t, look(), limitOn)
	require.Equal(t, 5, look()[`feature_flag_value{flag="TWILIO_CIRCUIT_BREAKER_THRESHOLD"}`])
	require.Equal(t, 60, look()[`feature_flag_value{flag="TWILIO_RATE_LIMIT_PER_MINUTE"}`])
	require.Equal(t, 1, look()[`feature_flag_overridden{flag="TWILIO_RATE_LIMIT_PER_MINUTE"}`])
	runtime.KeepAlive(tr)
}

func TestAProfileWithoutASourceIsExplained(t *testing.T) {
	t.Parallel()
	tr, err := httpx.NewTransport("acme", httpx.Config{Profile: httpx.Profile{Vendor: "Acme"}})
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(tr.Explain().String(), "acme (Acme)\n"))
}
