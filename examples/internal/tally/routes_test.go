package tally_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/metrics"
)

// chi's patterns, of routers within routers, wherever Handler is mounted inside it.
func TestRoutesOfChi(t *testing.T) {
	cor, err := correlation.New(correlation.Config{})
	require.NoError(t, err)
	ok := func(http.ResponseWriter, *http.Request) {}
	routes := func(use ...func(http.Handler) http.Handler) http.Handler {
		r := chi.NewRouter()
		r.Use(use...)
		r.Get("/texts/{id}", ok)
		r.Route("/api/v1", func(r chi.Router) {
			r.Post("/calls", ok)
			r.Mount("/inner", chi.NewRouter().With(middleware.NoCache).Group(func(r chi.Router) { r.Get("/{x}/deep", ok) }))
		})
		return r
	}
	reg := prometheus.NewPedanticRegistry()
	m, err := metrics.New(reg, metrics.Config{})
	require.NoError(t, err)
	h := routes(cor.Handler, m.Handler)
	for _, path := range []string{"GET /texts/1", "GET /texts/2", "POST /api/v1/calls", "GET /api/v1/inner/7/deep", "GET /none", "DELETE /texts/1", "GET /api/v1/inner/none"} {
		method, path, _ := strings.Cut(path, " ")
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, path, http.NoBody))
	}
	require.Equal(t, counts{
		`http_server_requests_total{code="200",method="GET",route="/texts/{id}"}`:            2,
		`http_server_requests_total{code="200",method="POST",route="/api/v1/calls"}`:         1,
		`http_server_requests_total{code="200",method="GET",route="/api/v1/inner/{x}/deep"}`: 1,
		`http_server_requests_total{code="404",method="GET",route="unmatched"}`:              1,
		`http_server_requests_total{code="405",method="DELETE",route="unmatched"}`:           1,
		`http_server_requests_total{code="404",method="GET",route="/api/v1/inner/*"}`:        1,
	}, scrape(t, reg))

	// What hands on a copy of the request after Handler hides the pattern from it: correlation inside, and chi itself.
	hidden := counts{`http_server_requests_total{code="200",method="GET",route="unmatched"}`: 1}
	for name, wrap := range map[string]func(*metrics.Metrics) http.Handler{
		"correlation inside": func(m *metrics.Metrics) http.Handler { return routes(m.Handler, cor.Handler) },
		"around chi":         func(m *metrics.Metrics) http.Handler { return m.Handler(routes()) },
	} {
		reg := prometheus.NewPedanticRegistry()
		m, err := metrics.New(reg, metrics.Config{})
		require.NoError(t, err)
		wrap(m).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/texts/1", http.NoBody))
		require.Equal(t, hidden, scrape(t, reg), name)
	}
}
