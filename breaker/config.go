package breaker

import (
	"time"

	"github.com/prusik-go/prusik/internal/check"
)

// Config is the configuration of a [Breaker]. The zero value works: it opens at 3 failures in a row, for 30 s.
//
// Failures and Window make a count window; FailureRatio, Period and MinCalls make a time window. Setting fields of
// both is a fault.
type Config struct {
	// Failures opens the breaker when that many of the last Window calls failed. 0 means 3, the
	// CIRCUIT_BREAKER_THRESHOLD of the system this library replaces. 1 to 100,000.
	Failures int
	// Window is how many calls the count window holds. 0 means Failures, that is "in a row". Failures to 100,000;
	// it costs one bit a call.
	Window int

	// FailureRatio, where set, opens the breaker when that share of the calls within Period failed, at least
	// MinCalls of them. 0.01 to 1. The share is rounded to a whole percent before it is compared.
	FailureRatio float64
	// Period is the length of the time window. 0 means 30 s, the sampling duration of .NET's standard HTTP
	// resilience handler. 10 ms to 24 h. The window moves in steps of Period/10.
	Period time.Duration
	// MinCalls is how many calls the time window must hold before it can open the breaker. 0 means 10: of fewer, a
	// single failure is more than a tenth, and the 100 of .NET and resilience4j is more than one vendor sees of us
	// in 30 s. 1 to 1,000,000.
	MinCalls int

	// SlowCall makes a success that took at least this long count as a failure. 0 means off. At most 24 h.
	SlowCall time.Duration

	// OpenFor is how long calls are refused before the first probe. 0 means 30 s, the
	// CIRCUIT_BREAKER_RECOVERY_TIMEOUT of the system this library replaces. At most 24 h.
	OpenFor time.Duration
	// MaxOpenFor bounds the escalation: each time the breaker opens again without having closed in between, it stays
	// open twice as long, up to this. 0 means 10 times OpenFor, the proportion of Envoy's outlier detection (30 s
	// and 300 s). Negative means no escalation. OpenFor to 240 h.
	MaxOpenFor time.Duration
	// Jitter is the share of the time open that is added at random, so that many processes do not probe together. It
	// never shortens the time, and may exceed MaxOpenFor by that share. 0 means 0.1, negative means none. At most 1.
	Jitter float64

	// Probes is the most calls at a time that a half-open breaker lets through. 0 means 1. 1 to 1000.
	Probes int
	// ProbeSuccesses is how many probes must succeed to close the breaker; one failure opens it again. 0 means
	// Probes. 1 to 1,000,000.
	ProbeSuccesses int
	// ProbeLease is how long a probe may take. One that is not answered within it gives its place back, and what it
	// reports later is dropped. 0 means 60 s, which no attempt of a client with sane timeouts reaches. At most 24 h.
	ProbeLease time.Duration

	// Mode says whether decisions are acted on. The zero is [Enabled].
	Mode Mode
	// Classify judges the errors that reach [Do], the done of [Breaker.Allow] and [Breaker.Transport]. It is not
	// asked about an error of a call whose context was canceled: that is [Ignored]. It may be called from
	// several goroutines; what it returns beyond the three outcomes, or a panic, counts as [Failure]. Nil means
	// [DefaultClassify].
	Classify func(error) Outcome
	// Hooks are told what happens.
	Hooks Hooks
}

// Mode says whether a breaker acts on its decisions.
type Mode uint8

// The modes.
const (
	// Enabled counts, decides and refuses.
	Enabled Mode = iota
	// Shadow counts, decides and reports what it would have refused, and refuses nothing. Calls it would have refused
	// are not counted, so that it opens and recovers as it would if enabled.
	Shadow
	// Disabled neither counts nor decides: every call passes.
	Disabled
)

// String returns "enabled", "shadow" or "disabled".
func (m Mode) String() string {
	switch m {
	case Enabled:
		return "enabled"
	case Shadow:
		return "shadow"
	case Disabled:
		return "disabled"
	default:
		return "unknown"
	}
}

// MarshalText renders [Mode.String].
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// timed reports whether c describes a time window.
func (c *Config) timed() bool { return c.FailureRatio != 0 || c.Period != 0 || c.MinCalls != 0 }

// effective returns c with its defaults filled in and adds every fault to f. "Off" stays as it was given, so
// that the effective configuration of a breaker makes the same breaker again.
func (c Config) effective(f *check.Faults) Config {
	const day = 24 * time.Hour
	counted := c.Failures != 0 || c.Window != 0
	if c.timed() {
		if counted {
			f.Add("FailureRatio, Period, MinCalls", [...]any{c.FailureRatio, c.Period, c.MinCalls},
				"zeros where Failures or Window is set: a window is one of calls or one of time")
		}
		orDefault(&c.Period, 30*time.Second)
		orDefault(&c.MinCalls, 10)
		check.Range(f, "FailureRatio", c.FailureRatio, 0.01, 1)
		check.Range(f, "Period", c.Period, 10*time.Millisecond, day)
		check.Range(f, "MinCalls", c.MinCalls, 1, 1_000_000)
	}
	if counted || !c.timed() {
		const most = 100_000
		orDefault(&c.Failures, 3)
		orDefault(&c.Window, c.Failures)
		check.Range(f, "Failures", c.Failures, 1, most)
		check.Range(f, "Window", c.Window, min(max(c.Failures, 1), most), most)
	}
	check.Range(f, "SlowCall", c.SlowCall, 0, day)

	orDefault(&c.OpenFor, 30*time.Second)
	check.Range(f, "OpenFor", c.OpenFor, 1, day)
	if c.MaxOpenFor >= 0 {
		openFor := min(max(c.OpenFor, 1), day)
		orDefault(&c.MaxOpenFor, 10*openFor)
		check.Range(f, "MaxOpenFor", c.MaxOpenFor, openFor, 10*day)
	}
	orDefault(&c.Jitter, 0.1)
	if !(c.Jitter <= 1) { // written so that NaN is a fault
		f.Add("Jitter", c.Jitter, "at most 1, or negative for none")
	}

	orDefault(&c.Probes, 1)
	orDefault(&c.ProbeSuccesses, c.Probes)
	orDefault(&c.ProbeLease, 60*time.Second)
	check.Range(f, "Probes", c.Probes, 1, 1000)
	check.Range(f, "ProbeSuccesses", c.ProbeSuccesses, 1, 1_000_000)
	check.Range(f, "ProbeLease", c.ProbeLease, 1, day)

	if c.Mode > Disabled {
		f.Add("Mode", uint8(c.Mode), "Enabled, Shadow or Disabled")
	}
	if c.Classify == nil {
		c.Classify = DefaultClassify
	}
	return c
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
