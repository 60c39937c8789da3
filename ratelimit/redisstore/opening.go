package redisstore

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/redis/rueidis"
)

// opening runs on a client of its own, which it opens at the first use: rueidis has none that starts without a server. It
// opens another one where the server has become a replica, for then the name, or the sentinels, lead to another server by now.
type opening struct {
	option rueidis.ClientOption

	attempts atomic.Int64 // that are over
	mu       sync.Mutex   // held while a client is opened
	client   *viaRueidis
	failure  error // of the last attempt
	closed   bool
	closes   sync.WaitGroup
}

func (o *opening) get() (*viaRueidis, error) {
	seen := o.attempts.Load()
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed:
		return nil, errClosed
	case o.client != nil:
		return o.client, nil
	case o.failure != nil && o.attempts.Load() != seen: // it was waited for
		return nil, o.failure
	}
	client, err := rueidis.NewClient(o.option)
	o.attempts.Add(1)
	o.failure = err
	if err != nil {
		return nil, err
	}
	o.client = newRueidis(client)
	o.client.demoted = o.drop
	return o.client, nil
}

// drop lets a client go, so that the next call opens another one.
func (o *opening) drop(v *viaRueidis) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.client == v {
		o.client = nil
		o.closes.Go(v.client.Close)
	}
}

func (o *opening) open() (bool, error) {
	v, err := o.get()
	if err != nil {
		return false, err
	}
	return v.alone, nil
}

func (o *opening) run(ctx context.Context, b batch) {
	v, err := o.get()
	if err != nil {
		b.finishAll(err, nil)
		return
	}
	v.run(ctx, b)
}

func (o *opening) ping(ctx context.Context) error {
	v, err := o.get()
	if err != nil {
		return err
	}
	return v.ping(ctx)
}

func (o *opening) close() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	if o.client != nil {
		o.client.client.Close()
		o.client = nil
	}
	o.closes.Wait()
	return true
}
