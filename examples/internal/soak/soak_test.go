package soak_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/examples/internal/sim/fault"
)

var (
	callsFlag = flag.Int("soak.calls", 6000, "how many `calls` to make; the long form is 100000")
	seedFlag  = flag.Uint64("soak.seed", 0, "the `seed` of the run; 0 draws one")
)

const (
	callers  = 64
	perRound = 3000             // the ledgers are compared, and emptied, after so many calls
	patience = 20 * time.Second // for what must happen, on a busy machine
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSoak(t *testing.T) {
	defer goleak.VerifyNone(t)
	seed, calls := *seedFlag, *callsFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	again := fmt.Sprintf("go test -race ./internal/soak -soak.calls=%d -soak.seed=%d", calls, seed)
	t.Log(again)

	// The whole run is bounded, and its context outlives every call: a timer or a context that a call leaves behind hangs
	// on it.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Duration(calls)*10*time.Millisecond)
	defer cancel()
	r := start(t, ctx, seed)
	defer r.vendors.close(t)
	begin := time.Now()
	defer func() {
		t.Logf("%d callers, %v, seed %d: %v", callers, time.Since(begin).Round(time.Millisecond), seed, r.check.stats)
		if t.Failed() {
			t.Logf("again: %s", again)
		}
	}()
	for done := 0; done < calls && !t.Failed(); {
		n := min(perRound, calls-done)
		r.round(t, done, n)
		done += n
	}
	if !t.Failed() {
		r.lastChecks(t)
	}
}

// run is one soak.
type run struct {
	ctx     context.Context
	seed    uint64
	vendors *vendors
	clients *clients
	caller  *caller
	check   *checker
	trouble *trouble
	own     map[*client]*ownCount
}

// ownCount is what callers counted themselves, to compare with the hooks.
type ownCount struct{ calls, attempts int }

func start(t *testing.T, ctx context.Context, seed uint64) *run {
	t.Helper()
	r := &run{ctx: ctx, seed: seed, vendors: startVendors(t), own: make(map[*client]*ownCount)}
	r.clients = startClients(t, r.vendors)
	for _, c := range r.clients.all() {
		r.own[c] = &ownCount{}
	}
	r.caller = &caller{vendors: r.vendors, clients: r.clients, ctx: ctx}
	r.check = &checker{seed: seed, vendors: r.vendors, clients: r.clients, keys: make(map[string]string), stats: newStats()}
	r.trouble = newTrouble(r.vendors, seed)
	return r
}

// round makes n calls from number first on, and checks everything about them.
func (r *run) round(t *testing.T, first, n int) {
	t.Helper()
	script, err := fault.MixBy(r.seed, nil, faults()...)
	require.NoError(t, err)
	r.vendors.setScript(script)
	all := r.makeCalls(t, first, n)
	r.vendors.setScript(nil)
	r.settle(t)

	heard := make(map[string]*heard, n)
	for _, c := range r.clients.all() {
		maps.Copy(heard, c.take())
	}
	entries := make(map[string][]fault.Entry, n)
	for name, s := range r.vendors.all() {
		require.Zero(t, s.Dropped(), "the ledger of %s has lost entries", name)
		for _, e := range s.Entries() {
			call, _ := splitAttempt(e.TestCall)
			entries[call] = append(entries[call], e)
		}
		for f, n := range s.Counts() {
			r.check.stats.faults[f] += int(n)
		}
	}
	require.Len(t, heard, n, "the hooks heard of another number of correlation ids than there were calls")
	for _, told := range all {
		r.check.check(told, entries[told.plan.id], heard)
		own := r.own[r.clients.of(told.plan.vendor)]
		own.calls++
		own.attempts += told.rec.count
	}
	for _, found := range r.check.found {
		t.Error(found)
	}
	if r.check.more > 0 {
		t.Errorf("and %d calls more", r.check.more)
	}
	r.check.found, r.check.more = nil, 0
	r.persons(t)
	if t.Failed() {
		return // the rest would only repeat it
	}

	r.healthy(t)
	r.settle(t)
	r.counters(t)
	for _, c := range r.clients.all() {
		c.take()
	}
	r.vendors.forget()
}

// makeCalls makes n calls from 64 callers while there is trouble.
func (r *run) makeCalls(t *testing.T, first, n int) []*told {
	t.Helper()
	all := make([]*told, n)
	ctx, calm := context.WithCancel(r.ctx)
	troubled := make(chan error, 1)
	go func() { troubled <- r.trouble.run(ctx) }()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n || r.ctx.Err() != nil {
					return
				}
				all[i] = r.caller.do(newPlan(r.seed, first+i))
				r.pause(all[i])
			}
		})
	}
	wg.Wait()
	calm()
	require.NoError(t, <-troubled)
	require.NoError(t, context.Cause(r.ctx), "the run took too long")
	return all
}

