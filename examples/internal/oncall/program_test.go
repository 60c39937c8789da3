package oncall_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	vapi "github.com/VapiAI/server-sdk-go"
	vapiclient "github.com/VapiAI/server-sdk-go/client"
	"github.com/VapiAI/server-sdk-go/option"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"
	openapi "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/examples/internal/sim/fault"
	"github.com/prusik-go/prusik/examples/internal/sim/twiliosim"
	"github.com/prusik-go/prusik/examples/internal/sim/vapisim"
	"github.com/prusik-go/prusik/examples/twilioctx"
	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/profile"
	"github.com/prusik-go/prusik/metrics"
	"github.com/prusik-go/prusik/ratelimit"
)

const latency = 20 * time.Millisecond // of a vendor on a good day

func well() fault.Script { return fault.Always(fault.Latency(latency)) }

func failing(t *testing.T, share float64) fault.Script {
	t.Helper()
	s, err := fault.Mix(1, fault.Share{P: share, Fault: fault.Status(http.StatusServiceUnavailable).After(latency)}, fault.Share{P: 1 - share, Fault: fault.Latency(latency)})
	require.NoError(t, err)
	return s
}

// vendor is one without an SDK: a simulator, and the client for it.
type vendor struct {
	*fault.Server

	client    *http.Client
	transport *httpx.Transport // nil: no httpx
}

// program is a service with the drill's two vendors and some more, all on the path of real requests.
type program struct {
	t        *testing.T
	registry *prometheus.Registry
	metrics  *metrics.Metrics
	flags    *flags.Set
	store    *store
	mux      *http.ServeMux
	limit    func(http.Handler) http.Handler
	url      string

	twilioSim *twiliosim.Sim
	crm       *vendor // half of its answers may fail, and its client has no retry budget
	mail      *vendor // the same, with one
	speech    *vendor // slow at times
	calendar  *vendor // comes and goes, while moody
	moody     atomic.Bool
	legacy    *vendor // called by a client that is not httpx's

	workers sync.WaitGroup
	ctx     context.Context
}

func start(t *testing.T) *program {
	t.Helper()
	p := &program{t: t, registry: prometheus.NewRegistry(), store: &store{}, mux: http.NewServeMux()}
	var err error
	p.metrics, err = metrics.New(p.registry, metrics.Config{})
	require.NoError(t, err)
	p.flags = flags.New("program", flags.Config{})
	httpx.DeclareSwitches(p.flags, "")
	require.NoError(t, p.flags.Load([]string{"APP_ENV=staging"}))
	p.metrics.AddFlags(p.flags)
	limits := ratelimit.Limits{{Count: 20, Period: time.Second}}
	p.store.buckets, err = ratelimit.New("store", ratelimit.Config{Limits: limits})
	require.NoError(t, err)
	limiter, err := ratelimit.New("api", ratelimit.Config{
		Limits: limits, Store: p.store, OnOutage: ratelimit.LocalShare, Replicas: 1, Hooks: p.metrics.LimiterHooks(),
	})
	require.NoError(t, err)
	p.metrics.AddLimiter(limiter)
	p.limit = limiter.Handler(ratelimit.Header("X-Caller"))

	quick := breaker.Config{Failures: 10, Window: 20, OpenFor: 1500 * time.Millisecond, MaxOpenFor: 3 * time.Second}
	never := breaker.Config{Failures: 20, Window: 20}
	p.wireTwilio(quick)
	p.wireVapi()
	p.crm = p.wire("crm", &httpx.Config{RetryBudget: -1, Breaker: never})
	p.mail = p.wire("mail", &httpx.Config{Breaker: never})
	p.speech = p.wire("speech", &httpx.Config{MaxConcurrent: 8})
	p.calendar = p.wire("calendar", &httpx.Config{MaxAttempts: -1, Breaker: breaker.Config{
		OpenFor: 300 * time.Millisecond, MaxOpenFor: -1,
		Hooks: breaker.Hooks{OnTransition: func(e breaker.TransitionEvent) {
			switch {
			case !p.moody.Load():
			case e.To == breaker.Open:
				p.calendar.Recover()
			case e.To == breaker.Closed:
				p.calendar.Outage(fault.Status(http.StatusBadGateway))
			}
		}},
	}})
	p.legacy = p.wire("legacy", nil)

	p.mux.Handle("GET /metrics", promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	srv := httptest.NewServer(p.metrics.Handler(p.mux))
	t.Cleanup(srv.Close)
	p.url = srv.URL
	return p
}

// route serves what call does, for callers under the limit.
func (p *program) route(pattern string, call func(ctx context.Context) error) {
	p.mux.Handle(pattern, p.limit(errors.Handler(func(w http.ResponseWriter, r *http.Request) error {
		if err := call(r.Context()); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})))
}

func (p *program) wireTwilio(b breaker.Config) {
	t := p.t
	var err error
	p.twilioSim, err = twiliosim.New(twiliosim.Config{CallsPerSecond: -1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.twilioSim.Close()) })
	client, err := httpx.NewClient("twilio", httpx.Config{
		Profile: profile.Twilio(), Base: p.twilioSim.Redirect(p.twilioSim.Transport()), BackoffBase: 50 * time.Millisecond, Breaker: b, Metrics: p.metrics,
	})
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	sdk, err := twilioctx.New(client, twiliosim.AccountSID, twiliosim.AuthToken)
	require.NoError(t, err)
	to, from, body := "+15558675310", "+15005550006", "Your appointment is confirmed."
	p.route("POST /api/v1/twilio/messages", func(ctx context.Context) error {
		_, err := sdk.Do(ctx, func(api *openapi.ApiService) error {
			_, err := api.CreateMessage((&openapi.CreateMessageParams{}).SetTo(to).SetFrom(from).SetBody(body))
			return err
		})
		return err
	})
	p.route("POST /api/v1/twilio/calls", func(ctx context.Context) error {
		_, err := sdk.Do(ctx, func(api *openapi.ApiService) error {
			_, err := api.CreateCall((&openapi.CreateCallParams{}).SetTo(to).SetFrom(from).SetUrl("https://voice.example/answer"))
			return err
		})
		return err
	})
	p.route("GET /api/v1/twilio/messages", func(ctx context.Context) error {
		_, err := sdk.Do(ctx, func(api *openapi.ApiService) error {
			_, err := api.PageMessage((&openapi.ListMessageParams{}).SetPageSize(20), "", "")
			return err
		})
		return err
	})
}

