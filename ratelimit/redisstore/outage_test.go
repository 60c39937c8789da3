package redisstore_test

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/internal/redistest"
	"github.com/prusik-go/prusik/ratelimit"
	"github.com/prusik-go/prusik/ratelimit/redisstore"
)

const callers = 64

// load is 64 callers that ask a limiter for one key again and again.
type load struct {
	mu    sync.Mutex
	phase string
	took  map[string][]time.Duration
	seen  map[string]map[string]int // what was decided, by phase
	stop  func()
}

func underLoad(t *testing.T, l *ratelimit.Limiter, phase string) *load {
	t.Helper()
	ld := &load{phase: phase, took: map[string][]time.Duration{}, seen: map[string]map[string]int{}}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for ctx.Err() == nil {
				before := ld.current()
				start := time.Now()
				d, err := l.Allow(context.Background(), "key")
				took := time.Since(start)
				what := d.Verdict.String() + d.Outage.String()
				if err != nil {
					what = string(errors.KindOf(err))
				}
				ld.add(before, what, took)
				select { // a client that is told to come back later is not back at once
				case <-time.After(time.Millisecond):
				case <-ctx.Done():
				}
			}
		})
	}
	ld.stop = func() { cancel(); wg.Wait() }
	t.Cleanup(ld.stop)
	return ld
}

func (ld *load) current() string {
	ld.mu.Lock()
	defer ld.mu.Unlock()
	return ld.phase
}

// add counts a call if the phase has not changed meanwhile.
func (ld *load) add(phase, what string, took time.Duration) {
	ld.mu.Lock()
	defer ld.mu.Unlock()
	if phase != ld.phase {
		phase = "between"
	}
	if ld.seen[phase] == nil {
		ld.seen[phase] = map[string]int{}
	}
	ld.seen[phase][what]++
	ld.took[phase] = append(ld.took[phase], took)
}

func (ld *load) begin(phase string) {
	ld.mu.Lock()
	defer ld.mu.Unlock()
	ld.phase = phase
}

// calls is how many there were in a phase of what, or of all where what is "".
func (ld *load) calls(phase, what string) (n int) {
	ld.mu.Lock()
	defer ld.mu.Unlock()
	for w, m := range ld.seen[phase] {
		if what == "" || w == what {
			n += m
		}
	}
	return n
}

func (ld *load) percentile(phase string, p float64) time.Duration {
	ld.mu.Lock()
	defer ld.mu.Unlock()
	all := slices.Sorted(slices.Values(ld.took[phase]))
	return all[int(float64(len(all)-1)*p)]
}

// The server is killed under load and comes back, for each choice of what to do then. Every request is decided as the choice
// says, the outage costs less time than the normal, and the shared limit is back without anybody's doing.
func TestOutage(t *testing.T) {
	const many = 3000 // calls of a phase
	for _, choice := range []struct {
		outage  ratelimit.Outage
		normal  []string // what may be decided in normal times
		outages []string // and in an outage, all of them
	}{
		{ratelimit.FailOpen, []string{"allowed", "denied"}, []string{"exemptopen"}},
		{ratelimit.FailClosed, []string{"allowed", "denied"}, []string{string(errors.Unavailable)}},
		{ratelimit.LocalShare, []string{"allowed", "denied"}, []string{"allowedlocal", "deniedlocal"}},
	} {
		t.Run(choice.outage.String(), func(t *testing.T) {
			srv := redistest.Start(t)
			s := newStore(t, redisstore.Config{
				URL: srv.URL(), Timeout: 5 * time.Second, Breaker: breaker.Config{OpenFor: 100 * time.Millisecond},
			})
			cfg := ratelimit.Config{
				Limits: limits(t, "200/second burst 50; 1000000/day"), Store: s, OnOutage: choice.outage,
			}
			if choice.outage == ratelimit.LocalShare {
				cfg.Replicas = 2
			}
			l, err := ratelimit.New("api", cfg)
			require.NoError(t, err)
			ld := underLoad(t, l, "normal")
			eventually(t, "normal load", func() bool { return ld.calls("normal", "") > many })
			ld.begin("fall")
			srv.Kill()
			eventually(t, "an open breaker", func() bool { return s.Breaker().State() == breaker.Open })
			ld.begin("outage")
			eventually(t, "load in the outage", func() bool { return ld.calls("outage", "") > many })
			ld.begin("rise")
			srv.Restart()
			eventually(t, "a closed breaker", func() bool { return s.Breaker().State() == breaker.Closed })
			ld.begin("again")
			eventually(t, "load after it", func() bool { return ld.calls("again", "") > many })
			ld.stop()

			for phase, allowed := range map[string][]string{
				"normal": choice.normal, "outage": choice.outages, "again": choice.normal,
				"fall": slices.Concat(choice.normal, choice.outages), "rise": slices.Concat(choice.normal, choice.outages),
				"between": slices.Concat(choice.normal, choice.outages),
			} {
				for what, n := range ld.seen[phase] {
					require.Contains(t, allowed, what, "%s: %d of %v", phase, n, ld.seen[phase])
				}
			}
			require.Positive(t, ld.calls("again", "allowed"), "the shared limit admits again")
			for _, p := range []float64{0.5, 0.99} {
				normal, outage := ld.percentile("normal", p), ld.percentile("outage", p)
				t.Logf("%v: p%.0f %v, in the outage %v: %.3f times", choice.outage, p*100, normal, outage,
					float64(outage)/float64(normal))
			}
			// Most refusals of the breaker take microseconds; one call in 100 ms is a probe that dials.
			require.LessOrEqual(t, ld.percentile("outage", 0.5), ld.percentile("normal", 0.5))
		})
	}
}

