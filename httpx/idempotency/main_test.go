package idempotency_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx/idempotency"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is for what must happen, on a busy machine.
const patience = 20 * time.Second

func newKeys(t testing.TB, cfg idempotency.Config) *idempotency.Keys {
	t.Helper()
	k, err := idempotency.New("api", cfg)
	require.NoError(t, err)
	return k
}

// caller is the scope of most tests.
func caller(r *http.Request) (string, error) { return r.Header.Get("X-User"), nil }

// client sends to one server, over HTTP/1.1.
type client struct {
	*http.Client

	url string
}

// serve serves h behind k until the test ends, with errors.Middleware around it as a service has it.
func serve(t *testing.T, k *idempotency.Keys, h http.HandlerFunc, around ...func(http.Handler) http.Handler) client {
	t.Helper()
	handler := errors.Middleware()(k.Handler(caller)(h))
	for _, a := range around {
		handler = a(handler)
	}
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0) // it tells of a panic that cuts a connection
	s.Start()
	t.Cleanup(s.Close)
	return client{s.Client(), s.URL}
}

// answer is one that was read.
type answer struct {
	status int
	header http.Header
	body   string
}

func (c client) request(t testing.TB, route, key, body string, header ...string) *http.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	method, path, _ := strings.Cut(route, " ")
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("X-User", "ann")
	if key != "" {
		r.Header[idempotency.Header] = []string{key}
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// send sends a request and reads its answer.
func (c client) send(t testing.TB, route, key, body string, header ...string) answer {
	t.Helper()
	a, err := c.try(c.request(t, route, key, body, header...))
	require.NoError(t, err)
	return a
}

func (c client) try(r *http.Request) (a answer, err error) {
	resp, err := c.Do(r)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(b)}, err
}

// problem expects a problem that names a decision.
func (a answer) problem(t testing.TB, status int, decision string) errors.Problem {
	t.Helper()
	require.Equal(t, status, a.status, a.body)
	require.Equal(t, errors.ContentType, a.header.Get("Content-Type"))
	p, err := errors.DecodeProblem([]byte(a.body))
	require.NoError(t, err)
	require.Equal(t, status, p.Status)
	require.Equal(t, http.StatusText(status), p.Title)
	if decision != "" {
		require.Equal(t, decision, p.Extra["idempotency"])
	}
	return p
}

func (a answer) replayed() bool { return a.header.Get(idempotency.HeaderReplayed) == "true" }

// journal gathers events.
type journal struct {
	mu        sync.Mutex
	decisions []string
	ends      []string
	errs      []error
	ops       []string
}

func (j *journal) hooks() idempotency.Hooks {
	return idempotency.Hooks{
		OnDecision: func(e idempotency.DecisionEvent) {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.decisions = append(j.decisions, e.Name+" "+e.Decision.String())
		},
		OnEnd: func(e idempotency.EndEvent) {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.ends = append(j.ends, e.End.String())
		},
		OnError: func(e idempotency.ErrorEvent) {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.errs, j.ops = append(j.errs, e.Err), append(j.ops, e.Op+" "+e.Outage.String())
		},
	}
}

// heard are the decisions and the ends so far.
func (j *journal) heard() (decisions, ends []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.decisions), slices.Clone(j.ends)
}

func (j *journal) last() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.ends) == 0 {
		return ""
	}
	return j.ends[len(j.ends)-1]
}

// counted counts the runs of a handler.
type counted struct {
	runs    atomic.Int64
	handler http.HandlerFunc
}

func (c *counted) serve(w http.ResponseWriter, r *http.Request) {
	c.runs.Add(1)
	c.handler(w, r)
}

// sent answers as a handler that has texted somebody.
func sent(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Location", "/messages/1")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write([]byte(`{"sent":` + string(b) + `}`))
}
