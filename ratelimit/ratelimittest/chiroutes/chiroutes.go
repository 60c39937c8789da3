package chiroutes

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
)

// List returns the routes of r as ratelimittest.RequireLimited takes them, "POST /calls/x", in order of their patterns. A
// route of several methods is there for each of them. Parameters, regular expressions and wildcards are filled in so that chi
// itself finds the route by that path; what the path means to the handler is not known, and it may answer 404 as long as
// the limit comes first.
//
// except are the routes to leave out, by method and pattern as chi has them: "GET /users/{id}". The method * is any; a
// pattern that ends in /* is all that begin like it. One that leaves out nothing fails t, and so does a route to which
// there is no path.
func List(t testing.TB, r chi.Routes, except ...string) []string {
	t.Helper()
	exceptions := make([]exception, 0, len(except))
	for _, text := range except {
		method, pattern, ok := strings.Cut(text, " ")
		if !ok || !strings.HasPrefix(pattern, "/") {
			t.Errorf("chiroutes: %q is no exception such as \"GET /healthz\" or \"* /debug/*\"", text)
			continue
		}
		exceptions = append(exceptions, exception{text: text, method: method, pattern: pattern})
	}
	routes := map[route]bool{}
	walk(r, "", func(rt route) { routes[rt] = true })
	var list []string
	for _, rt := range slices.SortedFunc(maps.Keys(routes), route.compare) {
		if excepted(exceptions, rt) {
			continue
		}
		path, ok := rt.path(r)
		if !ok {
			t.Errorf("chiroutes: no path found that leads to %s %s: does another route take its requests?", rt.method, rt.pattern)
			continue
		}
		list = append(list, rt.method+" "+path)
	}
	for _, e := range exceptions {
		if !e.used {
			t.Errorf("chiroutes: no route is left out by %q", e.text)
		}
	}
	return list
}

// route is one method of one pattern, which is the whole path from the outermost router.
type route struct{ method, pattern string }

func (rt route) compare(other route) int {
	return cmp.Or(strings.Compare(rt.pattern, other.pattern), strings.Compare(rt.method, other.method))
}

// walk is chi.Walk, and sees a handler that was put on the pattern of a mounted router.
func walk(r chi.Routes, prefix string, visit func(route)) {
	for _, rt := range r.Routes() {
		pattern := prefix + rt.Pattern
		for method := range rt.Handlers {
			if method != "*" { // all of them, each is there by its name as well
				visit(route{method, join(pattern)})
			}
		}
		if rt.SubRoutes != nil {
			walk(rt.SubRoutes, pattern, visit)
		}
	}
}

// join drops the wildcards by which routers are mounted: "/api/*/users/*" is "/api/users/*".
func join(pattern string) string {
	for strings.Contains(pattern, "/*/") {
		pattern = strings.ReplaceAll(pattern, "/*/", "/")
	}
	return pattern
}

// exception is a route to leave out, and whether there was one.
type exception struct {
	text, method, pattern string
	used                  bool
}

func (e *exception) covers(rt route) bool {
	if e.method != "*" && e.method != rt.method {
		return false
	}
	below, isTree := strings.CutSuffix(e.pattern, "*")
	return e.pattern == rt.pattern || isTree && strings.HasSuffix(below, "/") && strings.HasPrefix(rt.pattern, below)
}

func excepted(exceptions []exception, rt route) bool {
	found := false
	for i := range exceptions {
		if e := &exceptions[i]; e.covers(rt) {
			e.used, found = true, true
		}
	}
	return found
}
