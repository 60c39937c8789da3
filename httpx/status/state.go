package status

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/ratelimit"
)

// State is all that a [Status] shows, at one moment. It holds no path, query, header, body, key of a limiter or secret.
type State struct {
	// At is when it was taken.
	At time.Time `json:"at"`
	// Commands is true where there is a [Config.Guard]: whether it lets a reader in is not known before he asks.
	Commands bool `json:"commands"`
	// Clients and Limiters are listed by name. Omitted is how many are not: see [Config.MaxWatched].
	Clients  []Client  `json:"clients"`
	Limiters []Limiter `json:"limiters"`
	Omitted  int       `json:"omitted,omitempty"`
	// Flags are the sets that are watched, in that order.
	Flags []Flags `json:"flags,omitempty"`
	// Recent are the newest decisions of all, by when each happened first, the newest first.
	Recent []Decision `json:"recent"`
}

// Level says in one word how a client is.
type Level string

// The levels.
const (
	Up       Level = "up"       // its calls are made
	Degraded Level = "degraded" // they are made, but something needs a look: failures, a pause, a probe, a host that is down
	Down     Level = "down"     // they are refused
)

// Client is an httpx client. Its counts are those of its name, since the program started.
type Client struct {
	// ID names it in commands: its name, or for a second client of that name "name~2".
	ID string `json:"id"`
	// Name is the client's name, Vendor that of its profile.
	Name   string `json:"name"`
	Vendor string `json:"vendor,omitempty"`
	Level  Level  `json:"level"`

	// InFlight is the number of calls under way, of Bulkhead that may be; zero: any number.
	InFlight int `json:"in_flight"`
	Bulkhead int `json:"bulkhead,omitempty"`
	// RetryBudgetLeft is the share of the retry budget that is left, 0 to 1; nil: there is none.
	RetryBudgetLeft *float64 `json:"retry_budget_left,omitempty"`

	// Calls are all that have ended, Failed those that were sent and failed, Refused those of which nothing was sent.
	Calls   uint64 `json:"calls"`
	Failed  uint64 `json:"failed"`
	Refused uint64 `json:"refused"`
	// Retries are the attempts that were sent after a failed one. Opens is how often a breaker opened, by itself or by force.
	Retries uint64 `json:"retries"`
	Opens   uint64 `json:"opens"`

	// Breakers is one, or with Config.BreakerPerHost one for each host, the worst first, up to 50; BreakersOmitted is how
	// many more there are.
	Breakers        []Breaker `json:"breakers"`
	BreakersOmitted int       `json:"breakers_omitted,omitempty"`
	// Limits are those before each attempt.
	Limits []Limit `json:"limits,omitempty"`
	// Explain is what is on the path, and changes only where flags say so. It is left out of the stream.
	Explain *httpx.Explanation `json:"explain,omitempty"`
}

// Breaker is a [breaker.Snapshot].
type Breaker struct {
	Name string `json:"name"`
	// State is the state as text: "closed", "half-open", "open", "forced-open" or "disabled".
	State string `json:"state"`
	// Shadow is true where it refuses nothing; WouldReject where a call now would be refused if it did.
	Shadow      bool `json:"shadow,omitempty"`
	WouldReject bool `json:"would_reject"`
	// NextProbeIn is the time until the next probe; zero where the next call is one (ReadyToProbe), or not known.
	NextProbeIn  Seconds `json:"next_probe_in_seconds,omitempty"`
	ReadyToProbe bool    `json:"ready_to_probe,omitempty"`
	// Failures of Calls are in the window. Opens is how often in succession it has opened without closing in between.
	Failures int `json:"failures"`
	Calls    int `json:"calls"`
	Opens    int `json:"opens"`
	// OpenedAt is when it opened last.
	OpenedAt time.Time `json:"opened_at,omitzero"`
}

// Limit is a limiter before a client's attempts.
type Limit struct {
	// Name and Limits are those of a [ratelimit.Limiter]; of another kind Name is "custom".
	Name   string `json:"name"`
	Limits string `json:"limits,omitempty"`
	// PausedFor is how long the vendor has asked us to send nothing.
	PausedFor Seconds `json:"paused_for_seconds,omitempty"`
	// Remaining is what the vendor's headers say may be sent in the next Reset; nil: they say nothing.
	Remaining *int64  `json:"remaining,omitempty"`
	Reset     Seconds `json:"reset_in_seconds,omitempty"`
}

