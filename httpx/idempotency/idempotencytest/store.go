package idempotencytest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx/idempotency"
)

// TestStore checks that s keeps the duties of an [idempotency.Store], and returns all that it does not keep, joined. It uses keys
// of its own, so that s may be one that others use, and takes up to a few seconds. Not tested is what a Store does without its
// server: take that away, and see that every method returns an error in the time that its ctx leaves.
func TestStore(s idempotency.Store) error {
	var errs []error
	for _, c := range []struct {
		name  string
		check func(*storeTest) error
	}{
		{"a key is claimed once", claims},
		{"an answer is kept as it is", keeps},
		{"a released key is free", releases},
		{"only the run that holds a record changes it", guards},
		{"a call may come twice", repeats},
		{"a lease ends and the record stays", abandons},
		{"a record expires after its TTL and not before", expires},
		{"an answer is kept where its record is gone", survives},
		{"keys are told apart", apart},
		{"of many that begin at once one is told to run", contends},
		{"nothing that was given is kept or changed", copies},
		{"a ctx that is done is an error", canceled},
	} {
		if err := c.check(&storeTest{s}); err != nil {
			errs = append(errs, fmt.Errorf("idempotencytest: %s: %w", c.name, err))
		}
	}
	return errors.Join(errs...)
}

// storeTest is one check.
type storeTest struct{ idempotency.Store }

const (
	long  = time.Hour
	short = 300 * time.Millisecond
	// slack is what a Store may be late with, where it counts in milliseconds or expires lazily.
	slack = 50 * time.Millisecond
)

// claim is one that nobody else has.
func claim() (c idempotency.Claim) {
	_, _ = rand.Read(c.ID[:])
	_, _ = rand.Read(c.Fingerprint[:])
	c.Lease, c.TTL = long, long
	return another(c)
}

// another is that of another run.
func another(c idempotency.Claim) idempotency.Claim {
	_, _ = rand.Read(c.Run[:])
	return c
}

// begin expects a state, and the fingerprint of holder.
func (t *storeTest) begin(c, holder idempotency.Claim, want idempotency.State, answer string) error {
	rec, err := t.Begin(context.Background(), c)
	switch {
	case err != nil:
		return err
	case rec.State != want:
		return fmt.Errorf("the state is %d, want %d", rec.State, want)
	case rec.Fingerprint != holder.Fingerprint:
		return errors.New("the fingerprint is not that of the run which holds it")
	case string(rec.Answer) != answer:
		return fmt.Errorf("the answer is %q, want %q", rec.Answer, answer)
	}
	return nil
}

func (t *storeTest) finish(c idempotency.Claim, answer string) error {
	return t.Finish(context.Background(), c, []byte(answer))
}

func (t *storeTest) release(c idempotency.Claim) error { return t.Release(context.Background(), c) }

