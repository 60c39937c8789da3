package chiroutes_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prusik-go/prusik/ratelimit"
	"github.com/prusik-go/prusik/ratelimit/ratelimittest"
	"github.com/prusik-go/prusik/ratelimit/ratelimittest/chiroutes"
)

// fakeT collects failures.
type fakeT struct {
	testing.TB

	failures []string
}

func (*fakeT) Helper()                     {}
func (t *fakeT) Errorf(f string, a ...any) { t.failures = append(t.failures, fmt.Sprintf(f, a...)) }

// named answers with its name.
func named(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }
}

func limited(t testing.TB) func(http.Handler) http.Handler {
	t.Helper()
	l, err := ratelimit.New("api", ratelimit.Config{Limits: ratelimit.Limits{{Count: 10, Period: time.Hour}}})
	require.NoError(t, err)
	return l.Handler(ratelimit.RemoteAddr)
}

func answer(t testing.TB, h http.Handler, route string) string {
	t.Helper()
	method, path, _ := strings.Cut(route, " ")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	return w.Body.String()
}

// The list is what was registered, and each route in it answers for itself.
func TestEveryPatternBecomesAPathThatLeadsToIt(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		build func(r chi.Router)
		want  map[string]string // route to the name of its handler
	}{
		"static": {
			func(r chi.Router) { r.Get("/", named("root")); r.Post("/a", named("a")); r.Post("/a/", named("a/")) },
			map[string]string{"GET /": "root", "POST /a": "a", "POST /a/": "a/"},
		},
		"a parameter beside a static route": {
			func(r chi.Router) { r.Get("/users/x", named("x")); r.Get("/users/{id}", named("id")) },
			map[string]string{"GET /users/x": "x", "GET /users/X-1": "id"},
		},
		"parameters with text between": {
			func(r chi.Router) { r.Put("/{from}-{to}.{ext}/{rest}", named("a")) },
			map[string]string{"PUT /x-x.x/x": "a"},
		},
		"regular expressions, the most special first": {
			func(r chi.Router) {
				r.Get("/d/{day:[0-9]{4}-[0-9]{2}}", named("day"))
				r.Get("/d/{n:\\d+}", named("n"))
				r.Get("/d/{word:(?i)(red|green)}", named("word"))
				r.Get("/d/{any:.*}", named("any"))
				r.Get("/e/{:[^a-z0-9/]+}", named("none"))
				r.Get("/f/{greek:\\p{Greek}+}", named("greek"))
			},
			map[string]string{
				"GET /d/1111-11": "day", "GET /d/1": "n", "GET /d/RED": "word", "GET /d/cF": "any", "GET /e/X": "none",
				"GET /f/%CD%B0": "greek",
			},
		},
		"wildcards": {
			func(r chi.Router) {
				r.Get("/files/*", named("files"))
				r.Get("/files/x", named("x"))
				r.Get("/*", named("*"))
			},
			map[string]string{"GET /files/": "files", "GET /files/x": "x", "GET /x": "*"},
		},
		"routers in routers": {
			func(r chi.Router) {
				r.Route("/api", func(r chi.Router) {
					r.Get("/", named("api"))
					r.Route("/{tenant}/users", func(r chi.Router) {
						r.Post("/{id:[0-9]+}", named("user"))
						r.Mount("/", chi.NewRouter().With().Group(func(r chi.Router) { r.Delete("/{id}", named("delete")) }))
					})
				})
			},
			map[string]string{"GET /api/": "api", "POST /api/x/users/1": "user", "DELETE /api/x/users/x": "delete"},
		},
		"mounted at the root, and again below": {
			func(r chi.Router) {
				inner := chi.NewRouter()
				inner.Get("/b", named("b"))
				middle := chi.NewRouter()
				middle.Mount("/", inner)
				r.Mount("/", middle)
			},
			map[string]string{"GET /b": "b"},
		},
		"groups and inline routers": {
			func(r chi.Router) {
				pass := func(next http.Handler) http.Handler { return next }
				r.Group(func(r chi.Router) { r.Use(pass); r.Get("/a", named("a")) })
				r.With(pass).Get("/b", named("b"))
				r.With(pass).Route("/c", func(r chi.Router) { r.With(pass).Get("/d", named("d")) })
			},
			map[string]string{"GET /a": "a", "GET /b": "b", "GET /c/d": "d"},
		},
		"all methods": {
			func(r chi.Router) { r.HandleFunc("/a", named("a")); r.Get("/a", named("get")) },
			map[string]string{
				"CONNECT /a": "a", "DELETE /a": "a", "GET /a": "get", "HEAD /a": "a", "OPTIONS /a": "a", "PATCH /a": "a",
				"POST /a": "a", "PUT /a": "a", "TRACE /a": "a", "QUERY /a": "a",
			},
		},
		"a method written in the pattern": {
			func(r chi.Router) { r.Handle("PATCH /a", named("a")); r.MethodFunc("OPTIONS", "/a", named("options")) },
			map[string]string{"PATCH /a": "a", "OPTIONS /a": "options"},
		},
		"a route on the pattern of a mounted router": {
			func(r chi.Router) {
				sub := chi.NewRouter()
				sub.Get("/in", named("in"))
				r.Mount("/sub", sub)
				r.Get("/sub", named("sub"))
				r.Post("/sub/", named("sub/"))
			},
			map[string]string{"GET /sub": "sub", "POST /sub/": "sub/", "GET /sub/in": "in"},
		},
		"a handler that is no chi router": {
			func(r chi.Router) { r.Mount("/std", named("std")) },
			map[string]string{
				"CONNECT /std/x": "std", "DELETE /std/x": "std", "GET /std/x": "std", "HEAD /std/x": "std", "OPTIONS /std/x": "std",
				"PATCH /std/x": "std", "POST /std/x": "std", "PUT /std/x": "std", "TRACE /std/x": "std", "QUERY /std/x": "std",
			},
		},
		"what a path has to escape": {
			func(r chi.Router) {
				r.Get("/wei\u00df", named("a"))
				r.Get("/a%2Fb/{x}", named("b"))
				r.Get("/q?/{x:[?#]}", named("c"))
			},
			map[string]string{"GET /wei%C3%9F": "a", "GET /a%252Fb/x": "b", "GET /q%3F/%23": "c"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := chi.NewRouter()
			tc.build(r)
			got := chiroutes.List(t, r)
			want := make([]string, 0, len(tc.want))
			for route, handler := range tc.want {
				if strings.HasPrefix(route, "QUERY ") && !slices.Contains(got, route) {
					continue // not a method of older chi
				}
				want = append(want, route)
				require.Equal(t, handler, answer(t, r, route), route)
			}
			require.ElementsMatch(t, want, got)
			require.Equal(t, got, chiroutes.List(t, r), "each time the same")
		})
	}
}

