package soak_test

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/profile"
)

const (
	attemptTimeout = 250 * time.Millisecond
	totalTimeout   = 2 * time.Second
	idleTimeout    = 200 * time.Millisecond
	maxAttempts    = 3
	maxBodyBuffer  = 1 << 10
	budget         = 1_000_000 // so that it never ends and can be counted
	refill         = 0.001     // one unit of the budget's arithmetic: a success hides no lost token
)

// clients are the clients of a run. That of orders has a breaker per host and goes to expired as well.
type clients struct {
	texts, orders, ledgers *client
	bodies                 atomic.Int64 // request bodies made and not closed
}

func (c *clients) all() []*client { return []*client{c.texts, c.orders, c.ledgers} }

func (c *clients) of(v vendorName) *client {
	switch v {
	case texts:
		return c.texts
	case ledgers:
		return c.ledgers
	default:
		return c.orders
	}
}

// client is an httpx client with everything on it that can be listened to.
type client struct {
	name      string
	http      *http.Client
	transport *httpx.Transport
	tap       *tap
	cfg       httpx.Config
	limiter   *turnstile
	states    states
	host      string // of the vendor it is mainly for

	mu    sync.Mutex
	heard map[string]*heard // by correlation id, since the last take
	sums  sums
}

// heard is what the hooks said of a call.
type heard struct {
	calls    []httpx.CallEvent
	attempts []httpx.AttemptEvent
}

// sums are what the hooks said in all, health checks included.
type sums struct {
	calls, attempts, attemptEvents, retries, firstSuccesses int
}

func startClients(t *testing.T, v *vendors) *clients {
	t.Helper()
	own := func(base *http.Transport) *tap {
		base.MaxIdleConnsPerHost = 64
		return &tap{next: base}
	}
	c := &clients{}
	twilio := profile.Twilio()
	twilio.Rates = nil // at one new call a second this would take a day
	c.texts = newClient(t, "texts", v.texts.URL(), own(v.texts.Transport()), httpx.Config{
		Profile: twilio, MaxConcurrent: 48, MaxRetryAfter: 300 * time.Millisecond, RetryBudget: budget, RetryBudgetRefill: refill,
		Breaker: breaker.Config{FailureRatio: 0.7, Period: 2 * attemptTimeout, MinCalls: 20, OpenFor: 25 * time.Millisecond, MaxOpenFor: 50 * time.Millisecond},
	}, nil)
	c.orders = newClient(t, "orders", v.orders.URL(), own(v.expired.Transport()), httpx.Config{
		Profile:       httpx.Profile{Vendor: "orders", IdempotencyHeader: "Idempotency-Key"},
		MaxConcurrent: 40, BulkheadWait: 3 * time.Millisecond, MaxRetryAfter: 1500 * time.Millisecond, RetryBudget: budget, RetryBudgetRefill: refill,
		Breaker:        breaker.Config{Failures: 10, Window: 12, OpenFor: 25 * time.Millisecond, MaxOpenFor: 50 * time.Millisecond},
		BreakerPerHost: true,
	}, &turnstile{})
	c.ledgers = newClient(t, "ledgers", v.ledgers.URL(), own(v.ledgers.Transport()), httpx.Config{
		MaxConcurrent: 8, MaxRetryAfter: 300 * time.Millisecond, // and the budget and the breaker as they are by default
		Breaker: breaker.Config{OpenFor: 20 * time.Millisecond, MaxOpenFor: 40 * time.Millisecond},
	}, nil)
	return c
}

func newClient(t *testing.T, name, base string, tap *tap, cfg httpx.Config, limiter *turnstile) *client {
	t.Helper()
	c := &client{name: name, tap: tap, limiter: limiter, heard: make(map[string]*heard)}
	u, err := url.Parse(base)
	require.NoError(t, err)
	c.host = u.Host
	cfg.Base = tap
	if cfg.TotalTimeout == 0 {
		cfg.TotalTimeout, cfg.AttemptTimeout, cfg.BodyIdleTimeout = totalTimeout, attemptTimeout, idleTimeout
	}
	cfg.MaxAttempts, cfg.BackoffBase, cfg.BackoffMax = maxAttempts, 4*time.Millisecond, 10*time.Millisecond
	cfg.MaxBodyBuffer = maxBodyBuffer
	cfg.Breaker.Hooks.OnTransition = c.states.on
	cfg.Hooks = httpx.Hooks{OnAttempt: c.onAttempt, OnCall: c.onCall}
	if limiter != nil {
		cfg.Limiter = limiter
	}
	c.cfg = cfg
	c.transport, err = httpx.NewTransport(name, cfg)
	require.NoError(t, err)
	c.http = &http.Client{Transport: c.transport}
	return c
}

// breaker is the one of the vendor the client is mainly for.
func (c *client) breaker() *breaker.Breaker {
	if b := c.transport.Breaker(); b != nil {
		return b
	}
	return c.transport.Breakers().Get(c.host)
}

func (c *client) of(id string) *heard {
	h := c.heard[id]
	if h == nil {
		h = &heard{}
		c.heard[id] = h
	}
	return h
}

func (c *client) onAttempt(e httpx.AttemptEvent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.of(e.CorrelationID)
	h.attempts = append(h.attempts, e)
	c.sums.attemptEvents++
}

func (c *client) onCall(e httpx.CallEvent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.of(e.CorrelationID)
	h.calls = append(h.calls, e)
	s := &c.sums
	s.calls++
	s.attempts += e.Attempts
	s.retries += max(e.Attempts-1, 0)
	if e.Attempts == 1 && e.Delivery == errors.Delivered {
		s.firstSuccesses++
	}
}

// take hands over what was heard since the last time.
func (c *client) take() map[string]*heard {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.heard
	c.heard = make(map[string]*heard)
	return h
}

func (c *client) counted() sums {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sums
}

// states counts what breakers did.
type states struct{ opened, closed, probed atomic.Int64 }

func (s *states) on(e breaker.TransitionEvent) {
	switch e.To {
	case breaker.Open:
		s.opened.Add(1)
	case breaker.HalfOpen:
		s.probed.Add(1)
	case breaker.Closed:
		s.closed.Add(1)
	default:
	}
}

// turnstile is an outbound limiter that admits whom the plan does not refuse, and counts.
type turnstile struct{ admitted, refused, refunded, paused atomic.Int64 }

// Acquire implements [httpx.Limiter].
func (l *turnstile) Acquire(ctx context.Context, _ time.Duration) (time.Duration, error) {
	if s, ok := ctx.Value(refuseKey{}).(*int); ok && *s > 0 {
		if *s--; *s == 0 {
			l.refused.Add(1)
			return 0, &errors.Error{Kind: errors.RateLimited, Service: "turnstile", Retry: errors.Retry{After: time.Millisecond}}
		}
	}
	l.admitted.Add(1)
	return 0, nil
}

// Refund implements [httpx.Limiter].
func (l *turnstile) Refund(time.Duration) { l.refunded.Add(1) }

// Pause implements [httpx.Limiter].
func (l *turnstile) Pause(time.Duration) { l.paused.Add(1) }

// Learn implements [httpx.Limiter].
func (l *turnstile) Learn(int64, time.Duration) {}

// refuseKey holds the number of the attempt to refuse, counted down by the turnstile.
type refuseKey struct{}
