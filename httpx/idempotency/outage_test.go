package idempotency_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx/idempotency"
)

// faulty is a store that can be down for each of its methods, before it has done its work or behind it.
type faulty struct {
	idempotency.Store

	mu     sync.Mutex
	before map[string]error
	behind map[string]error
	record *idempotency.Record
	calls  []string
}

func (f *faulty) fail(m map[string]error, op string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return m[op]
}

func (f *faulty) call(op string, do func() error) error {
	f.mu.Lock()
	f.calls = append(f.calls, op)
	f.mu.Unlock()
	if err := f.fail(f.before, op); err != nil {
		return err
	}
	err := do()
	if err := f.fail(f.behind, op); err != nil {
		return err
	}
	return err
}

func (f *faulty) Begin(ctx context.Context, c idempotency.Claim) (rec idempotency.Record, err error) {
	err = f.call("begin", func() (err error) {
		rec, err = f.Store.Begin(ctx, c)
		if f.record != nil {
			rec = *f.record
		}
		return err
	})
	return rec, err
}

func (f *faulty) Finish(ctx context.Context, c idempotency.Claim, answer []byte) error {
	return f.call("finish", func() error { return f.Store.Finish(ctx, c, answer) })
}

func (f *faulty) Release(ctx context.Context, c idempotency.Claim) error {
	return f.call("release", func() error { return f.Store.Release(ctx, c) })
}

const secret = "redis://user:hunter2@host"

func (f *faulty) set(before, behind string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.behind = map[string]error{}, map[string]error{}
	down := &errors.Error{Kind: errors.CircuitOpen, Retry: errors.Retry{After: 3 * time.Second}, Err: errors.New(secret)}
	f.before[before], f.behind[behind] = down, down
}

