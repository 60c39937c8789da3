package metrics

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/internal/response"
)

func (c *core) defineServers() {
	c.requests = c.counter("http_server_requests_total",
		"Requests that have been answered, by the route's pattern, the method and the status.",
		"route", "method", "code")
	c.requestSeconds = c.histogram("http_server_request_duration_seconds",
		"Time from the request to the end of its answer. Hijacked connections are not in it.",
		"route", "method")
	c.panics = c.counter("http_server_panics_total",
		"Handlers that did not return: a panic other than http.ErrAbortHandler.",
		"route")
	c.inFlightRequests = c.gauge("http_server_in_flight_requests",
		"Requests that are being answered.")
}

// unmatched is the route of a request whose pattern is not known.
const unmatched = "unmatched"

// route is what is counted for one pattern.
type route struct {
	label    string
	requests *table[reply, prometheus.Counter]
	seconds  [numMethods]lazy[histogram]
	panics   prometheus.Counter
}

// reply is a status and a method, by its place in methods, in one number: a struct would take twice as long to find. A status
// of zero stands for those beyond the bound.
type reply int

func replyOf(method uint8, status int) reply { return reply(status*numMethods + int(method)) }

func (r reply) method() string { return methods()[r%numMethods] }
func (r reply) status() int    { return int(r / numMethods) }

func (c *core) newRoute(pattern string) *route {
	if method, path, ok := strings.Cut(pattern, " "); ok && method != "" {
		pattern = strings.TrimLeft(path, " \t") // of http.ServeMux; the method has a label of its own
	}
	r := &route{label: text(pattern)}
	r.panics = c.panics.WithLabelValues(r.label)
	rest := replyOf(numMethods-1, 0)
	r.requests = newTable(maxAnswers, rest, func(key reply) *prometheus.Counter {
		code := other
		if key != rest {
			code = strconv.Itoa(key.status())
		}
		counter := c.requests.WithLabelValues(r.label, key.method(), code)
		return &counter
	})
	return r
}

// Handler counts the requests that next answers. The route is Request.Pattern as next leaves it, never a path: mount
// Handler around an [http.ServeMux], or on chi by Use, and nothing between it and the router that hands on a copy of the
// request (correlation outside, Handler inside). Where the pattern is empty, because nothing matched or a copy was made,
// the route is "unmatched".
//
// A request is counted when next returns. A handler that sends nothing has answered 200, or 499 where the client has gone;
// one that panics before it has sent anything counts as 500, and the panic goes on; one that hijacks its connection without
// a status counts as 101. Flush, Hijack and [http.ResponseController] keep working. It allocates one writer a request.
func (m *Metrics) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.c.serving.Add(1)
		v := visit{m: m, r: r, start: time.Since(m.c.born), sent: &response.Writer{ResponseWriter: w}}
		defer v.end()
		next.ServeHTTP(v.sent, r)
		v.returned = true
	})
}

// visit is one request under way.
type visit struct {
	m        *Metrics
	r        *http.Request
	start    time.Duration // since core.born, which is cheaper than a time
	sent     *response.Writer
	returned bool
}

// end counts the request. It is deferred: whatever next did, it is over.
func (v *visit) end() {
	c := v.m.c
	defer c.serving.Add(-1) // when it is in the other counters
	p := recover()
	route := c.route(v.r.Pattern)
	if !v.returned && p != http.ErrAbortHandler { //nolint:errorlint // net/http compares the panic value itself
		route.panics.Inc()
	}
	method := method(v.r.Method)
	(*route.requests.get(replyOf(method, v.status()))).Inc()
	if !v.sent.Hijacked {
		route.seconds[method].get(func() histogram {
			return c.newHistogram(c.requestSeconds, route.label, methods()[method])
		}).observe(c, time.Since(c.born)-v.start, v.m.sampled(v.r.Context()))
	}
	if p != nil {
		panic(p)
	}
}

func (v *visit) status() int {
	switch {
	case v.sent.Status != 0:
		return v.sent.Status
	case v.sent.Hijacked:
		return http.StatusSwitchingProtocols
	case !v.returned:
		return http.StatusInternalServerError
	case errors.Is(v.r.Context().Err(), context.Canceled):
		return errors.StatusClientClosedRequest
	default:
		return http.StatusOK
	}
}

func (c *core) route(pattern string) *route {
	if pattern == "" {
		return c.unmatched()
	}
	return c.routes.get(pattern)
}
