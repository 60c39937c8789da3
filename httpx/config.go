package httpx

import (
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"time"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx/internal/wait"
	"github.com/prusik-go/prusik/internal/check"
	"github.com/prusik-go/prusik/metrics"
)

// Config is the pipeline of one vendor's client. The zero value is the standard pipeline for an unknown vendor, with
// everything on but the outbound limiter. A duration or count that is zero takes its default, a negative one turns its
// policy off. Defaults never contradict what is set: see TotalTimeout and AttemptTimeout.
type Config struct {
	// Base sends the attempts. Nil is a clone of [http.DefaultTransport] with MaxConcurrent idle connections per host
	// and a dial and a TLS handshake limited to 5 s each, so that a black-holed connect is known as never sent.
	Base http.RoundTripper
	// Decorate wraps Base, or what nil stands for: what it does is done on every attempt, under its timeout. What it
	// returns should forward CloseIdleConnections. Nil: nothing.
	Decorate Decorator
	// Profile is what is known of the vendor; see package httpx/profile. Zero: an unknown vendor.
	Profile Profile

	// TotalTimeout bounds a call up to the response headers: all attempts and the waits between them. Zero: 35 s, which
	// is three attempts of 10 s with their longest back-off waits (0.5 s + 1 s), rounded up; more where AttemptTimeout
	// and MaxAttempts need more. Negative: off. The caller's own deadline holds as well.
	TotalTimeout time.Duration
	// AttemptTimeout bounds one attempt up to the response headers, and the body of an answer of 400 or above. Zero:
	// 10 s (twilio-go's own default), or less, down to 1 s, where TotalTimeout is set and has no room for MaxAttempts of
	// them. Negative: off.
	AttemptTimeout time.Duration
	// BodyIdleTimeout bounds each read of a response body, so that a healthy stream lives and a stalled one does not.
	// Zero: 30 s. Negative: off.
	BodyIdleTimeout time.Duration

	// MaxAttempts is the first try and its retries, 1 to 10. Zero: 3. Negative: no retries.
	MaxAttempts int
	// BackoffBase and BackoffMax shape the full-jitter exponential wait: before the n-th retry it is random in
	// [0, min(BackoffMax, BackoffBase*2^(n-1))]. Zero: 500 ms and 8 s. Negative BackoffBase: no wait.
	BackoffBase, BackoffMax time.Duration
	// MaxRetryAfter is the longest wait a vendor may ask for; above it the answer is returned with the wait instead.
	// Zero: 30 s. Negative: a vendor's wait is never slept, the answer is returned at once.
	MaxRetryAfter time.Duration
	// RetryBudget is the size of the retry budget in retries, shared by all calls of the client: a retry takes one, a
	// success at the first try pays RetryBudgetRefill back. So an outage costs RetryBudget extra requests and then none,
	// and a vendor that fails now and then is retried for RetryBudgetRefill of the traffic. Zero: 20, and 0.1, the
	// share gRPC's retry throttling (gRFC A6) and Google's SRE book use. Negative RetryBudget: no budget.
	RetryBudget       int
	RetryBudgetRefill float64

	// MaxBodyBuffer is how much of a request body without GetBody is kept for a retry, in bytes. Zero: 1 MiB.
	// Negative: nothing is kept and such a request is sent once.
	MaxBodyBuffer int64
	// MaxErrorBody is how much of the body of an answer of 400 or above is read, in bytes, before the connection is let
	// go. Zero: 64 KiB. It cannot be turned off: an SDK that never closes error bodies would leak its connections.
	MaxErrorBody int64

	// MaxConcurrent is the bulkhead: the most calls in flight, a call ending with its response body. Zero: what the
	// profile says, else 128. Negative: off.
	MaxConcurrent int
	// BulkheadWait is how long a call waits for a place. Zero: it does not wait.
	BulkheadWait time.Duration

	// Breaker guards each attempt; Breaker.Mode turns it to shadow or off. Breaker.Classify has to be nil: what an answer
	// means is the profile's to say. Breaker.ProbeLease is at least AttemptTimeout and BodyIdleTimeout where it is zero.
	Breaker breaker.Config
	// BreakerPerHost gives each host of the client a breaker of its own, up to MaxHosts (zero: 64) of them.
	BreakerPerHost bool
	MaxHosts       int

	// Limiter admits each attempt, before the limiters of the profile's rates ([Profile.Rates]) do. Nil: those alone.
	Limiter Limiter
	// KillSwitch is asked once a call; true refuses it before anything else happens. Nil: never.
	KillSwitch func() bool

	// Metrics counts calls, attempts, and what the breaker and the limiters of the profile's rates do, under the client's
	// name; package metrics lists the names. Two clients of one name share their series. Nil: nothing is counted.
	Metrics *metrics.Metrics
	// Hooks hear of every call; Logger gets one record a call. Nil is silent.
	Hooks  Hooks
	Logger *slog.Logger

	governed *governed // nil: by no flags
}

