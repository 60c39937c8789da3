package ratelimittest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/ratelimit"
)

// TestStore checks that s keeps the duties of a [ratelimit.Store], and returns all that it does not keep, joined. It uses
// keys of its own, so that s may be one that others use. An outage cannot be tested here: take the server away, and see
// that Take returns an error in the time that its ctx leaves.
func TestStore(s ratelimit.Store) error {
	var errs []error
	for _, c := range []struct {
		name  string
		check func(*storeTest) error
	}{
		{"a burst is admitted and no more", burst},
		{"who waits as told is admitted", comesBack},
		{"a refusal takes nothing of any limit", atomically},
		{"a cost is taken whole", costs},
		{"buckets are told apart", apart},
		{"a request may wait for its turn", reserves},
		{"a request may be made later", delays},
		{"a refund gives back", refunds},
		{"what many take at once adds up", adds},
		{"a ctx that is done is an error", canceled},
	} {
		t := &storeTest{s: s, name: fmt.Sprintf("test-%x", rand.Uint64())} //nolint:gosec // a name of its own
		if err := c.check(t); err != nil {
			errs = append(errs, fmt.Errorf("ratelimittest: %s: %w", c.name, err))
		}
	}
	return errors.Join(errs...)
}

// storeTest is one check, with buckets of its own.
type storeTest struct {
	s    ratelimit.Store
	name string
}

// slow gives back nothing while a test runs, quick something soon.
func slow(burst int64) ratelimit.Limit {
	return ratelimit.Limit{Name: "slow" + strconv.FormatInt(burst, 10), Count: burst, Period: time.Duration(burst) * time.Hour, Burst: burst}
}

func quick() ratelimit.Limit {
	return ratelimit.Limit{Name: "quick", Count: 1, Period: 100 * time.Millisecond, Burst: 1}
}

// near allows for what a test takes on a busy machine.
const near = 30 * time.Second

func (t *storeTest) request(cost int64, limits ...ratelimit.Limit) ratelimit.Request {
	return ratelimit.Request{Limiter: t.name, Key: "key", Limits: limits, Cost: cost}
}

// take expects a decision.
func (t *storeTest) take(r ratelimit.Request, allowed bool) (ratelimit.Result, error) {
	res, err := t.s.Take(context.Background(), r)
	if err != nil {
		return res, err
	}
	if res.Allowed != allowed {
		return res, fmt.Errorf("a cost of %d: allowed is %v, want %v", r.Cost, res.Allowed, allowed)
	}
	for i, d := range res.Debts {
		if d < 0 || i >= len(r.Limits) && d != 0 {
			return res, fmt.Errorf("the debt of limit %d is %v", i, d)
		}
	}
	return res, nil
}

// takes expects that n requests pass.
func (t *storeTest) takes(r ratelimit.Request, n int) error {
	for range n {
		if _, err := t.take(r, true); err != nil {
			return err
		}
	}
	return nil
}

// about reports whether d is want, or less by what the test took.
func about(what string, d, want time.Duration) error {
	if d > want || d < want-near {
		return fmt.Errorf("%s is %v, want %v", what, d, want)
	}
	return nil
}

func burst(t *storeTest) error {
	r := t.request(1, slow(5))
	for n := range 5 {
		res, err := t.take(r, true)
		if err != nil {
			return err
		}
		if res.Wait != 0 || res.Violated != 0 {
			return fmt.Errorf("an admitted request waits for %v, because of limit %d", res.Wait, res.Violated)
		}
		if err := about("the debt", res.Debts[0], time.Duration(n+1)*time.Hour); err != nil {
			return err
		}
	}
	for range 3 {
		res, err := t.take(r, false)
		if err != nil {
			return err
		}
		if err := errors.Join(about("the wait", res.Wait, time.Hour), about("the debt", res.Debts[0], 5*time.Hour)); err != nil {
			return err
		}
	}
	return nil
}

func comesBack(t *storeTest) error {
	r := t.request(1, quick())
	for range 2 {
		if _, err := t.take(r, true); err != nil {
			return err
		}
		res, err := t.take(r, false)
		if err != nil {
			return err
		}
		if res.Wait <= 0 || res.Wait > r.Limits[0].Period {
			return fmt.Errorf("the wait is %v, want up to %v", res.Wait, r.Limits[0].Period)
		}
		// A store may count in coarser units than nanoseconds, and rounds up where it does.
		pause(res.Wait + time.Millisecond)
	}
	return nil
}

func pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	<-t.C
}

func atomically(t *storeTest) error {
	r := t.request(1, slow(9), slow(2), slow(8))
	if err := t.takes(r, 2); err != nil {
		return err
	}
	for range 20 {
		res, err := t.take(r, false)
		if err != nil {
			return err
		}
		if res.Violated != 1 {
			return fmt.Errorf("violated is limit %d, want 1", res.Violated)
		}
		for i := range r.Limits {
			if err := about("the debt", res.Debts[i], 2*time.Hour); err != nil {
				return err
			}
		}
	}
	// The limit that takes longest is the one to name.
	r = t.request(2, ratelimit.Limit{Name: "hours", Count: 1, Period: time.Hour, Burst: 2}, ratelimit.Limit{Name: "days", Count: 1, Period: 24 * time.Hour, Burst: 2})
	if _, err := t.take(r, true); err != nil {
		return err
	}
	res, err := t.take(r, false)
	if err == nil && res.Violated != 1 {
		err = fmt.Errorf("violated is limit %d, want 1, which takes longer", res.Violated)
	}
	return errors.Join(err, about("the wait", res.Wait, 48*time.Hour))
}