// The lesson of the library, on the router most services have: one route that the limit is not on.
func TestTheOneNakedRouteIsFound(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]func(r chi.Router, naked func(r chi.Router)){
		"at the root": func(r chi.Router, naked func(r chi.Router)) { naked(r) },
		"in a group":  func(r chi.Router, naked func(r chi.Router)) { r.Group(naked) },
		"in a router": func(r chi.Router, naked func(r chi.Router)) { r.Route("/deep/{a}", naked) },
		"in a router of a": func(r chi.Router, naked func(r chi.Router)) {
			r.Route("/a", func(r chi.Router) { r.Route("/b", naked) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			build := func(naked func(r chi.Router)) http.Handler {
				limit := limited(t)
				r := chi.NewRouter()
				r.Get("/healthz", named("ok"))
				r.Group(func(r chi.Router) {
					r.Use(limit)
					r.Post("/calls", named("calls"))
					r.HandleFunc("/any", named("any"))
				})
				r.With(limit).Get("/users/{id:[0-9]+}", named("user"))
				r.Route("/api", func(r chi.Router) { r.Use(limit); r.Get("/*", named("rest")) })
				r.With(limit).Mount("/std", http.NewServeMux())
				where(r, naked)
				return r
			}
			h := build(func(r chi.Router) { r.With(limited(t)).Post("/sms/{id}", named("sms")) })
			routes := chiroutes.List(t, h.(chi.Routes), "GET /healthz")
			require.Greater(t, len(routes), 20)
			ratelimittest.RequireLimited(t, h, routes...)

			h = build(func(r chi.Router) { r.Post("/sms/{id}", named("sms")) })
			fake := &fakeT{TB: t}
			ratelimittest.RequireLimited(fake, h, chiroutes.List(t, h.(chi.Routes), "GET /healthz")...)
			require.Len(t, fake.failures, 1)
			require.Contains(t, fake.failures[0], "/sms/x is not limited: 1000 requests from one client")
		})
	}
}

