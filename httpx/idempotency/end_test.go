package idempotency_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx/idempotency"
)

func TestAPanicLeavesTheKeyTaken(t *testing.T) {
	t.Parallel()
	for name, panics := range map[string]http.HandlerFunc{
		"before the answer": func(http.ResponseWriter, *http.Request) { panic("boom") },
		"behind it":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); panic("boom") },
		"abort":             func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"after a release":   func(_ http.ResponseWriter, r *http.Request) { idempotency.Release(r.Context()); panic("boom") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var j journal
			h := counted{handler: panics}
			c := serve(t, newKeys(t, idempotency.Config{Hooks: j.hooks()}), h.serve)
			a, err := c.try(c.request(t, "POST /", "k", ""))
			if name == "before the answer" || name == "after a release" {
				require.NoError(t, err)
				require.Equal(t, 500, a.status, "the panic went on, to what answers for it")
			} else {
				require.Error(t, err, "the connection is cut")
			}
			_, ends := j.heard()
			require.Equal(t, []string{"lost"}, ends)
			again := c.send(t, "POST /", "k", "")
			p := again.problem(t, 500, "unknown")
			require.Equal(t, "unknown", p.Delivery)
			require.Equal(t, errors.Internal, p.Kind)
			require.Zero(t, p.Retry.After)
			require.EqualValues(t, 1, h.runs.Load())
		})
	}
}

func TestGoexitLeavesTheKeyTaken(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	k := newKeys(t, idempotency.Config{})
	h := counted{handler: func(http.ResponseWriter, *http.Request) { runtime.Goexit() }}
	guarded := k.Handler(caller)(http.HandlerFunc(h.serve))
	request := func() *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set("X-User", "ann")
		r.Header.Set(idempotency.Header, "k")
		return r
	}
	go func() {
		defer close(done)
		guarded.ServeHTTP(httptest.NewRecorder(), request())
	}()
	<-done
	w := httptest.NewRecorder()
	guarded.ServeHTTP(w, request())
	require.Equal(t, 500, w.Code)
	require.EqualValues(t, 1, h.runs.Load())
}

// The client leaves while its request is run. Whoever comes back for the answer is given it.
func TestTheClientGoesAway(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 60<<10)
	for name, test := range map[string]struct {
		handler func(w http.ResponseWriter, r *http.Request)
		status  int
		body    string
		runs    int64
	}{
		"the handler runs on": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(201)
			_, _ = io.WriteString(w, "sent")
		}, 201, "sent", 1},
		"all of a large answer is kept": {func(w http.ResponseWriter, _ *http.Request) {
			for _, b := range []byte(big) { // until it fails, as io.Copy
				if _, err := w.Write([]byte{b}); err != nil {
					return
				}
				if http.NewResponseController(w).Flush() != nil {
					continue
				}
			}
		}, 200, big, 1},
		"the handler stops, and says nothing": {func(http.ResponseWriter, *http.Request) {}, 500, "", 1},
		"the handler stops, it may be sent": {func(w http.ResponseWriter, r *http.Request) {
			_ = errors.Write(w, r, &errors.Error{Kind: errors.Canceled, Stop: errors.StopCanceled})
		}, 500, "", 1},
		"the handler stops, it was not sent": {func(w http.ResponseWriter, r *http.Request) {
			if r.Context().Err() == nil {
				_, _ = io.WriteString(w, "second")
				return
			}
			_ = errors.Write(w, r, &errors.Error{Kind: errors.Canceled, Delivery: errors.NotSent})
		}, 200, "second", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun, ended := make(chan struct{}, 2), make(chan struct{}, 2)
			h := counted{}
			h.handler = func(w http.ResponseWriter, r *http.Request) {
				if h.runs.Load() == 1 {
					begun <- struct{}{}
					<-r.Context().Done()
				}
				test.handler(w, r)
			}
			k := newKeys(t, idempotency.Config{Hooks: idempotency.Hooks{
				OnEnd: func(idempotency.EndEvent) { ended <- struct{}{} },
			}})
			c := serve(t, k, h.serve)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				<-begun
				cancel()
			}()
			_, err := c.try(c.request(t, "POST /", "k", "").WithContext(ctx))
			require.Error(t, err)
			<-ended
			a := c.send(t, "POST /", "k", "")
			require.Equal(t, test.status, a.status)
			if test.status == 500 {
				a.problem(t, 500, "unknown")
			} else {
				require.Equal(t, test.body, a.body)
			}
			require.Equal(t, test.runs, h.runs.Load())
		})
	}
}

func TestATakenConnectionLeavesTheKeyTaken(t *testing.T) {
	t.Parallel()
	h := counted{handler: func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = rw.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nraw")
		_ = rw.Flush()
		_ = conn.Close()
	}}
	c := serve(t, newKeys(t, idempotency.Config{}), h.serve)
	require.Equal(t, "raw", c.send(t, "POST /", "k", "").body)
	c.send(t, "POST /", "k", "").problem(t, 500, "unknown")
	require.EqualValues(t, 1, h.runs.Load())
}

