package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/httpx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is for what must happen, on a busy machine.
const patience = 20 * time.Second

// rig is the service on a real port, its simulators on theirs, and a client before it.
type rig struct {
	*service

	set    *settings
	url    string
	addr   string
	log    *journal
	http   *http.Client
	stop   context.CancelFunc
	result chan error
}

// start serves until the test ends. What environ says wins over: development, and no limit that a test would meet.
func start(t testing.TB, environ ...string) *rig {
	t.Helper()
	return startWith(t, standard(), quick, environ...)
}

// quick waits for nothing: a call may start at any time, and a retry at once.
func quick(cfg httpx.Config) httpx.Config {
	cfg.Profile.Rates, cfg.BackoffBase = nil, -1
	return cfg
}

func startWith(t testing.TB, at times, tune func(httpx.Config) httpx.Config, environ ...string) *rig {
	t.Helper()
	g := &rig{set: declare(), log: &journal{}, result: make(chan error, 1)}
	environ = append(environ, "APP_ENV=development", "RATE_LIMIT_PER_MINUTE=1000000") // the first one counts
	require.NoError(t, g.set.load(environ))
	log := slog.New(correlation.LogHandler(slog.NewJSONHandler(g.log, nil)))
	var err error
	g.service, err = wire(g.set, log, tune)
	require.NoError(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g.addr, g.url = ln.Addr().String(), "http://"+ln.Addr().String()
	g.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	g.stop = cancel
	go func() { g.result <- g.serve(ctx, ln, log, at) }()
	t.Cleanup(func() {
		g.http.CloseIdleConnections()
		g.end(t)
	})
	return g
}

// end shuts the service down, as a signal does, and waits for it.
func (g *rig) end(t testing.TB) {
	t.Helper()
	g.stop()
	require.NoError(t, receive(t, g.result))
	g.result <- nil // for who asks again
}

// reply is an answer, read.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// send sends a request and reads the answer, which has to be one that the description knows. header are pairs.
func (g *rig) send(t testing.TB, route, body string, header ...string) reply {
	t.Helper()
	r, err := g.try(t.Context(), route, body, header...)
	require.NoError(t, err)
	method, path, _ := strings.Cut(route, " ")
	require.NoError(t, described(method, path, r), "%s: %d %s", route, r.status, r.body)
	return r
}

func (g *rig) try(ctx context.Context, route, body string, header ...string) (reply, error) {
	method, path, _ := strings.Cut(route, " ")
	r, err := http.NewRequestWithContext(ctx, method, g.url+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := g.http.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	read, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, read}, err
}

// text sends a text under a key.
func (g *rig) text(t testing.TB, key, body string, header ...string) reply {
	t.Helper()
	return g.send(t, "POST /api/v1/twilio/messages", `{"to":"`+person+`","body":"`+body+`"}`, append(header, "Idempotency-Key", `"`+key+`"`)...)
}

const person = "+15558675310"

// breaks puts a simulator under a fault, as a visitor does.
func (g *rig) breaks(t testing.TB, vendor, fault string) {
	t.Helper()
	require.Equal(t, http.StatusOK, g.send(t, "PUT /demo/vendors/"+vendor, `{"fault":"`+fault+`"}`).status)
}

// override changes a flag at run time.
func (g *rig) override(t testing.TB, flag, value string) {
	t.Helper()
	require.NoError(t, g.set.Override(flags.Change{Flag: flag, Value: value, Author: "test", Reason: "to see what happens"}))
}

// problem is the answer as a problem of the status and kind that it should have.
func (r reply) problem(t testing.TB, status int, kind errors.Kind) errors.Problem {
	t.Helper()
	require.Equal(t, status, r.status, "%s", r.body)
	require.Equal(t, errors.ContentType, r.header.Get("Content-Type"))
	p, err := errors.DecodeProblem(r.body)
	require.NoError(t, err)
	require.Equal(t, kind, p.Kind)
	id := correlation.Header
	if r.header.Get("Idempotency-Replayed") != "" {
		id = "Idempotency-Correlation-Id" // a replayed body is about the request that was run
	}
	require.Equal(t, r.header.Get(id), p.CorrelationID)
	require.NotEmpty(t, p.CorrelationID)
	return p
}

// object is the answer as JSON, of the status that it should have.
func (r reply) object(t testing.TB, status int) map[string]any {
	t.Helper()
	require.Equal(t, status, r.status, "%s", r.body)
	var v map[string]any
	require.NoError(t, json.Unmarshal(r.body, &v))
	return v
}

// stream is an answer of Server-Sent Events that is being read.
type stream struct {
	events <-chan map[string]any // closed at its end
}

// follow reads the stream at path until the test, or the server, ends it.
func (g *rig) follow(t testing.TB, path string) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url+path, nil)
	require.NoError(t, err)
	r.Header.Set("Accept", "text/event-stream")
	resp, err := g.http.Do(r)
	require.NoError(t, err)
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	events := make(chan map[string]any, 1000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(events)
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			var e map[string]any
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && json.Unmarshal([]byte(data), &e) == nil {
				events <- e
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		_ = resp.Body.Close()
		<-done
	})
	return &stream{events}
}

// next is the next event.
func (s *stream) next(t testing.TB) map[string]any {
	t.Helper()
	return receive(t, s.events)
}

// receive waits for what another goroutine sends; of a closed channel it is the zero.
func receive[T any](t testing.TB, from <-chan T) (v T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	select {
	case v = <-from:
	case <-ctx.Done():
		require.FailNow(t, "nothing came")
	}
	return v
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, patience, 5*time.Millisecond, what)
}

// journal is a log that is written by several goroutines.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write adds a line.
func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

// with are the records that say msg.
func (j *journal) with(t testing.TB, msg string) (found []map[string]any) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range strings.Lines(j.text.String()) {
		var r map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &r))
		if r["msg"] == msg {
			found = append(found, r)
		}
	}
	return found
}
