package main

import (
	"log/slog"
	"net/http"
	"strings"

	vapiclient "github.com/VapiAI/server-sdk-go/client"
	"github.com/VapiAI/server-sdk-go/option"
	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/examples/twilioctx"
	"github.com/prusik-go/prusik/examples/voice/page"
	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/idempotency"
	"github.com/prusik-go/prusik/httpx/profile"
	"github.com/prusik-go/prusik/httpx/status"
	"github.com/prusik-go/prusik/metrics"
	"github.com/prusik-go/prusik/ratelimit"
)

// wire puts the service together. Read it from top to bottom: what is told, who is called, who may call, and the routes.
// With tune, a test changes what a client is made of.
func wire(s *settings, log *slog.Logger, tune func(httpx.Config) httpx.Config) (_ *service, err error) {
	svc := &service{}
	defer func() {
		if err != nil {
			err = errors.Join(err, svc.close())
		}
	}()

	// What is told: metrics to Prometheus, the state of clients and limits to those on call, the progress of a call to its page.
	registry := prometheus.NewRegistry()
	meter, err := metrics.New(registry, metrics.Config{})
	if err != nil {
		return nil, err
	}
	meter.AddFlags(s.Set)
	board, err := status.New(status.Config{Logger: log})
	if err != nil {
		return nil, err
	}
	progress, err := httpx.NewEventStream(httpx.EventStreamConfig{ID: func(r *http.Request) string { return chi.URLParam(r, "correlation_id") }})
	if err != nil {
		return nil, err
	}
	svc.ending = []func(){progress.Close, board.Close}

	// Who is called. The client is the protection; the SDK on top of it is the vendor's own.
	if svc.vendors, err = s.vendors(); err != nil {
		return nil, err
	}
	svc.closing = append(svc.closing, svc.vendors.close)
	protected := func(name string, p httpx.Profile) (*http.Client, error) {
		cfg := httpx.FromFlags(s.Set, name) // breaker, limit and kill switch follow the flags, also at run time
		cfg.Profile, cfg.Base = p, svc.vendors.base(name)
		cfg.Metrics, cfg.Logger, cfg.Hooks.OnEvent = meter, log, progress.Publish
		if tune != nil {
			cfg = tune(cfg)
		}
		client, err := httpx.NewClient(name, board.WatchClient(cfg))
		if err == nil {
			svc.closing = append(svc.closing, func() error { client.CloseIdleConnections(); return nil })
		}
		return client, err
	}
	twilioHTTP, err := protected("twilio", profile.Twilio())
	if err != nil {
		return nil, err
	}
	twilio, err := twilioctx.New(twilioHTTP, svc.vendors.twilio.sid, svc.vendors.twilio.token)
	if err != nil {
		return nil, err
	}
	vapiHTTP, err := protected("vapi", profile.Vapi())
	if err != nil {
		return nil, err
	}
	vapi := vapiclient.NewClient(option.WithToken(svc.vendors.vapi.key), option.WithBaseURL(svc.vendors.vapi.url),
		option.WithHTTPClient(withOutcome{vapiHTTP}), option.WithMaxAttempts(1)) // what is safe to repeat, the client repeats

	// Who may call, and how often: each client by its address, also behind our proxies. With REDIS_URL, instances count together.
	proxies, err := s.trusted()
	if err != nil {
		return nil, err
	}
	client := ratelimit.ClientIP(proxies...)
	shared, err := s.stores()
	if err != nil {
		return nil, err
	}
	svc.closing = append(svc.closing, shared.close)
	shared.limits.Hooks = meter.LimiterHooks()
	limiter, err := httpx.LimiterFromFlags(s.Set, "api", board.WatchLimiter(shared.limits)) // follows RATE_LIMIT_PER_MINUTE
	if err != nil {
		return nil, err
	}
	meter.AddLimiter(limiter)
	keys, err := idempotency.New("api", shared.keys) // a double click, or a proxy's retry, texts nobody twice
	if err != nil {
		return nil, err
	}
	once := keys.Handler(client)
	ids, err := correlation.New(correlation.Config{})
	if err != nil {
		return nil, err
	}
	signer, err := correlation.NewSigner(s.signingKey())
	if err != nil {
		return nil, err
	}

	reports := &callbacks{
		signer: signer, publicURL: strings.TrimSuffix(s.publicURL.Get(), "/"),
		twilioToken: s.twilioToken.Get(), vapiSecret: s.vapiSecret.Get(), log: log,
	}
	phone := &phone{twilio: twilio, from: svc.vendors.twilio.from, callback: reports.url}
	voices := &voices{vapi}
	demo := &demo{vendors: svc.vendors, faults: map[string]string{}}

	// The routes. A handler returns its error, and that becomes a problem; what nobody should read goes to the log.
	do := func(fn errors.HandlerFunc) http.HandlerFunc { return errors.Handler(fn, logged(log)).ServeHTTP }
	sameSite := http.NewCrossOriginProtection()
	sameSite.SetDenyHandler(do(func(http.ResponseWriter, *http.Request) error { return errors.Forbidden }))

	r := chi.NewRouter()
	r.Use(meter.Handler, errors.Middleware(logged(log)))
	r.NotFound(do(func(http.ResponseWriter, *http.Request) error { return errors.NotFound }))
	r.MethodNotAllowed(notAllowed(r))
	r.Route("/api/v1", func(r chi.Router) {
		r.Method(http.MethodGet, "/progress/{correlation_id}", progress) // a stream is one request, however long: not limited
		r.Group(func(r chi.Router) {
			r.Use(sameSite.Handler, limiter.Handler(client))
			r.Get("/vapi/settings", do(voices.settings))
			r.Patch("/vapi/settings/assistants/{id}", do(voices.change))
			r.Get("/twilio/messages", do(phone.messages))
			r.With(once).Post("/twilio/messages", do(phone.sendMessage))
			r.Get("/twilio/calls", do(phone.calls))
			r.With(once).Post("/twilio/calls", do(phone.placeCall))
			r.Route("/integrations", func(r chi.Router) {
				r.Use(s.program.StubMode.Handler(flags.Gate{Detail: "Stub mode disabled"}))
				r.Get("/calendar/google/events", do(events))
				r.Get("/email/messages", do(mails))
				r.Post("/email/messages", do(sendMail))
			})
		})
	})
	r.With(reports.restore).Post("/callbacks/twilio/{token}", do(reports.twilio))
	r.With(reports.restore).Post("/callbacks/vapi/{token}", do(reports.vapi))

	face := page.Handler()
	r.Get("/", face.ServeHTTP)
	r.Get("/assets/*", face.ServeHTTP)
	r.Get("/openapi.json", openAPI)
	r.Get("/demo/vendors", do(demo.list))
	r.With(sameSite.Handler).Put("/demo/vendors/{vendor}", do(demo.breakVendor))

	// For operators: keep these behind your proxy.
	r.Method(http.MethodGet, "/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	r.Method(http.MethodGet, "/ops/status", board)
	r.Method(http.MethodGet, "/ops/flags", s.ListHandler())
	r.Get("/healthz", do(svc.alive))
	r.Get("/readyz", do(svc.ready))

	// Around the router what changes the request's context, inside of it what reads the route: see metrics.Metrics.Handler.
	svc.router, svc.Handler = r, ids.Handler(s.Handler(r))
	return svc, nil
}
