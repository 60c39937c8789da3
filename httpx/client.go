package httpx

import (
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/bulkhead"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx/internal/wait"
	"github.com/prusik-go/prusik/internal/check"
	"github.com/prusik-go/prusik/metrics"
)

// Middleware wraps a handler. It is an alias, so that a slice of them fits chi's Use.
type Middleware = func(http.Handler) http.Handler

// Decorator wraps a RoundTripper.
type Decorator = func(http.RoundTripper) http.RoundTripper

// NewClient returns a client for the vendor called name, with the whole pipeline of cfg on the path of every request.
// Its Timeout is left at zero, and should be: it would silently beat the timeouts of cfg, and costs a timer a call.
// The error names every field of cfg that is wrong.
func NewClient(name string, cfg Config) (*http.Client, error) {
	t, err := NewTransport(name, cfg)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: t, CheckRedirect: t.checkRedirect}, nil
}

// NewTransport returns the pipeline of cfg as a transport, for a client that is made elsewhere. The error names every
// field of cfg that is wrong.
func NewTransport(name string, cfg Config) (*Transport, error) {
	mode := cfg.Breaker.Mode
	cfg, faults := cfg.settle(name)
	cfg.Profile = cfg.Profile.canonical()
	cfg.Breaker.Hooks = cfg.breakerHooks()
	t := &Transport{name: name, cfg: cfg, backoff: wait.Backoff{Base: cfg.BackoffBase, Max: cfg.BackoffMax}}
	if !check.Name(name) {
		name = "client" // it is reported; breaker and limiters need not say it again
	}
	var err error
	if cfg.BreakerPerHost {
		t.hosts, err = breaker.NewGroup(name, breaker.GroupConfig{Breaker: cfg.Breaker, Max: cfg.MaxHosts})
	} else {
		t.breaker, err = breaker.New(name, cfg.Breaker)
	}
	var unlimited error
	t.gates, unlimited = cfg.gates(name)
	if err := errors.Join(faults, err, unlimited); err != nil {
		return nil, err
	}
	if t.base = cfg.sender(); t.base == nil {
		f := check.New("httpx", name)
		f.Add("Decorate", "a function that returns nil", "one that returns a RoundTripper")
		return nil, f.Err()
	}
	if cfg.MaxConcurrent > 0 && cfg.BulkheadWait > 0 {
		t.queue = bulkhead.New[any](uint(cfg.MaxConcurrent))
	}
	if cfg.RetryBudget > 0 {
		t.budget = wait.NewBudget(cfg.RetryBudget, cfg.RetryBudgetRefill)
	}
	if err := t.show(); err != nil {
		return nil, err
	}
	if cfg.governed != nil {
		cfg.governed.follow(t, mode)
	}
	if h := cfg.Hooks.OnNew; h != nil {
		h(t)
	}
	return t, nil
}

// RoundTrip sends req through the pipeline: this is all of it, outermost first.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	var e entry // on the stack: a refusal costs its error and nothing else
	defer e.abandon()
	e.begin(t, req)
	if !e.killSwitch() || !e.bulkhead() || !e.admit() {
		return nil, e.refuse()
	}
	c := e.toHeap() // something will be sent
	defer c.abandon()
	c.prepare()
	for {
		c.attempt() // under its timeout, on the base
		if !c.retry() || !c.admit() {
			return c.finish()
		}
	}
}

// admit asks the limiters, then the breaker, for one attempt. What the breaker refuses already does not wait for a limiter.
func (e *entry) admit() bool {
	if e.ctx().Err() != nil {
		return e.callerGone()
	}
	br := e.guard()
	if len(e.t.gates) == 0 {
		return e.breaker(br)
	}
	if after, rejected := br.Reject(); rejected {
		return e.broken(after)
	}
	e.identify()
	return e.through(e.t.gates, br)
}

// Transport is the pipeline of one vendor. It is an [http.RoundTripper], safe for concurrent use, and is made by
// [NewTransport].
type Transport struct {
	name     string
	cfg      Config
	base     http.RoundTripper
	gates    []gate
	queue    bulkhead.Bulkhead[any] // nil where nobody waits: inFlight is the bulkhead then
	breaker  *breaker.Breaker       // nil where hosts is set
	hosts    *breaker.Group
	budget   *wait.Budget // nil: off
	backoff  wait.Backoff
	meter    *metrics.Client // nil: nobody counts
	inFlight atomic.Int64
	lastOp   atomic.Pointer[op]
}

// Name is the vendor's name, as given to [NewTransport].
func (t *Transport) Name() string { return t.name }

// Breaker is the breaker of the client, and nil with Config.BreakerPerHost.
func (t *Transport) Breaker() *breaker.Breaker { return t.breaker }

// Breakers is the group of breakers with Config.BreakerPerHost, and nil without.
func (t *Transport) Breakers() *breaker.Group { return t.hosts }

// Config is the effective configuration: defaults filled in. What is off is zero or negative. The base is as it was given, the
// breaker's part is that of the present: see [breaker.Breaker.Reconfigure].
func (t *Transport) Config() Config {
	cfg := t.cfg
	cfg.Breaker = t.breakerConfig()
	cfg.Breaker.Classify = t.cfg.Breaker.Classify // nil, as New wants it
	return cfg
}

// Limiters are the limiters that an attempt may have to pass, in order: Config.Limiter, then that of a switch, where it is on
// ([FromFlags]), then one for each of the profile's rates. An attempt asks those of the rates that it is for.
func (t *Transport) Limiters() []Limiter {
	all := make([]Limiter, 0, len(t.gates))
	for i := range t.gates {
		switch g := &t.gates[i]; {
		case g.governed == nil:
			all = append(all, g.Limiter)
		case g.on():
			all = append(all, g.governed.out)
		}
	}
	return all
}

// InFlight is the number of calls under way, a call ending with its response body. It is for gauges.
func (t *Transport) InFlight() int { return int(t.inFlight.Load()) }

// BudgetLeft is the share of the retry budget that is left, 0 to 1; 1 where there is none. It is for gauges.
func (t *Transport) BudgetLeft() float64 { return t.budget.Left() }

// CloseIdleConnections forwards to the base, where that has it; [http.Client.CloseIdleConnections] calls it.
func (t *Transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// maxRedirects is net/http's own limit.
const maxRedirects = 10

func (t *Transport) checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) < maxRedirects {
		return nil
	}
	return &errors.Error{
		Kind: errors.VendorBadResponse, Service: t.name, Op: t.operation(req), Delivery: errors.NotSent,
		Stop: errors.StopPermanent, Err: errTooManyRedirects,
	}
}

func dialer() *net.Dialer {
	return &net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second} // the keep-alive of http.DefaultTransport
}
