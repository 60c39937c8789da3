package errors_test

import (
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
)

func TestProblemGolden(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"kind": {errors.NotFound, `{
			"type": "about:blank", "title": "Not Found", "status": 404, "detail": "There is nothing here.", "kind": "not_found"}`},
		"foreign": {io.EOF, `{
			"type": "about:blank", "title": "Internal Server Error", "status": 500,
			"detail": "Something went wrong on our side.", "kind": "internal"}`},
		"canceled": {&errors.Error{Kind: errors.Canceled}, `{
			"type": "about:blank", "title": "Client Closed Request", "status": 499,
			"detail": "The request was canceled.", "kind": "canceled"}`},
		"full": {full(), `{
			"type": "about:blank", "title": "Gateway Timeout", "status": 504, "detail": "Try later.",
			"kind": "vendor_timeout", "delivery": "unknown", "correlation_id": "id-1", "retry_after": 2,
			"retry": {"status": "failed", "attempt": 1, "max_attempts": 3, "next_retry_in_seconds": 2},
			"limit": "10 per minute"}`},
		"not sent": {&errors.Error{Kind: errors.CircuitOpen, Delivery: errors.NotSent}, `{
			"type": "about:blank", "title": "Service Unavailable", "status": 503,
			"detail": "A service we depend on is down. Try again later.", "kind": "circuit_open", "delivery": "not_sent"}`},
		"first in the tree": {errors.Join(errors.NotFound, full()), `{
			"type": "about:blank", "title": "Not Found", "status": 404, "detail": "There is nothing here.", "kind": "not_found"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := json.Marshal(errors.ProblemOf(test.err))
			require.NoError(t, err)
			require.JSONEq(t, test.want, string(got))
			back, err := errors.DecodeProblem(got)
			require.NoError(t, err)
			again, err := json.Marshal(back)
			require.NoError(t, err)
			require.Equal(t, string(got), string(again))
		})
	}
}

func TestProblemMembers(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(errors.Problem{
		Type: "https://example.com/full", Title: "T", Status: 418, Detail: "D", Instance: "/calls/7", Extra: map[string]any{"more": 1},
	})
	require.NoError(t, err)
	require.JSONEq(t, `{"type":"https://example.com/full","title":"T","status":418,"detail":"D","instance":"/calls/7","more":1}`, string(b))
	b, err = json.Marshal(errors.Problem{})
	require.NoError(t, err)
	require.JSONEq(t, `{"type":"about:blank"}`, string(b))
}

// Neither where the member is set nor where it is not.
func TestExtraOverridesNothing(t *testing.T) {
	t.Parallel()
	p := errors.ProblemOf(full())
	p.Type, p.Instance = "https://example.com/t", "/i"
	plain, err := json.Marshal(p)
	require.NoError(t, err)
	var members map[string]any
	require.NoError(t, json.Unmarshal(plain, &members))
	require.Len(t, members, 11)
	extra := map[string]any{}
	for key := range members {
		if key != "limit" {
			extra[key] = "forged"
		}
	}
	require.Len(t, extra, 10)
	p.Extra = extra
	got, err := json.Marshal(p)
	require.NoError(t, err)
	require.NotContains(t, string(got), "forged")
	require.Len(t, extra, 10, "the caller's map is not changed")

	got, err = json.Marshal(errors.Problem{Extra: extra})
	require.NoError(t, err)
	require.JSONEq(t, `{"type":"about:blank"}`, string(got))
}

func TestProblemHasACopyOfTheDetails(t *testing.T) {
	t.Parallel()
	err := full()
	errors.ProblemOf(err).Extra["limit"] = "changed"
	require.Equal(t, "10 per minute", err.Details["limit"])
}

func TestWrite(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	w.Header().Set("X-Correlation-ID", "from-header")
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("ETag", `"x"`)
	w.Header().Set("Last-Modified", "x")
	w.Header().Set("Content-Length", "1")
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Retry-After", "77")
	w.Header().Set("Allow", "GET")
	require.NoError(t, errors.Write(w, nil, errors.Conflict))
	require.Equal(t, http.Header{
		"X-Correlation-Id":       {"from-header"},
		"Content-Type":           {"application/problem+json"},
		"Content-Length":         {strconv.Itoa(w.Body.Len())},
		"Cache-Control":          {"no-store"},
		"X-Content-Type-Options": {"nosniff"},
		"Allow":                  {"GET"},
	}, w.Header(), "what described another body is gone, and a Retry-After that the problem does not have")
	require.Equal(t, http.StatusConflict, w.Code)
	p, err := errors.DecodeProblem(w.Body.Bytes())
	require.NoError(t, err)
	require.Equal(t, "from-header", p.CorrelationID)

	w = httptest.NewRecorder()
	w.Header().Set("X-Correlation-ID", "from-header")
	require.NoError(t, errors.Write(w, httptest.NewRequest(http.MethodGet, "/", nil), full()))
	require.Equal(t, "2", w.Header().Get("Retry-After"))
	p, err = errors.DecodeProblem(w.Body.Bytes())
	require.NoError(t, err)
	require.Equal(t, "id-1", p.CorrelationID, "the error's own comes first")
}

func TestWriteToHEAD(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	require.NoError(t, errors.Write(w, httptest.NewRequest(http.MethodHead, "/", nil), errors.NotFound))
	require.Equal(t, http.StatusNotFound, w.Code)
	require.Zero(t, w.Body.Len())
	require.NotEqual(t, "0", w.Header().Get("Content-Length"))
}

func TestWriteOfDetailsThatAreNoJSON(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	require.NoError(t, errors.Write(w, nil, &errors.Error{Kind: errors.Conflict, Details: map[string]any{"bad": math.NaN()}}))
	require.Equal(t, http.StatusConflict, w.Code)
	p, err := errors.DecodeProblem(w.Body.Bytes())
	require.NoError(t, err)
	require.Equal(t, errors.Conflict, p.Kind)
}

type failingWriter struct{ http.ResponseWriter }

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestWriteReturnsTheErrorOfWriting(t *testing.T) {
	t.Parallel()
	require.ErrorIs(t, errors.Write(failingWriter{httptest.NewRecorder()}, nil, errors.NotFound), io.ErrClosedPipe)
}

// Whatever an error knows, a client reads what is public.
func TestNoSecretReachesAClient(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t"
	secretive := &errors.Error{
		Kind: errors.VendorBadResponse, Op: secret, Service: secret, VendorCode: secret, VendorMessage: secret,
		Delivery: errors.Rejected, Stop: errors.StopPermanent, Attempts: []errors.Attempt{{Reason: secret}},
		Err: errors.New(secret),
	}
	for name, err := range map[string]error{
		"error":   secretive,
		"foreign": errors.New(secret),
		"joined":  errors.Join(errors.New(secret), secretive),
		"nested":  &errors.Error{Kind: errors.Invalid, Err: secretive},
	} {
		for _, h := range []http.Handler{
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = errors.Write(w, r, err) }),
			errors.Handler(func(http.ResponseWriter, *http.Request) error { return err }),
			errors.Handler(func(http.ResponseWriter, *http.Request) error { panic(err) }),
			errors.Handler(func(http.ResponseWriter, *http.Request) error { panic(secret) }),
		} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
			var all strings.Builder
			require.NoError(t, w.Result().Header.Write(&all))
			all.WriteString(w.Body.String())
			require.Contains(t, all.String(), "application/problem+json")
			require.NotContains(t, all.String(), secret, name)
		}
	}
	require.Contains(t, secretive.Error(), secret, "the log has it")
}

func TestDecodeProblem(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]errors.Problem{
		`{}`: {},
		`{"type":"t","title":"T","status":503,"detail":"d","instance":"i","kind":"circuit_open","delivery":"not_sent",
		  "correlation_id":"c","retry_after":3,"retry":{"status":"failed","attempt":2,"max_attempts":3,"next_retry_in_seconds":3}}`: {
			Type: "t", Title: "T", Status: 503, Detail: "d", Instance: "i", Kind: errors.CircuitOpen, Delivery: "not_sent",
			CorrelationID: "c", Retry: errors.Retry{Status: "failed", After: 3 * time.Second, Attempt: 2, MaxAttempts: 3},
		},
		`{"retry_after":3}`:    {Retry: errors.Retry{After: 3 * time.Second}},
		`{"retry_after":0.2}`:  {Retry: errors.Retry{After: time.Second}}, // rounded up: not too early
		`{"retry_after":1e99}`: {Retry: errors.Retry{After: time.Duration(math.MaxInt64/1_000_000_000) * time.Second}},
		`{"retry_after":-1}`:   {},
		`{"retry_after":"3"}`:  {},
		`{"status":"503","title":7,"kind":null,"retry":[],"detail":"kept"}`: {Detail: "kept"},
		`{"more":{"a":[1]},"Status":1,"huge":1e999}`:                        {Extra: map[string]any{"more": map[string]any{"a": []any{1.0}}, "Status": 1.0}},
	} {
		got, err := errors.DecodeProblem([]byte(in))
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	for _, in := range []string{"", "null", "[]", `"s3cr3t"`, `{"s3cr3t"`, "<html>s3cr3t", `{"a":"` + strings.Repeat("s3cr3t", 11_000) + `"}`} {
		_, err := errors.DecodeProblem([]byte(in))
		require.Error(t, err)
		require.NotContains(t, err.Error(), "s3cr3t")
	}
	_, err := errors.DecodeProblem([]byte(`{"a":"` + strings.Repeat("x", 64<<10-8) + `"}`))
	require.NoError(t, err, "64 KiB")
}

// No input makes it panic; what it understood survives being written and read again.
func FuzzDecodeProblem(f *testing.F) {
	for _, err := range []error{errors.NotFound, full()} {
		b, jerr := json.Marshal(errors.ProblemOf(err))
		require.NoError(f, jerr)
		f.Add(b)
	}
	f.Add([]byte(`{"retry_after":0.5,"retry":{},"status":1e3,"x":1e999,"":null,"retry ":{"a":[-0]}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		first, err := errors.DecodeProblem(b)
		if err != nil {
			require.Equal(t, errors.Problem{}, first)
			return
		}
		written, err := json.Marshal(first)
		require.NoError(t, err)
		if len(written) > 64<<10 {
			return // escapes may make it longer than DecodeProblem reads
		}
		second, err := errors.DecodeProblem(written)
		require.NoError(t, err)
		// Two members are written where they were missing: the type, and the status of a retry.
		if first.Type == "" {
			first.Type = "about:blank"
		}
		if first.Retry != (errors.Retry{}) && first.Retry.Status == "" {
			first.Retry.Status = "failed"
		}
		require.True(t, reflect.DeepEqual(first, second), "%s\n%+v\n%+v", b, first, second)
	})
}

// observer is a writer that hears what it answers with.
type observer struct {
	http.ResponseWriter

	seen []error
}

func (o *observer) ObserveError(err error) { o.seen = append(o.seen, err) }

// through is one that lets others hear it as well.
type through struct{ observer }

func (o *through) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// wrapped is a writer of somebody else's middleware.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestWriteTellsObserversBehindOtherWriters(t *testing.T) {
	t.Parallel()
	outer := &observer{ResponseWriter: httptest.NewRecorder()}
	inner := &through{observer{ResponseWriter: wrapped{outer}}}
	err := full()
	h := errors.Handler(func(http.ResponseWriter, *http.Request) error { return err })
	h.ServeHTTP(wrapped{inner}, httptest.NewRequest(http.MethodPost, "/", nil))
	require.Equal(t, []error{err}, inner.seen, "the error itself, once")
	require.Equal(t, []error{err}, outer.seen)

	dam := &observer{ResponseWriter: outer}
	require.NoError(t, errors.Write(dam, nil, errors.NotFound))
	require.Equal(t, []error{errors.NotFound}, dam.seen)
	require.Equal(t, []error{err}, outer.seen, "it is behind a writer without Unwrap")
}

func TestWriteProblem(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	w.Header().Set("X-Correlation-ID", "id-2")
	p := errors.Problem{Title: "Unprocessable Content", Status: 422, Kind: errors.Invalid, Retry: errors.Retry{After: time.Second}}
	require.NoError(t, errors.WriteProblem(w, nil, p))
	require.Equal(t, 422, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	require.Equal(t, errors.ContentType, w.Header().Get("Content-Type"))
	require.JSONEq(t, `{"type":"about:blank","title":"Unprocessable Content","status":422,"kind":"invalid","correlation_id":"id-2",
		"retry_after":1,"retry":{"status":"failed","attempt":0,"max_attempts":0,"next_retry_in_seconds":1}}`, w.Body.String())

	w = httptest.NewRecorder()
	require.NoError(t, errors.WriteProblem(w, nil, errors.Problem{}))
	require.Equal(t, 500, w.Code)
}
