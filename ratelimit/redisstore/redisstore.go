package redisstore

import (
	"context"
	"time"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/internal/check"
	"github.com/prusik-go/prusik/ratelimit"
)

// Store is a [ratelimit.Store] on Redis or Valkey. Make it with [New]. It may be used from several goroutines and must not
// be copied.
type Store struct {
	name     string
	prefix   string // of every key, with the version of what is behind it
	secret   string
	timeout  time.Duration
	breaker  *breaker.Breaker
	pipeline *pipeline
}

var _ ratelimit.Store = (*Store)(nil)

const (
	errClosed  = constError("redisstore: the store is closed")
	errCrowded = constError("redisstore: too many calls wait for Redis")
	errReply   = constError("redisstore: the script does not answer as it should")
)

type constError string

func (e constError) Error() string { return string(e) }

// New returns a store. Its name goes into errors, and into events and metrics of its breaker: 1 to 64 letters, digits, ".",
// "_" or "-". It does not connect, see [Config.URL]. Everything that is wrong with name and cfg is reported at once.
func New(name string, cfg Config) (*Store, error) {
	faults := check.New("redisstore", name)
	faults.Name(name)
	cfg = cfg.effective(faults)
	s := &Store{name: name, prefix: cfg.Prefix + keyVersion, secret: cfg.Secret, timeout: cfg.Timeout}
	var r runner
	lanes := rueidisLanes
	switch {
	case cfg.Client != nil:
		r = newRueidis(cfg.Client)
	case cfg.GoRedis != nil:
		r, lanes = newGoRedis(cfg.GoRedis), goRedisLanes
	case cfg.URL != "":
		r = &opening{option: cfg.clientOption(faults)}
	}
	b, err := breaker.New(name, cfg.Breaker)
	if err := errors.Join(faults.Err(), err); err != nil {
		return nil, err
	}
	s.breaker, s.pipeline = b, &pipeline{runner: r, timeout: cfg.Timeout, lanes: lanes}
	return s, nil
}

// Name is the store's name.
func (s *Store) Name() string { return s.name }

// Breaker is the circuit breaker around Redis: to read its state, and to force it open or disable it.
func (s *Store) Breaker() *breaker.Breaker { return s.breaker }

// Close closes the client that the store opened for [Config.URL], and waits until its goroutines are gone. A client
// that was handed in stays open. A closed store answers every call with an error.
func (s *Store) Close() { s.pipeline.close() }

// Ping asks Redis for an answer, past the breaker, within ctx and [Config.Timeout]. It is for a program that would rather not
// start, or not be ready, without its Redis.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if err := s.pipeline.ping(ctx); err != nil {
		return s.failed(ctx, "ping", err)
	}
	return nil
}

// Take implements [ratelimit.Store]: one round trip, whatever the number of limits. An error is an [*errors.Error]: of kind
// circuit_open with the time to the next probe where the breaker refused, canceled where the caller has left, and
// unavailable else. After one of kind unavailable, the units may have been taken.
func (s *Store) Take(ctx context.Context, r ratelimit.Request) (ratelimit.Result, error) {
	q, err := newQuery(&r)
	if err != nil {
		return ratelimit.Result{}, s.invalid("take", err)
	}
	reply, err := s.run(ctx, "take", &r, &q)
	if err != nil {
		return ratelimit.Result{}, err
	}
	return q.result(&reply), nil
}

// Refund implements [ratelimit.Store]. Its errors are those of [Store.Take].
func (s *Store) Refund(ctx context.Context, r ratelimit.Request, back [ratelimit.MaxLimits]time.Duration) error {
	q, err := newQuery(&r)
	if err != nil {
		return s.invalid("refund", err)
	}
	if !q.refund(&back) {
		return nil
	}
	_, err = s.run(ctx, "refund", &r, &q)
	return err
}

// run asks Redis, through the breaker and within the timeout.
func (s *Store) run(ctx context.Context, op string, r *ratelimit.Request, q *query) (answer reply, err error) {
	if ctx.Err() != nil {
		return answer, s.failed(ctx, op, ctx.Err())
	}
	if s.pipeline.closed.Load() {
		return answer, s.failed(ctx, op, errClosed)
	}
	permit, wait, ok := s.breaker.TryAcquire()
	if !ok {
		return answer, &errors.Error{
			Kind: errors.CircuitOpen, Service: s.name, Op: op,
			Delivery: errors.NotSent, Stop: errors.StopBreakerOpen, Retry: errors.Retry{After: wait},
		}
	}
	outcome := breaker.Failure // stands where the client panics
	defer func() { permit.Done(outcome) }()

	given := s.timeout
	if deadline, has := ctx.Deadline(); has {
		given = min(given, time.Until(deadline))
	}
	answer, err = s.pipeline.do(ctx, s.key(r), q.args(), len(r.Limits))
	outcome = s.judge(ctx, given, err)
	if err != nil {
		return answer, s.failed(ctx, op, err)
	}
	return answer, nil
}

// judge says what err, of a call of a caller with ctx, says about Redis. A caller that leaves says nothing. A deadline of the
// caller's does, lest a hung Redis goes unnoticed where all deadlines are shorter than ours; but one that left no time
// for an answer does not.
func (s *Store) judge(ctx context.Context, given time.Duration, err error) breaker.Outcome {
	const fair = 10 // the part of the timeout in which a healthy Redis has answered
	switch {
	case err == nil:
		return breaker.Success
	case errors.Is(err, errClosed), errors.Is(ctx.Err(), context.Canceled):
		return breaker.Ignored
	case ctx.Err() != nil && given < s.timeout/fair:
		return breaker.Ignored
	default:
		return breaker.Failure
	}
}

// failed is the error of a call that was made, or was not because its caller had left.
func (s *Store) failed(ctx context.Context, op string, err error) error {
	e := &errors.Error{Kind: errors.Unavailable, Service: s.name, Op: op, Err: err}
	if errors.Is(ctx.Err(), context.Canceled) {
		e.Kind, e.Stop, e.Err = errors.Canceled, errors.StopCanceled, context.Cause(ctx)
	}
	return e
}

// invalid is the error of a request that no limiter makes.
func (s *Store) invalid(op string, err error) error {
	return &errors.Error{
		Kind: errors.Internal, Service: s.name, Op: op, Delivery: errors.NotSent, Stop: errors.StopPermanent, Err: err,
	}
}
