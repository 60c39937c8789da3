package status_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/status"
)

// screen is a writer that keeps what it is shown, and when.
type screen struct {
	mu     sync.Mutex
	header http.Header
	status int
	blocks []string
	at     []time.Time
	stuck  chan struct{} // where set, a write waits for it
}

func (s *screen) Header() http.Header { return s.header }
func (s *screen) WriteHeader(n int)   { s.status = n }
func (s *screen) Flush()              {}

func (s *screen) Write(b []byte) (int, error) {
	if s.stuck != nil {
		<-s.stuck
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocks = append(s.blocks, string(b))
	s.at = append(s.at, time.Now())
	return len(b), nil
}

func (s *screen) seen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.blocks)
}

func (s *screen) last(t *testing.T) status.State {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	return decode(t, s.blocks[len(s.blocks)-1])
}

// decode reads what a stream sends. It has less than a status.State can hold: durations are not read back.
func decode(t *testing.T, block string) status.State {
	t.Helper()
	data, ok := strings.CutPrefix(block, "event: state\ndata: ")
	require.True(t, ok, block)
	require.Equal(t, 2, strings.Count(data, "\n"), "one line, and an empty one")
	var st struct {
		Clients []struct {
			ID       string
			Explain  any
			Breakers []struct{ State string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(data), &st))
	var out status.State
	for _, c := range st.Clients {
		require.Nil(t, c.Explain, "what never changes is not sent again and again")
		one := status.Client{ID: c.ID}
		for _, b := range c.Breakers {
			one.Breakers = append(one.Breakers, status.Breaker{State: b.State})
		}
		out.Clients = append(out.Clients, one)
	}
	return out
}

// watcher streams to a screen until the context is done.
func watcher(ctx context.Context, s *status.Status) (*screen, <-chan struct{}) {
	w := &screen{header: http.Header{}}
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody)
	r.Header.Set("Accept", "text/event-stream")
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.ServeHTTP(w, r)
	}()
	return w, done
}

func TestAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStatus(t, status.Config{MaxStream: time.Minute})
		v := up()
		c := watch(t, s, "vendor", httpx.Config{Base: v})
		begin := time.Now()
		w, done := watcher(t.Context(), s)
		synctest.Wait()
		require.Equal(t, "text/event-stream", w.header.Get("Content-Type"))
		require.Equal(t, "no-store", w.header.Get("Cache-Control"))
		require.Equal(t, "retry: 1000\n\n", w.blocks[0])
		require.Equal(t, 2, w.seen(), "the whole state at once")
		require.Equal(t, "closed", w.last(t).Clients[0].Breakers[0].State)

		time.Sleep(4 * time.Second)
		require.Equal(t, 2, w.seen(), "nothing has changed")
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 3, w.seen(), "a beat, so that the page knows it is heard")

		time.Sleep(100 * time.Millisecond)
		v.status.Store(0)
		get(t, c)
		changed := time.Now()
		time.Sleep(time.Second)
		require.Equal(t, 4, w.seen())
		require.Equal(t, "open", w.last(t).Clients[0].Breakers[0].State)
		require.LessOrEqual(t, w.at[3].Sub(changed), 500*time.Millisecond)

		n := w.seen()
		time.Sleep(4 * time.Second)
		require.LessOrEqual(t, w.seen(), n+1, "time that runs down is no change")
		<-done
		require.Equal(t, time.Minute, time.Since(begin))
	})
}

func TestAStreamEndsWithItsReaderAndWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStatus(t, status.Config{})
		ctx, leave := context.WithCancel(t.Context())
		_, gone := watcher(ctx, s)
		_, closed := watcher(t.Context(), s)
		synctest.Wait()
		leave()
		<-gone
		s.Close()
		s.Close()
		<-closed
	})
}

// A reader that takes nothing holds up nobody, and gets the present state when it comes round, not all it missed.
func TestASlowReaderIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStatus(t, status.Config{})
		v := up()
		c := watch(t, s, "vendor", httpx.Config{Base: v})
		w := &screen{header: http.Header{}, stuck: make(chan struct{})}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.Header.Set("Accept", "text/event-stream")
		go s.ServeHTTP(w, r)
		other, _ := watcher(t.Context(), s)
		for range 20 {
			get(t, c)
			time.Sleep(time.Second)
		}
		v.status.Store(0)
		get(t, c)
		time.Sleep(time.Second)
		require.GreaterOrEqual(t, other.seen(), 22, "it holds up nobody")
		require.Zero(t, w.seen())
		close(w.stuck)
		synctest.Wait()
		require.Equal(t, 2, w.seen())
		require.Equal(t, "open", w.last(t).Clients[0].Breakers[0].State)
		s.Close()
	})
}

func TestReadersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStatus(t, status.Config{MaxReaders: 2})
		ctx, leave := context.WithCancel(t.Context())
		watcher(ctx, s)
		_, second := watcher(t.Context(), s)
		synctest.Wait()
		w, done := watcher(t.Context(), s)
		<-done
		require.Equal(t, http.StatusServiceUnavailable, w.status)
		require.Equal(t, "5", w.header.Get("Retry-After"))
		leave()
		synctest.Wait()
		w, _ = watcher(t.Context(), s)
		synctest.Wait()
		require.Equal(t, http.StatusOK, w.status, "who leaves makes room")
		s.Close()
		<-second
	})
}

func TestManyWhoWatchAreOneLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStatus(t, status.Config{})
		watch(t, s, "vendor", httpx.Config{Base: up()})
		a, _ := watcher(t.Context(), s)
		b, _ := watcher(t.Context(), s)
		time.Sleep(time.Millisecond)
		c, _ := watcher(t.Context(), s)
		synctest.Wait()
		require.Equal(t, a.blocks[1], c.blocks[1])
		require.Equal(t, a.blocks[1], b.blocks[1], "to the nanosecond of its time")
		s.Close()
	})
}

// Over a real connection: a reader comes back after its stream was cut, and a shutdown waits for nobody.
func TestAReaderComesBackAndAServerShutsDown(t *testing.T) {
	s := newStatus(t, status.Config{})
	c := watch(t, s, "vendor", httpx.Config{Base: up()})
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute, WriteTimeout: time.Minute}
	server.RegisterOnShutdown(s.Close)
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	open := func() (*http.Response, *bufio.Reader) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String(), http.NoBody)
		require.NoError(t, err)
		req.Header.Set("Accept", "text/event-stream")
		resp, err := client.Do(req)
		require.NoError(t, err)
		return resp, bufio.NewReader(resp.Body)
	}
	next := func(r *bufio.Reader) string {
		var block bytes.Buffer
		for {
			line, err := r.ReadString('\n')
			require.NoError(t, err)
			block.WriteString(line)
			if line == "\n" {
				return block.String()
			}
		}
	}
	resp, r := open()
	require.Equal(t, "retry: 1000\n\n", next(r))
	require.Equal(t, "closed", decode(t, next(r)).Clients[0].Breakers[0].State)
	require.NoError(t, resp.Body.Close())
	theBreaker(t, c).ForceOpen()
	resp, r = open()
	defer resp.Body.Close()
	require.Equal(t, "retry: 1000\n\n", next(r))
	for decode(t, next(r)).Clients[0].Breakers[0].State != "forced-open" { // the look of just before may be shown once more
	}
	require.NoError(t, server.Shutdown(t.Context()))
	require.ErrorIs(t, <-served, http.ErrServerClosed)
	_, err = io.ReadAll(r)
	require.NoError(t, err, "a closed stream ends well")
}
