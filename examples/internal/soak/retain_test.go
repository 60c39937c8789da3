package soak_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/examples/internal/sim/fault"
	"github.com/prusik-go/prusik/httpx"
)

// A timer that was not stopped holds its attempt's context until it fires, and a context that was not canceled hangs on
// its parent for as long as that lives. With timeouts of hours, under a parent that outlives the calls, both show: what
// the calls had in their contexts is not collected.
func TestNothingKeepsTheContextOfACallThatIsOver(t *testing.T) {
	defer goleak.VerifyNone(t)
	const calls, gone = 400, 16
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seed := *seedFlag
	r := start(t, ctx, seed)
	defer r.vendors.close(t)
	r.clients.orders = newClient(t, "orders", r.vendors.orders.URL(), r.clients.orders.tap, httpx.Config{
		Profile:      httpx.Profile{IdempotencyHeader: "Idempotency-Key"},
		TotalTimeout: 4 * time.Hour, AttemptTimeout: time.Hour, BodyIdleTimeout: time.Hour, BreakerPerHost: true,
		MaxRetryAfter: time.Millisecond, Breaker: breaker.Config{Mode: breaker.Disabled},
	}, &turnstile{})
	script, err := fault.MixBy(seed, nil, quick()...)
	require.NoError(t, err)
	r.vendors.setScript(script)

	left := make([]weak.Pointer[record], calls)
	var next, sent atomic.Int64
	var wg sync.WaitGroup
	for range gone {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < calls; i = int(next.Add(1)) - 1 {
				p := newPlan(seed, i)
				if p.vendor != orders && p.vendor != expired {
					p.vendor = orders
					p.keyed = true
					p.path = "/things/" + p.id
				}
				told := r.caller.do(p)
				left[i] = weak.Make(told.rec)
				sent.Add(int64(told.rec.count))
			}
		})
	}
	wg.Wait()
	require.Greater(t, sent.Load(), int64(calls/4), "hardly anything was sent")
	r.settle(t)
	r.clients.orders.take()

	kept := func() (n int) {
		runtime.GC()
		for _, p := range left {
			if p.Value() != nil {
				n++
			}
		}
		return n
	}
	within, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for kept() > 0 && wait(within, 20*time.Millisecond) {
	}
	require.Zero(t, kept(), "seed %d: contexts of calls that are over are still held", seed)
}

// quick are the faults that end soon, and without a timeout.
func quick() []fault.Share {
	var shares []fault.Share
	for _, s := range faults() {
		switch s.Fault.Name() {
		case "hang", "processed_hang", "stalled_body", "slow_drip":
		default:
			shares = append(shares, s)
		}
	}
	return shares
}