func TestAnOutage(t *testing.T) {
	t.Parallel()
	type step struct {
		before, behind string
		status         int
		runs           int64
	}
	for name, test := range map[string]struct {
		outage idempotency.Outage
		steps  []step
	}{
		"closed": {idempotency.FailClosed, []step{{"begin", "", 503, 0}, {"", "", 201, 1}, {"begin", "", 503, 1}, {"", "", 201, 1}}},
		// It was claimed, and the store's answer lost: it was not run, and the next one is.
		"closed, claimed": {idempotency.FailClosed, []step{{"", "begin", 503, 0}, {"", "", 201, 1}}},
		"open":            {idempotency.FailOpen, []step{{"begin", "", 201, 1}, {"", "", 201, 1}}},
		"open, claimed":   {idempotency.FailOpen, []step{{"", "begin", 201, 1}, {"", "", 201, 1}}},
		"open, all along": {idempotency.FailOpen, []step{{"begin", "finish", 201, 1}, {"begin", "finish", 201, 2}}},
		// It was run, and what came of it not kept: it is not run again.
		"the end":       {idempotency.FailOpen, []step{{"finish", "", 201, 1}, {"", "", 409, 1}}},
		"behind it":     {idempotency.FailClosed, []step{{"", "finish", 201, 1}, {"", "", 201, 1}}},
		"closed, again": {idempotency.FailClosed, []step{{"finish", "", 201, 1}, {"", "", 409, 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var j journal
			h := counted{handler: sent}
			f := &faulty{Store: idempotency.NewMemory(10, 1<<20)}
			c := serve(t, newKeys(t, idempotency.Config{Store: f, OnOutage: test.outage, Hooks: j.hooks()}), h.serve)
			for _, s := range test.steps {
				f.set(s.before, s.behind)
				a := c.send(t, "POST /", "k", "1")
				require.Equal(t, s.status, a.status, a.body)
				require.Equal(t, s.runs, h.runs.Load())
				require.NotContains(t, a.body, "hunter2")
				if s.status == 503 {
					p := a.problem(t, 503, "")
					require.Equal(t, "not_sent", p.Delivery)
					require.Equal(t, "3", a.header.Get("Retry-After"))
				}
			}
			require.NotEmpty(t, j.errs)
			for _, err := range j.errs {
				require.ErrorIs(t, err, errors.CircuitOpen)
			}
			if strings.HasPrefix(j.ops[0], "begin") {
				require.Equal(t, "begin "+test.outage.String(), j.ops[0])
			}
		})
	}
}

// A record that no version of this package has written counts as begun, and not as nothing.
func TestAStoreThatTellsNonsense(t *testing.T) {
	t.Parallel()
	h := counted{handler: sent}
	for name, test := range map[string]struct {
		record idempotency.Record
		status int
	}{
		"no state":   {idempotency.Record{}, 503},
		"no such":    {idempotency.Record{State: 9}, 503},
		"no answer":  {idempotency.Record{State: idempotency.Finished}, 422},
		"not a text": {idempotency.Record{State: idempotency.Finished, Answer: []byte("?")}, 422},
	} {
		f := &faulty{Store: idempotency.NewMemory(10, 1<<20), record: &test.record}
		c := serve(t, newKeys(t, idempotency.Config{Store: f, OnOutage: idempotency.FailClosed}), h.serve)
		require.Equal(t, test.status, c.send(t, "POST /", "k", "1").status, name)
	}
	require.Zero(t, h.runs.Load())

	// With the right fingerprint.
	var j journal
	f := &faulty{Store: idempotency.NewMemory(10, 1<<20)}
	k := newKeys(t, idempotency.Config{Store: f, OnOutage: idempotency.FailClosed, Hooks: j.hooks()})
	c := serve(t, k, h.serve)
	c.send(t, "POST /", "k", "1")
	for _, b := range []string{"", "?", "\x02\x01", "\x01\x01\xc8\x01\x05a", "\x01\x00\xc8\x01\x00\x00", "\x01\x01\x05\x00\x00", "\x01\x01\xc8\x01\x00\x09"} {
		f.Store = swapped{f.Store, []byte(b)}
		p := c.send(t, "POST /", "k", "1").problem(t, 500, "unknown")
		require.Equal(t, "unknown", p.Delivery)
	}
	require.Len(t, j.errs, 7)
	require.EqualValues(t, 1, h.runs.Load())
}

// swapped returns another answer.
type swapped struct {
	idempotency.Store
	answer []byte
}

func (s swapped) Begin(ctx context.Context, c idempotency.Claim) (idempotency.Record, error) {
	rec, err := s.Store.Begin(ctx, c)
	rec.Answer = s.answer
	return rec, err
}

// A full store is no outage, and lets nobody through.
func TestAFullStoreIsClosed(t *testing.T) {
	t.Parallel()
	var j journal
	h := counted{handler: sent}
	c := serve(t, newKeys(t, idempotency.Config{Store: idempotency.NewMemory(1, 1<<20), OnOutage: idempotency.FailOpen, Hooks: j.hooks()}), h.serve)
	require.Equal(t, 201, c.send(t, "POST /", "1", "1").status)
	require.Equal(t, 503, c.send(t, "POST /", "2", "1").status)
	require.EqualValues(t, 1, h.runs.Load())
	require.Equal(t, []string{"begin "}, j.ops)
}

// Who has left before the store was asked is no outage, and claims nothing.
func TestACallerThatHasLeft(t *testing.T) {
	t.Parallel()
	for _, outage := range []idempotency.Outage{idempotency.FailClosed, idempotency.FailOpen} {
		var j journal
		h := counted{handler: sent}
		f := &faulty{Store: idempotency.NewMemory(10, 1<<20)}
		guarded := newKeys(t, idempotency.Config{Store: f, OnOutage: outage, Hooks: j.hooks()}).Handler(caller)(http.HandlerFunc(h.serve))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, test := range []struct {
			ctx    context.Context
			status int
		}{{ctx, 499}, {t.Context(), 201}} {
			r := httptest.NewRequestWithContext(test.ctx, http.MethodPost, "/", strings.NewReader("1"))
			r.Header.Set("X-User", "ann")
			r.Header.Set(idempotency.Header, "k")
			w := httptest.NewRecorder()
			guarded.ServeHTTP(w, r)
			require.Equal(t, test.status, w.Code)
		}
		require.Empty(t, j.errs)
		require.EqualValues(t, 1, h.runs.Load())
	}
}

func TestAReleaseThatFailsIsReported(t *testing.T) {
	t.Parallel()
	var j journal
	h := counted{handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }}
	f := &faulty{Store: idempotency.NewMemory(10, 1<<20)}
	c := serve(t, newKeys(t, idempotency.Config{Store: f, OnOutage: idempotency.FailClosed, Hooks: j.hooks()}), h.serve)
	f.set("release", "")
	require.Equal(t, 429, c.send(t, "POST /", "k", "").status)
	require.Equal(t, []string{"release "}, j.ops)
	c.send(t, "POST /", "k", "").problem(t, 409, "in_progress")
	require.EqualValues(t, 1, h.runs.Load())
}

func TestJoinHooks(t *testing.T) {
	t.Parallel()
	var a, b journal
	h := counted{handler: sent}
	c := serve(t, newKeys(t, idempotency.Config{Hooks: idempotency.JoinHooks(a.hooks(), idempotency.Hooks{}, b.hooks())}), h.serve)
	c.send(t, "POST /", "k", "1")
	for _, j := range []*journal{&a, &b} {
		decisions, ends := j.heard()
		require.Equal(t, []string{"api run"}, decisions)
		require.Equal(t, []string{"kept"}, ends)
	}
}
