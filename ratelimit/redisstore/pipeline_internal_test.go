package redisstore

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const lanes = rueidisLanes

// heldRunner is a runner that finishes a batch when it is told to, and notes what it was given.
type heldRunner struct {
	alone bool
	fails error
	held  chan struct{} // a batch that receives from it goes on; nil holds none
	hangs string        // a key whose call is never finished

	mu      sync.Mutex
	batches [][]string
}

func (h *heldRunner) open() (bool, error) { return h.alone, h.fails }

func (h *heldRunner) run(ctx context.Context, b batch) {
	var keys []string
	for _, c := range b {
		keys = append(keys, c.key)
	}
	h.mu.Lock()
	h.batches = append(h.batches, keys)
	h.mu.Unlock()
	if keys[0] == h.hangs {
		<-ctx.Done()
		return
	}
	if h.held != nil {
		<-h.held
	}
	for i, c := range b {
		n, err := strconv.ParseInt(c.key, 10, 64)
		c.reply[0] = n
		b.finish(i, err)
	}
}

func (*heldRunner) ping(context.Context) error { return nil }

func (*heldRunner) close() bool { return true }

func (h *heldRunner) sizes() (sizes []int, keys []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.batches {
		sizes = append(sizes, len(b))
		keys = append(keys, b...)
	}
	return sizes, keys
}

// Calls go at once while a lane is free, and those that come later together, in the order they came, but for those that
// nobody waits for any more.
func TestCallsThatComeMeanwhileGoTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &heldRunner{held: make(chan struct{})}
		p := &pipeline{runner: h, timeout: time.Minute, lanes: lanes}
		var wg sync.WaitGroup
		call := func(ctx context.Context, n int, fails bool) {
			wg.Go(func() {
				r, err := p.do(ctx, strconv.Itoa(n), nil, 1)
				if fails != (err != nil) || !fails && r[0] != int64(n) {
					t.Errorf("call %d: %v, %v", n, r, err)
				}
			})
			synctest.Wait()
		}
		gone, cancel := context.WithCancel(t.Context())
		for n := range lanes + 2*most + 10 {
			if n == lanes+3 || n == lanes+most {
				call(gone, n, true)
			} else {
				call(t.Context(), n, false)
			}
		}
		sizes, _ := h.sizes()
		require.Equal(t, slices.Repeat([]int{1}, lanes), sizes)
		cancel()
		synctest.Wait()
		close(h.held)
		wg.Wait()
		synctest.Wait()
		sizes, keys := h.sizes()
		slices.Sort(sizes) // lanes race
		require.Equal(t, append(slices.Repeat([]int{1}, lanes), 8, most, most), sizes)
		require.Len(t, keys, lanes+2*most+8)
		require.NotContains(t, keys, strconv.Itoa(lanes+3), "its caller has left")
		require.NotContains(t, keys, strconv.Itoa(lanes+most))
		require.Zero(t, p.busy)
		require.Empty(t, p.queue)
		p.close()
	})
}

// A call ends when its ctx or the timeout does, though the client does not return, and its late answer reaches nobody else.
func TestACallEndsInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &heldRunner{held: make(chan struct{})}
		p := &pipeline{runner: h, timeout: time.Minute, lanes: lanes}
		for n := range lanes + 5 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			start := time.Now()
			want := time.Minute
			if n%2 == 0 {
				want = time.Second
			} else {
				ctx = t.Context()
			}
			_, err := p.do(ctx, strconv.Itoa(n), nil, 1)
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, want, time.Since(start))
		}
		close(h.held)
		synctest.Wait()
		sizes, _ := h.sizes()
		require.Len(t, sizes, lanes, "nobody waits for the rest")
		for n := range 100 {
			r, err := p.do(t.Context(), strconv.Itoa(n), nil, 1)
			require.NoError(t, err)
			require.Equal(t, int64(n), r[0])
		}
	})
}