func (p *program) wireVapi() {
	t := p.t
	sim, err := vapisim.New(vapisim.Config{Server: fault.Config{Script: well()}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sim.Close()) })
	client, err := httpx.NewClient("vapi", httpx.Config{Profile: profile.Vapi(), Base: sim.Transport(), Metrics: p.metrics})
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	sdk := vapiclient.NewClient(option.WithBaseURL(sim.URL()), option.WithToken(vapisim.Token), option.WithHTTPClient(client), option.WithMaxAttempts(1))
	p.route("GET /api/v1/vapi/settings", func(ctx context.Context) error {
		_, err := sdk.Assistants.List(ctx, &vapi.AssistantsListRequest{})
		return err
	})
}

// wire makes a vendor and a route that calls it. Without a Config its client is counted, and no more.
func (p *program) wire(name string, cfg *httpx.Config) *vendor {
	t := p.t
	srv, err := fault.New(fault.Config{Script: well(), Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "{}")
	})})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, srv.Close()) })
	v := &vendor{Server: srv}
	if cfg != nil {
		cfg.Base, cfg.Metrics, cfg.BackoffBase = srv.Transport(), p.metrics, 20*time.Millisecond
		v.transport, err = httpx.NewTransport(name, *cfg)
		v.client = &http.Client{Transport: v.transport}
	} else {
		var counted http.RoundTripper
		counted, err = p.metrics.Transport(name, srv.Transport())
		v.client = &http.Client{Transport: counted}
	}
	require.NoError(t, err)
	t.Cleanup(v.client.CloseIdleConnections)
	p.route("GET /api/v1/"+name+"/{id}", func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL(), http.NoBody)
		if err != nil {
			return err
		}
		resp, err := v.client.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		return httpx.ResponseError(resp)
	})
	return v
}

// traffic lets n workers repeat a request, each with a pause after it, until stop is called or the test ends. To the limiter
// they are one caller, or each one of its own where caller is "".
func (p *program) traffic(n int, pause time.Duration, request, caller string) (stop func()) {
	ctx, stop := context.WithCancel(p.ctx)
	method, path, _ := strings.Cut(request, " ")
	for i := range n {
		p.workers.Go(func() {
			timer := time.NewTimer(pause * time.Duration(i) / time.Duration(n))
			defer timer.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-timer.C:
				}
				req, err := http.NewRequestWithContext(ctx, method, p.url+path, http.NoBody)
				if err != nil {
					p.t.Error(err)
					return
				}
				req.Header.Set("X-Caller", cmp.Or(caller, fmt.Sprintf("%s-%d", path, i)))
				if resp, err := http.DefaultClient.Do(req); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
				timer.Reset(pause)
			}
		})
	}
	return stop
}

// store is a shared store that may be down.
type store struct {
	buckets *ratelimit.Limiter
	down    atomic.Bool
}

func (s *store) Take(ctx context.Context, r ratelimit.Request) (ratelimit.Result, error) {
	if s.down.Load() {
		return ratelimit.Result{}, errors.New("connection refused")
	}
	d, err := s.buckets.AllowN(ctx, r.Key, r.Cost)
	return ratelimit.Result{Allowed: d.Verdict == ratelimit.Allowed, Wait: d.RetryAfter}, err
}

func (s *store) Refund(context.Context, ratelimit.Request, [ratelimit.MaxLimits]time.Duration) error {
	return nil
}
