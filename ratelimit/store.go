package ratelimit

import (
	"context"
	"time"
)

// Store keeps the buckets where several processes share them. The nil Store of a [Config] is the memory of this process.
// The test of a Store is [github.com/prusik-go/prusik/ratelimit/ratelimittest.TestStore].
//
// A Store has these duties:
//
//   - Take decides all limits of a request in one step. Where one of them refuses, nothing is consumed of any. What
//     several processes take at once adds up to no more than the limits.
//   - The clock is the Store's own, one for all who share it, and a step back of anybody's wall clock admits nothing more
//     and locks nobody out.
//   - Buckets are told apart by Limiter, Key and the limit (count, period, burst), whatever bytes those hold. A key is
//     user input and may be a secret: hash it.
//   - It forgets what is no longer needed: a bucket that is full again is as good as none.
//   - It obeys ctx, and returns an error where it could not decide. It does not decide by itself what an outage means,
//     that is [Config.OnOutage]. An error may carry a wait, see [github.com/prusik-go/prusik/errors.RetryAfter].
//   - It may be called from several goroutines, and keeps none of what it is given beyond the call.
type Store interface {
	// Take decides one request.
	Take(ctx context.Context, r Request) (Result, error)
	// Refund gives back what an admitted request took: each bucket is full sooner by back, one for each limit. The limiter
	// has made sure that it has not come back by itself and, by a Take of no cost where one might wait, that nobody waits
	// behind it. Limiter, Key and Limits of r are those of the Take. What cannot be given back any more, because the bucket
	// is not there, is lost.
	Refund(ctx context.Context, r Request, back [MaxLimits]time.Duration) error
}

// Request is what a [Store] decides.
type Request struct {
	// Limiter is the limiter's name, Key whose buckets these are. Neither is empty.
	Limiter, Key string
	// Limits are 1 to [MaxLimits] valid limits with Name and Burst filled in. They are shared: read only.
	Limits []Limit
	// Cost is how many units the request takes of each limit: from 0, which takes nothing and is always admitted, up to
	// the smallest burst.
	Cost int64
	// Delay asks as if that much later: the earliest the request can be made. Mostly zero.
	Delay time.Duration
	// MaxWait is how long the request may wait. Zero: it is made now or refused. Otherwise one that has to wait no
	// longer than this is admitted, takes its units now, and is made when [Result.Wait] is over.
	MaxWait time.Duration
}

// Result is what a [Store] has decided.
type Result struct {
	// Allowed: the units were taken. Otherwise nothing was.
	Allowed bool
	// Violated is the index of the limit that refused, of several the one that takes longest. Zero where Allowed.
	Violated int
	// Wait is the time until the request may be made, where Allowed; else the time from which on it would be admitted if
	// nobody else takes anything. At least Delay.
	Wait time.Duration
	// Debts are, for each limit, the time until its bucket is full, after this request was decided. Not negative.
	Debts [MaxLimits]time.Duration
}
