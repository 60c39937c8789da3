package httpx

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/prusik-go/prusik/breaker"
)

// Explanation is what a [Transport] does, with every number. It marshals to JSON for a status page, and prints as text.
type Explanation struct {
	Service string `json:"service"`
	Vendor  string `json:"vendor,omitempty"`
	Source  string `json:"source,omitempty"`
	// Stages are the policies in the pipeline, outermost first. A policy that is off is not in it.
	Stages []Stage `json:"stages"`
	// Worst is what one call can come to.
	Worst Worst `json:"worst_case"`
	// Flags are the variables that change the pipeline at run time: see [FromFlags].
	Flags []string `json:"flags,omitempty"`
}

// Stage is one policy that is really on the path.
type Stage struct {
	Policy string `json:"policy"` // "correlation", "metrics", "kill_switch", "bulkhead", "total_timeout", "retry", "retry_budget", "rate_limit", "breaker", "attempt_timeout", "bodies", "body_idle_timeout"
	Detail string `json:"detail"`
}

// Worst is the worst case of one call, and of the load on a vendor that is down.
type Worst struct {
	// Attempts is the most one call sends, AttemptsUnsafe the most that may have been processed for a request that is
	// neither idempotent nor keyed.
	Attempts       int `json:"attempts"`
	AttemptsUnsafe int `json:"attempts_unsafe"`
	// Load multiplies the traffic on a vendor that fails every request: at first, and once the retry budget is empty.
	Load          float64 `json:"load"`
	LoadSustained float64 `json:"load_sustained"`
	// Latency is the longest a caller waits for the response headers, in JSON in seconds; zero: without limit.
	Latency time.Duration `json:"-"`
}

// MarshalJSON renders the latency in seconds.
func (w Worst) MarshalJSON() ([]byte, error) {
	type plain Worst // without this method
	return json.Marshal(struct {
		plain

		Latency float64 `json:"latency_seconds"`
	}{plain(w), w.Latency.Seconds()})
}

// Explain says what is on the path of every request at present, in order: a breaker or a limiter may have been changed since New.
func (t *Transport) Explain() Explanation {
	c := &t.cfg
	e := Explanation{Service: t.name, Vendor: c.Profile.Vendor, Source: c.Profile.Source, Worst: t.worst()}
	add := func(on bool, policy, format string, args ...any) {
		if on {
			e.Stages = append(e.Stages, Stage{policy, fmt.Sprintf(format, args...)})
		}
	}
	add(true, "correlation", "%s on every attempt, from the request, its context, or new", "X-Correlation-ID")
	add(c.Metrics != nil, "metrics", "calls, attempts, retries, breaker and limits, as service %q", t.name)
	add(c.KillSwitch != nil, "kill_switch", "asked once a call")
	add(c.MaxConcurrent > 0, "bulkhead", "%d calls at a time, %s", c.MaxConcurrent, waits(c.BulkheadWait))
	add(c.TotalTimeout > 0, "total_timeout", "%v to the response headers, with all attempts and waits", c.TotalTimeout)
	jitter := "at once"
	if c.BackoffBase > 0 {
		jitter = fmt.Sprintf("full jitter up to %v, doubling to %v", c.BackoffBase, c.BackoffMax)
	}
	add(c.MaxAttempts > 1, "retry", "%d attempts; %s; Retry-After up to %v; %s", c.MaxAttempts, jitter, c.MaxRetryAfter, t.keys())
	add(c.MaxAttempts > 1 && t.budget != nil, "retry_budget", "%d retries, and %.3g of each first-try success",
		c.RetryBudget, c.RetryBudgetRefill)
	for i := range t.gates {
		add(t.gates[i].on(), "rate_limit", "%s", t.gates[i].what())
	}
	b := t.breakerConfig()
	if t.forcedOpen() { // a disabled breaker too
		add(true, "breaker", "forced open: %s%s", c.governed.switches.BreakerForceOpen.Name(), shadow(b.Mode))
	} else {
		add(b.Mode != breaker.Disabled, "breaker", "%s", describe(b, c.BreakerPerHost, c.MaxHosts))
	}
	add(c.AttemptTimeout > 0, "attempt_timeout", "%v to the response headers", c.AttemptTimeout)
	add(true, "bodies", "%d bytes of a request without GetBody are kept for a retry; %d of an answer of 400 or above are read at once",
		max(c.MaxBodyBuffer, 0), c.MaxErrorBody)
	add(c.BodyIdleTimeout > 0, "body_idle_timeout", "%v for each read of a response body", c.BodyIdleTimeout)
	if c.governed != nil {
		e.Flags = c.governed.switches.variables()
	}
	return e
}

