// Package chiroutes lists the routes of a chi router, for a test that none of them is without a limit.
//
//	func TestEveryRouteIsLimited(t *testing.T) {
//		router := newRouter(t) // the one that main serves, over fakes of what it calls
//		ratelimittest.RequireLimited(t, router, chiroutes.List(t, router,
//			"GET /healthz", // what needs no limit is named here
//			"* /debug/*",
//		)...)
//	}
//
// A route that is added tomorrow is in the list, and fails the test until it has a limit or a name in it. Routers that are
// mounted are walked as well, whatever the depth. A handler that is mounted and is no chi router (an http.ServeMux, a
// router inside of somebody's middleware) cannot be looked into: it is one route for each method, "/api/*", and where it is
// not limited as a whole, except it and name its routes to RequireLimited yourself. http.ServeMux itself has no list
// of its routes.
//
// # Failure
//
// [List] fails the test for a route to which it finds no path, because another one takes the requests, and for an
// exception that no route needs. The module needs chi v5.3.2: before that a route that shares its pattern with a Mount was
// not in chi's own list.
//
// # Concurrency
//
// List only reads: several tests may list one router, once its routes are made.
//
// # Time
//
// Nothing waits.
//
// # Cost
//
// Some microseconds a route. It is a module of its own, so that whoever does not use chi does not get it.
package chiroutes
