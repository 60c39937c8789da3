package correlation_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
)

func hmacSHA256(key []byte, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, key)
	for _, p := range parts {
		mac.Write(p)
	}
	return mac.Sum(nil)
}

// call sends r through h and returns the id the innermost handler saw and the one on the response.
func call(t testing.TB, wrap func(http.Handler) http.Handler, r *http.Request) (string, []string) {
	t.Helper()
	var id string
	w := httptest.NewRecorder()
	wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		id, _ = correlation.ID(r.Context())
	})).ServeHTTP(w, r)
	return id, w.Result().Header.Values(correlation.Header)
}

func TestSignerHandlerRestoresTheID(t *testing.T) {
	t.Parallel()
	s, other := newSigner(t, keyA), newSigner(t, keyB)
	c := newCorrelator(t, correlation.Config{})
	good := s.Token(someID, 0)
	for name, test := range map[string]struct {
		param, query string
		want         string // "" for the request's own
		err          error
	}{
		"good":             {"", "cid=" + good, someID, nil},
		"good, long":       {"", "a=1&cid=" + s.Token("order-7", 0), "order-7", nil},
		"own parameter":    {"token", "token=" + good, someID, nil},
		"other parameter":  {"token", "cid=" + good, "", nil},
		"none":             {"", "", "", nil},
		"escaped":          {"", "cid=" + strings.ReplaceAll(good, "A", "%41"), someID, nil},
		"unreadable query": {"", "%zz=1&cid=" + good, someID, nil},
		"empty":            {"", "cid=", "", correlation.TokenMalformed},
		"bare id":          {"", "cid=" + someID, "", correlation.TokenMalformed},
		"repeated":         {"", "cid=" + good + "&cid=" + good, "", correlation.TokenMalformed},
		"expired":          {"", "cid=" + s.Token(someID, -time.Hour), "", correlation.TokenExpired},
		"other key":        {"", "cid=" + other.Token(someID, 0), "", correlation.TokenSignature},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var events []correlation.ReplacedEvent
			restore := s.Handler(test.param, correlation.Hooks{}, correlation.Hooks{
				OnReplaced: func(e correlation.ReplacedEvent) { events = append(events, e) },
			})
			r := httptest.NewRequest(http.MethodPost, "/status", nil)
			r.URL.RawQuery = test.query

			// Behind a Correlator: its id stays where the token is not good.
			r.Header.Set(correlation.Header, "from-header")
			id, echoed := call(t, func(h http.Handler) http.Handler { return c.Handler(restore(h)) }, r)
			require.Equal(t, []string{id}, echoed)
			if test.want != "" {
				require.Equal(t, test.want, id)
			} else {
				require.Equal(t, "from-header", id)
			}

			// On its own it never takes an id that nobody has checked.
			id, echoed = call(t, restore, r)
			require.Equal(t, []string{id}, echoed)
			if test.want != "" {
				require.Equal(t, test.want, id)
			} else {
				require.Len(t, id, 36)
				require.NotEqual(t, someID, id)
			}

			if test.err == nil {
				require.Empty(t, events)
				return
			}
			require.Len(t, events, 2)
			for _, e := range events {
				require.Equal(t, correlation.ReasonToken, e.Reason)
				require.ErrorIs(t, e.Err, test.err)
				require.Equal(t, errors.Unauthenticated, errors.KindOf(e.Err))
				requireID(t, e.Request.Context(), e.ID)
			}
			require.Equal(t, id, events[1].ID)
			require.Equal(t, test.query, r.URL.RawQuery, "vendors sign the URL")
		})
	}
}

// Whatever reads the request's header, such as a ReverseProxy, finds the id that is in use.
func TestSignerHandlerReplacesTheIDInTheRequestsHeader(t *testing.T) {
	t.Parallel()
	s := newSigner(t, keyA)
	sent := ""
	transport := newCorrelator(t, correlation.Config{}).Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		sent = r.Header.Get(correlation.Header)
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
	}))
	proxy := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "upstream" }}
	for query, want := range map[string]string{"cid=" + s.Token(someID, 0): someID, "": "from-header"} {
		r := httptest.NewRequest(http.MethodPost, "/status?"+query, nil)
		r.Header.Set(correlation.Header, "from-header")
		newCorrelator(t, correlation.Config{}).Handler(s.Handler("")(proxy)).ServeHTTP(httptest.NewRecorder(), r)
		require.Equal(t, want, sent)
		require.Equal(t, "from-header", r.Header.Get(correlation.Header), "the caller's map is not touched")
	}
}

// An id of http.Server.BaseContext is the server's, and no request's.
func TestSignerHandlerDoesNotTakeTheServersOwnID(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/status", nil)
	r = r.WithContext(correlation.WithID(r.Context(), "server"))
	id, echoed := call(t, newSigner(t, keyA).Handler(""), r)
	require.Equal(t, []string{id}, echoed)
	require.NotEqual(t, "server", id)
}

func TestSignerHandlerKeepsTheTrace(t *testing.T) {
	t.Parallel()
	s := newSigner(t, keyA)
	r := httptest.NewRequest(http.MethodPost, "/?cid="+s.Token(someID, 0), nil)
	r.Header.Set("traceparent", traceparent)
	var trace correlation.Trace
	newCorrelator(t, correlation.Config{}).Handler(s.Handler("")(http.HandlerFunc(
		func(_ http.ResponseWriter, r *http.Request) { trace, _ = correlation.TraceOf(r.Context()) },
	))).ServeHTTP(httptest.NewRecorder(), r)
	require.Equal(t, traceID, trace.TraceID)
}
