package metrics_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/metrics"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("x")), Request: r}, nil
	}
}

func failing(err error) roundTrip {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

func TestTransportCountsWhatIsSent(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tc := range map[string]struct {
		next                      roundTrip
		ctx                       context.Context
		outcome, reason, delivery string
	}{
		"a success":     {answer(200), nil, "success", "success", "delivered"},
		"a redirect":    {answer(302), nil, "success", "success", "delivered"},
		"a limit":       {answer(429), nil, "vendor_rate_limited", "429", "rejected"},
		"a client's":    {answer(404), nil, "not_found", "404", "rejected"},
		"credentials":   {answer(401), nil, "internal", "401", "rejected"},
		"a vendor's":    {answer(503), nil, "vendor_bad_response", "503", "unknown"},
		"no answer":     {failing(errors.New("reset")), nil, "vendor_bad_response", "transport", "unknown"},
		"a timeout":     {failing(context.DeadlineExceeded), nil, "vendor_timeout", "timeout", "unknown"},
		"a caller gone": {failing(context.Canceled), gone, "canceled", "canceled", "unknown"},
		"one of ours":   {failing(&errors.Error{Kind: errors.CircuitOpen, Delivery: errors.NotSent}), nil, "circuit_open", "circuit_open", "not_sent"},
		"nothing":       {func(*http.Request) (*http.Response, error) { return nil, nil }, nil, "vendor_bad_response", "malformed", "unknown"}, // the point
		"a panic":       {func(*http.Request) (*http.Response, error) { panic("bug") }, nil, "internal", "panic", "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			m, reg := start(t, metrics.Config{})
			flying := -1
			transport, err := m.Transport("crm", roundTrip(func(r *http.Request) (*http.Response, error) {
				flying = samples(t, reg)[`http_client_in_flight_calls{service="crm"}`]
				return tc.next(r)
			}))
			require.NoError(t, err)
			req := request("POST", "http://crm.test/")
			if tc.ctx != nil {
				req = req.WithContext(tc.ctx)
			}
			send := func() { _, _ = transport.RoundTrip(req) }
			if name == "a panic" {
				require.Panics(t, send)
			} else {
				send()
			}
			require.Equal(t, 1, flying)
			require.Equal(t, map[string]int{
				`http_client_calls_total{method="POST",outcome="` + tc.outcome + `",service="crm"}`:  1,
				`http_client_attempts_total{reason="` + tc.reason + `",service="crm"}`:               1,
				`http_client_call_duration_seconds{outcome="` + tc.outcome + `",service="crm"}`:      1,
				`http_client_attempt_duration_seconds{delivery="` + tc.delivery + `",service="crm"}`: 1,
			}, only(samples(t, reg), "http_client"))
		})
	}
}

func TestTransportPassesOn(t *testing.T) {
	m, _ := start(t, metrics.Config{})
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	base := &closing{Transport: &http.Transport{}}
	transport, err := m.Transport("crm", base)
	require.NoError(t, err)
	client := &http.Client{Transport: transport}
	resp, err := client.Get(srv.URL)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	client.CloseIdleConnections()
	require.True(t, base.closed)

	transport, err = m.Transport("crm", nil)
	require.NoError(t, err)
	(&http.Client{Transport: transport}).CloseIdleConnections()
	transport, err = m.Transport("crm", answer(200))
	require.NoError(t, err)
	(&http.Client{Transport: transport}).CloseIdleConnections()
	_, err = m.Transport("no name", nil)
	require.ErrorContains(t, err, `metrics client "no name"`)
}

type closing struct {
	*http.Transport

	closed bool
}

func (c *closing) CloseIdleConnections() {
	c.closed = true
	c.Transport.CloseIdleConnections()
}
