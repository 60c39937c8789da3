package inbound_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/ratelimit"
	"github.com/prusik-go/prusik/ratelimit/ratelimittest"
	"github.com/prusik-go/prusik/ratelimit/ratelimittest/chiroutes"
)

// A route has its own limit beside the one of all: each says how it stands, the one that refuses is named, and a refusal
// takes nothing of the route's.
func TestLimitsOfARouteAndOfAll(t *testing.T) {
	t.Parallel()
	onEveryRouter(t, func(t *testing.T, serve func(server) client) {
		patterns := make(chan string, 10)
		h := func(w http.ResponseWriter, r *http.Request) { patterns <- r.Pattern; ok(w, r) }
		c := serve(server{use: stack(t, limiter(t, "all", "6/minute")), routes: []route{
			{pattern: "POST /calls/{id}", with: []middleware{
				limiter(t, "calls", "2/minute; 50/hour").Handler(ratelimit.RemoteAddr),
				limiter(t, "bulk", "4/minute").Handler(ratelimit.RemoteAddr),
			}, handler: h},
			{pattern: "GET /settings", handler: h},
		}})
		for i := range 2 {
			resp, body := c.send(t, "POST /calls/"+strconv.Itoa(i))
			require.Equal(t, "ok", body)
			require.True(t, strings.HasSuffix(receive(t, patterns), "/calls/{id}"), "the handler sees its pattern")
			require.Equal(t, []string{
				`"all";q=6;w=60`, `"calls/2/minute";q=2;w=60, "calls/50/hour";q=50;w=3600`, `"bulk";q=4;w=60`,
			}, resp.Header.Values("RateLimit-Policy"))
			now := resp.Header.Values("RateLimit")
			require.Len(t, now, 3)
			require.Contains(t, now[0], `"all";r=`+strconv.Itoa(5-i)+";t=")
			require.Contains(t, now[1], `"calls/2/minute";r=`+strconv.Itoa(1-i)+";t=")
			require.Contains(t, now[2], `"bulk";r=`+strconv.Itoa(3-i)+";t=")
		}
		resp, p, _ := c.problem(t, http.StatusTooManyRequests, "POST /calls/3")
		require.Equal(t, errors.RateLimited, p.Kind)
		require.Equal(t, []any{"calls/2/minute"}, p.Extra["violated-policies"])
		require.Len(t, resp.Header.Values("RateLimit"), 2, "the one inside of it was not asked")
		require.Equal(t, strconv.FormatInt(p.Retry.Seconds(), 10), resp.Header.Get("Retry-After"))
		require.InDelta(t, 30, p.Retry.Seconds(), 10)
		for range 3 {
			_, body := c.send(t, "GET /settings")
			require.Equal(t, "ok", body, "another route's limit is not felt")
		}
		_, p, _ = c.problem(t, http.StatusTooManyRequests, "GET /settings")
		require.Equal(t, []any{"all"}, p.Extra["violated-policies"])
		require.Len(t, patterns, 3, "what is refused reaches no handler")
	})
}

// The proof on a service as they are built: routers in routers, limits by group and by route.
func TestEveryRouteOfAServiceIsLimited(t *testing.T) {
	t.Parallel()
	service := func(forgotten ...middleware) chi.Router {
		api := limiter(t, "api", "10/minute").Handler(ratelimit.RemoteAddr)
		r := chi.NewRouter()
		r.Use(stack(t)...)
		r.Get("/healthz", ok)
		r.Route("/api/v1", func(r chi.Router) {
			r.Group(func(r chi.Router) {
				r.Use(api)
				r.Get("/vapi/settings/{id}", ok)
				r.Patch("/vapi/settings/{id}", ok)
				r.Post("/twilio/calls", ok)
			})
			r.With(forgotten...).Post("/twilio/sms", ok)
			r.With(api).Get("/integrations/calendar/google/events", ok)
		})
		return r
	}
	r := service(limiter(t, "sms", "5/minute").Handler(ratelimit.RemoteAddr))
	ratelimittest.RequireLimited(t, r, chiroutes.List(t, r, "GET /healthz")...)

	naked := service()
	fake := &failures{TB: t}
	ratelimittest.RequireLimited(fake, naked, chiroutes.List(t, naked, "GET /healthz")...)
	require.Len(t, fake.all, 1)
	require.Contains(t, fake.all[0], "POST /api/v1/twilio/sms is not limited")
}