// A server that accepts and answers nothing hangs nobody for longer than the timeout, by either client, and however many
// ask. Then calls are refused without it, and when it goes on so does the store.
func TestHungServerHangsNobody(t *testing.T) {
	const timeout = 300 * time.Millisecond
	for name, tc := range map[string]struct {
		callers int
		cfg     func(t *testing.T, addr string) redisstore.Config
	}{
		"own": {64, func(_ *testing.T, addr string) redisstore.Config { return redisstore.Config{URL: "redis://" + addr} }},
		"thousands": {4000, func(_ *testing.T, addr string) redisstore.Config { // more than rueidis's queues hold
			return redisstore.Config{URL: "redis://" + addr}
		}},
		"goredis": {64, func(t *testing.T, addr string) redisstore.Config {
			c := redis.NewClient(&redis.Options{Addr: addr, ReadTimeout: patient, MaxRetries: -1, PoolSize: 64})
			t.Cleanup(func() { _ = c.Close() })
			return redisstore.Config{GoRedis: c}
		}},
		"goredis obeys": {64, func(t *testing.T, addr string) redisstore.Config {
			c := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, PoolSize: 64})
			t.Cleanup(func() { _ = c.Close() })
			return redisstore.Config{GoRedis: c}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			gate := redistest.Start(t).Gate()
			cfg := tc.cfg(t, gate.Addr)
			cfg.Timeout, cfg.Breaker.OpenFor = timeout, 100*time.Millisecond
			s := newStore(t, cfg)
			r := request(t, "k", "1000000/day")
			eventually(t, "a healthy server", func() bool { _, err := s.Take(t.Context(), r); return err == nil })
			gate.Shut()
			var longest atomic.Int64
			var wg sync.WaitGroup
			for range tc.callers {
				wg.Go(func() {
					start := time.Now()
					_, err := s.Take(context.Background(), r)
					took := time.Since(start)
					if err == nil {
						t.Error("decided")
					}
					for old := longest.Load(); int64(took) > old && !longest.CompareAndSwap(old, int64(took)); old = longest.Load() {
					}
				})
			}
			wg.Wait()
			t.Logf("the longest of %d calls took %v", tc.callers, time.Duration(longest.Load()))
			require.Less(t, time.Duration(longest.Load()), timeout+5*time.Second, "a busy machine is given some time")
			require.NotEqual(t, breaker.Closed, s.Breaker().State())
			gate.Open()
			eventually(t, "a decision", func() bool { _, err := s.Take(t.Context(), r); return err == nil })
		})
	}
}

// While the breaker is open nothing is sent, and the error says when to ask again.
func TestOpenBreakerAsksNobody(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := newStore(t, redisstore.Config{URL: srv.URL(), Breaker: breaker.Config{OpenFor: time.Hour, Jitter: -1}})
	r := request(t, "k", "10/day")
	take(t, s, r)
	srv.Kill()
	for range 3 {
		_, err := s.Take(t.Context(), r)
		require.Equal(t, errors.Unavailable, errors.KindOf(err), "%v", err)
	}
	srv.Restart()
	for range 50 {
		_, err := s.Take(t.Context(), r)
		require.Equal(t, errors.CircuitOpen, errors.KindOf(err), "%v", err)
		require.Equal(t, errors.NotSent, errors.DeliveryOf(err))
		wait, ok := errors.RetryAfter(err)
		require.True(t, ok)
		require.InDelta(t, time.Hour, wait, float64(time.Minute))
		require.Equal(t, errors.CircuitOpen, errors.KindOf(s.Refund(t.Context(), r, taken(r))))
	}
	require.Zero(t, dbSize(t, srv), "the server was asked")
	require.NoError(t, s.Ping(t.Context()), "a ping does ask")

	l, err := ratelimit.New("api", ratelimit.Config{Limits: limits(t, "10/day"), Store: s, OnOutage: ratelimit.FailClosed})
	require.NoError(t, err)
	_, err = l.Allow(t.Context(), "k")
	wait, ok := errors.RetryAfter(err)
	require.True(t, ok, "the limiter passes the wait on: %v", err)
	require.InDelta(t, time.Hour, wait, float64(time.Minute))
	require.Equal(t, http.StatusServiceUnavailable, errors.KindOf(err).Status())
}

