package correlation_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/netip"
	"net/textproto"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
)

func newCorrelator(t testing.TB, cfg correlation.Config) *correlation.Correlator {
	t.Helper()
	c, err := correlation.New(cfg)
	require.NoError(t, err)
	return c
}

// serve sends r through c's Handler, and returns the id next saw, the request next saw and the response.
func serve(t testing.TB, c *correlation.Correlator, r *http.Request) (string, *http.Request, *http.Response) {
	t.Helper()
	var seen *http.Request
	w := httptest.NewRecorder()
	c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r
		assert.Len(t, w.Header().Values(correlation.Header), 1, "echoed before next runs")
	})).ServeHTTP(w, r)
	require.NotNil(t, seen)
	id, ok := correlation.ID(seen.Context())
	require.True(t, ok)
	require.True(t, correlation.Valid(id))
	require.Equal(t, []string{id}, w.Result().Header.Values(correlation.Header))
	return id, seen, w.Result()
}

func TestHandlerAcceptsOrReplaces(t *testing.T) {
	t.Parallel()
	const good = "0190c7a5-7e4f-7c3d-8a51-0123456789ab"
	for name, test := range map[string]struct {
		header []string
		want   string // "" for a new one
		reason correlation.Reason
	}{
		"none":         {nil, "", ""},
		"uuid":         {[]string{good}, good, ""},
		"short":        {[]string{"x"}, "x", ""},
		"longest":      {[]string{strings.Repeat("a", 64)}, strings.Repeat("a", 64), ""},
		"too long":     {[]string{strings.Repeat("a", 65)}, "", correlation.ReasonInvalid},
		"empty":        {[]string{""}, "", correlation.ReasonInvalid},
		"spaces":       {[]string{" " + good}, "", correlation.ReasonInvalid},
		"line break":   {[]string{good + "\r\nX: y"}, "", correlation.ReasonInvalid},
		"list":         {[]string{"a, b"}, "", correlation.ReasonInvalid},
		"repeated":     {[]string{good, good}, "", correlation.ReasonRepeated},
		"first good":   {[]string{good, ""}, "", correlation.ReasonRepeated},
		"braced uuid":  {[]string{"{" + good + "}"}, "", correlation.ReasonInvalid},
		"leading dash": {[]string{"-" + good}, "", correlation.ReasonInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var events []correlation.ReplacedEvent
			c := newCorrelator(t, correlation.Config{Hooks: correlation.Hooks{
				OnReplaced: func(e correlation.ReplacedEvent) { events = append(events, e) },
			}})
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			if test.header != nil {
				r.Header["X-Correlation-Id"] = test.header
			}
			before := r.Header.Clone()
			id, seen, _ := serve(t, c, r)
			require.Equal(t, before, r.Header, "the caller's request is not changed")
			if test.want != "" {
				require.Equal(t, test.want, id)
			} else {
				require.NotContains(t, test.header, id)
				require.Len(t, id, 36)
			}
			if test.reason == "" {
				require.Empty(t, events)
				require.Equal(t, before, seen.Header)
				return
			}
			require.Len(t, events, 1)
			require.Equal(t, test.reason, events[0].Reason)
			require.Equal(t, id, events[0].ID)
			require.NoError(t, events[0].Err)
			require.Same(t, seen, events[0].Request)
			require.Equal(t, []string{id}, seen.Header.Values(correlation.Header), "next finds the id in use in the header too")
		})
	}
}

