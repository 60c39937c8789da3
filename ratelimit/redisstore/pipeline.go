package redisstore

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prusik-go/prusik/ratelimit"
)

const (
	// most is how many calls are in a batch at most: the first of them has its answer when the last has been run.
	most = 128
	// mostWaiting is how many calls wait for a lane at most: more than Redis can run within a default Timeout.
	mostWaiting = 1 << 14
)

// pipeline makes calls of the script, in batches. One is sent when all goroutines that are ready to run have had their turn: so
// whose calls were answered together ask together again, and share packets, system calls and wake-ups. Where few ask, a batch
// is one call, and nothing is waited for.
//
// A caller leaves when its time is over, whatever the client does. Neither client returns in every case when a context is
// done: rueidis waits for a place in a full queue and for a connection that another call opens, go-redis for an answer. A
// call whose caller has left before it was sent is not sent.
type pipeline struct {
	runner  runner
	timeout time.Duration
	lanes   int            // how many batches are under way at most
	idle    sync.Pool      // of *call
	running sync.WaitGroup // what runs on the runner

	closed atomic.Bool // written under mu

	mu       sync.Mutex
	busy     int     // lanes
	starting bool    // one of them has not yet looked for calls
	queue    []*call // in the order they came
}

// call is one call of the script.
type call struct {
	key   string
	args  []string
	want  int  // numbers of the reply
	left  bool // its caller has; under the pipeline's mu
	timer *time.Timer

	done     chan struct{} // gets one when what follows is set
	reply    reply
	err      error
	panicked any
}

// reply is what the script answers: a number for each limit.
type reply [ratelimit.MaxLimits]int64

// batch is calls that are made together. A nil is one that is finished, and its caller's again.
type batch []*call

func (b batch) finish(i int, err error) {
	c := b[i]
	b[i] = nil
	c.err = err
	c.done <- struct{}{}
}

// finishAll finishes what is not.
func (b batch) finishAll(err error, panicked any) {
	for i, c := range b {
		if c != nil {
			c.panicked = panicked
			b.finish(i, err)
		}
	}
}

// do makes a call and waits for it, until ctx is done or the timeout is over. Where the client panics, so does it.
func (p *pipeline) do(ctx context.Context, key string, args []string, want int) (r reply, err error) {
	c, ok := p.idle.Get().(*call)
	if !ok {
		c = &call{done: make(chan struct{}, 1), timer: time.NewTimer(p.timeout)}
	}
	c.key, c.args, c.want = key, args, want
	c.timer.Reset(p.timeout)
	if err := p.add(c); err != nil {
		c.timer.Stop()
		return r, err
	}
	select {
	case <-c.done:
		c.timer.Stop()
		if c.panicked != nil {
			panic(c.panicked)
		}
		r, err = c.reply, c.err
		p.idle.Put(c)
		if err != nil && p.closed.Load() {
			err = errClosed
		}
		return r, err
	case <-ctx.Done():
		c.timer.Stop()
		err = ctx.Err()
	case <-c.timer.C:
		err = context.DeadlineExceeded
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c.left = true
	return r, err
}

func (p *pipeline) add(c *call) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed.Load() {
		return errClosed
	}
	if len(p.queue) == mostWaiting {
		return errCrowded
	}
	p.queue = append(p.queue, c)
	p.start()
	return nil
}

// start starts a lane, if need be. mu is held.
func (p *pipeline) start() {
	if !p.starting && p.busy < p.lanes {
		p.starting = true
		p.busy++
		p.running.Go(p.lane)
	}
}

// lane sends what waits, batch after batch, until nothing does.
func (p *pipeline) lane() {
	// Measured with 64 callers: without this, most batches are of one, and Redis makes 0.6 times the decisions.
	runtime.Gosched()
	var b batch
	for {
		if b = p.next(b[:0]); len(b) == 0 {
			return
		}
		p.send(b)
	}
}

// next appends the calls to send next to b, or ends the lane where there are none.
func (p *pipeline) next(b batch) batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for ; n < len(p.queue) && len(b) < most; n++ {
		if c := p.queue[n]; !c.left {
			b = append(b, c)
		}
	}
	p.queue = slices.Delete(p.queue, 0, n)
	p.starting = false
	switch {
	case len(b) == 0:
		p.busy--
	case len(p.queue) > 0:
		p.start()
	}
	return b
}

// send sends b, or each call of it alone where one that hangs must not hold up the others: in a cluster, whose nodes fail alone.
func (p *pipeline) send(b batch) {
	alone, err := p.runner.open()
	if err != nil {
		b.finishAll(err, nil)
		return
	}
	if !alone {
		p.run(b)
		return
	}
	for _, c := range b {
		p.running.Go(func() { p.run(batch{c}) })
	}
}

func (p *pipeline) run(b batch) {
	defer func() {
		if v := recover(); v != nil { // a hook of a client, say: it is for the callers, who may survive it
			b.finishAll(nil, v)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), p.timeout)
	defer cancel()
	p.runner.run(ctx, b)
}

// ping asks for an answer until ctx is done.
func (p *pipeline) ping(ctx context.Context) error {
	p.mu.Lock()
	if p.closed.Load() {
		p.mu.Unlock()
		return errClosed
	}
	done := make(chan error, 1)
	p.running.Go(func() {
		_, err := p.runner.open()
		if err == nil {
			err = p.runner.ping(ctx)
		}
		done <- err
	})
	p.mu.Unlock()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close closes what is the runner's own, and waits then until nothing runs on it any more.
func (p *pipeline) close() {
	p.mu.Lock()
	p.closed.Store(true)
	p.mu.Unlock()
	if p.runner.close() {
		p.running.Wait()
	}
}
