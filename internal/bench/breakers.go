package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"
)

// Guard is a circuit breaker alone, without HTTP.
type Guard struct {
	// Name is the row in the table.
	Name string
	// New makes the breaker. The call guards a function that returns err and reports whether it was let through.
	New func() (func(ctx context.Context, err error) (through bool), error)
}

// Guards returns every breaker, gobreaker's first.
func Guards() []Guard {
	return append([]Guard{
		{Name: Gobreaker, New: func() (func(context.Context, error) bool, error) {
			b := gobreaker.NewCircuitBreaker[int](gobreaker.Settings{
				Name:        "bench",
				Timeout:     openFor,
				ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripAfter },
			})
			return func(ctx context.Context, err error) bool {
				_, got := b.Execute(func() (int, error) { return guarded(ctx, err) })
				return !errors.Is(got, gobreaker.ErrOpenState)
			}, nil
		}},
		{Name: FailsafePermits, New: func() (func(context.Context, error) bool, error) {
			return failsafePermits(circuitbreaker.NewBuilder[int]().WithFailureThreshold(tripAfter)), nil
		}},
		{Name: FailsafePermits + timeWindow, New: func() (func(context.Context, error) bool, error) {
			return failsafePermits(circuitbreaker.NewBuilder[int]().WithFailureRateThreshold(1, tripAfter, windowPeriod)), nil
		}},
	}, prusikGuards()...)
}

// timeWindow marks breakers that count over time. The others count calls, gobreaker since it was last open.
const (
	timeWindow   = ", time window"
	windowPeriod = 30 * time.Second
)

func failsafePermits(settings circuitbreaker.Builder[int]) func(context.Context, error) bool {
	b := settings.WithDelay(openFor).Build()
	return func(ctx context.Context, err error) bool {
		if !b.TryAcquirePermit() {
			return false
		}
		if _, err := guarded(ctx, err); err != nil {
			b.RecordFailure()
		} else {
			b.RecordSuccess()
		}
		return true
	}
}

var errGuarded = errors.New("bench: failed")

func guarded(_ context.Context, err error) (int, error) { return 1, err }

// guard returns a subject that calls g in the state wanted. Where failEvery is above zero, every so many calls
// of a worker fail, so that a breaker with a short cut for windows without failures cannot take it.
func guard(g Guard, open bool, failEvery int) (*Subject, error) {
	call, err := g.New()
	if err != nil {
		return nil, fmt.Errorf("bench: %s: %w", g.Name, err)
	}
	ctx := context.Background()
	if open {
		for n := 0; call(ctx, errGuarded); n++ {
			if n > 100*tripAfter {
				return nil, fmt.Errorf("bench: %s does not open", g.Name)
			}
		}
	}
	var calls [MaxWorkers]struct {
		n int
		_ [56]byte
	}
	return &Subject{
		Name: g.Name, Close: func() error { return nil }, settle: func() error { return nil },
		Op: func(worker, n int) error {
			made := &calls[worker].n
			for range n {
				var err error
				if *made++; failEvery > 0 && *made%failEvery == 0 {
					err = errGuarded
				}
				if call(ctx, err) == open {
					return fmt.Errorf("bench: %s: let through: %t", g.Name, !open)
				}
			}
			return nil
		},
	}, nil
}
