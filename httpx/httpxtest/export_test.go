package httpxtest

import (
	"context"
	"time"
)

// RunWithin is [Check.Run] with a closer bound, for subjects that are known to hang.
func (c Check) RunWithin(ctx context.Context, s Subject, limit time.Duration) error {
	return c.within(ctx, s, limit)
}