func TestHandlerTrustsPeers(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("::ffff:172.16.0.0/108"),
		netip.MustParsePrefix("fd00::/8"),
		netip.MustParsePrefix("fe80::/10"),
		netip.MustParsePrefix("192.0.2.7/32"),
	}
	c := newCorrelator(t, correlation.Config{TrustedPeers: trusted})
	trusted[0] = netip.MustParsePrefix("0.0.0.0/0") // New has a copy
	for addr, want := range map[string]bool{
		"10.1.2.3:1":             true,
		"[::ffff:10.1.2.3]:1":    true,
		"10.1.2.3":               true,
		"172.16.9.9:1":           true,
		"[::ffff:172.31.0.1]:1":  true,
		"172.32.0.1:1":           false,
		"[fd00::1]:1":            true,
		"[fe80::1%eth0]:1":       true,
		"fe80::1%eth0":           true,
		"[2001:db8::1]:1":        false,
		"192.0.2.7:1":            true,
		"192.0.2.8:1":            false,
		"11.0.0.1:1":             false,
		"[::ffff:11.0.0.1]:1":    false,
		"[::a00:1]:1":            false, // an old "IPv4-compatible" address is not IPv4
		"":                       false,
		"@":                      false,
		"pipe":                   false,
		"10.1.2.3:1, 11.0.0.1:1": false,
		"10.1.2.3:":              false,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = addr
		r.Header.Set(correlation.Header, "theirs")
		r.Header.Set("X-Forwarded-For", "10.0.0.1")
		r.Header.Set("Traceparent", traceparent)
		id, seen, _ := serve(t, c, r)
		require.Equal(t, want, id == "theirs", "%q", addr)
		_, traced := correlation.TraceOf(seen.Context())
		require.Equal(t, want, traced, "%q", addr)
	}
}

func TestHandlerReportsUntrustedPeersOnlyWhereTheyOfferAnID(t *testing.T) {
	t.Parallel()
	var reasons []correlation.Reason
	c := newCorrelator(t, correlation.Config{
		TrustedPeers: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Hooks:        correlation.Hooks{OnReplaced: func(e correlation.ReplacedEvent) { reasons = append(reasons, e.Reason) }},
	})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	serve(t, c, r)
	require.Empty(t, reasons)
	r.Header.Set(correlation.Header, "theirs")
	serve(t, c, r)
	require.Equal(t, []correlation.Reason{correlation.ReasonUntrusted}, reasons)
}

func TestNewReportsEveryFault(t *testing.T) {
	t.Parallel()
	c, err := correlation.New(correlation.Config{TrustedPeers: []netip.Prefix{
		{}, netip.MustParsePrefix("10.0.0.0/8"), netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), 33),
	}})
	require.Nil(t, c)
	require.ErrorContains(t, err, "TrustedPeers[0]")
	require.ErrorContains(t, err, "TrustedPeers[2]")
	require.NotContains(t, err.Error(), "TrustedPeers[1]")
}

func TestHandlerMountedTwiceActsOnce(t *testing.T) {
	t.Parallel()
	c := newCorrelator(t, correlation.Config{})
	calls := 0
	var outer string
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		outer, _ = correlation.ID(r.Context())
		c.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			calls++
			requireID(t, r.Context(), outer)
		})).ServeHTTP(w, r)
	}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, 1, calls)
	require.Equal(t, []string{outer}, w.Header().Values(correlation.Header))
}

// An id in http.Server.BaseContext would otherwise be the id of every request.
func TestHandlerDoesNotTakeTheServersOwnID(t *testing.T) {
	t.Parallel()
	c := newCorrelator(t, correlation.Config{})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	id, _, _ := serve(t, c, r.WithContext(correlation.WithID(r.Context(), "the-server")))
	require.NotEqual(t, "the-server", id)
}

func TestHandlerLeavesTheRequestAlone(t *testing.T) {
	t.Parallel()
	c := newCorrelator(t, correlation.Config{})
	r := httptest.NewRequest(http.MethodPost, "/x?y=1", strings.NewReader("body"))
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(r.Context(), key{}, "kept"))
	r = r.WithContext(ctx)
	_, seen, _ := serve(t, c, r)
	require.NotSame(t, r, seen)
	require.Equal(t, "kept", seen.Context().Value(key{}))
	require.Equal(t, r.URL, seen.URL)
	require.Equal(t, r.Body, seen.Body)
	_, ok := correlation.ID(r.Context())
	require.False(t, ok)
	cancel()
	require.Error(t, seen.Context().Err())
}

// A handler that edits its response header in place must not change what is sent to a vendor.
func TestHandlerHeaderEditedInPlace(t *testing.T) {
	t.Parallel()
	c := newCorrelator(t, correlation.Config{})
	w := httptest.NewRecorder()
	c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-Correlation-Id"][0] = "edited"
		w.Header().Add(correlation.Header, "added")
		requireID(t, r.Context(), "mine")
		assert.Equal(t, "mine", send(t, c, r.Context(), nil).Header.Get(correlation.Header))
	})).ServeHTTP(w, withHeader("mine"))
	require.Equal(t, []string{"edited", "added"}, w.Header().Values(correlation.Header))
}

