package redisstore_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/httpx/idempotency"
	"github.com/prusik-go/prusik/httpx/idempotency/redisstore"
	"github.com/prusik-go/prusik/internal/redistest"
)

// Redis is killed and comes back. Nothing that it was told is run again, as long as it writes what it is told.
func TestARestart(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	s := newStore(t, redisstore.Config{Client: newClient(t, srv.Addr)})
	s.Breaker().Disable()
	running, finish, ended := make(chan struct{}), make(chan struct{}), make(chan int)
	svc := newService(t, s, idempotency.FailClosed, nil)
	slow := newService(t, s, idempotency.FailClosed, func() { close(running); <-finish })
	require.Equal(t, 201, svc.post("done").Code)
	go func() { ended <- slow.post("slow").Code }()
	<-running
	srv.Kill()
	require.Equal(t, 503, svc.post("done").Code)
	srv.Restart()
	eventually(t, "Redis is back, and the client has noticed", func() bool { return svc.post("done").Body.String() == "sent" })
	require.Contains(t, []int{409, 500}, svc.post("slow").Code)
	close(finish)
	require.Equal(t, 201, <-ended)
	require.Equal(t, 201, svc.post("slow").Code)
	require.EqualValues(t, 1, svc.runs.Load())
	require.EqualValues(t, 1, slow.runs.Load())
}

// One that forgets everything runs everything again, as the documentation says. What was in progress is kept when it ends.
func TestARestartThatForgets(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := newStore(t, redisstore.Config{Client: newClient(t, srv.Addr)})
	svc := newService(t, s, idempotency.FailClosed, nil)
	require.Equal(t, 201, svc.post("done").Code)
	slow := newService(t, s, idempotency.FailClosed, srv.Restart)
	require.Equal(t, 201, slow.post("slow").Code)
	require.Equal(t, 201, svc.post("slow").Code)
	require.EqualValues(t, 1, svc.runs.Load())
	require.Equal(t, 201, svc.post("done").Code)
	require.EqualValues(t, 2, svc.runs.Load())
}

// While Redis is down, the choice is acted on; after a few errors without asking Redis at all; and when it is back, keys are heeded.
func TestAnOutage(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	cfg := redisstore.Config{Client: newClient(t, srv.Addr), Breaker: breaker.Config{OpenFor: time.Hour}}
	shut, open := newStore(t, cfg), newStore(t, cfg)
	closed, failing := newService(t, shut, idempotency.FailClosed, nil), newService(t, open, idempotency.FailOpen, nil)
	require.Equal(t, 201, closed.post("k").Code)
	srv.Kill()
	for range 10 {
		w := closed.post("k")
		require.Equal(t, 503, w.Code)
		require.NotContains(t, w.Body.String(), srv.Addr)
		require.Equal(t, 201, failing.post("k").Code)
	}
	require.EqualValues(t, 1, closed.runs.Load())
	require.EqualValues(t, 10, failing.runs.Load())
	require.Equal(t, breaker.Open, shut.Breaker().State())
	require.Equal(t, breaker.Open, open.Breaker().State())
	require.NotEmpty(t, closed.post("k").Header().Get("Retry-After"))
	srv.Restart()
	require.Equal(t, 503, closed.post("k").Code, "the breaker is open")
	eventually(t, "Redis is back, and the client has noticed", func() bool {
		shut.Breaker().Reset()
		return closed.post("k").Code == 201
	})
	require.Equal(t, 201, closed.post("k").Code)
	require.EqualValues(t, 2, closed.runs.Load())
}

// Redis hears what it is told, and no answer comes back. What was not run is not taken, and what was run is kept.
func TestAnswersThatAreLost(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	gate := srv.Gate()
	lame := newStore(t, redisstore.Config{Client: newClient(t, gate.Addr), Timeout: 50 * time.Millisecond})
	lame.Breaker().Disable()
	sound := newService(t, newStore(t, redisstore.Config{Client: newClient(t, srv.Addr)}), idempotency.FailClosed, nil)
	closed, failing := newService(t, lame, idempotency.FailClosed, nil), newService(t, lame, idempotency.FailOpen, nil)
	tries := 0
	eventually(t, "a connection", func() bool { // with a key of its own each time: one that was late counts as begun
		tries++
		return closed.post("warm"+strconv.Itoa(tries)).Code == 201
	})
	runs := closed.runs.Load()
	gate.Mute()
	require.Equal(t, 503, closed.post("closed").Code)
	require.Equal(t, 201, failing.post("open").Code)
	require.Equal(t, runs, closed.runs.Load())
	require.EqualValues(t, 1, failing.runs.Load())
	gate.Open()
	// A call that was never answered may reach the server late, a claim even behind its release: then it counts as begun.
	require.Contains(t, []int{201, 409}, sound.post("closed").Code)
	require.LessOrEqual(t, sound.runs.Load(), int64(1))
}

// A server that hangs holds nobody longer than the timeout.
func TestAServerThatHangs(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	gate := srv.Gate()
	gate.Shut()
	s := newStore(t, redisstore.Config{Client: newClient(t, gate.Addr), Timeout: 20 * time.Millisecond})
	begun := time.Now()
	_, err := s.Begin(t.Context(), claim())
	require.ErrorContains(t, err, "deadline")
	require.Less(t, time.Since(begun), patient/2, "the client's own is longer")
	gate.Open()
}