// defaults; each number's reason is in the comment of its field.
const (
	defaultTotal         = 35 * time.Second
	defaultAttempt       = 10 * time.Second
	defaultIdle          = 30 * time.Second
	defaultMaxAttempts   = 3
	defaultBackoffBase   = 500 * time.Millisecond
	defaultBackoffMax    = 8 * time.Second
	defaultMaxRetryAfter = 30 * time.Second
	defaultBudget        = 20
	defaultRefill        = 0.1
	defaultBodyBuffer    = 1 << 20
	defaultErrorBody     = 64 << 10
	defaultConcurrent    = 128
	defaultMaxHosts      = 64
	defaultProbeLease    = 60 * time.Second // breaker's own
	connectTimeout       = 5 * time.Second
	leastAttempt         = time.Second // of a default: a vendor cut off sooner has often done what it was asked

	off = -1 // what a negative value becomes
)

// settle fills in the defaults and reports every fault at once. What it returns holds no zero with a meaning: off is
// zero for durations, and a count of 1 or math.MaxInt where that says the same.
func (c Config) settle(name string) (Config, error) {
	f := check.New("httpx", name)
	f.Name(name)

	var ungoverned error
	if c.governed != nil {
		ungoverned = c.governed.settle(&c, name)
	}
	c.MaxAttempts = or(c.MaxAttempts, defaultMaxAttempts)
	if c.MaxAttempts < 0 {
		c.MaxAttempts = 1
	}
	check.Range(f, "MaxAttempts", c.MaxAttempts, 1, 10)
	c.backoff(f)
	c.timeouts(f)

	c.MaxRetryAfter = duration(c.MaxRetryAfter, defaultMaxRetryAfter)
	if c.RetryBudget = or(c.RetryBudget, defaultBudget); c.RetryBudget > 0 {
		check.Range(f, "RetryBudget", c.RetryBudget, 1, 1_000_000)
	}
	if c.RetryBudgetRefill == 0 {
		c.RetryBudgetRefill = defaultRefill
	}
	check.Range(f, "RetryBudgetRefill", c.RetryBudgetRefill, 0.001, 1)

	c.MaxBodyBuffer = or(c.MaxBodyBuffer, defaultBodyBuffer)
	if c.MaxBodyBuffer > 0 {
		check.Range(f, "MaxBodyBuffer", c.MaxBodyBuffer, 1, 1<<30)
	}
	c.MaxErrorBody = or(c.MaxErrorBody, defaultErrorBody)
	check.Range(f, "MaxErrorBody", c.MaxErrorBody, 1, 1<<30)

	c.MaxConcurrent = or(c.MaxConcurrent, max(c.Profile.MaxConcurrent, 0), defaultConcurrent)
	if c.MaxConcurrent > 0 {
		check.Range(f, "MaxConcurrent", c.MaxConcurrent, 1, 1_000_000)
	} else if c.BulkheadWait != 0 {
		f.Add("BulkheadWait", c.BulkheadWait, "0 where MaxConcurrent is off")
	}
	if c.MaxConcurrent < 0 {
		c.BulkheadWait = 0 // reported
	}
	if c.BulkheadWait < 0 {
		f.Add("BulkheadWait", c.BulkheadWait, "0 or more")
	} else if c.TotalTimeout > 0 && c.BulkheadWait >= c.TotalTimeout {
		f.Add("BulkheadWait", c.BulkheadWait, fmt.Sprintf("less than TotalTimeout (%v)", c.TotalTimeout))
	}
	if c.MaxHosts != 0 && !c.BreakerPerHost {
		f.Add("MaxHosts", c.MaxHosts, "0 where BreakerPerHost is false")
		c.MaxHosts = 0
	}
	c.MaxHosts = or(c.MaxHosts, defaultMaxHosts)
	if check.Range(f, "MaxHosts", c.MaxHosts, 1, 100_000); c.MaxHosts < 0 {
		c.MaxHosts = defaultMaxHosts // reported; the group need not say it again
	}
	c.settleBreaker(f)
	c.Profile.check(f)
	return c, errors.Join(ungoverned, f.Err())
}

func (c *Config) backoff(f *check.Faults) {
	if c.BackoffBase < 0 {
		if c.BackoffMax > 0 {
			f.Add("BackoffMax", c.BackoffMax, "0 where BackoffBase is off")
		}
		c.BackoffBase, c.BackoffMax = 0, 0
		return
	}
	if c.BackoffMax < 0 {
		f.Add("BackoffMax", c.BackoffMax, "0 or more; a negative BackoffBase turns waiting off")
		return
	}
	base, most := c.BackoffBase, c.BackoffMax
	if base == 0 {
		base = defaultBackoffBase
		if most > 0 {
			base = min(base, most)
		}
	}
	if most == 0 {
		most = max(defaultBackoffMax, base)
	}
	if base > most {
		f.Add("BackoffBase", base, fmt.Sprintf("at most BackoffMax (%v)", most))
	}
	c.BackoffBase, c.BackoffMax = base, most
}