// What is too large to keep reaches its client untouched, and a retry is told.
func TestALargeAnswer(t *testing.T) {
	t.Parallel()
	var j journal
	h := counted{handler: func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.RawQuery)
		w.Header().Set("Location", "/1")
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Language", "de")
		w.WriteHeader(201)
		_, _ = io.WriteString(w, strings.Repeat("x", n/2))
		_, _ = w.Write(bytes.Repeat([]byte("x"), n-n/2))
	}}
	c := serve(t, newKeys(t, idempotency.Config{MaxResponse: 1000, Hooks: j.hooks()}), h.serve)
	a := c.send(t, "POST /?5000", "k", "")
	require.Equal(t, strings.Repeat("x", 5000), a.body)
	again := c.send(t, "POST /?5000", "k", "")
	p := again.problem(t, 201, "not_kept")
	require.Contains(t, p.Detail, "too large")
	require.True(t, again.replayed())
	require.Equal(t, "/1", again.header.Get("Location"))
	require.Empty(t, again.header.Get("Content-Language"), "it is of the body that is not there")
	require.EqualValues(t, 1, h.runs.Load())
	decisions, _ := j.heard()
	require.Equal(t, []string{"api run", "api not_kept"}, decisions)

	c.send(t, "POST /?900", "k2", "")
	require.Len(t, c.send(t, "POST /?900", "k2", "").body, 900, "header and body are below")
}

func TestALargeHeader(t *testing.T) {
	t.Parallel()
	h := counted{handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Large", strings.Repeat("x", 1000))
		w.WriteHeader(204)
	}}
	c := serve(t, newKeys(t, idempotency.Config{MaxResponse: 1000}), h.serve)
	require.Len(t, c.send(t, "POST /", "k", "").header.Get("X-Large"), 1000)
	again := c.send(t, "POST /", "k", "")
	require.Equal(t, 204, again.status)
	require.Empty(t, again.header.Get("X-Large"))
	require.True(t, again.replayed())
	require.EqualValues(t, 1, h.runs.Load())
}

// A stream is not held up, and http.ResponseController reaches what is below.
func TestAStream(t *testing.T) {
	t.Parallel()
	next := make(chan struct{})
	c := serve(t, newKeys(t, idempotency.Config{}), func(w http.ResponseWriter, _ *http.Request) {
		rc := http.NewResponseController(w)
		if err := rc.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			panic(err)
		}
		for range 3 {
			_, _ = io.WriteString(w, "event\n")
			if err := rc.Flush(); err != nil {
				panic(err)
			}
			<-next
		}
	})
	resp, err := c.Do(c.request(t, "POST /", "k", ""))
	require.NoError(t, err)
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for range 3 {
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "event\n", line)
		next <- struct{}{}
	}
	_, err = lines.ReadString('\n')
	require.Equal(t, io.EOF, err)
	require.Equal(t, "event\nevent\nevent\n", c.send(t, "POST /", "k", "").body)
}

// An answer that is shorter than its handler said is not one to give again.
func TestACutAnswer(t *testing.T) {
	t.Parallel()
	h := counted{handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "half")
	}}
	c := serve(t, newKeys(t, idempotency.Config{}), h.serve)
	_, err := c.try(c.request(t, "POST /", "k", ""))
	require.Error(t, err)
	c.send(t, "POST /", "k", "").problem(t, 200, "not_kept")
	require.EqualValues(t, 1, h.runs.Load())
}

// What comes before the answer is not the answer.
func TestEarlyHints(t *testing.T) {
	t.Parallel()
	c := serve(t, newKeys(t, idempotency.Config{}), func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("X-After", "1")
		w.WriteHeader(202)
		w.WriteHeader(200)
		_, err := io.Copy(w, strings.NewReader("ok"))
		if err != nil {
			panic(err)
		}
	})
	c.send(t, "POST /", "k", "")
	a := c.send(t, "POST /", "k", "")
	require.Equal(t, 202, a.status)
	require.Equal(t, "1", a.header.Get("X-After"))
	require.Equal(t, "ok", a.body)
}

func TestANoContentAnswer(t *testing.T) {
	t.Parallel()
	c := serve(t, newKeys(t, idempotency.Config{}), func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(204)
		_, err := io.WriteString(w, "no")
		if !errors.Is(err, http.ErrBodyNotAllowed) {
			panic(err)
		}
	})
	c.send(t, "POST /", "k", "")
	a := c.send(t, "POST /", "k", "")
	require.Equal(t, 204, a.status)
	require.True(t, a.replayed())
	require.Empty(t, a.body)
	require.Empty(t, a.header.Get("Content-Length"))
}

// A key is free again when its time is over, and not before; a request that never ends is told apart from one that may yet.
func TestTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKeys(t, idempotency.Config{TTL: time.Hour, Lease: time.Minute})
		finish := make(chan struct{})
		h := counted{handler: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				<-finish
			}
			sent(w, r)
		}}
		guarded := k.Handler(caller)(http.HandlerFunc(h.serve))
		send := func(path, key string) int {
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader("1"))
			r.Header.Set("X-User", "ann")
			r.Header.Set(idempotency.Header, key)
			w := httptest.NewRecorder()
			guarded.ServeHTTP(w, r)
			return w.Code
		}
		require.Equal(t, 201, send("/", "k"))
		time.Sleep(time.Hour - 1)
		require.Equal(t, 201, send("/", "k"))
		require.EqualValues(t, 1, h.runs.Load())
		time.Sleep(time.Nanosecond)
		require.Equal(t, 201, send("/", "k"))
		require.EqualValues(t, 2, h.runs.Load())

		go send("/slow", "slow")
		synctest.Wait()
		time.Sleep(time.Minute - 1)
		require.Equal(t, 409, send("/slow", "slow"))
		time.Sleep(time.Nanosecond)
		require.Equal(t, 500, send("/slow", "slow"), "the lease is over")
		time.Sleep(time.Hour - 1)
		require.Equal(t, 500, send("/slow", "slow"), "and the key still taken")
		require.EqualValues(t, 3, h.runs.Load())
		close(finish)
		synctest.Wait()
		require.Equal(t, 201, send("/slow", "slow"), "it has ended after all")
		require.EqualValues(t, 3, h.runs.Load())
		time.Sleep(time.Hour)
		require.Zero(t, k.Snapshot())
	})
}
