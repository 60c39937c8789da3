package httpx

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx/internal/expiry"
	"github.com/prusik-go/prusik/httpx/internal/headers"
	"github.com/prusik-go/prusik/ratelimit"
)

// Limiter admits outbound attempts. [ratelimit.Limiter.Outbound] returns one; any other will do. It is called by many
// goroutines.
type Limiter interface {
	// Acquire waits until one more attempt may be sent, and says how long it has waited. It returns at once, with an
	// error, where ctx is done or the wait would be longer than most. Nothing is consumed then.
	Acquire(ctx context.Context, most time.Duration) (waited time.Duration, err error)
	// Refund gives back what Acquire took for an attempt that was not sent. It is called ago after Acquire returned:
	// a limiter that was asked later may have kept the attempt waiting.
	Refund(ago time.Duration)
	// Pause tells that the vendor refused an attempt for its rate: no attempt is to be admitted for d. Zero
	// means the vendor did not say for how long.
	Pause(d time.Duration)
	// Learn tells what the vendor's headers say: so many requests remain until reset from now.
	Learn(remaining int64, reset time.Duration)
}

// gate is a limiter in the pipeline.
type gate struct {
	Limiter

	own   *ratelimit.Limiter       // of a rate of the profile, or of a switch
	match func(*http.Request) bool // the requests it is for; nil: all
	rate  string                   // its name; empty: it is for every attempt

	governed *switchedLimiter // by a switch; nil: always there
}

// what is for Explain.
func (g *gate) what() string {
	switch {
	case g.own == nil:
		return "before every attempt"
	case g.rate == "":
		return fmt.Sprintf("%v before every attempt", g.own.Config().Limits)
	default:
		return fmt.Sprintf("%v for %s", g.own.Config().Limits, g.rate)
	}
}

// on reports whether the limiter is one now.
func (g *gate) on() bool { return g.governed == nil || g.governed.on.Load() }

func (g *gate) holds(r *http.Request) bool { return g.match == nil || g.match(r) }

// gates are the caller's own limiter, that of a switch, and one for each rate of the profile.
func (c *Config) gates(name string) ([]gate, error) {
	var all []gate
	if c.Limiter != nil {
		all = append(all, gate{Limiter: c.Limiter})
	}
	var faults []error
	if c.governed != nil && c.governed.set != nil {
		if s, err := c.governed.limiter(name, c.limiterHooks()); err != nil {
			faults = append(faults, fmt.Errorf("httpx %q: %w", name, err))
		} else {
			all = append(all, gate{Limiter: s, own: s.limiter, governed: s})
		}
	}
	for i := range c.Profile.Rates {
		r := &c.Profile.Rates[i]
		l, err := ratelimit.New(fmt.Sprintf("%.*s.%s", max(0, 63-len(r.Name)), name, r.Name), ratelimit.Config{
			Limits: r.Limits, MaxKeys: 1, Hooks: c.limiterHooks(),
		})
		if err != nil {
			faults = append(faults, fmt.Errorf("httpx %q: Profile.Rates[%d]: %w", name, i, err))
			continue
		}
		all = append(all, gate{Limiter: l.Outbound(""), own: l, match: r.Match, rate: r.Name})
	}
	return all, errors.Join(faults...)
}

// through asks the limiters that the request is for, one after the other, and then the breaker. What refuses gives back
// what those before it gave.
func (e *entry) through(gates []gate, br *breaker.Breaker) bool {
	switch {
	case len(gates) == 0:
		return e.breaker(br)
	case !gates[0].holds(e.req):
		return e.through(gates[1:], br)
	case !e.acquire(&gates[0]):
		return false
	}
	at := e.now
	if e.through(gates[1:], br) {
		return true
	}
	gates[0].Refund(e.now - at)
	return false
}

// acquire waits until a limiter admits the attempt.
func (e *entry) acquire(g *gate) bool {
	waited, err := g.Acquire(e.ctx(), e.left())
	if waited != 0 {
		e.now = expiry.Now() // by our own clock, however the limiter measures
		if err == nil && e.ctx().Err() != nil {
			err = e.ctx().Err()
			g.Refund(0)
		}
	}
	switch {
	case err == nil:
		return true
	case e.ctx().Err() != nil:
		return e.callerGone()
	default:
		after, _ := errors.RetryAfter(err)
		return e.refused(errors.StopRateLimited, errors.VendorRateLimited, err, after)
	}
}

// feedLimiter tells the limiters what the vendor's headers say.
func (c *call) feedLimiter() {
	resp := c.last.resp
	if len(c.t.gates) == 0 || resp == nil {
		return
	}
	remaining, reset, known := c.t.cfg.Profile.limits(resp.Header)
	if known {
		age, cached := headers.Int(resp.Header, "Age")
		known = !cached || age <= 0 // else it is what was left when a cache kept the answer
	}
	if !known && !c.last.verdict.Limited {
		return
	}
	for i := range c.t.gates {
		g := &c.t.gates[i]
		if !g.holds(c.req) {
			continue
		}
		if known {
			g.Learn(remaining, reset)
		}
		if c.last.verdict.Limited {
			g.Pause(c.wait)
		}
	}
}
