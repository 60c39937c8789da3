package ratelimittest_test

import (
	"context"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/ratelimit"
	"github.com/prusik-go/prusik/ratelimit/ratelimittest"
)

// plain is the simplest store that keeps the contract: what a second one is written after. flaw breaks it.
type plain struct {
	mu   sync.Mutex
	full map[bucket]time.Time
	flaw string
}

type bucket struct {
	limiter, key string
	limit        ratelimit.Limit
}

func (s *plain) Take(ctx context.Context, r ratelimit.Request) (res ratelimit.Result, err error) {
	if err := ctx.Err(); err != nil && s.flaw != "ctx" {
		return res, err
	}
	if s.flaw == "down" {
		return res, errors.New("down")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	next := make([]time.Time, len(r.Limits))
	before := maps.Clone(s.full)
	worst := -time.Hour
	for i, l := range r.Limits {
		start := now.Add(r.Delay)
		if s.flaw == "delay" {
			start = now
		}
		if full := s.full[s.bucket(r, i)]; full.After(start) {
			start = full
		}
		next[i] = start.Add(time.Duration(r.Cost) * l.Interval())
		if w := next[i].Add(-l.Span()).Sub(now); w > worst {
			worst = w
			res.Violated = i
		}
		if s.flaw == "not atomic" && next[i].Add(-l.Span()).Sub(now) <= r.MaxWait {
			s.full[s.bucket(r, i)] = next[i]
		}
	}
	if s.flaw == "delay" {
		r.Delay = 0
	}
	res.Wait = max(worst, r.Delay, 0)
	res.Allowed = res.Wait <= r.MaxWait || r.Cost == 0 && s.flaw != "peek"
	if s.flaw == "no waiting" {
		res.Allowed = res.Wait == 0
	}
	if s.flaw == "off by one" && r.Cost > 0 {
		res.Allowed = worst <= r.Limits[0].Interval()
	}
	if s.flaw == "reads, then writes" {
		s.mu.Unlock()
		time.Sleep(time.Nanosecond)
		s.mu.Lock()
	}
	if res.Allowed {
		res.Violated = 0
		for i := range r.Limits {
			s.full[s.bucket(r, i)] = next[i]
		}
	} else if s.flaw == "blames the first" {
		res.Violated = 0
	}
	for i := range r.Limits {
		res.Debts[i] = max(0, s.full[s.bucket(r, i)].Sub(now))
		if s.flaw == "stale debts" {
			res.Debts[i] = max(0, before[s.bucket(r, i)].Sub(now))
		}
	}
	s.spoil(r, &res)
	return res, nil
}

// spoil is for the flaws of an answer.
func (s *plain) spoil(r ratelimit.Request, res *ratelimit.Result) {
	switch s.flaw {
	case "seconds":
		if !res.Allowed {
			res.Wait = res.Wait.Truncate(time.Second)
		}
	case "no wait":
		if !res.Allowed {
			res.Wait = 0
		}
	case "half the wait":
		res.Wait /= 2
	case "a wait for who need not":
		if res.Allowed && res.Wait == 0 {
			res.Wait = time.Second
		}
	case "blames somebody for nothing":
		if res.Allowed {
			res.Violated = len(r.Limits) - 1
			res.Violated++
		}
	case "debts below zero":
		if r.Cost == 0 && res.Debts[0] == 0 {
			res.Debts[0] = -time.Hour // what is full since an hour owes nothing
		}
	case "debts of no limit":
		res.Debts[len(r.Limits)] = time.Hour
	}
}

func (s *plain) bucket(r ratelimit.Request, i int) bucket {
	b := bucket{r.Limiter, r.Key, r.Limits[i]}
	switch s.flaw {
	case "joined keys":
		b.limiter, b.key = "", r.Limiter+":"+r.Key
	case "no limiter":
		b.limiter = ""
		b.key = r.Key
	case "limits share":
		b.limit = ratelimit.Limit{}
	}
	return b
}

func (s *plain) Refund(_ context.Context, r ratelimit.Request, back [ratelimit.MaxLimits]time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flaw == "no refund to nobody" && s.full[s.bucket(r, 0)].IsZero() {
		return errors.New("no bucket")
	}
	for i := range r.Limits {
		b := s.bucket(r, i)
		full, there := s.full[b]
		if s.flaw == "refunds to nobody" && !there {
			full = time.Now()
			s.full[b] = full.Add(back[i])
			continue
		}
		if there && s.flaw != "no refund" {
			s.full[b] = full.Add(-back[i])
		}
	}
	return nil
}

func TestAStoreThatKeepsTheContract(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, ratelimittest.TestStore(&plain{full: map[bucket]time.Time{}}))
	})
}

func TestEveryFlawOfAStoreIsFound(t *testing.T) {
	t.Parallel()
	for flaw, want := range map[string]string{
		"ctx":               "a ctx that is done is an error",
		"delay":             "a request may be made later",
		"not atomic":        "a refusal takes nothing of any limit",
		"peek":              "a cost is taken whole",
		"no waiting":        "a request may wait for its turn",
		"off by one":        "a burst is admitted and no more",
		"blames the first":  "a refusal takes nothing of any limit",
		"stale debts":       "a burst is admitted and no more",
		"seconds":           "who waits as told is admitted",
		"joined keys":       "buckets are told apart",
		"no limiter":        "buckets are told apart",
		"limits share":      "buckets are told apart",
		"no refund":         "a refund gives back",
		"refunds to nobody": "a refund gives back",

		"down":                        "what many take at once adds up",
		"reads, then writes":          "what many take at once adds up",
		"no wait":                     "who waits as told is admitted",
		"half the wait":               "a request may wait for its turn",
		"a wait for who need not":     "a burst is admitted and no more",
		"blames somebody for nothing": "a burst is admitted and no more",
		"debts below zero":            "a cost is taken whole",
		"debts of no limit":           "a burst is admitted and no more",
		"no refund to nobody":         "a refund gives back",
	} {
		synctest.Test(t, func(t *testing.T) {
			err := ratelimittest.TestStore(&plain{full: map[bucket]time.Time{}, flaw: flaw})
			require.ErrorContains(t, err, "ratelimittest: "+want, flaw)
		})
	}
}
