package bench

import (
	"context"
	"errors"

	"github.com/prusik-go/prusik/breaker"
)

func prusikGuards() []Guard {
	counted := breaker.Config{Failures: tripAfter, Window: tripAfter, OpenFor: openFor}
	return []Guard{
		{Name: PrusikBreaker, New: func() (func(context.Context, error) bool, error) {
			b, err := breaker.New("bench", counted)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, err error) bool {
				_, got := breaker.Do(ctx, b, func(ctx context.Context) (int, error) { return guarded(ctx, err) })
				return got == nil || errors.Is(got, errGuarded)
			}, nil
		}},
		{Name: PrusikPermit, New: func() (func(context.Context, error) bool, error) { return prusikPermits(counted) }},
		{Name: PrusikTimed, New: func() (func(context.Context, error) bool, error) {
			return prusikPermits(breaker.Config{
				FailureRatio: 1, MinCalls: tripAfter, Period: windowPeriod, OpenFor: openFor,
			})
		}},
	}
}

func prusikPermits(cfg breaker.Config) (func(context.Context, error) bool, error) {
	b, err := breaker.New("bench", cfg)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, err error) bool {
		permit, _, ok := b.TryAcquire()
		if !ok {
			return false
		}
		if _, err := guarded(ctx, err); err != nil {
			permit.Done(breaker.Failure)
		} else {
			permit.Done(breaker.Success)
		}
		return true
	}, nil
}