func TestExceptions(t *testing.T) {
	t.Parallel()
	r := chi.NewRouter()
	r.Get("/healthz", named("a"))
	r.Head("/healthz", named("a"))
	r.Route("/debug", func(r chi.Router) { r.Get("/", named("a")); r.Post("/vars/{id}", named("a")) })
	r.Get("/debugger", named("a"))
	r.Get("/users/{id}", named("a"))
	for name, tc := range map[string]struct {
		except, want, fails []string
	}{
		"none":       {nil, []string{"GET /debug/", "POST /debug/vars/x", "GET /debugger", "GET /healthz", "HEAD /healthz", "GET /users/x"}, nil},
		"one":        {[]string{"GET /healthz"}, []string{"GET /debug/", "POST /debug/vars/x", "GET /debugger", "HEAD /healthz", "GET /users/x"}, nil},
		"a method":   {[]string{"* /healthz", "GET /debug/*"}, []string{"POST /debug/vars/x", "GET /debugger", "GET /users/x"}, nil},
		"a pattern":  {[]string{"* /debug/*", "GET /users/{id}"}, []string{"GET /debugger", "GET /healthz", "HEAD /healthz"}, nil},
		"everything": {[]string{"* /*"}, nil, nil},
		"not needed": {
			[]string{"POST /healthz", "* /*", "GET /debug*", "GET /users/x"},
			nil,
			[]string{`no route is left out by "POST /healthz"`, `no route is left out by "GET /debug*"`, `no route is left out by "GET /users/x"`},
		},
		"malformed": {
			[]string{"/healthz", "GET healthz", "* /*", ""},
			nil,
			[]string{
				`"/healthz" is no exception such as "GET /healthz" or "* /debug/*"`, `"GET healthz" is no exception such as "GET /healthz" or "* /debug/*"`,
				`"" is no exception such as "GET /healthz" or "* /debug/*"`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := &fakeT{TB: t}
			require.Equal(t, tc.want, chiroutes.List(fake, r, tc.except...))
			require.Len(t, fake.failures, len(tc.fails))
			for i, f := range fake.failures {
				require.Equal(t, "chiroutes: "+tc.fails[i], f)
			}
		})
	}
}

// What no request can reach cannot be tested: that is said, and not passed over.
func TestARouteOutOfReachFails(t *testing.T) {
	t.Parallel()
	r := chi.NewRouter()
	r.Get("/{id:.+}", named("all"))
	r.Get("/{name}", named("never"))
	sub := chi.NewRouter()
	sub.Post("/in", named("in"))
	r.Mount("/sub", sub)
	r.Get("/sub/*", named("beside the mount")) // chi.Walk leaves it out
	fake := &fakeT{TB: t}
	require.Equal(t, []string{"POST /sub/in", "GET /1"}, chiroutes.List(fake, r))
	require.Equal(t, []string{
		"chiroutes: no path found that leads to GET /sub/*: does another route take its requests?",
		"chiroutes: no path found that leads to GET /{name}: does another route take its requests?",
	}, fake.failures)
	require.Empty(t, chiroutes.List(t, chi.NewRouter()))
}

// Whatever is registered: a route is in the list by a path that leads to it, or it is said to be out of reach.
func TestAnyRouterModel(t *testing.T) {
	t.Parallel()
	segment := rapid.SampledFrom([]string{
		"a", "b", "x", "1", "{p}", "{q}", "{n:[0-9]+}", "{w:[a-z]{2,3}}", "{e:(ab|cd)*}", "{o:[^x]?}", "{d:\\w+\\.\\w+}", "{s}-{t}", "v{u}", "{f:}",
		"{z:[[:punct:]]}", "{nul:\\x{0}}", "{g:\\bé?x$}",
	})
	rapid.Check(t, func(t *rapid.T) {
		registered := map[string]bool{}
		mounted := 0
		var build func(r chi.Router, prefix string, depth int)
		build = func(r chi.Router, prefix string, depth int) {
			for range rapid.IntRange(1, 4).Draw(t, "routes") {
				segments := rapid.SliceOfNDistinct(segment, 0, 3, rapid.ID).Draw(t, "segments")
				pattern := "/" + strings.Join(segments, "/")
				if depth < 2 && len(segments) > 0 && rapid.IntRange(0, 3).Draw(t, "mount") == 0 {
					mounted++
					pattern = fmt.Sprintf("/m%d%s", mounted, pattern)
					sub := chi.NewRouter()
					build(sub, prefix+pattern, depth+1)
					r.Mount(pattern, sub)
					continue
				}
				if rapid.Bool().Draw(t, "wild") {
					pattern = strings.TrimSuffix(pattern, "/") + "/*"
				}
				method := rapid.SampledFrom([]string{"GET", "POST", "DELETE"}).Draw(t, "method")
				name := method + " " + prefix + pattern
				r.Method(method, pattern, named(name))
				registered[name] = true
			}
		}
		r := chi.NewRouter()
		build(r, "", 0)
		fake := &fakeT{}
		list := chiroutes.List(fake, r)
		reached := map[string]bool{}
		for _, route := range list {
			method, path, _ := strings.Cut(route, " ")
			w := httptest.NewRecorder()
			r.ServeHTTP(w, httptest.NewRequest(method, path, nil))
			got := w.Body.String()
			require.True(t, registered[got], "%s is answered by %q", route, got)
			require.False(t, reached[got], "twice: %s", got)
			reached[got] = true
		}
		// Parameters of other names may be the same route, of which the last stays: so not all that was registered is there.
		require.LessOrEqual(t, len(list)+len(fake.failures), len(registered))
		for _, f := range fake.failures {
			require.Contains(t, f, "no path found that leads to")
		}
		for name := range registered {
			if !strings.ContainsAny(name, "{*") {
				require.Contains(t, list, name)
			}
		}
	})
}
