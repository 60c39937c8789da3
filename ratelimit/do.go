package ratelimit

import "context"

// Do calls fn if l allows one more request of key now, and returns what fn returns. Otherwise fn is not called and the
// error is the refusal ([Decision.Err]) or that of [Limiter.AllowN]. What fn's request took stays taken, whatever comes of
// fn. Do itself allocates nothing unless it refuses.
func Do[T any](ctx context.Context, l *Limiter, key string, fn func(context.Context) (T, error)) (T, error) {
	d, err := l.Allow(ctx, key)
	if err == nil {
		err = d.Err()
	}
	if err != nil {
		var zero T
		return zero, err
	}
	return fn(ctx)
}
