package bench

import (
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/metrics"
	"github.com/prusik-go/prusik/ratelimit"
)

// The names of stacks on chi.
const (
	BareChi      = "chi v5.5.0, bare"
	CommonParts  = "RequestID, httprate, Recoverer"
	CommonStack  = CommonParts + ", promhttp"
	PrusikIDOnly = "Prusik correlation"
	PrusikStack  = PrusikIDOnly + ", errors, ratelimit"
	PrusikWhole  = PrusikStack + ", metrics"
)

const (
	stackPath  = "/api/v1/calls/CA123"
	stackPeers = 1000
)

// Stacks returns what a server has around a route of chi with a parameter: an id, errors, limits and metrics. mounted puts the route into a router of its own, by chi's Route.
func Stacks(mounted bool) []Served {
	onChi := func(name, field string, middlewares func() ([]func(http.Handler) http.Handler, error)) Served {
		return Served{Name: name, Field: field, New: func(next http.HandlerFunc) (http.Handler, error) {
			mws, err := middlewares()
			if err != nil {
				return nil, err
			}
			r := chi.NewRouter()
			r.Use(mws...)
			if mounted {
				r.Route("/api/v1", func(r chi.Router) { r.Get("/calls/{id}", next) })
			} else {
				r.Get("/api/v1/calls/{id}", next)
			}
			return r, nil
		}}
	}
	return []Served{
		onChi(BareChi, "", func() ([]func(http.Handler) http.Handler, error) { return nil, nil }),
		onChi(CommonParts, "X-Ratelimit-Remaining", func() ([]func(http.Handler) http.Handler, error) {
			return []func(http.Handler) http.Handler{middleware.RequestID, middleware.Recoverer, httprateLimit}, nil
		}),
		onChi(CommonStack, "X-Ratelimit-Remaining", func() ([]func(http.Handler) http.Handler, error) {
			instrument, err := promMiddleware()
			return []func(http.Handler) http.Handler{middleware.RequestID, instrument, middleware.Recoverer, httprateLimit}, err
		}),
		onChi(PrusikIDOnly, "X-Correlation-Id", func() ([]func(http.Handler) http.Handler, error) {
			cor, err := correlation.New(correlation.Config{})
			if err != nil {
				return nil, err
			}
			return []func(http.Handler) http.Handler{cor.Handler}, nil
		}),
		onChi(PrusikStack, "Ratelimit", func() ([]func(http.Handler) http.Handler, error) {
			cor, err := correlation.New(correlation.Config{})
			if err != nil {
				return nil, err
			}
			l, err := ratelimit.New("api", ratelimit.Config{Limits: wideLimits()})
			if err != nil {
				return nil, err
			}
			return []func(http.Handler) http.Handler{cor.Handler, errors.Middleware(), l.Handler(ratelimit.RemoteAddr)}, nil
		}),
		onChi(PrusikWhole, "Ratelimit", func() ([]func(http.Handler) http.Handler, error) {
			m, err := metrics.New(prometheus.NewRegistry(), metrics.Config{})
			if err != nil {
				return nil, err
			}
			cor, err := correlation.New(correlation.Config{})
			if err != nil {
				return nil, err
			}
			l, err := ratelimit.New("api", ratelimit.Config{Limits: wideLimits(), Hooks: m.LimiterHooks()})
			if err != nil {
				return nil, err
			}
			m.AddLimiter(l)
			return []func(http.Handler) http.Handler{cor.Handler, m.Handler, errors.Middleware(), l.Handler(ratelimit.RemoteAddr)}, nil
		}),
	}
}

func wideLimits() ratelimit.Limits {
	return ratelimit.Limits{{Count: 1, Period: time.Second, Burst: wide}}
}

// promMiddleware counts and times requests by code and method, as promhttp's examples do.
func promMiddleware() (func(http.Handler) http.Handler, error) {
	registry := prometheus.NewRegistry()
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "http_requests_total", Help: "Requests.",
	}, []string{"code", "method"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "http_request_duration_seconds", Help: "Duration of requests.", Buckets: prometheus.DefBuckets,
	}, []string{"code", "method"})
	for _, c := range []prometheus.Collector{requests, seconds} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return func(next http.Handler) http.Handler {
		return promhttp.InstrumentHandlerDuration(seconds, promhttp.InstrumentHandlerCounter(requests, next))
	}, nil
}
