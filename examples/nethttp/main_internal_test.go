package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/examples/internal/sim/fault"
	"github.com/prusik-go/prusik/ratelimit/ratelimittest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestItIsWired(t *testing.T) {
	vendor, err := fault.New(fault.Config{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })})
	require.NoError(t, err)
	defer func() { require.NoError(t, vendor.Close()) }()
	h, err := service(prometheus.NewRegistry(), vendor.URL())
	require.NoError(t, err)
	srv := httptest.NewServer(h)
	defer srv.Close()
	get := func(path string) (*http.Response, string) {
		resp, err := srv.Client().Get(srv.URL + path)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp, string(body)
	}
	resp, body := get("/quote")
	require.Equal(t, "The vendor answered 200 OK.\n", body)
	require.NotEmpty(t, resp.Header.Get("X-Correlation-Id"))
	vendor.Outage(fault.Status(http.StatusServiceUnavailable))
	get("/quote")
	resp, body = get("/quote")
	require.Equal(t, 503, resp.StatusCode)
	require.NotEmpty(t, resp.Header.Get("Retry-After"))
	require.Contains(t, body, `"kind":"circuit_open"`)
	_, body = get("/metrics")
	require.Contains(t, body, `circuit_breaker_state{key="",service="github"} 2`)
	require.Contains(t, body, `http_server_requests_total{`)
	ratelimittest.RequireLimited(t, h, "/quote")
}
