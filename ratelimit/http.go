package ratelimit

import (
	"net/http"

	"github.com/prusik-go/prusik/errors"
)

// Handler returns the middleware that limits requests by key. Mount it on one route, a group or the whole server, on chi
// as r.Use(l.Handler(key)) or r.With(l.Handler(key)): all that is behind one limiter shares its buckets, so a limit of each
// route is a limiter of each route.
//
// A request that passes carries the fields RateLimit and RateLimit-Policy of [Draft], and those of [Config.Legacy], in its
// response header before next runs; where several limiters are on a route, each adds its items. The writer is handed on
// as it is: streams, hijacking and [http.ResponseController] are not touched. What a request took stays taken, whatever
// next does.
//
// A refusal is answered by [errors.Write]: 429, a problem of kind rate_limited with the violated policy in
// "violated-policies", and an exact Retry-After; one that asks for more than a burst has no Retry-After. A key that is
// empty or an error is answered by the kind of the error, and an outage of the [Store] with [FailClosed] is a 503; what the
// Store said is in [Hooks.OnError] only.
//
// The key is required: there is no default that cannot be forged or does not lump together everyone behind a proxy. A
// nil key answers every request with a 500: a limiter that cannot tell callers apart does not let them through.
func (l *Limiter) Handler(key KeyFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if l.cfg.Mode == Disabled || l.admit(w, r, key) {
				next.ServeHTTP(w, r)
			}
		})
	}
}

// admit decides on r, and answers it where it does not pass.
func (l *Limiter) admit(w http.ResponseWriter, r *http.Request, key KeyFunc) bool {
	var d Decision
	err := l.decide(r, key, &d)
	switch {
	case l.cfg.Mode == Shadow:
		return true
	case err != nil:
		_ = errors.Write(w, r, err) // the client is gone: nobody is left to tell
		return false
	}
	if d.known {
		l.setFields(w.Header(), &d)
	}
	if d.Verdict == Denied {
		_ = errors.Write(w, r, d.public())
		return false
	}
	return true
}

func (l *Limiter) decide(r *http.Request, key KeyFunc, d *Decision) error {
	if key == nil {
		return l.invalid("Handler was given no KeyFunc")
	}
	k, err := key(r)
	if err != nil {
		l.report(err, 0)
		return err
	}
	cost := int64(1)
	if l.cfg.Cost != nil {
		cost = l.cfg.Cost(r)
	}
	return l.take(r.Context(), d, k, cost, 0, 0)
}
