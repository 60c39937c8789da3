package status

import (
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/internal/hooks"
	"github.com/prusik-go/prusik/ratelimit"
)

// watched is a client or a limiter, by the id it is listed under.
type watched[T any] struct {
	id  string
	it  T
	src *source
}

// WatchClient returns cfg with the hooks set that list the client made of it, and tell what happens to its calls. Hooks
// that cfg has are called first. One line wires all:
//
//	client, err := httpx.NewClient("twilio", s.WatchClient(httpx.Config{Profile: profile.Twilio()}))
//
// Clients of one name are each listed, the second as "twilio~2", and share their counts and recent decisions.
func (s *Status) WatchClient(cfg httpx.Config) httpx.Config {
	h := &cfg.Hooks
	h.OnNew = hooks.Join(h.OnNew, func(t *httpx.Transport) { add(s, &s.clients, t.Name(), t) })
	h.OnEvent = hooks.Join(h.OnEvent, s.event)
	cfg.Breaker.Hooks = breaker.JoinHooks(cfg.Breaker.Hooks, breaker.Hooks{OnTransition: s.transition})
	return cfg
}

// WatchLimiter returns cfg with the hooks set that list the limiter made of it, and tell what it decides. Hooks that cfg
// has are called first. The keys of its requests are never kept. A limiter for an httpx client that is watched
// need not be: its pauses are seen anyway; watch it for its decisions, at the price of the shortcut that an
// [ratelimit.Outbound] without a hook takes.
func (s *Status) WatchLimiter(cfg ratelimit.Config) ratelimit.Config {
	cfg.Hooks = ratelimit.JoinHooks(cfg.Hooks, ratelimit.Hooks{
		OnNew:      func(l *ratelimit.Limiter) { add(s, &s.limiters, l.Name(), l) },
		OnDecision: s.decision, OnError: s.limiterError, OnPause: s.pause,
	})
	return cfg
}

// add lists it.
func add[T any](s *Status, list *[]watched[T], name string, it T) {
	src := s.source(name)
	s.mu.Lock()
	full := len(*list) >= s.cfg.MaxWatched || src == nil
	if full {
		s.omitted++
	} else {
		same := 1
		for _, w := range *list {
			if w.src == src {
				same++
			}
		}
		id := name
		if same > 1 {
			id += "~" + strconv.Itoa(same)
		}
		*list = append(*list, watched[T]{id: id, it: it, src: src})
	}
	s.mu.Unlock()
	if full {
		s.cfg.Logger.Warn("not listed on the status page: it lists MaxWatched already", "name", name, "max_watched", s.cfg.MaxWatched)
	}
}

// heard returns what was heard under name, and nil where that is not listed. It is on the path of every call.
func (s *Status) heard(name string) *source { return (*s.sources.Load())[name] }

// source returns that of name, and makes it where there is room.
func (s *Status) source(name string) *source {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := *s.sources.Load()
	if src := old[name]; src != nil || len(old) >= 3*s.cfg.MaxWatched { // as many clients as limiters and sets
		return src
	}
	src := &source{name: name, recent: newRing(s.cfg.Keep)}
	next := maps.Clone(old)
	next[name] = src
	s.sources.Store(&next)
	return src
}

// event is the hook of a client. Of a call that ends well at the first attempt it counts one.
func (s *Status) event(e httpx.Event) {
	if e.Status == httpx.StatusAttempt && e.Attempt == 1 {
		return
	}
	src := s.heard(e.Service)
	if src == nil {
		return
	}
	var what What
	switch e.Status {
	case httpx.StatusAttempt:
		src.retries.Add(1) // sent: what was announced, the breaker may have refused
		return
	case httpx.StatusSucceeded:
		src.calls.Add(1)
		return
	case httpx.StatusRetrying:
		what = Retried
	case httpx.StatusCircuitOpen:
		what = Refused
	case httpx.StatusRateLimited:
		what = Limited
	case httpx.StatusFailed:
		src.calls.Add(1)
		if e.Attempt > 0 {
			src.failed.Add(1)
		} else {
			src.refused.Add(1)
		}
		what = failed(&e)
	}
	if what == "" {
		return
	}
	src.recent.add(Decision{
		Source: src.name, What: what, Reason: e.Reason, Stop: e.Stop, Wait: Seconds(e.NextRetryIn), CorrelationID: e.CorrelationID,
	})
}

// failed says what there is to tell of a call's end that was not told before.
func failed(e *httpx.Event) What {
	switch {
	case e.Stop == errors.StopBreakerOpen, e.Stop == errors.StopRateLimited, e.Stop == errors.StopCanceled:
		return "" // told, or the caller's own doing
	case e.Attempt == 0:
		return Refused // by the bulkhead, the kill switch or its deadline
	case e.Delivery == errors.Rejected:
		return "" // a 404, say: the vendor is well
	default:
		return Failed
	}
}

func (s *Status) transition(e breaker.TransitionEvent) {
	name, _, _ := strings.Cut(e.Name, "/") // of a group: a client's name has no slash
	src := s.heard(name)
	if src == nil {
		return
	}
	if e.To == breaker.Open || e.To == breaker.ForcedOpen {
		src.opens.Add(1)
	}
	src.recent.add(Decision{
		Source: src.name, What: Transition, Breaker: e.Name, From: e.From.String(), To: e.To.String(), Reason: string(e.Reason),
		Wait: Seconds(e.OpenFor),
	})
}

func (s *Status) decision(e ratelimit.DecisionEvent) {
	src := s.heard(e.Name)
	if src == nil || int(e.Verdict) >= len(src.verdicts) {
		return
	}
	src.verdicts[e.Verdict].Add(1)
	asked := e.Verdict == ratelimit.Allowed || e.Verdict != ratelimit.Exempt && e.RetryAfter > 0 // the store, where there is one
	if e.Outage == 0 && asked && src.outage.Load() != 0 && src.outage.Swap(0) != 0 {
		src.recent.add(Decision{Source: src.name, What: Recovered})
	}
	if e.Verdict == ratelimit.Denied || e.Verdict == ratelimit.WouldDeny {
		src.recent.add(Decision{Source: src.name, What: Limited, Reason: e.Policy, To: e.Verdict.String(), Wait: Seconds(e.RetryAfter)})
	}
}

func (s *Status) limiterError(e ratelimit.ErrorEvent) {
	src := s.heard(e.Name)
	if src == nil {
		return
	}
	src.errors.Add(1)
	if e.Outage != 0 && src.outage.CompareAndSwap(0, time.Now().UnixNano()) {
		src.recent.add(Decision{Source: src.name, What: Outage, Reason: e.Outage.String()})
	}
}

func (s *Status) pause(e ratelimit.PauseEvent) {
	if src := s.heard(e.Name); src != nil {
		src.pauses.Add(1)
		src.recent.add(Decision{Source: src.name, What: Paused, Wait: Seconds(e.For)})
	}
}
