package correlation_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/correlation"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// send sends one request through c's Transport and returns what next saw.
func send(t testing.TB, c *correlation.Correlator, ctx context.Context, header http.Header) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://vendor.example/", nil)
	require.NoError(t, err)
	req.Header = header
	return sendRequest(t, c, req)
}

func sendRequest(t testing.TB, c *correlation.Correlator, req *http.Request) *http.Request {
	t.Helper()
	var seen *http.Request
	want := &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody}
	before, nilBefore := req.Header.Clone(), req.Header == nil
	resp, err := c.Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		seen = r
		return want, io.ErrUnexpectedEOF
	})).RoundTrip(req)
	require.Same(t, want, resp, "passed on untouched")
	require.Equal(t, io.ErrUnexpectedEOF, err)
	require.Equal(t, before, req.Header, "the caller's request is not changed")
	require.Equal(t, nilBefore, req.Header == nil)
	return seen
}

func TestTransportSendsTheID(t *testing.T) {
	t.Parallel()
	c := newCorrelator(t, correlation.Config{})
	const key = "X-Correlation-Id"
	for name, test := range map[string]struct {
		header http.Header
		want   string // "" for a new one
	}{
		"no header map":          {nil, "ours"},
		"empty":                  {http.Header{}, "ours"},
		"others":                 {http.Header{"Accept": {"*/*"}}, "ours"},
		"explicit":               {http.Header{key: {"explicit"}}, "explicit"},
		"explicit, not valid":    {http.Header{key: {"not valid"}}, "ours"},
		"explicit, empty":        {http.Header{key: {""}}, "ours"},
		"explicit, deleted":      {http.Header{key: nil}, "ours"},
		"explicit twice":         {http.Header{key: {"a", "b"}}, "ours"},
		"raw spelling":           {http.Header{correlation.Header: {"explicit"}}, "explicit"},
		"raw spelling, bad":      {http.Header{correlation.Header: {"not valid"}}, "ours"},
		"raw spelling, the same": {http.Header{correlation.Header: {"ours"}}, "ours"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := send(t, c, correlation.WithID(t.Context(), "ours"), test.header)
			require.Equal(t, []string{test.want}, seen.Header[key])
			require.NotContains(t, seen.Header, correlation.Header, "not sent a second time in another spelling")
			require.Equal(t, test.header["Accept"], seen.Header["Accept"])
		})
	}
}

func TestTransportMakesAnID(t *testing.T) {
	t.Parallel()
	c := newCorrelator(t, correlation.Config{})
	seen := send(t, c, t.Context(), http.Header{"X-Correlation-Id": {"not valid"}})
	id := seen.Header.Get(correlation.Header)
	require.Len(t, id, 36)
	requireID(t, seen.Context(), id)
}

func TestTransportCopiesAsLittleAsItCan(t *testing.T) { // not parallel: it counts allocations
	c := newCorrelator(t, correlation.Config{})
	ctx := correlation.WithID(t.Context(), "ours")
	accept := []string{"*/*"}
	body := io.NopCloser(strings.NewReader("x"))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://vendor.example/", body)
	require.NoError(t, err)
	req.Header["Accept"] = accept

	seen := sendRequest(t, c, req)
	require.NotSame(t, req, seen)
	require.Same(t, req.URL, seen.URL)
	require.Equal(t, body, seen.Body)
	require.Same(t, &accept[0], &seen.Header["Accept"][0], "values are shared")
	require.Equal(t, ctx, seen.Context())

	again := sendRequest(t, c, seen)
	require.Same(t, seen, again, "the id is there already")

	if !raceEnabled {
		rt := c.Transport(roundTripper(func(*http.Request) (*http.Response, error) { return nil, nil }))
		require.LessOrEqual(t, testing.AllocsPerRun(200, func() { _, _ = rt.RoundTrip(req) }), 3.0)
		require.Zero(t, testing.AllocsPerRun(200, func() { _, _ = rt.RoundTrip(seen) }))
	}
}

func TestTransportOnTheWire(t *testing.T) {
	t.Parallel()
	c := newCorrelator(t, correlation.Config{})
	var got []string
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r.Header.Values(correlation.Header)
	}))
	defer srv.Close()
	client := &http.Client{Transport: c.Transport(nil)}
	req, err := http.NewRequestWithContext(correlation.WithID(t.Context(), "ours"), http.MethodGet, srv.URL, nil)
	require.NoError(t, err)
	req.Header[correlation.Header] = []string{"explicit"}
	resp, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, []string{"explicit"}, got)
	client.CloseIdleConnections()
}

type idler struct {
	http.RoundTripper

	closed int
}

func (i *idler) CloseIdleConnections() { i.closed++ }

func TestTransportForwardsCloseIdleConnections(t *testing.T) {
	t.Parallel()
	c := newCorrelator(t, correlation.Config{})
	next := &idler{}
	(&http.Client{Transport: c.Transport(next)}).CloseIdleConnections()
	require.Equal(t, 1, next.closed)
	(&http.Client{Transport: c.Transport(roundTripper(nil))}).CloseIdleConnections() // has none: nothing happens
}