func withHeader(id string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set(correlation.Header, id)
	return r
}

// get calls a real server with the id "mine".
func get(t *testing.T, h http.Handler, ctx context.Context, path string) (*http.Response, error) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+path, nil)
	require.NoError(t, err)
	req.Header.Set(correlation.Header, "mine")
	resp, err := srv.Client().Do(req)
	if err == nil {
		t.Cleanup(func() { _ = resp.Body.Close() })
	}
	return resp, err
}

func TestEchoOnErrorsAndPanics(t *testing.T) {
	t.Parallel()
	c := newCorrelator(t, correlation.Config{})
	fail := func(http.ResponseWriter, *http.Request) error { return errors.Conflict }
	panics := func(http.ResponseWriter, *http.Request) error { panic("boom") }
	plain := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") })
	for name, h := range map[string]http.Handler{
		"error":               c.Handler(errors.Handler(fail)),
		"panic":               c.Handler(errors.Handler(panics)),
		"panic, from outside": errors.Middleware()(c.Handler(plain)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp, err := get(t, h, t.Context(), "/")
			require.NoError(t, err)
			require.GreaterOrEqual(t, resp.StatusCode, 400)
			require.Equal(t, []string{"mine"}, resp.Header.Values(correlation.Header))
			var problem struct {
				ID string `json:"correlation_id"`
			}
			require.NoError(t, json.NewDecoder(resp.Body).Decode(&problem))
			require.Equal(t, "mine", problem.ID)
		})
	}
}

func TestEchoOnNotFoundHTTPErrorFlushAndInformational(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/error", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusTeapot) })
	mux.HandleFunc("/flush", func(w http.ResponseWriter, _ *http.Request) {
		assert.NoError(t, http.NewResponseController(w).Flush())
		_, _ = io.WriteString(w, "late")
	})
	mux.HandleFunc("/hints", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusEarlyHints) })
	h := newCorrelator(t, correlation.Config{}).Handler(mux)
	for path, status := range map[string]int{"/none": 404, "/error": 418, "/flush": 200, "/hints": 200} {
		hints := 0
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
				hints++
				require.Equal(t, []string{"mine"}, h["X-Correlation-Id"])
				return nil
			},
		})
		resp, err := get(t, h, ctx, path)
		require.NoError(t, err)
		require.Equal(t, status, resp.StatusCode)
		require.Equal(t, []string{"mine"}, resp.Header.Values(correlation.Header), path)
		require.Equal(t, path == "/hints", hints == 1)
	}
}

// The response writer is passed on as it is, so that nothing of it is lost.
func TestHandlerPassesTheWriterOn(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(newCorrelator(t, correlation.Config{}).Handler(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
				_ = conn.Close()
			}
		})))
	defer srv.Close()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "204")
}

// What the documentation of Handler says of the order, for as long as it is so.
func TestPatternIsReadInsideOnly(t *testing.T) {
	t.Parallel()
	c := newCorrelator(t, correlation.Config{})
	var inside, outside string
	mux := http.NewServeMux()
	mux.HandleFunc("GET /calls/{id}", func(_ http.ResponseWriter, r *http.Request) { inside = r.Pattern })
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.Handler(mux).ServeHTTP(w, r)
		outside = r.Pattern
	})
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/calls/7", nil))
	require.Equal(t, "GET /calls/{id}", inside)
	require.Empty(t, outside)
}

func TestHandlerAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("counts allocations")
	}
	c := newCorrelator(t, correlation.Config{})
	h := c.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	w := httptest.NewRecorder()
	for name, r := range map[string]*http.Request{
		"taken": withHeader("mine"),
		"new":   httptest.NewRequest(http.MethodGet, "/", nil),
	} {
		require.LessOrEqual(t, testing.AllocsPerRun(200, func() { h.ServeHTTP(w, r) }), 1.0, name) // the request with its context
	}
}
