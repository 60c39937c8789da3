package idempotencytest_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/httpx/idempotency"
	"github.com/prusik-go/prusik/httpx/idempotency/idempotencytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plain is a store that does all it has to, but for what is broken.
type plain struct {
	broken string

	mu      sync.Mutex
	records map[[32]byte]*record
}

type record struct {
	idempotency.Claim

	begun, until time.Time
	answer       []byte
}

func (p *plain) is(what string) bool { return p.broken == what }

func (p *plain) live(c idempotency.Claim) *record {
	id := c.ID
	if p.is("apart") {
		id[31] = 0
	}
	r := p.records[id]
	if r != nil && !r.until.After(time.Now()) && !p.is("for ever") {
		delete(p.records, id)
		return nil
	}
	return r
}

func (p *plain) add(c idempotency.Claim, ttl time.Duration) *record {
	r := &record{Claim: c, begun: time.Now(), until: time.Now().Add(ttl)}
	id := c.ID
	if p.is("apart") {
		id[31] = 0
	}
	p.records[id] = r
	return r
}

func (p *plain) Begin(ctx context.Context, c idempotency.Claim) (rec idempotency.Record, err error) {
	if err := ctx.Err(); err != nil && !p.is("ctx") {
		return rec, err
	}
	p.mu.Lock()
	r := p.live(c)
	if p.is("race") {
		p.mu.Unlock()
		time.Sleep(time.Millisecond)
		p.mu.Lock()
	}
	defer p.mu.Unlock()
	if r == nil {
		ttl := c.Lease + c.TTL
		if p.is("lease") {
			ttl = c.Lease
		}
		p.add(c, ttl)
		return idempotency.Record{State: idempotency.Claimed, Fingerprint: c.Fingerprint}, nil
	}
	rec = idempotency.Record{State: idempotency.Running, Fingerprint: r.Fingerprint, Answer: r.answer}
	switch {
	case r.answer != nil:
		rec.State = idempotency.Finished
	case r.Run == c.Run && !p.is("twice"):
		rec.State = idempotency.Claimed
	case time.Since(r.begun) >= r.Lease:
		rec.State = idempotency.Abandoned
	}
	if p.is("fingerprint") {
		rec.Fingerprint = c.Fingerprint
	}
	return rec, nil
}

func (p *plain) Finish(ctx context.Context, c idempotency.Claim, answer []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.live(c)
	if r == nil && !p.is("gone") {
		r = p.add(c, c.TTL)
	}
	if r == nil || r.Run != c.Run && !p.is("guard") {
		return nil
	}
	if p.is("text") {
		answer = slices.DeleteFunc(slices.Clone(answer), func(b byte) bool { return b == '\r' })
	}
	if !p.is("copy") {
		answer = slices.Clone(answer)
	}
	r.answer, r.until = answer, time.Now().Add(c.TTL)
	return nil
}

func (p *plain) Release(ctx context.Context, c idempotency.Claim) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.live(c); r != nil && (r.Run == c.Run || p.is("guard")) && (r.answer == nil || p.is("late")) && !p.is("release") {
		delete(p.records, c.ID)
	}
	return nil
}

func TestAStoreThatKeepsAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, idempotencytest.TestStore(&plain{records: map[[32]byte]*record{}}))
	})
}

// Every duty is one that a store can fail.
func TestBrokenStoresAreFound(t *testing.T) {
	t.Parallel()
	for broken, want := range map[string]string{
		"apart": "keys are told apart", "for ever": "a record expires", "ctx": "a ctx that is done", "race": "of many that begin at once",
		"lease": "a lease ends", "twice": "a call may come twice", "fingerprint": "a key is claimed once", "gone": "an answer is kept where its record is gone",
		"guard": "only the run that holds", "text": "an answer is kept as it is", "copy": "nothing that was given is kept",
		"late": "a call may come twice", "release": "a released key is free",
	} {
		t.Run(broken, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				err := idempotencytest.TestStore(&plain{broken: broken, records: map[[32]byte]*record{}})
				require.ErrorContains(t, err, "idempotencytest: "+want)
			})
		})
	}
}
