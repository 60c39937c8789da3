package page_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/examples/voice/page"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// object is JSON.
type object = map[string]any

// service answers as the reference service does, with what the test says: the page is what is tested. The progress and the
// status are the library's own.
type service struct {
	t      *testing.T
	url    string
	events *httpx.EventStream
	twilio *http.Client
	down   atomic.Bool    // of the vendor behind twilio
	held   chan *exchange // requests that wait for the test's answer
	stop   func()         // ends the server
	mux    *http.ServeMux // the API
	real   atomic.Bool    // no simulators
	limit  atomic.Value   // string: the RateLimit field
	demo   atomic.Int64   // how often a fault was set

	mu         sync.Mutex
	answers    map[string]http.HandlerFunc
	faults     map[string]string
	received   object
	subscribed map[string]bool
}

// exchange is a request that waits for its answer.
type exchange struct {
	s          *service
	what       string // method and path
	id, key    string
	body       object
	subscribed bool // to its progress, when it arrived
	answered   chan http.HandlerFunc
}

func start(t *testing.T) *service {
	t.Helper()
	s := &service{
		t: t, held: make(chan *exchange, 10), answers: map[string]http.HandlerFunc{}, mux: http.NewServeMux(),
		faults: map[string]string{"twilio": "none", "vapi": "none"}, received: object{"messages": 0, "calls": 0}, subscribed: map[string]bool{},
	}
	s.limit.Store(`"10/minute";r=7;t=24`)
	var err error
	s.events, err = httpx.NewEventStream(httpx.EventStreamConfig{ID: func(r *http.Request) string { return r.PathValue("id") }})
	require.NoError(t, err)
	st, err := status.New(status.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	client := func(name string) *http.Client {
		c, err := httpx.NewClient(name, st.WatchClient(httpx.Config{
			Base: roundTrip(s.vendor), MaxAttempts: -1, Breaker: breaker.Config{OpenFor: 40 * time.Second, MaxOpenFor: 40 * time.Second},
		}))
		require.NoError(t, err)
		return c
	}
	s.twilio = client("twilio")
	client("vapi")

	for what, body := range map[string]object{
		"GET /api/v1/twilio/messages": {"messages": []object{}, "attempts": 1, "guidance": "No text yet. Send the first one with the form above."},
		"GET /api/v1/twilio/calls":    {"calls": []object{}, "attempts": 1},
		"GET /api/v1/vapi/settings":   {"assistants": []object{}, "phone_numbers": []object{}, "attempts": 1, "guidance": "Vapi has no assistant yet. Create one in its dashboard."},
	} {
		s.reply(what, http.StatusOK, body)
	}
	s.mux.HandleFunc("/api/v1/", s.api)
	s.mux.HandleFunc("GET /api/v1/progress/{id}", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.subscribed[r.PathValue("id")] = true
		s.mu.Unlock()
		s.events.ServeHTTP(w, r)
	})
	s.mux.Handle("/ops/status", st)
	s.mux.HandleFunc("GET /demo/vendors", s.vendors)
	s.mux.HandleFunc("PUT /demo/vendors/{name}", s.fault)
	s.mux.Handle("/", page.Handler())
	srv := httptest.NewServer(s.mux)
	s.url = srv.URL
	s.stop = sync.OnceFunc(func() {
		st.Close()
		s.events.Close()
		srv.CloseClientConnections()
		srv.Close()
	})
	t.Cleanup(s.stop)
	return s
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (s *service) vendor(r *http.Request) (*http.Response, error) {
	code := http.StatusOK
	if s.down.Load() {
		code = http.StatusServiceUnavailable
	}
	return &http.Response{StatusCode: code, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// call makes n calls to Twilio, past the page: they are what its breaker hears.
func (s *service) call(n int) {
	s.t.Helper()
	for range n {
		req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://twilio.test/", http.NoBody)
		require.NoError(s.t, err)
		if resp, err := s.twilio.Do(req); err == nil {
			_ = resp.Body.Close()
		}
	}
}

// breaker is Twilio's.
func (s *service) breaker() *breaker.Breaker {
	tr, ok := s.twilio.Transport.(*httpx.Transport)
	require.True(s.t, ok)
	return tr.Breaker()
}

// api answers what is scripted, and holds everything else until the test answers it.
func (s *service) api(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Correlation-ID", r.Header.Get("X-Correlation-ID"))
	w.Header().Set("RateLimit-Policy", `"10/minute";q=10;w=60`)
	if limit, _ := s.limit.Load().(string); limit != "" {
		w.Header().Set("RateLimit", limit)
	}
	what := r.Method + " " + r.URL.Path
	s.mu.Lock()
	answer := s.answers[what]
	subscribed := s.subscribed[r.Header.Get("X-Correlation-ID")]
	s.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	x := &exchange{
		s: s, what: what, id: r.Header.Get("X-Correlation-ID"), key: r.Header.Get("Idempotency-Key"),
		subscribed: subscribed, answered: make(chan http.HandlerFunc, 1),
	}
	raw, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(raw, &x.body)
	s.held <- x
	select {
	case answer := <-x.answered:
		answer(w, r)
	case <-r.Context().Done():
	}
}

// reply scripts the answer to every such request; a nil body holds them again.
func (s *service) reply(what string, code int, body object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if body == nil {
		delete(s.answers, what)
		return
	}
	s.answers[what] = asJSON(code, body)
}

// refuse scripts a problem as the answer to every such request.
func (s *service) refuse(what string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[what] = func(w http.ResponseWriter, r *http.Request) { _ = errors.Write(w, r, err) }
}

// next is the next request that waits for its answer.
func (s *service) next(what string) *exchange {
	s.t.Helper()
	select {
	case x := <-s.held:
		require.Equal(s.t, what, x.what)
		require.True(s.t, x.subscribed, "the page listens to the progress of a request before it makes it")
		return x
	case <-time.After(time.Minute):
		require.Fail(s.t, "never: "+what)
		return nil
	}
}

// quiet says that nothing waits for an answer.
func (s *service) quiet() {
	s.t.Helper()
	select {
	case x := <-s.held:
		require.Fail(s.t, "one request too many: "+x.what)
	default:
	}
}

func asJSON(code int, body object) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body["correlation_id"] = r.Header.Get("X-Correlation-ID")
		raw, _ := json.Marshal(body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = w.Write(raw)
	}
}

// tell is an event of the exchange's progress.
func (x *exchange) tell(e httpx.Event) {
	e.CorrelationID, e.Service, e.MaxAttempts = x.id, "twilio", 3
	x.s.events.Publish(e)
}

func (x *exchange) answer(code int, body object) { x.answered <- asJSON(code, body) }

func (x *exchange) refuse(e *errors.Error) {
	x.answered <- func(w http.ResponseWriter, r *http.Request) { _ = errors.Write(w, r, e) }
}

// lose ends the connection without an answer.
func (x *exchange) lose() {
	x.answered <- func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
}

// receive is what the vendor's people got.
func (s *service) receive(what string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received[what] = n
}

func (s *service) vendors(w http.ResponseWriter, r *http.Request) {
	if s.real.Load() {
		_ = errors.Write(w, r, errors.NotFound)
		return
	}
	s.mu.Lock()
	all := []object{
		{"name": "twilio", "fault": s.faults["twilio"], "received": object{"messages": s.received["messages"], "calls": s.received["calls"]}},
		{"name": "vapi", "fault": s.faults["vapi"], "received": object{"calls": 0}},
	}
	s.mu.Unlock()
	asJSON(http.StatusOK, object{"vendors": all})(w, r)
}

func (s *service) fault(w http.ResponseWriter, r *http.Request) {
	var want struct{ Fault string }
	if err := json.NewDecoder(r.Body).Decode(&want); err != nil || strings.TrimSpace(want.Fault) == "" {
		_ = errors.Write(w, r, errors.Invalid)
		return
	}
	name := r.PathValue("name")
	s.mu.Lock()
	s.faults[name] = want.Fault
	s.mu.Unlock()
	s.demo.Add(1)
	asJSON(http.StatusOK, object{"name": name, "fault": want.Fault, "received": object{"messages": 0, "calls": 0}})(w, r)
}
