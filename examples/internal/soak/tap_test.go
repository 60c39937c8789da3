package soak_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// tap is the base of every client: net/http's transport, with the attempts of each call numbered and every body counted.
type tap struct {
	next   *http.Transport
	bodies atomic.Int64 // response bodies handed out and not closed
}

// trip is one attempt as the tap saw it.
type trip struct {
	begin, end time.Time
	status     int // zero: no answer
	err        error
	retryAfter string
	key        string       // the Idempotency-Key that was sent
	id         string       // the correlation id that was sent
	call       string       // the X-Test-Call that the pipeline handed down
	asked      atomic.Int32 // connections net/http asked for: from the second on it repeats the request by itself
	conns      atomic.Int32 // connections it got
}

// record is what the tap and the trace know of a call. It is in the call's context.
type record struct {
	cancel func(moment)
	count  int // attempts; the call's goroutine only
	trips  [maxAttempts + 2]trip
}

type recordKey struct{}

func recordOf(ctx context.Context) *record {
	rec, _ := ctx.Value(recordKey{}).(*record)
	return rec
}

func (r *record) trace(t *trip) *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { t.asked.Add(1) },
		GotConn: func(httptrace.GotConnInfo) {
			t.conns.Add(1)
			r.cancel(onConn)
		},
		WroteRequest:         func(httptrace.WroteRequestInfo) { r.cancel(onWrote) },
		GotFirstResponseByte: func() { r.cancel(onAnswer) },
	}
}

// RoundTrip implements [http.RoundTripper].
func (t *tap) RoundTrip(req *http.Request) (*http.Response, error) {
	rec := recordOf(req.Context())
	rec.count++
	n := min(rec.count, len(rec.trips)) // more than that is found by the count
	trip := &rec.trips[n-1]
	trip.call, trip.key, trip.id = req.Header.Get("X-Test-Call"), sentKey(req.Header), req.Header.Get("X-Correlation-ID")
	out := req.WithContext(httptrace.WithClientTrace(req.Context(), rec.trace(trip)))
	out.Header = req.Header.Clone()
	out.Header.Set("X-Test-Call", trip.call+"#"+strconv.Itoa(rec.count))

	trip.begin = time.Now()
	resp, err := t.next.RoundTrip(out)
	trip.end, trip.err = time.Now(), err
	if err != nil {
		return nil, err
	}
	trip.status, trip.retryAfter = resp.StatusCode, resp.Header.Get("Retry-After")
	resp.Request = req
	if resp.Body != http.NoBody {
		t.bodies.Add(1)
		resp.Body = &countedBody{ReadCloser: resp.Body, open: &t.bodies}
	}
	return resp, nil
}

// CloseIdleConnections is forwarded.
func (t *tap) CloseIdleConnections() { t.next.CloseIdleConnections() }

// splitAttempt undoes what the tap made of X-Test-Call. No number is attempt 0.
func splitAttempt(header string) (call string, attempt int) {
	call, n, _ := strings.Cut(header, "#")
	attempt, _ = strconv.Atoi(n)
	return call, attempt
}

// countedBody counts itself as open until it is closed.
type countedBody struct {
	io.ReadCloser
	open *atomic.Int64
	once sync.Once
}

func newBody(content string, open *atomic.Int64) *countedBody {
	open.Add(1)
	return &countedBody{ReadCloser: io.NopCloser(strings.NewReader(content)), open: open}
}

// Close implements [io.Closer].
func (b *countedBody) Close() error {
	b.once.Do(func() { b.open.Add(-1) })
	return b.ReadCloser.Close()
}

// sentKey is the key on the request in either form: a vendor that honours none gets it under a name that net/http does not
// take for one.
func sentKey(h http.Header) string {
	if own := h["idempotency-key"]; len(own) > 0 { //nolint:staticcheck // the point of it
		return own[0]
	}
	return h.Get("Idempotency-Key")
}