// Limiter is a [ratelimit.Limiter] that was made of [Status.WatchLimiter]. Its counts are those of its name, since the
// program started.
type Limiter struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Limits string `json:"limits"`
	// Mode is "enabled", "shadow" or "disabled".
	Mode string `json:"mode"`
	// Store is "memory" or "shared"; OnOutage is what is decided while a shared one does not answer.
	Store    string `json:"store"`
	OnOutage string `json:"on_outage,omitempty"`
	// StoreDown is true from the first decision that the store could not make to the next that it made, and since when.
	StoreDown bool      `json:"store_down"`
	DownSince time.Time `json:"down_since,omitzero"`
	// Decisions by verdict; Errors is how often there could be none, or not by the store; Pauses of vendors.
	Allowed   uint64 `json:"allowed"`
	Denied    uint64 `json:"denied"`
	WouldDeny uint64 `json:"would_deny"`
	Exempt    uint64 `json:"exempt"`
	Errors    uint64 `json:"errors"`
	Pauses    uint64 `json:"pauses"`
	// Keys are held in memory; Evictions grows where they do not fit.
	Keys      int    `json:"keys"`
	Evictions uint64 `json:"evictions"`
}

const maxBreakers = 50 // of one client: a screen full

// State returns the present state. Its parts are read one after the other, each under its own lock and none of ours.
func (s *Status) State() State {
	st, clients := s.state()
	for i := range st.Clients {
		explain := clients[i].it.Explain()
		st.Clients[i].Explain = &explain
	}
	return st
}

// state is State without what is on the path, and the clients in the order they have in it.
func (s *Status) state() (State, []watched[*httpx.Transport]) {
	s.mu.Lock()
	clients, limiters, sets, omitted := slices.Clone(s.clients), slices.Clone(s.limiters), slices.Clone(s.flags), s.omitted
	s.mu.Unlock()
	st := State{
		At: time.Now(), Commands: s.cfg.Guard != nil, Omitted: omitted,
		Clients: make([]Client, 0, len(clients)), Limiters: make([]Limiter, 0, len(limiters)), Recent: []Decision{},
	}
	slices.SortFunc(clients, byID)
	slices.SortFunc(limiters, byID)
	for _, w := range clients {
		st.Clients = append(st.Clients, clientState(w))
	}
	for _, w := range limiters {
		st.Limiters = append(st.Limiters, limiterState(w))
	}
	for _, set := range sets {
		st.Flags = append(st.Flags, flagsState(set))
	}
	for _, src := range *s.sources.Load() {
		st.Recent = src.recent.appendTo(st.Recent)
	}
	slices.SortStableFunc(st.Recent, func(a, b Decision) int { return b.At.Compare(a.At) })
	st.Recent = st.Recent[:min(len(st.Recent), s.cfg.Keep)]
	return st, clients
}

func byID[T any](a, b watched[T]) int { return cmp.Compare(a.id, b.id) }

func clientState(w watched[*httpx.Transport]) Client {
	t, src := w.it, w.src
	cfg := t.Config()
	c := Client{
		ID: w.id, Name: t.Name(), Vendor: cfg.Profile.Vendor,
		InFlight: t.InFlight(), Bulkhead: max(0, cfg.MaxConcurrent),
		Calls: src.calls.Load(), Failed: src.failed.Load(), Refused: src.refused.Load(), Retries: src.retries.Load(),
		Opens: src.opens.Load(),
	}
	if cfg.RetryBudget > 0 && cfg.MaxAttempts > 1 {
		left := t.BudgetLeft()
		c.RetryBudgetLeft = &left
	}
	c.breakers(t)
	for _, l := range t.Limiters() {
		c.Limits = append(c.Limits, limitState(l))
	}
	c.Level = c.level()
	return c
}

// breakers fills them in, the worst first.
func (c *Client) breakers(t *httpx.Transport) {
	if b := t.Breaker(); b != nil {
		c.Breakers = []Breaker{breakerState(b)}
		return
	}
	for b := range t.Breakers().All() {
		if st := breakerState(b); st.State != breaker.Closed.String() || !strings.HasSuffix(st.Name, "/*") { // the overflow, unused
			c.Breakers = append(c.Breakers, st)
		}
	}
	rank := func(b *Breaker) int {
		switch {
		case b.refuses():
			return 0
		case b.State != breaker.Closed.String():
			return 1
		default:
			return 2
		}
	}
	slices.SortStableFunc(c.Breakers, func(a, b Breaker) int {
		return cmp.Or(cmp.Compare(rank(&a), rank(&b)), cmp.Compare(a.Name, b.Name))
	})
	if more := len(c.Breakers) - maxBreakers; more > 0 {
		c.Breakers, c.BreakersOmitted = c.Breakers[:maxBreakers], more
	}
}