// What the caller does says nothing about Redis; that it hangs does, even to callers with short deadlines.
func TestWhatTheBreakerHears(t *testing.T) {
	t.Parallel()
	gate := redistest.Start(t).Gate()
	s := newStore(t, redisstore.Config{URL: gate.URL(), Timeout: time.Second})
	r := request(t, "k", "1000/day")
	eventually(t, "a healthy server", func() bool { _, err := s.Take(t.Context(), r); return err == nil })
	gate.Shut()
	defer gate.Open()
	failures := func() int { return s.Breaker().Snapshot().Failures }

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 5 {
		_, err := s.Take(gone, r)
		require.Equal(t, errors.Canceled, errors.KindOf(err))
		require.ErrorIs(t, err, context.Canceled)
	}
	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Millisecond, cancel)
		_, err := s.Take(ctx, r)
		require.Equal(t, errors.Canceled, errors.KindOf(err))
	}
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		_, err := s.Take(ctx, r)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	require.Zero(t, failures())
	require.Equal(t, breaker.Closed, s.Breaker().State())
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, err := s.Take(ctx, r)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	require.Equal(t, breaker.Open, s.Breaker().State())
}

// A store made during an outage works when it is over. Ping says how things stand.
func TestStartsWithoutItsServer(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	srv.Kill()
	s := newStore(t, redisstore.Config{URL: srv.URL(), Breaker: breaker.Config{OpenFor: 50 * time.Millisecond}})
	r := request(t, "k", "1000/day")
	require.Equal(t, errors.Unavailable, errors.KindOf(s.Ping(t.Context())))
	_, err := s.Take(t.Context(), r)
	require.Equal(t, errors.Unavailable, errors.KindOf(err))
	srv.Restart()
	require.NoError(t, s.Ping(t.Context()))
	require.True(t, take(t, s, r).Allowed)
}

// A connection that was closed while nobody used it fails no decision.
func TestIdleConnectionIsClosed(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := newStore(t, redisstore.Config{URL: srv.URL()})
	c := admin(t, srv)
	r := request(t, "k", "1000/day")
	take(t, s, r)
	for range 5 {
		n, err := c.Do(t.Context(), c.B().ClientKill().TypeNormal().SkipmeYes().Build()).AsInt64()
		require.NoError(t, err)
		require.Positive(t, n)
		eventually(t, "the loss is noticed", func() bool { return clients(t, c) == 1 })
		time.Sleep(20 * time.Millisecond) // the client learns of it from a real socket, and nothing of it shows that it has
		take(t, s, r)
	}
}

// clients is how many clients the server has.
func clients(t *testing.T, c rueidis.Client) int {
	t.Helper()
	list, err := c.Do(t.Context(), c.B().ClientList().TypeNormal().Build()).ToString()
	require.NoError(t, err)
	n := 0
	for _, b := range list {
		if b == '\n' {
			n++
		}
	}
	return n
}

// Close closes what the store has opened, and nothing that it was given.
func TestClose(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	r := request(t, "k", "1000/day")
	client := admin(t, srv)
	goRedis := redis.NewClient(&redis.Options{Addr: srv.Addr, ReadTimeout: patient})
	defer goRedis.Close()
	for _, cfg := range []redisstore.Config{{Client: client}, {GoRedis: goRedis}} {
		s := newStore(t, cfg)
		take(t, s, r)
		s.Close()
		s.Close()
		_, err := s.Take(t.Context(), r)
		require.ErrorContains(t, err, "closed")
		require.ErrorContains(t, s.Ping(t.Context()), "closed")
	}
	require.NoError(t, client.Do(t.Context(), client.B().Ping().Build()).Error())
	require.NoError(t, goRedis.Ping(t.Context()).Err())

	for _, use := range []bool{false, true} {
		s := newStore(t, redisstore.Config{URL: srv.URL()})
		if use {
			take(t, s, r)
		}
		s.Close()
		s.Close()
		for range 5 {
			_, err := s.Take(t.Context(), r)
			require.ErrorContains(t, err, "closed")
		}
		require.Equal(t, breaker.Closed, s.Breaker().State(), "a closed store says nothing about Redis")
	}
}