// pause lets a caller that was refused here come back later, as it should, so that an open breaker does not eat up the
// calls of the plan. Not all wait for long: somebody must make the call that closes the breaker.
func (r *run) pause(t *told) {
	switch errors.StopOf(t.err) {
	case errors.StopBreakerOpen:
		if t.plan.vendor == expired {
			return // its breaker stays open
		}
		c := r.clients.of(t.plan.vendor)
		for range 2 + rand.IntN(60) {
			if !wait(r.ctx, 5*time.Millisecond) || c.breaker().State() == breaker.Closed {
				return
			}
		}
	case errors.StopBulkheadFull:
		wait(r.ctx, 3*time.Millisecond)
	default:
	}
}

// settle waits until nothing of any call is left: no connection, no request at a vendor, no body, no call in flight.
func (r *run) settle(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	open := func() map[vendorName]int {
		conns := make(map[vendorName]int)
		for name, s := range r.vendors.all() {
			if n := s.OpenConns(); n > 0 {
				conns[name] = n
			}
		}
		return conns
	}
	for len(open()) > 0 {
		for _, c := range r.clients.all() {
			c.http.CloseIdleConnections()
		}
		if !wait(ctx, time.Millisecond) {
			require.Failf(t, "connections leaked", "seed %d: still open: %v", r.seed, open())
		}
	}
	for name, s := range r.vendors.all() {
		require.NoError(t, s.Quiesce(ctx), "%s is still busy", name)
	}
	for r.clients.bodies.Load() != 0 && wait(ctx, time.Millisecond) { // net/http may close a request's body after the answer
	}
	require.Zero(t, r.clients.bodies.Load(), "seed %d: request bodies were not closed", r.seed)
	for _, c := range r.clients.all() {
		require.Zero(t, c.transport.InFlight(), "seed %d: calls of %s are still in flight", r.seed, c.name)
		require.Zero(t, c.tap.bodies.Load(), "seed %d: response bodies of %s were not closed", r.seed, c.name)
	}
}

// persons asks the simulated Twilio who got what twice.
func (r *run) persons(t *testing.T) {
	t.Helper()
	if d := r.vendors.texts.Duplicates(); len(d) > 0 {
		t.Errorf("seed %d: %d persons got something twice, the first of them %s: %.20s...", r.seed, len(d), d[0].To, d[0].Marker)
	}
	messages, calls := r.vendors.texts.Totals()
	creates := 0
	for _, e := range r.vendors.texts.Entries() {
		if e.Method == http.MethodPost && e.Processed {
			creates++
		}
	}
	require.Equal(t, creates, messages+calls, "seed %d: the ledger and the simulator disagree", r.seed)
}

// healthy shows that every client works again now that the vendors do: its breaker closes, and as many calls as the
// bulkhead allows run at once.
func (r *run) healthy(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	for _, c := range r.clients.all() {
		for c.breaker().State() != breaker.Closed {
			if resp, err := r.get(ctx, c); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			if !wait(ctx, 5*time.Millisecond) {
				require.Failf(t, "wedged", "seed %d: the breaker of %s stays %v: %+v", r.seed, c.name, c.breaker().State(), c.breaker().Snapshot())
			}
		}
		r.fill(t, ctx, c)
	}
}

