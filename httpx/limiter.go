package httpx

import (
	"context"
	"time"
)

// Limiter admits outbound attempts. Package ratelimit satisfies it; any other may. It is called by many goroutines.
type Limiter interface {
	// Acquire waits until one more attempt may be sent, and says how long it has waited. It returns at once, with an
	// error, where ctx is done or the wait would be longer than most. Nothing is consumed then.
	Acquire(ctx context.Context, most time.Duration) (waited time.Duration, err error)
	// Refund gives back what Acquire took for an attempt that was not sent.
	Refund()
	// Pause tells that the vendor refused an attempt for its rate: no attempt is to be admitted for d. Zero
	// means the vendor did not say for how long.
	Pause(d time.Duration)
	// Learn tells what the vendor's headers say: so many requests remain until reset from now.
	Learn(remaining int64, reset time.Duration)
}
