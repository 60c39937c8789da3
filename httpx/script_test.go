package httpx_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/httpx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// step is what the base does with one attempt.
type step func(*http.Request) (*http.Response, error)

// script is a base that follows its steps, the last one for ever, and records what it was sent.
type script struct {
	mu    sync.Mutex
	steps []step
	sent  []sent
}

type sent struct {
	at     time.Time
	header http.Header
	body   string
	req    *http.Request
}

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
		_ = req.Body.Close()
	}
	s.mu.Lock()
	do := s.steps[min(len(s.sent), len(s.steps)-1)]
	s.sent = append(s.sent, sent{time.Now(), req.Header.Clone(), string(body), req})
	s.mu.Unlock()
	return do(req)
}

func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sent)
}

// bodies are the request bodies that were sent.
func (s *script) bodies() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, a := range s.sent {
		out = append(out, a.body)
	}
	return out
}

func follow(steps ...step) *script { return &script{steps: steps} }

// answer responds with a status, a body and headers given as name, value, and so on.
func answer(status int, body string, headers ...string) step {
	return func(req *http.Request) (*http.Response, error) {
		h := http.Header{"Content-Type": {"application/json"}}
		for i := 0; i < len(headers); i += 2 {
			h.Set(headers[i], headers[i+1])
		}
		return &http.Response{
			StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: req,
		}, nil
	}
}

func fail(err error) step {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// after takes its time, or the context's error.
func after(d time.Duration, then step) step {
	return func(req *http.Request) (*http.Response, error) {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			return then(req)
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
}

// hang answers nothing until the context ends.
func hang(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, context.Cause(req.Context())
}

func send(tb testing.TB, ctx context.Context, c *http.Client, method, body string, headers ...string) (*http.Response, string, error) {
	tb.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://vendor.test/path?token=planted-query", r)
	require.NoError(tb, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, "", err
	}
	got, err := io.ReadAll(resp.Body)
	require.NoError(tb, err)
	require.NoError(tb, resp.Body.Close())
	return resp, string(got), nil
}

// recorder collects what hooks and observers hear.
type recorder struct {
	mu       sync.Mutex
	events   []httpx.Event
	attempts []httpx.AttemptEvent
	calls    []httpx.CallEvent
}

func (r *recorder) hooks() httpx.Hooks {
	return httpx.Hooks{
		OnEvent:   func(e httpx.Event) { r.mu.Lock(); r.events = append(r.events, e); r.mu.Unlock() },
		OnAttempt: func(e httpx.AttemptEvent) { r.mu.Lock(); r.attempts = append(r.attempts, e); r.mu.Unlock() },
		OnCall:    func(e httpx.CallEvent) { r.mu.Lock(); r.calls = append(r.calls, e); r.mu.Unlock() },
	}
}

func (r *recorder) statuses() []httpx.Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []httpx.Status
	for _, e := range r.events {
		out = append(out, e.Status)
	}
	return out
}

// listenAndServe serves h on loopback until the test ends.
func listenAndServe(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		srv.Close()
	})
	return srv.URL
}
