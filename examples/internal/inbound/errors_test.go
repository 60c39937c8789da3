package inbound_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	chimw "github.com/go-chi/chi/v5/middleware"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/ratelimit"
)

const secret = "postgres://prusik:hunter2@10.0.0.5/live"

// A panic and an error are problems with the id of their request; what they say is for the hook and reaches no client.
func TestWhatFailsIsAProblemWithTheIDAndNothingElse(t *testing.T) {
	t.Parallel()
	onEveryRouter(t, func(t *testing.T, serve func(server) client) {
		events := make(chan errors.HandlerEvent, 10)
		hooks := errors.Hooks{OnError: func(e errors.HandlerEvent) { events <- e }}
		c := serve(server{
			use: []middleware{correlator(t, correlation.Config{}).Handler, errors.Middleware(hooks), limiter(t, "api", "100/minute").Handler(ratelimit.RemoteAddr)},
			routes: []route{
				{pattern: "GET /panic/{id}", handler: func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "text/html")
					w.Header().Set("Content-Encoding", "br")
					panic(secret)
				}},
				{pattern: "GET /error/{id}", handler: errors.Handler(func(http.ResponseWriter, *http.Request) error {
					return &errors.Error{Kind: errors.Conflict, Public: "That slot is taken.", Err: errors.New(secret)}
				}, hooks).ServeHTTP},
			},
		})
		for path, want := range map[string]struct {
			status int
			detail string
		}{
			"/panic/1": {500, "Something went wrong on our side."}, "/error/1": {409, "That slot is taken."},
		} {
			resp, p, body := c.problem(t, want.status, "GET "+path, correlation.Header, "abc-123")
			require.Equal(t, want.detail, p.Detail)
			require.Equal(t, "abc-123", p.CorrelationID)
			require.NotContains(t, body, "hunter2")
			require.Empty(t, resp.Header.Get("Content-Encoding"))
			require.NotEmpty(t, resp.Header.Get("RateLimit"), "it was admitted all the same")
			event := receive(t, events)
			require.ErrorContains(t, event.Err, secret)
			require.True(t, event.Answered)
			if path == "/panic/1" && strings.Contains(t.Name(), "/around_chi") {
				require.Empty(t, event.Request.Pattern, "chi copies the request: outside of it nobody sees the route")
			} else {
				require.Contains(t, event.Request.Pattern, strings.TrimSuffix(path, "1")+"{id}", "which route it was")
			}
			id, _ := correlation.ID(event.Request.Context())
			require.Equal(t, "abc-123", id)
		}
		require.Empty(t, events, "told once")
	})
}

// Half an answer is not made a whole one.
func TestAPanicInTheMiddleOfAnAnswerCutsIt(t *testing.T) {
	t.Parallel()
	onEveryRouter(t, func(t *testing.T, serve func(server) client) {
		c := serve(server{use: stack(t, limiter(t, "api", "100/minute")), routes: []route{
			{pattern: "GET /half", handler: func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "half")
				_ = http.NewResponseController(w).Flush()
				panic(secret)
			}},
		}})
		resp := c.open(t, "GET /half")
		require.Equal(t, http.StatusOK, resp.StatusCode)
		body, err := io.ReadAll(resp.Body)
		require.Error(t, err)
		require.Equal(t, "half", string(body))
	})
}

// What chi itself answers can be a problem too, and counts.
func TestWhatChiAnswersItself(t *testing.T) {
	t.Parallel()
	failing := func(kind errors.Kind) http.HandlerFunc {
		return errors.Handler(func(http.ResponseWriter, *http.Request) error { return kind }).ServeHTTP
	}
	r := chi.NewRouter()
	r.Use(stack(t, limiter(t, "api", "3/minute"))...)
	r.NotFound(failing(errors.NotFound))
	r.MethodNotAllowed(failing(errors.Invalid))
	r.Get("/there", ok)
	r.Route("/sub", func(r chi.Router) { r.Get("/there", ok) })
	c := start(t, r, http1)
	c.problem(t, http.StatusNotFound, "GET /elsewhere")
	c.problem(t, http.StatusBadRequest, "POST /there")
	c.problem(t, http.StatusNotFound, "GET /sub/elsewhere")
	c.problem(t, http.StatusTooManyRequests, "GET /there")
}

// Common middlewares of chi on the same router take nothing from a problem, in whatever order.
func TestAmongMiddlewaresOfChi(t *testing.T) {
	t.Parallel()
	theirs := []middleware{
		chimw.RequestID, chimw.Compress(5, errors.ContentType, "text/plain"), chimw.CleanPath, chimw.StripSlashes,
		chimw.Timeout(patience), chimw.RequestSize(1 << 20), chimw.Throttle(100), chimw.GetHead, chimw.NoCache, chimw.Heartbeat("/ping"),
	}
	for name, order := range map[string]func(ours []middleware) []middleware{
		"outside": func(ours []middleware) []middleware { return slices.Concat(theirs, ours) },
		"inside":  func(ours []middleware) []middleware { return slices.Concat(ours, theirs) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := chi.NewRouter()
			r.Use(order(stack(t, limiter(t, "api", "3/minute")))...)
			r.Get("/panic", func(http.ResponseWriter, *http.Request) { panic(secret) })
			r.With(limiter(t, "calls", "1/minute").Handler(ratelimit.RemoteAddr)).Get("/calls", ok)
			c := start(t, r, http1)
			_, _, body := c.problem(t, http.StatusInternalServerError, "GET /panic/")
			require.NotContains(t, body, "hunter2")
			resp, body := c.send(t, "GET /calls")
			require.Equal(t, "ok", body)
			require.Len(t, resp.Header.Values("RateLimit"), 2)
			_, p, _ := c.problem(t, http.StatusTooManyRequests, "GET //calls/")
			require.Equal(t, []any{"calls"}, p.Extra["violated-policies"])
			_, p, _ = c.problem(t, http.StatusTooManyRequests, "GET /calls")
			require.Equal(t, []any{"api"}, p.Extra["violated-policies"])
			resp, body = c.send(t, "HEAD /calls")
			require.Equal(t, http.StatusTooManyRequests, resp.StatusCode)
			require.Empty(t, body)
		})
	}
}
