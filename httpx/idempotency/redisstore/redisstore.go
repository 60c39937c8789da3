package redisstore

import (
	"context"
	_ "embed"
	"encoding/base64"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx/idempotency"
	"github.com/prusik-go/prusik/internal/check"
)

var (
	//go:embed begin.lua
	beginScript string
	//go:embed finish.lua
	finishScript string
	//go:embed release.lua
	releaseScript string
)

// keyVersion changes with what is behind a key, so that two versions of this package that run at once do not misread each other.
const keyVersion = ":ik1:"

// Store is an [idempotency.Store] on Redis or Valkey. Make it with [New]. It may be used from several goroutines and must not be
// copied.
type Store struct {
	name                   string
	prefix                 string // of every key, with the version of what is behind it
	client                 redis.UniversalClient
	timeout                time.Duration
	breaker                *breaker.Breaker
	begin, finish, release *redis.Script
}

var _ idempotency.Store = (*Store)(nil)

const (
	errReply  = constError("redisstore: the script does not answer as it should")
	errRecord = constError("redisstore: what is behind the key is no record")
	errClaim  = constError("redisstore: a claim without lease or TTL, or an answer of nothing")
)

type constError string

func (e constError) Error() string { return string(e) }

// New returns a store. Its name goes into errors, and into events and metrics of its breaker: 1 to 64 letters, digits, ".",
// "_" or "-". It does not connect. Everything that is wrong with name and cfg is reported at once.
func New(name string, cfg Config) (*Store, error) {
	faults := check.New("redisstore", name)
	faults.Name(name)
	cfg = cfg.effective(faults)
	b, err := breaker.New(name, cfg.Breaker)
	if err := errors.Join(faults.Err(), err); err != nil {
		return nil, err
	}
	return &Store{
		name: name, prefix: cfg.Prefix + keyVersion, client: cfg.Client, timeout: cfg.Timeout, breaker: b,
		begin: redis.NewScript(beginScript), finish: redis.NewScript(finishScript), release: redis.NewScript(releaseScript),
	}, nil
}

// Name is the store's name.
func (s *Store) Name() string { return s.name }

// Breaker is the circuit breaker around Redis: to read its state, and to force it open or disable it.
func (s *Store) Breaker() *breaker.Breaker { return s.breaker }

// Begin implements [idempotency.Store]: one round trip. An error is an [*errors.Error]: of kind circuit_open with the time to the
// next probe where the breaker refused, canceled where the caller has left, and unavailable else.
func (s *Store) Begin(ctx context.Context, c idempotency.Claim) (rec idempotency.Record, err error) {
	if c.Lease <= 0 || c.TTL <= 0 {
		return rec, s.failed(ctx, "begin", errClaim)
	}
	reply, err := s.run(ctx, "begin", s.begin, c, c.Run[:], c.Fingerprint[:], millis(c.Lease), millis(c.TTL))
	if err != nil {
		return rec, err
	}
	list, ok := reply.([]any)
	if !ok || len(list) != 3 {
		return rec, s.failed(ctx, "begin", errReply)
	}
	state, ok := list[0].(int64)
	fingerprint, ok2 := list[1].(string)
	answer, ok3 := list[2].(string)
	if !ok || !ok2 || !ok3 || state != 0 && len(fingerprint) != len(rec.Fingerprint) {
		return rec, s.failed(ctx, "begin", errReply)
	}
	if state == 0 {
		return rec, s.failed(ctx, "begin", errRecord)
	}
	rec.State = idempotency.State(state) //nolint:gosec // the script returns 1 to 4
	copy(rec.Fingerprint[:], fingerprint)
	if rec.State == idempotency.Finished {
		rec.Answer = []byte(answer)
	}
	return rec, nil
}

// Finish implements [idempotency.Store]. Its errors are those of [Store.Begin]; after one, the answer may be kept all the same.
func (s *Store) Finish(ctx context.Context, c idempotency.Claim, answer []byte) error {
	if c.TTL <= 0 || len(answer) == 0 {
		return s.failed(ctx, "finish", errClaim)
	}
	_, err := s.run(ctx, "finish", s.finish, c, c.Run[:], c.Fingerprint[:], millis(c.TTL), slices.Clone(answer)) // a call may outlive its caller
	return err
}

// Release implements [idempotency.Store]. Its errors are those of [Store.Begin]; after one, the key may be free all the same.
func (s *Store) Release(ctx context.Context, c idempotency.Claim) error {
	_, err := s.run(ctx, "release", s.release, c, c.Run[:])
	return err
}

// millis is d in milliseconds, rounded up.
func millis(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Millisecond-1)/time.Millisecond), 10)
}

// key is the Redis key of a claim: one key, so that a call is in one slot of a cluster.
func (s *Store) key(c *idempotency.Claim) string {
	return string(base64.RawURLEncoding.AppendEncode([]byte(s.prefix), c.ID[:]))
}

// run runs a script, through the breaker and within the timeout.
func (s *Store) run(ctx context.Context, op string, script *redis.Script, c idempotency.Claim, args ...any) (any, error) {
	if ctx.Err() != nil {
		return nil, s.failed(ctx, op, ctx.Err())
	}
	permit, wait, ok := s.breaker.TryAcquire()
	if !ok {
		return nil, &errors.Error{
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
	reply, err := s.call(ctx, script, s.key(&c), args)
	outcome = s.judge(ctx, given, err)
	if err != nil {
		return nil, s.failed(ctx, op, err)
	}
	return reply, nil
}

// call runs a script and returns in time, whatever the client does: unless it was made with ContextTimeoutEnabled, go-redis
// waits as long as its own timeouts and retries say.
func (s *Store) call(ctx context.Context, script *redis.Script, key string, args []any) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	type reply struct {
		value any
		err   error
	}
	done := make(chan reply, 1)
	go func() {
		defer cancel()
		value, err := script.Run(ctx, s.client, []string{key}, args...).Result()
		done <- reply{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		select {
		case r := <-done: // it had an answer, and is not to be told that it had none
			return r.value, r.err
		default:
			return nil, context.Cause(ctx)
		}
	}
}

// judge says what err, of a call that was given so long, says about Redis. A caller that leaves says nothing, and neither does one
// whose deadline left no time for an answer.
func (s *Store) judge(ctx context.Context, given time.Duration, err error) breaker.Outcome {
	const fair = 10 // the part of the timeout in which a healthy Redis has answered
	switch {
	case err == nil:
		return breaker.Success
	case errors.Is(ctx.Err(), context.Canceled), ctx.Err() != nil && given < s.timeout/fair:
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