// first returns the first error of steps.
func first(steps ...func() error) error {
	for i, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

func claims(t *storeTest) error {
	a := claim()
	b := another(a)
	b.Fingerprint[0]++
	return first(
		func() error { return t.begin(a, a, idempotency.Claimed, "") },
		func() error { return t.begin(b, a, idempotency.Running, "") },
		func() error { return t.begin(another(a), a, idempotency.Running, "") },
	)
}

func keeps(t *storeTest) error {
	a := claim()
	all := make([]byte, 1<<16)
	_, _ = rand.Read(all)
	for _, answer := range []string{"\x00", "F", "a\r\nb", string(all)} {
		a = claim()
		if err := first(
			func() error { return t.begin(a, a, idempotency.Claimed, "") },
			func() error { return t.finish(a, answer) },
			func() error { return t.begin(another(a), a, idempotency.Finished, answer) },
			func() error { return t.begin(a, a, idempotency.Finished, answer) },
		); err != nil {
			return err
		}
	}
	return nil
}

func releases(t *storeTest) error {
	a := claim()
	b := another(a)
	b.Fingerprint[0]++
	return first(
		func() error { return t.begin(a, a, idempotency.Claimed, "") },
		func() error { return t.release(a) },
		func() error { return t.begin(b, b, idempotency.Claimed, "") },
		func() error { return t.begin(a, b, idempotency.Running, "") },
	)
}

func guards(t *storeTest) error {
	a := claim()
	b := another(a)
	b.Fingerprint[0]++
	return first(
		func() error { return t.begin(a, a, idempotency.Claimed, "") },
		func() error { return t.release(b) },
		func() error { return t.finish(b, "b") },
		func() error { return t.begin(b, a, idempotency.Running, "") },
		func() error { return t.finish(a, "a") },
		func() error { return t.finish(b, "b") },
		func() error { return t.release(b) },
		func() error { return t.begin(b, a, idempotency.Finished, "a") },
	)
}

func repeats(t *storeTest) error {
	a := claim()
	return first(
		func() error { return t.begin(a, a, idempotency.Claimed, "") },
		func() error { return t.begin(a, a, idempotency.Claimed, "") },
		func() error { return t.finish(a, "a") },
		func() error { return t.finish(a, "a") },
		func() error { return t.release(a) }, // late: what has finished is not forgotten
		func() error { return t.begin(another(a), a, idempotency.Finished, "a") },
		func() error { a = claim(); return t.release(a) },
		func() error { return t.begin(a, a, idempotency.Claimed, "") },
		func() error { return t.release(a) },
		func() error { return t.release(a) },
		func() error { return t.begin(another(a), a, idempotency.Claimed, "") },
	)
}

func abandons(t *storeTest) error {
	a := claim()
	a.Lease = short
	return first(
		func() error { return t.begin(a, a, idempotency.Claimed, "") },
		func() error { return pause(short + slack) },
		func() error { return t.begin(another(a), a, idempotency.Abandoned, "") },
		func() error { return t.begin(another(a), a, idempotency.Abandoned, "") },
		func() error { return t.finish(a, "late") },
		func() error { return t.begin(another(a), a, idempotency.Finished, "late") },
	)
}

func expires(t *storeTest) error {
	// A busy machine may be late, and then what was to be seen before the end is not there any more: so long is the lease.
	const lease = 10 * time.Second
	unfinished, finished, ends := claim(), claim(), claim()
	unfinished.Lease, unfinished.TTL = lease, short
	finished.Lease, finished.TTL = short, lease
	ends.TTL = short
	return first(
		func() error { return t.begin(unfinished, unfinished, idempotency.Claimed, "") },
		func() error { return t.begin(finished, finished, idempotency.Claimed, "") },
		func() error { return t.begin(ends, ends, idempotency.Claimed, "") },
		func() error { return t.finish(finished, "a") },
		func() error { return t.finish(ends, "a") },
		func() error { return pause(short + slack) },
		func() error { return t.begin(another(unfinished), unfinished, idempotency.Running, "") },
		func() error { return t.begin(another(finished), finished, idempotency.Finished, "a") },
		func() error { ends = another(ends); return t.begin(ends, ends, idempotency.Claimed, "") },
	)
}

func survives(t *storeTest) error {
	a := claim()
	return first(
		func() error { return t.finish(a, "a") },
		func() error { return t.begin(another(a), a, idempotency.Finished, "a") },
	)
}

func apart(t *storeTest) error {
	a := claim()
	for i := range a.ID {
		b := another(a)
		b.ID[i] ^= 0x80
		if err := t.begin(b, b, idempotency.Claimed, ""); err != nil {
			return fmt.Errorf("byte %d of the ID: %w", i, err)
		}
	}
	return t.begin(a, a, idempotency.Claimed, "")
}

func contends(t *storeTest) error {
	const callers, rounds = 16, 8
	for range rounds {
		a := claim()
		var claimed, failed atomic.Int64
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				switch rec, err := t.Begin(context.Background(), another(a)); {
				case err != nil:
					failed.Add(1)
				case rec.State == idempotency.Claimed:
					claimed.Add(1)
				}
			})
		}
		wg.Wait()
		if claimed.Load() != 1 || failed.Load() != 0 {
			return fmt.Errorf("of %d callers %d were told to run, and %d got an error", callers, claimed.Load(), failed.Load())
		}
	}
	return nil
}

func copies(t *storeTest) error {
	a := claim()
	answer := []byte("the answer")
	return first(
		func() error { return t.begin(a, a, idempotency.Claimed, "") },
		func() error { return t.Finish(context.Background(), a, answer) },
		func() error {
			if !bytes.Equal(answer, []byte("the answer")) {
				return errors.New("it was changed")
			}
			clear(answer)
			return t.begin(a, a, idempotency.Finished, "the answer")
		},
	)
}

func canceled(t *storeTest) error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	a := claim()
	if _, err := t.Begin(ctx, a); err == nil {
		return errors.New("Begin returns none")
	}
	if err := t.Finish(ctx, a, []byte("a")); err == nil {
		return errors.New("Finish returns none")
	}
	if err := t.Release(ctx, a); err == nil {
		return errors.New("Release returns none")
	}
	return nil
}

func pause(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	<-t.C
	return nil
}
