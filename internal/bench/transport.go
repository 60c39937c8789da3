package bench

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
)

// MaxWorkers is how many goroutines may call one environment at a time.
const MaxWorkers = 256

// Plan is what the far side does.
type Plan int

const (
	// Succeed answers every attempt with 200.
	Succeed Plan = iota
	// RetryTwice answers every worker's attempts with 503, 503, 200, and again.
	RetryTwice
	// Unavailable answers every attempt with 503. It opens breakers.
	Unavailable
	// Refuse fails every attempt with one static error. It is what an open breaker is compared with.
	Refuse
)

// errRefused is the error of [Refuse].
var errRefused = errors.New("bench: connection refused")

// attempts counts the attempts of each worker. A worker is known by its path, so that parallel workers do not
// see one another's answers and share no counter.
type attempts [MaxWorkers]struct {
	n atomic.Int64
	_ [56]byte
}

// next returns how many attempts the worker behind path had made before this one.
func (a *attempts) next(path string) int64 {
	worker := 0
	for i := 1; i < len(path); i++ {
		worker = worker*10 + int(path[i]-'0')
	}
	return a[worker].n.Add(1) - 1
}

func (a *attempts) total() int64 {
	var sum int64
	for i := range a {
		sum += a[i].n.Load()
	}
	return sum
}

func (p Plan) status(attempt int64) int {
	if p == Unavailable || p == RetryTwice && attempt%3 != 2 {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

// stub is a transport that answers from memory. It reads the request body to its end and closes it, as
// [http.Transport] does.
type stub struct {
	plan     Plan
	attempts attempts
}

// chunks are the buffers that request bodies are read into. Reading with Read, and not with WriteTo, costs
// every contestant the same, whether or not it wraps the body; a socket would copy as well.
var chunks = sync.Pool{New: func() any { return new([32 << 10]byte) }} //nolint:gochecknoglobals // a pool

func discard(body io.ReadCloser) error {
	if body == nil || body == http.NoBody {
		return nil
	}
	chunk, _ := chunks.Get().(*[32 << 10]byte)
	defer chunks.Put(chunk)
	for {
		if _, err := body.Read(chunk[:]); err != nil {
			if err == io.EOF {
				err = nil
			}
			return errors.Join(err, body.Close())
		}
	}
}

// answered is a response with its body in one allocation.
type answered struct {
	http.Response
	rest answerBody
}

type answerBody struct{ text string }

func (b *answerBody) Read(p []byte) (int, error) {
	n := copy(p, b.text)
	b.text = b.text[n:]
	if b.text == "" {
		return n, io.EOF
	}
	return n, nil
}

func (b *answerBody) Close() error { b.text = ""; return nil }

// answerHeader is shared by every answer. No contestant may change it.
var answerHeader = http.Header{"Content-Type": {"text/plain"}} //nolint:gochecknoglobals // never changed

const answerText = "a short answer\n"

func (s *stub) RoundTrip(r *http.Request) (*http.Response, error) {
	attempt := s.attempts.next(r.URL.Path)
	if err := discard(r.Body); err != nil {
		return nil, err
	}
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	default:
	}
	if s.plan == Refuse {
		return nil, errRefused
	}
	a := &answered{rest: answerBody{answerText}, Response: http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: answerHeader, ContentLength: int64(len(answerText)), Request: r,
	}}
	if code := s.plan.status(attempt); code != http.StatusOK {
		a.StatusCode, a.Status = code, "503 Service Unavailable"
	}
	a.Body = &a.rest
	return &a.Response, nil
}

// far is the far side of one contestant.
type far struct {
	base     http.RoundTripper
	origin   string
	attempts *attempts
	close    func()
	// trim closes the connections of the far side where clients have left many open, and reports whether it did.
	trim func() bool
}

func newStub(plan Plan) far {
	s := &stub{plan: plan}
	return far{base: s, origin: "http://bench.invalid", attempts: &s.attempts, close: func() {}, trim: func() bool { return false }}
}

// newLoopback returns a server of this process and a transport with an idle connection for every worker.
func newLoopback(plan Plan) far {
	var a attempts
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		attempt := a.next(r.URL.Path)
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Length", strconv.Itoa(len(answerText)))
		w.WriteHeader(plan.status(attempt))
		_, _ = io.WriteString(w, answerText)
	}))
	var connections atomic.Int64
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			connections.Add(1)
		case http.StateClosed:
			connections.Add(-1)
		case http.StateActive, http.StateIdle, http.StateHijacked:
		}
	}
	server.Start()
	transport := &http.Transport{MaxIdleConns: MaxWorkers, MaxIdleConnsPerHost: MaxWorkers}
	return far{base: transport, origin: server.URL, attempts: &a, close: func() {
		transport.CloseIdleConnections()
		server.CloseClientConnections()
		server.Close()
	}, trim: func() bool {
		if connections.Load() <= 2*MaxWorkers {
			return false
		}
		server.CloseClientConnections()
		transport.CloseIdleConnections()
		return true
	}}
}