// String renders the explanation for a terminal or a log.
func (e Explanation) String() string {
	var b strings.Builder
	b.WriteString(e.Service)
	switch {
	case e.Vendor != "" && e.Source != "":
		fmt.Fprintf(&b, " (%s, %s)", e.Vendor, e.Source)
	case e.Vendor != "":
		fmt.Fprintf(&b, " (%s)", e.Vendor)
	}
	b.WriteString("\n")
	for _, s := range e.Stages {
		fmt.Fprintf(&b, "  %-18s %s\n", s.Policy, s.Detail)
	}
	if len(e.Flags) > 0 {
		fmt.Fprintf(&b, "  %-18s %s\n", "changed by", strings.Join(e.Flags, ", "))
	}
	w := e.Worst
	latency := "without limit"
	if w.Latency > 0 {
		latency = w.Latency.String()
	}
	fmt.Fprintf(&b, "  worst case         %d attempts (%d that may have been processed, for a request that is neither idempotent nor keyed), "+
		"load x%.3g on a vendor that is down, x%.3g sustained, %s to the headers\n",
		w.Attempts, w.AttemptsUnsafe, w.Load, w.LoadSustained, latency)
	return b.String()
}

func (t *Transport) worst() Worst {
	c := &t.cfg
	w := Worst{Attempts: c.MaxAttempts, AttemptsUnsafe: 1, Load: float64(c.MaxAttempts), LoadSustained: float64(c.MaxAttempts)}
	if t.budget != nil {
		w.LoadSustained = 1 // nothing succeeds, so nothing is paid back
	}
	switch {
	case c.TotalTimeout > 0:
		w.Latency = c.TotalTimeout
	case c.AttemptTimeout > 0 && len(t.gates) == 0:
		w.Latency = time.Duration(c.MaxAttempts)*c.AttemptTimeout + c.longestWaits()
		if c.MaxAttempts > 1 {
			w.Latency += time.Duration(c.MaxAttempts-1) * c.MaxRetryAfter * 11 / 10 // a vendor's wait, and its jitter
		}
	}
	if w.Latency > 0 {
		w.Latency += c.BulkheadWait
	}
	return w
}

func (t *Transport) keys() string {
	p := &t.cfg.Profile
	switch {
	case p.IdempotencyHeader != "":
		return "a POST or PATCH of unknown delivery only under " + p.IdempotencyHeader + ", which is added where the vendor honours it"
	case p.HonoursKey != nil:
		return "never a POST or PATCH of unknown delivery: this vendor has no idempotency key"
	default:
		return "a POST or PATCH of unknown delivery only under the caller's Idempotency-Key"
	}
}

func (t *Transport) breakerConfig() breaker.Config {
	if t.breaker != nil {
		return t.breaker.Config()
	}
	return t.hosts.Config()
}

func describe(b breaker.Config, perHost bool, hosts int) string {
	var s strings.Builder
	if b.FailureRatio > 0 {
		fmt.Fprintf(&s, "opens at %.3g failed of at least %d calls in %v", b.FailureRatio, b.MinCalls, b.Period)
	} else if b.Failures == b.Window {
		fmt.Fprintf(&s, "opens at %d failures in a row", b.Failures)
	} else {
		fmt.Fprintf(&s, "opens at %d failures of the last %d calls", b.Failures, b.Window)
	}
	fmt.Fprintf(&s, ", for %v", b.OpenFor)
	if b.Jitter > 0 {
		fmt.Fprintf(&s, " (+0 to %.0f %%)", 100*b.Jitter)
	}
	if b.MaxOpenFor > b.OpenFor {
		fmt.Fprintf(&s, " doubling to %v", b.MaxOpenFor)
	}
	fmt.Fprintf(&s, ", then %d at a time until %d succeed", b.Probes, b.ProbeSuccesses)
	if b.SlowCall > 0 {
		fmt.Fprintf(&s, "; slower than %v is a failure", b.SlowCall)
	}
	if perHost {
		fmt.Fprintf(&s, "; one for each of up to %d hosts", hosts)
	}
	s.WriteString(shadow(b.Mode))
	return s.String()
}

func shadow(m breaker.Mode) string {
	if m == breaker.Shadow {
		return "; shadow: reports, never refuses"
	}
	return ""
}

// forcedOpen reports whether the switch has forced the breaker open and nobody has reset it since.
func (t *Transport) forcedOpen() bool {
	g := t.cfg.governed
	return g != nil && g.switches.BreakerForceOpen.Get() && (t.breaker == nil || t.breaker.State() == breaker.ForcedOpen)
}

func waits(d time.Duration) string {
	if d <= 0 {
		return "no waiting"
	}
	return "waiting up to " + d.String()
}