// timeouts settles the two limits so that the worst case fits: every attempt at its limit and every wait at its
// longest. A contradiction between two values that are both set is a fault.
func (c *Config) timeouts(f *check.Faults) {
	c.BodyIdleTimeout = duration(c.BodyIdleTimeout, defaultIdle)
	waits := c.longestWaits()
	n := time.Duration(max(1, c.MaxAttempts))
	total, attempt := c.TotalTimeout, c.AttemptTimeout
	switch {
	case total > 0 && attempt == 0:
		if attempt = min(defaultAttempt, (total-waits)/n); attempt < leastAttempt {
			f.Add("TotalTimeout", total, fmt.Sprintf(
				"at least %v, for %d attempts of %v and their longest waits (%v); or set AttemptTimeout, or fewer attempts or a shorter BackoffBase",
				n*leastAttempt+waits, n, leastAttempt, waits))
			attempt = defaultAttempt
		}
	case attempt == 0:
		attempt = defaultAttempt
	}
	if total == 0 {
		total = defaultTotal
		if attempt > 0 {
			total = max(total, n*attempt+waits)
		}
	}
	if total > 0 && attempt > 0 && c.TotalTimeout > 0 && c.AttemptTimeout > 0 {
		switch worst := n*attempt + waits; {
		case attempt > total:
			f.Add("AttemptTimeout", attempt, fmt.Sprintf("at most TotalTimeout (%v)", total))
		case worst > total:
			f.Add("TotalTimeout", total, fmt.Sprintf(
				"at least %v, the worst case of %d attempts of %v and their longest waits (%v); or fewer attempts", worst, n, attempt, waits))
		}
	}
	c.TotalTimeout, c.AttemptTimeout = max(total, 0), max(attempt, 0)
}

// longestWaits is the sum of the longest back-off waits of a call.
func (c *Config) longestWaits() time.Duration {
	var sum time.Duration
	b := wait.Backoff{Base: c.BackoffBase, Max: c.BackoffMax}
	for n := 1; n < c.MaxAttempts && n < 100; n++ {
		sum += b.Ceiling(n)
	}
	return sum
}

// settleBreaker checks what only the pipeline knows: a time window must hold two attempts, else slow failures never meet
// in it. The rest is breaker.New's to check.
func (c *Config) settleBreaker(f *check.Faults) {
	b := &c.Breaker
	// A probe is judged by its first bytes: its lease must hold until then.
	switch first := c.AttemptTimeout + c.BodyIdleTimeout; {
	case c.AttemptTimeout == 0:
	case b.ProbeLease == 0:
		b.ProbeLease = max(defaultProbeLease, first+time.Second)
	case b.ProbeLease > 0 && b.ProbeLease <= c.AttemptTimeout:
		f.Add("Breaker.ProbeLease", b.ProbeLease, fmt.Sprintf("more than AttemptTimeout (%v): no probe would ever count", c.AttemptTimeout))
	}
	if b.SlowCall > 0 && c.AttemptTimeout > 0 && b.SlowCall >= c.AttemptTimeout {
		f.Add("Breaker.SlowCall", b.SlowCall, fmt.Sprintf("less than AttemptTimeout (%v): no answer is ever that slow", c.AttemptTimeout))
	}
	if b.Classify != nil {
		f.Add("Breaker.Classify", "set", "nil: what an answer means is for Profile.Classify to say")
	}
	if b.FailureRatio == 0 || c.AttemptTimeout == 0 {
		return
	}
	if b.Period == 0 {
		b.Period = max(30*time.Second, 2*c.AttemptTimeout)
	}
	if b.Period < 2*c.AttemptTimeout {
		f.Add("Breaker.Period", b.Period, fmt.Sprintf("at least two attempts (2 x %v)", c.AttemptTimeout))
	}
}

// duration gives a zero its default and a negative value the meaning off, which is zero from then on.
func duration(d, standard time.Duration) time.Duration {
	switch {
	case d < 0:
		return 0
	case d == 0:
		return standard
	default:
		return d
	}
}

// or returns the first value that is not zero, with every negative one as off.
func or[T int | int64](values ...T) T {
	for _, v := range values {
		if v < 0 {
			return off
		}
		if v > 0 {
			return v
		}
	}
	return 0
}

// sender is what the attempts are sent by.
func (c *Config) sender() http.RoundTripper {
	if c.Decorate == nil {
		return c.base()
	}
	return c.Decorate(c.base())
}

// base is the transport where the caller names none: the standard one with a pool fit for one busy host, because
// http.DefaultTransport keeps only two idle connections per host and would dial anew for nearly every call under load.
func (c *Config) base() http.RoundTripper {
	if c.Base != nil {
		return c.Base
	}
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok { // a program has replaced it; that one is then what it wants
		return http.DefaultTransport
	}
	t = t.Clone()
	idle := c.MaxConcurrent
	if idle < 0 {
		idle = defaultConcurrent
	}
	t.MaxIdleConnsPerHost = idle
	t.MaxIdleConns = int(min(int64(idle)*4, math.MaxInt32)) // room for a vendor with several hosts
	t.DialContext = dialer().DialContext
	t.TLSHandshakeTimeout = connectTimeout
	return t
}