// fill holds every place of the bulkhead at once, and no more.
func (r *run) fill(t *testing.T, ctx context.Context, c *client) {
	t.Helper()
	held := make([]*http.Response, 0, c.cfg.MaxConcurrent)
	defer func() {
		for _, resp := range held {
			_ = resp.Body.Close()
		}
	}()
	for i := range c.cfg.MaxConcurrent {
		resp, err := r.get(ctx, c)
		require.NoError(t, err, "seed %d: call %d of %d at once at %s", r.seed, i+1, c.cfg.MaxConcurrent, c.name)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		held = append(held, resp)
	}
	require.Equal(t, c.cfg.MaxConcurrent, c.transport.InFlight())
	_, err := r.get(ctx, c)
	require.Equal(t, errors.StopBulkheadFull, errors.StopOf(err), "seed %d: %s let more calls in than it has places", r.seed, c.name)
	r.check.stats.permits[c.name] = len(held)
}

// get is a call that must succeed where all is well.
func (r *run) get(ctx context.Context, c *client) (*http.Response, error) {
	p := plan{id: "health", vendor: vendorName(c.name), method: http.MethodGet, path: "/things/health", body: noBody}
	if c == r.clients.texts {
		p.vendor, p.path = texts, "/Messages.json?To="+optedOut
	}
	rec := &record{cancel: func(moment) {}}
	resp, err := c.http.Do(r.caller.request(context.WithValue(ctx, recordKey{}, rec), &told{plan: p}))
	r.own[c].calls++
	r.own[c].attempts += rec.count
	return resp, err
}

// counters compares the sums of the hooks with each other, with the budget, with the limiter and with what callers counted.
func (r *run) counters(t *testing.T) {
	t.Helper()
	for _, c := range r.clients.all() {
		s := c.counted()
		require.Equal(t, ownCount{s.calls, s.attempts}, *r.own[c], "seed %d: %s: the hooks counted other calls and attempts than the callers", r.seed, c.name)
		require.Equal(t, s.attempts, s.attemptEvents, "seed %d: %s: OnCall and OnAttempt disagree on the attempts", r.seed, c.name)

		left := c.transport.BudgetLeft()
		require.True(t, left >= 0 && left <= 1, "seed %d: %s: the budget is at %v", r.seed, c.name, left)
		size, share := float64(budget), refill
		if c.cfg.RetryBudget == 0 {
			size, share = 20, 0.1
		}
		spent, earned := float64(s.retries), share*float64(s.firstSuccesses)
		const rounding = 1e-6
		require.GreaterOrEqual(t, left*size, size-spent-rounding, "seed %d: %s: tokens of the budget were lost", r.seed, c.name)
		require.LessOrEqual(t, left*size, min(size, size-spent+earned)+rounding, "seed %d: %s: retries were not paid for", r.seed, c.name)

		if l := c.limiter; l != nil {
			require.EqualValues(t, s.attempts, l.admitted.Load()-l.refunded.Load(), "seed %d: %s: the limiter counts other attempts", r.seed, c.name)
		}
	}
}

// lastChecks are those of the whole run.
func (r *run) lastChecks(t *testing.T) {
	t.Helper()
	s := r.check.stats
	for name, v := range r.vendors.all() {
		s.conns[string(name)] = v.TotalConns()
	}
	for name, n := range r.trouble.downs {
		s.downs[string(name)] = n
	}
	s.storms = r.trouble.storms
	for _, c := range r.clients.all() {
		s.opened[c.name], s.closed[c.name] = c.states.opened.Load(), c.states.closed.Load()
	}
	require.Positive(t, r.clients.orders.limiter.refused.Load(), "the limiter refused nobody")
	s.covered(t)
}
