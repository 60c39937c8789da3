package breaker

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prusik-go/prusik/errors"
)

// Do calls fn, if b lets it, and reports the outcome: what [Config.Classify] says of fn's error; [Failure] where fn panics
// or calls runtime.Goexit, which go on; [Ignored] where fn fails and ctx has been canceled. fn's results are
// returned as they are. A refusal is an [*errors.Error] of kind [errors.CircuitOpen] that names the breaker and
// the wait; fn has not been called then. Do itself allocates nothing unless it refuses.
func Do[T any](ctx context.Context, b *Breaker, fn func(context.Context) (T, error)) (T, error) {
	p, wait, ok := b.TryAcquire()
	if !ok {
		var zero T
		return zero, b.refusal(wait)
	}
	o := Failure // stands unless fn returns
	defer func() { p.Done(o) }()
	v, err := fn(ctx)
	o = b.judge(ctx, err)
	return v, err
}

// Allow asks to make one call in two steps, for streams and callbacks, where [Do] does not fit. Where err is nil, make
// the call and pass its error to done, which judges it by [Config.Classify]; the first call of done counts, further
// ones do nothing. Where err is not nil, it is the refusal [Do] describes. done is never nil. It may be called
// from any goroutine. See [Breaker.TryAcquire] on a done that is never called.
func (b *Breaker) Allow() (done func(error), err error) {
	p, wait, ok := b.TryAcquire()
	if !ok {
		return func(error) {}, b.refusal(wait)
	}
	var reported atomic.Bool
	return func(err error) {
		if !reported.CompareAndSwap(false, true) {
			return
		}
		o := Failure // stands where Classify panics
		defer func() { p.Done(o) }()
		o = b.cfg().Classify(err)
	}, nil
}

// refusal is the error of a call that was not made.
func (b *Breaker) refusal(wait time.Duration) error {
	return &errors.Error{
		Kind: errors.CircuitOpen, Service: b.name, Op: "breaker",
		Delivery: errors.NotSent, Stop: errors.StopBreakerOpen,
		Retry: errors.Retry{After: wait},
	}
}