// What one batch does not hold goes in the next at once, and not when the first is back.
func TestALongQueueIsSentAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &heldRunner{held: make(chan struct{})}
		p := &pipeline{runner: h, timeout: time.Minute, lanes: lanes}
		p.mu.Lock()
		for range 2*most + 10 {
			p.queue = append(p.queue, &call{key: "1", want: 1, done: make(chan struct{}, 1)})
		}
		p.start()
		p.mu.Unlock()
		synctest.Wait()
		sizes, _ := h.sizes()
		slices.Sort(sizes)
		require.Equal(t, []int{10, most, most}, sizes)
		close(h.held)
	})
}

// Close returns when nothing runs any more on the client that it has closed.
func TestCloseWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &heldRunner{held: make(chan struct{})}
		p := &pipeline{runner: h, timeout: time.Minute, lanes: lanes}
		go func() { _, _ = p.do(t.Context(), "1", nil, 1) }()
		synctest.Wait()
		closed := false
		go func() { p.close(); closed = true }()
		synctest.Wait()
		require.False(t, closed)
		close(h.held)
		synctest.Wait()
		require.True(t, closed)
	})
}

// Many who ask at the same time share batches.
func TestManyShareBatches(t *testing.T) {
	t.Parallel()
	h := &heldRunner{}
	p := &pipeline{runner: h, timeout: time.Minute, lanes: lanes}
	var wg sync.WaitGroup
	const callers, each = 64, 100
	for range callers {
		wg.Go(func() {
			for range each {
				if _, err := p.do(t.Context(), "1", nil, 1); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	sizes, keys := h.sizes()
	require.Len(t, keys, callers*each)
	t.Logf("%d calls in %d batches", len(keys), len(sizes))
	require.Less(t, len(sizes), len(keys)/2)
}

// What waits is bounded: more is refused at once.
func TestACrowdIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &heldRunner{held: make(chan struct{})}
		p := &pipeline{runner: h, timeout: time.Minute, lanes: lanes}
		var wg sync.WaitGroup
		for n := range lanes + mostWaiting {
			wg.Go(func() { _, _ = p.do(t.Context(), "1", nil, 1) })
			if n < lanes {
				synctest.Wait() // it is alone in its batch
			}
		}
		synctest.Wait()
		start := time.Now()
		_, err := p.do(t.Context(), "1", nil, 1)
		require.ErrorIs(t, err, errCrowded)
		require.Zero(t, time.Since(start))
		close(h.held)
		wg.Wait()
		_, err = p.do(t.Context(), "1", nil, 1)
		require.NoError(t, err)
	})
}

// Where calls are run alone, as in a cluster, one that hangs holds up no other.
func TestCallsThatRunAloneHoldUpNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &heldRunner{alone: true, hangs: "0"}
		p := &pipeline{runner: h, timeout: time.Minute, lanes: lanes}
		var wg sync.WaitGroup
		for range 10 * lanes {
			wg.Go(func() {
				_, err := p.do(t.Context(), "0", nil, 1)
				if err == nil {
					t.Error("it hangs")
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		for n := range 100 {
			r, err := p.do(t.Context(), strconv.Itoa(n+1), nil, 1)
			require.NoError(t, err)
			require.Equal(t, int64(n+1), r[0])
		}
		require.Zero(t, time.Since(start))
		wg.Wait()
	})
}

// Where there is no client, everybody learns of it, and nobody after Close.
func TestNoClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &pipeline{runner: &heldRunner{fails: errReply}, timeout: time.Minute, lanes: lanes}
		for range 10 {
			_, err := p.do(t.Context(), "1", nil, 1)
			require.ErrorIs(t, err, errReply)
		}
		require.ErrorIs(t, p.ping(t.Context()), errReply)
		p.close()
		_, err := p.do(t.Context(), "1", nil, 1)
		require.ErrorIs(t, err, errClosed)
		require.ErrorIs(t, p.ping(t.Context()), errClosed)
	})
}
