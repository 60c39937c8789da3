package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/examples/internal/sim/fault"
	"github.com/prusik-go/prusik/ratelimit/ratelimittest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestItIsWired(t *testing.T) {
	mailer, err := fault.New(fault.Config{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})})
	require.NoError(t, err)
	defer func() { require.NoError(t, mailer.Close()) }()
	_, err = service([]string{"INTEGRATIONS_STUB_MODE=true"}, mailer.URL())
	require.ErrorContains(t, err, "INTEGRATIONS_STUB_MODE = true: want false in production, and APP_ENV is not set")

	ask := func(h http.Handler, method, path, key string) (int, string, http.Header) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, path, strings.NewReader("Hello."))
		r.RemoteAddr = "192.0.2.7:1234"
		if key != "" {
			r.Header.Set("Idempotency-Key", key)
		}
		h.ServeHTTP(w, r)
		body, err := io.ReadAll(w.Body)
		require.NoError(t, err)
		return w.Code, string(body), w.Header()
	}
	h, err := service(nil, mailer.URL())
	require.NoError(t, err)
	code, body, header := ask(h, http.MethodGet, "/api/events", "")
	require.Equal(t, 403, code)
	require.Contains(t, body, `"detail":"Stub mode disabled"`)
	require.NotEmpty(t, header.Get("X-Correlation-Id"))
	for range 2 {
		code, _, _ = ask(h, http.MethodPost, "/api/mails", `"one-click"`)
		require.Equal(t, 202, code)
	}
	require.Len(t, mailer.Entries(), 1, "a double click")
	mailer.Outage(fault.ProcessedStatus(http.StatusBadGateway))
	for range 2 {
		code, body, _ = ask(h, http.MethodPost, "/api/mails", `"two"`)
		require.Equal(t, 502, code)
		require.Contains(t, body, "unknown")
	}
	require.Len(t, mailer.Entries(), 2, "it may have been sent: it is not sent again")
	_, body, _ = ask(h, http.MethodGet, "/ops/status", "")
	require.Contains(t, body, `"MAIL_CIRCUIT_BREAKER_THRESHOLD"`)
	ratelimittest.RequireLimited(t, h, "/api/events", "POST /api/mails")

	h, err = service([]string{"INTEGRATIONS_STUB_MODE=true", "APP_ENV=development", "RATE_LIMIT_PER_MINUTE=3"}, mailer.URL())
	require.NoError(t, err)
	code, _, header = ask(h, http.MethodGet, "/api/events", "")
	require.Equal(t, 200, code)
	require.Contains(t, header.Get("RateLimit-Policy"), "q=3")
}
