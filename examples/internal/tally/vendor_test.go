package tally_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/examples/internal/sim/fault"
)

const maxAttempts = 3

// plan is what happens to one call.
type plan struct {
	id, method, path string
	faults           [maxAttempts]fault.Fault
	leaves           int  // the attempt in which the caller leaves, from 1; 0: it stays
	expires          bool // it leaves because its deadline is over
	patient          bool // after a refusal it waits as long as it is told

	mu    sync.Mutex
	tries int
	leave context.CancelFunc
}

// mix is what a client's calls may meet. What a breaker makes of a body that is cut depends on whether the call was a probe,
// which the ledger of a crowd does not tell; and a 429 stops a client with a limiter of its own.
type mix struct{ cut, limit bool }

func draw(rng *rand.Rand, client string, n int, m mix) *plan {
	pick := func(from ...fault.Fault) fault.Fault { return from[rng.IntN(len(from))] }
	p := &plan{
		id:     fmt.Sprintf("%s-%d", client, n),
		method: []string{http.MethodGet, http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete}[rng.IntN(5)],
		path:   "/ok/1", patient: rng.IntN(3) == 0,
	}
	if rng.IntN(20) == 0 {
		p.path = "/missing/1"
	}
	if rng.IntN(25) == 0 {
		p.leaves, p.expires = 1+rng.IntN(2), rng.IntN(2) == 0
	}
	for i := range p.faults {
		if rng.IntN(100) < 55 {
			p.faults[i] = pick(fault.None(), fault.None(), fault.Latency(time.Millisecond), fault.WrongJSON("[]"))
			if m.cut && rng.IntN(8) == 0 {
				p.faults[i] = fault.TruncatedBody()
			}
			continue
		}
		p.faults[i] = pick(
			fault.Status(500), fault.ProcessedStatus(500), fault.Status(502), fault.ProcessedStatus(503), fault.Status(504), fault.HTMLError(520),
			fault.ResetBeforeRead(), fault.ResetAfterRead(false), fault.ResetAfterRead(true),
		)
		if m.limit && rng.IntN(4) == 0 {
			p.faults[i] = pick(fault.TooManyRequests(), fault.TooManyRequestsAfter(time.Hour))
		}
	}
	return p
}

// plans are the script of the vendor: each attempt of each call meets what was planned for it.
type plans struct {
	mu  sync.Mutex
	all map[string]*plan
}

func (ps *plans) add(p *plan) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.all[p.id] = p
}

func (ps *plans) of(id string) *plan {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.all[id]
}

// Next implements [fault.Script].
func (ps *plans) Next(r *http.Request) fault.Fault {
	p := ps.of(r.Header.Get("X-Test-Call"))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tries++
	if p.tries == p.leaves {
		p.leave()
		return fault.Hang()
	}
	return p.faults[min(p.tries, maxAttempts)-1]
}

// context is the caller's.
func (p *plan) context() (ctx context.Context) {
	if p.expires {
		e := &expiring{Context: context.Background(), done: make(chan struct{})}
		p.leave = sync.OnceFunc(func() { close(e.done) })
		return e
	}
	ctx, p.leave = context.WithCancel(context.Background())
	return ctx
}

// expiring is a context whose deadline is over when it is told so.
type expiring struct {
	context.Context

	done chan struct{}
}

func (e *expiring) Done() <-chan struct{} { return e.done }

func (e *expiring) Err() error {
	select {
	case <-e.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// vendor answers every route it has with a body, so that there is something to cut.
func vendor() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok/{id}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"ok":"` + strings.Repeat("x", 200) + `"}`))
	})
	mux.HandleFunc("/missing/{id}", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{}`))
	})
	return mux
}

// meaning is what the vendor did to an attempt, in the words of the client.
type meaning struct {
	reason   string
	delivery errors.Delivery
	kind     errors.Kind // of the call, where this is its last attempt; empty: a success
	stop     errors.Stop // that follows however many attempts there were
	failure  bool        // to a breaker
	cut      bool        // it answered well, and its body broke
	asked    bool        // for a longer wait than anybody sleeps
}

// meaningOf is the meaning of a call's n-th attempt, from 0.
func meaningOf(t *testing.T, p *plan, n int, e fault.Entry) meaning {
	t.Helper()
	reason := strconv.Itoa(e.Status)
	switch {
	case e.Fault == "hang" && p.expires:
		return meaning{reason: "timeout", kind: errors.VendorTimeout, stop: errors.StopDeadline, failure: true}
	case e.Fault == "hang":
		return meaning{reason: "canceled", kind: errors.Canceled, stop: errors.StopCanceled}
	case strings.Contains(e.Fault, "reset"):
		return meaning{reason: "reset", kind: errors.VendorBadResponse, failure: true}
	case e.Status == http.StatusTooManyRequests:
		asked := strings.Contains(p.faults[n].String(), "Retry-After")
		return meaning{reason: reason, delivery: errors.Rejected, kind: errors.VendorRateLimited, asked: asked}
	case e.Status == http.StatusNotFound:
		return meaning{reason: reason, delivery: errors.Rejected, kind: errors.NotFound, stop: errors.StopPermanent}
	case e.Status == http.StatusGatewayTimeout:
		return meaning{reason: reason, kind: errors.VendorTimeout, failure: true}
	case e.Status >= 500:
		return meaning{reason: reason, kind: errors.VendorBadResponse, failure: true}
	case e.Fault == "truncated_body":
		return meaning{reason: "success", delivery: errors.Delivered, kind: errors.VendorBadResponse, failure: true, cut: true}
	default:
		require.Equal(t, http.StatusOK, e.Status, e.Fault)
		return meaning{reason: "success", delivery: errors.Delivered}
	}
}
