// Package wait decides how long to wait before a retry, and whether there is budget for one.
package wait

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// Backoff is full-jitter exponential backoff: a random wait in [0, min(Max, Base*2^(n-1))] before the n-th retry.
// Full jitter spreads the retries of many callers best (AWS Architecture Blog, "Exponential Backoff And Jitter").
type Backoff struct {
	Base, Max time.Duration
}

// Ceiling is the longest wait before the n-th retry, n from 1.
func (b Backoff) Ceiling(n int) time.Duration {
	d := b.Base
	for ; n > 1 && d < b.Max; n-- {
		d *= 2
		if d <= 0 { // overflow
			return b.Max
		}
	}
	return min(d, b.Max)
}

// Before is the wait before the n-th retry. Where the vendor asked for a wait, that one is kept whole and up to a
// tenth of it, at most Max, is added: callers that were told the same second do not all come back in it.
func (b Backoff) Before(n int, asked time.Duration) time.Duration {
	if asked > 0 {
		return asked + upTo(min(asked/10, b.Max))
	}
	return upTo(b.Ceiling(n))
}

func upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d + 1) //nolint:gosec // nobody gains by guessing a wait
}

// Sleep waits for d or until ctx is done, and reports whether it slept to the end.
func Sleep(ctx context.Context, d time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// unit is one token in the budget's integer arithmetic.
const unit = 1000

// Budget is a token bucket of retries: one costs a token, a success at the first try pays a share back. Nil is
// no limit. It is safe for concurrent use.
type Budget struct {
	tokens      atomic.Int64 // in 1/unit
	most, share int64
}

// NewBudget returns a full bucket of size tokens, refilled by share tokens a first-try success.
func NewBudget(size int, share float64) *Budget {
	b := &Budget{most: int64(size) * unit, share: int64(share * unit)}
	b.tokens.Store(b.most)
	return b
}

// Take takes a token and reports whether there was one.
func (b *Budget) Take() bool {
	if b == nil {
		return true
	}
	for {
		have := b.tokens.Load()
		if have < unit {
			return false
		}
		if b.tokens.CompareAndSwap(have, have-unit) {
			return true
		}
	}
}

// Return puts back the token of a retry that was not sent.
func (b *Budget) Return() { b.add(unit) }

// Success pays back the share of a success at the first try.
func (b *Budget) Success() { b.add(b.shareOf()) }

func (b *Budget) shareOf() int64 {
	if b == nil {
		return 0
	}
	return b.share
}

func (b *Budget) add(n int64) {
	if b == nil {
		return
	}
	for {
		have := b.tokens.Load()
		if have >= b.most {
			return // the usual case on a good day: no write, no contention
		}
		if b.tokens.CompareAndSwap(have, min(have+n, b.most)) {
			return
		}
	}
}

// Left is the share of the bucket that is left, 0 to 1. No limit is 1.
func (b *Budget) Left() float64 {
	if b == nil || b.most == 0 {
		return 1
	}
	return float64(b.tokens.Load()) / float64(b.most)
}
