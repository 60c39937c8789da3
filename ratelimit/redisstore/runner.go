package redisstore

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
)

// runner runs the script on Redis, by its hash, and sends it whole where the server does not know it: after a restart, a
// failover or SCRIPT FLUSH. It returns when ctx is done at the latest.
type runner interface {
	eval(ctx context.Context, key, arg string) ([]int64, error)
	ping(ctx context.Context) error
	close() // what it has opened
}

// viaRueidis runs on a client that it does not own.
type viaRueidis struct {
	client rueidis.Client
	script *rueidis.Lua
	flying atomic.Int64
}

func newRueidis(c rueidis.Client) *viaRueidis {
	return &viaRueidis{client: c, script: rueidis.NewLuaScript(script)}
}

// direct is half the commands that fit rueidis's queue for a connection. Where the queue is full, it waits for a place
// whatever ctx says: from here on a caller does not wait for it itself.
const direct = 1 << (rueidis.DefaultRingScale - 1)

func (v *viaRueidis) eval(ctx context.Context, key, arg string) ([]int64, error) {
	if v.flying.Add(1) <= direct {
		return v.exec(ctx, key, arg)
	}
	return detached(ctx, func() ([]int64, error) { return v.exec(ctx, key, arg) })
}

func (v *viaRueidis) exec(ctx context.Context, key, arg string) ([]int64, error) {
	defer v.flying.Add(-1)
	return v.script.Exec(ctx, v.client, []string{key}, []string{arg}).AsIntSlice()
}

func (v *viaRueidis) ping(ctx context.Context) error {
	_, err := detached(ctx, func() (any, error) {
		return nil, v.client.Do(ctx, v.client.B().Ping().Build()).Error()
	})
	return err
}

func (*viaRueidis) close() {}

// viaGoRedis runs on a go-redis client, which it does not own.
type viaGoRedis struct {
	client redis.UniversalClient
	script *redis.Script
	obeys  bool // it keeps to the deadline of a context
}

func newGoRedis(c redis.UniversalClient) *viaGoRedis {
	v := &viaGoRedis{client: c, script: redis.NewScript(script)}
	switch c := c.(type) {
	case *redis.Client:
		v.obeys = c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		v.obeys = c.Options().ContextTimeoutEnabled
	}
	return v
}

func (v *viaGoRedis) eval(ctx context.Context, key, arg string) ([]int64, error) {
	if v.obeys {
		return v.exec(ctx, key, arg)
	}
	return detached(ctx, func() ([]int64, error) { return v.exec(ctx, key, arg) })
}

func (v *viaGoRedis) exec(ctx context.Context, key, arg string) ([]int64, error) {
	return v.script.Run(ctx, v.client, []string{key}, arg).Int64Slice()
}

func (v *viaGoRedis) ping(ctx context.Context) error {
	_, err := detached(ctx, func() (any, error) { return nil, v.client.Ping(ctx).Err() })
	return err
}

func (*viaGoRedis) close() {}

// detached waits for f only until ctx is done. f runs on, and its result is dropped.
func detached[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		v, err := f()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		var zero T
		return zero, ctx.Err()
	}
}

// opening runs on a client of its own that it opens at the first use. rueidis has none that starts without a server.
type opening struct {
	option rueidis.ClientOption
	opened atomic.Pointer[viaRueidis]

	mu      sync.Mutex
	attempt *attempt // under way
	closed  bool
}

// attempt is one try to open a client, for all who need it.
type attempt struct {
	done   chan struct{}
	runner *viaRueidis
	err    error
}

func newOpening(o rueidis.ClientOption) *opening { return &opening{option: o} }

func (o *opening) get(ctx context.Context) (*viaRueidis, error) {
	if v := o.opened.Load(); v != nil {
		return v, nil
	}
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return nil, errClosed
	}
	a := o.attempt
	if v := o.opened.Load(); v != nil {
		o.mu.Unlock()
		return v, nil
	}
	if a == nil {
		a = &attempt{done: make(chan struct{})}
		o.attempt = a
		go o.open(a)
	}
	o.mu.Unlock()
	select {
	case <-a.done:
		return a.runner, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (o *opening) open(a *attempt) {
	defer close(a.done)
	client, err := rueidis.NewClient(o.option)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.attempt = nil
	switch {
	case err != nil:
		a.err = err
	case o.closed:
		client.Close()
		a.err = errClosed
	default:
		a.runner = newRueidis(client)
		o.opened.Store(a.runner)
	}
}

func (o *opening) eval(ctx context.Context, key, arg string) ([]int64, error) {
	v, err := o.get(ctx)
	if err != nil {
		return nil, err
	}
	reply, err := v.eval(ctx, key, arg)
	return reply, closing(err)
}

func (o *opening) ping(ctx context.Context) error {
	v, err := o.get(ctx)
	if err != nil {
		return err
	}
	return closing(v.ping(ctx))
}

// closing gives an error of a client that was closed its name here.
func closing(err error) error {
	if err == rueidis.ErrClosing { //nolint:errorlint // rueidis returns the value itself
		return errClosed
	}
	return err
}

func (o *opening) close() {
	o.mu.Lock()
	o.closed = true
	a := o.attempt
	o.mu.Unlock()
	if a != nil {
		<-a.done
	}
	if v := o.opened.Load(); v != nil {
		v.client.Close()
	}
}