func costs(t *storeTest) error {
	if err := t.takes(t.request(0, slow(5)), 10); err != nil {
		return fmt.Errorf("a cost of zero takes nothing: %w", err)
	}
	if err := t.takes(t.request(3, slow(5)), 1); err != nil {
		return err
	}
	if res, err := t.take(t.request(3, slow(5)), false); err != nil {
		return err
	} else if err := about("the wait", res.Wait, time.Hour); err != nil {
		return err
	}
	if err := t.takes(t.request(2, slow(5)), 1); err != nil {
		return err
	}
	ahead := t.request(1, slow(5))
	ahead.MaxWait = 2 * time.Hour
	return errors.Join(t.takes(ahead, 1), t.takes(t.request(0, slow(5)), 2))
}

func apart(t *storeTest) error {
	names := [][2]string{
		{t.name, "key"},
		{t.name, "key "},
		{t.name, "KEY"},
		{t.name, "key\x00"},
		{t.name + ":", "key"},
		{t.name, ":key"},
		{t.name + ":key", "key"},
		{t.name, "key:key"},
		{t.name, "{key}"},
		{t.name, "\xff\xfe"},
		{t.name, "\n"},
		{t.name, string(make([]byte, 10_000))},
		{t.name, "1"},
		{t.name, "10"},
	}
	for _, limit := range []ratelimit.Limit{slow(1), slow(2)} {
		for _, n := range names {
			r := t.request(limit.Burst, limit)
			r.Limiter, r.Key = n[0], n[1]
			if _, err := t.take(r, true); err != nil {
				return fmt.Errorf("limiter %.30q, key %.30q, limit %s: %w", n[0], n[1], limit.Name, err)
			}
			if _, err := t.take(r, false); err != nil {
				return fmt.Errorf("limiter %.30q, key %.30q, limit %s: %w", n[0], n[1], limit.Name, err)
			}
		}
	}
	return nil
}

func reserves(t *storeTest) error {
	r := t.request(1, slow(2))
	if err := t.takes(r, 2); err != nil {
		return err
	}
	r.MaxWait = 90 * time.Minute
	res, err := t.take(r, true)
	if err != nil {
		return err
	}
	if err := errors.Join(about("the wait", res.Wait, time.Hour), about("the debt", res.Debts[0], 3*time.Hour)); err != nil {
		return err
	}
	if res, err = t.take(r, false); err != nil {
		return fmt.Errorf("beyond MaxWait: %w", err)
	}
	return errors.Join(about("the wait", res.Wait, 2*time.Hour), about("the debt", res.Debts[0], 3*time.Hour))
}

func delays(t *storeTest) error {
	r := t.request(1, slow(2))
	r.Delay, r.MaxWait = 10*time.Hour, 11*time.Hour
	for n := range 3 {
		res, err := t.take(r, true)
		if err != nil {
			return err
		}
		want := max(10, 10+time.Duration(n+1-2)) * time.Hour
		if res.Wait < 10*time.Hour || res.Wait > want {
			return fmt.Errorf("the wait is %v, want %v", res.Wait, want)
		}
	}
	_, err := t.take(r, false)
	return err
}

func refunds(t *storeTest) error {
	r := t.request(2, slow(4), slow(6))
	if err := t.takes(r, 2); err != nil {
		return err
	}
	if err := t.s.Refund(context.Background(), r, [ratelimit.MaxLimits]time.Duration{2 * time.Hour, 2 * time.Hour}); err != nil {
		return err
	}
	if err := t.takes(r, 1); err != nil {
		return err
	}
	if _, err := t.take(r, false); err != nil {
		return err
	}
	nobody := r
	nobody.Key = "nobody"
	if err := t.s.Refund(context.Background(), nobody, [ratelimit.MaxLimits]time.Duration{2 * time.Hour, 2 * time.Hour}); err != nil {
		return fmt.Errorf("to a bucket that is not there: %w", err)
	}
	nobody.Cost = 4
	if err := t.takes(nobody, 1); err != nil {
		return err
	}
	nobody.Cost = 1
	_, err := t.take(nobody, false)
	return err
}

func adds(t *storeTest) error {
	const callers, each, most = 8, 25, 50
	r := t.request(1, slow(most), slow(most+100))
	var admitted atomic.Int64
	errs := make([]error, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for range each {
				res, err := t.s.Take(context.Background(), r)
				if err != nil {
					errs[i] = err
					return
				}
				if res.Allowed {
					admitted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := admitted.Load(); n != most {
		errs = append(errs, fmt.Errorf("%d of %d were admitted", n, most))
	}
	return errors.Join(errs...)
}

func canceled(t *storeTest) error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := t.s.Take(ctx, t.request(1, slow(1))); err == nil {
		return errors.New("Take decides")
	}
	return nil
}