func breakerState(b *breaker.Breaker) Breaker {
	s := b.Snapshot()
	return Breaker{
		Name: s.Name, State: s.State.String(), Shadow: s.Shadow, WouldReject: s.WouldReject, NextProbeIn: Seconds(s.RetryAfter),
		ReadyToProbe: s.ReadyToProbe, Failures: s.Failures, Calls: s.Calls, Opens: s.Opens, OpenedAt: s.OpenedAt,
	}
}

func (b *Breaker) refuses() bool { return b.WouldReject && !b.Shadow }

func (c *Client) level() Level {
	refusing, troubled := 0, false
	for i := range c.Breakers {
		b := &c.Breakers[i]
		if b.refuses() {
			refusing++
		}
		troubled = troubled || b.State != breaker.Closed.String() && b.State != breaker.DisabledState.String() || b.Failures > 0
	}
	for i := range c.Limits {
		troubled = troubled || c.Limits[i].PausedFor > 0
	}
	switch {
	case refusing > 0 && refusing == len(c.Breakers):
		return Down
	case troubled, c.RetryBudgetLeft != nil && *c.RetryBudgetLeft < lowBudget, c.Bulkhead > 0 && c.InFlight >= c.Bulkhead:
		return Degraded
	default:
		return Up
	}
}

// lowBudget is when a retry budget needs a look: a client that only retries now and then does not get there.
const lowBudget = 0.25

func limitState(l httpx.Limiter) Limit {
	o, ok := l.(*ratelimit.Outbound)
	if !ok {
		return Limit{Name: "custom"}
	}
	s := o.Snapshot()
	st := Limit{
		Name: s.Limiter.Name(), Limits: s.Limiter.Config().Limits.String(),
		PausedFor: Seconds(s.PausedFor), Reset: Seconds(s.Reset),
	}
	if s.Reset > 0 {
		st.Remaining = &s.Remaining
	}
	return st
}

func limiterState(w watched[*ratelimit.Limiter]) Limiter {
	l, src := w.it, w.src
	cfg, memory := l.Config(), l.Snapshot()
	st := Limiter{
		ID: w.id, Name: l.Name(), Limits: cfg.Limits.String(), Mode: cfg.Mode.String(),
		Store: "memory", OnOutage: cfg.OnOutage.String(),
		Allowed: src.verdicts[ratelimit.Allowed].Load(), Denied: src.verdicts[ratelimit.Denied].Load(),
		WouldDeny: src.verdicts[ratelimit.WouldDeny].Load(), Exempt: src.verdicts[ratelimit.Exempt].Load(),
		Errors: src.errors.Load(), Pauses: src.pauses.Load(), Keys: memory.Keys, Evictions: memory.Evictions,
	}
	if cfg.Store != nil {
		st.Store = "shared"
	}
	if at := src.outage.Load(); at != 0 {
		st.StoreDown, st.DownSince = true, time.Unix(0, at)
	}
	return st
}

// still is s without what changes by itself: what is left says whether there is something to tell.
func (s State) still() State {
	s.At = time.Time{}
	s.Clients = slices.Clone(s.Clients)
	for i := range s.Clients {
		c := &s.Clients[i]
		c.Breakers, c.Limits = slices.Clone(c.Breakers), slices.Clone(c.Limits)
		for j := range c.Breakers {
			c.Breakers[j].NextProbeIn = 0
		}
		for j := range c.Limits {
			c.Limits[j].PausedFor, c.Limits[j].Reset = min(c.Limits[j].PausedFor, 1), min(c.Limits[j].Reset, 1)
		}
	}
	return s
}

// breaker finds the breaker of a client by its id and name.
func (s *Status) breaker(id, name string) (*breaker.Breaker, error) {
	s.mu.Lock()
	clients := slices.Clip(s.clients)
	s.mu.Unlock()
	for _, w := range clients {
		if w.id != id {
			continue
		}
		if b := w.it.Breaker(); b != nil {
			if b.Name() == name {
				return b, nil
			}
			break
		}
		for b := range w.it.Breakers().All() {
			if b.Name() == name {
				return b, nil
			}
		}
	}
	return nil, &errors.Error{Kind: errors.NotFound, Op: "command", Public: "There is no such breaker."}
}

func appendMillis(b []byte, ms int64) []byte {
	return strconv.AppendFloat(b, float64(ms)/1000, 'f', -1, 64)
}
