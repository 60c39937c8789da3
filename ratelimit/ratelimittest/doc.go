// Package ratelimittest proves that limits are on the path: that every route of a server has one, and that a store of
// buckets keeps its contract.
//
//	func TestEveryRouteIsLimited(t *testing.T) {
//		ratelimittest.RequireLimited(t, newServer(t), // the handler that main serves, over fakes of what it calls
//			"POST /api/v1/calls",
//			"POST /api/v1/sms",
//			"GET /api/v1/settings",
//		)
//	}
//
// A limiter that is configured, tested, and mounted nowhere fails here, because the requests are real: each route is sent
// requests until it refuses one for its rate. For a chi router the module chiroutes lists the routes. http.ServeMux cannot
// tell its routes: register them from a table of yours and hand that to the test as well, so that none can be in the one
// and not in the other.
//
// # Failure
//
// [RequireLimited] fails the test once for each route that is not limited, and goes on. [TestStore] returns every rule that
// was broken, joined.
//
// # Concurrency
//
// RequireLimited sends one request at a time. TestStore calls the store from several goroutines.
//
// # Time
//
// RequireLimited needs none, apart from what the handlers take. TestStore waits for half a second in all, in the time
// of the store, which may be that of a testing/synctest bubble.
//
// # Cost
//
// At most a thousand requests a route ([Burst]), in this process.
package ratelimittest
