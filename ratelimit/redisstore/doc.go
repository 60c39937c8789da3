// Package redisstore keeps the buckets of package ratelimit in Redis or Valkey, so that several processes share limits.
//
//	func main() {
//		store, err := redisstore.New("limits", redisstore.Config{URL: os.Getenv("REDIS_URL")})
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer store.Close()
//		limiter, err := ratelimit.New("api", ratelimit.Config{
//			Limits:   ratelimit.Limits{{Count: 10, Period: time.Minute}, {Count: 100, Period: time.Hour}},
//			Store:    store,
//			OnOutage: ratelimit.FailOpen, // or FailClosed, or LocalShare
//		})
//		if err != nil {
//			log.Fatal(err)
//		}
//		http.Handle("/api/", limiter.Handler(ratelimit.RemoteAddr)(api))
//		log.Fatal(http.ListenAndServe(":8080", nil))
//	}
//
// A decision is one call of one script, whatever the number of its limits: it takes of all of them, or of none. All
// limits of a key are behind one key of Redis, so that a decision is in one slot of a cluster. That key is a hash,
// see [Config.Secret]: nothing a user sent is in Redis. It expires when its buckets are full. The server needs to be Redis
// 6.2 or later, or Valkey, and its memory policy should be noeviction, or limits are forgotten when memory is short.
//
// A service that has a client of rueidis or go-redis can hand it in: [Config.Client], [Config.GoRedis].
//
// # Failure
//
// An error means that nothing was decided here; what happens then is the limiter's OnOutage. Three errors in a row open the
// store's own breaker: for [Config.Breaker]'s OpenFor, a second, calls are refused without Redis, with the time to the
// next probe as [errors.RetryAfter]. A caller that leaves is no failure. Nothing holds a call longer than [Config.Timeout]
// and the caller's context: no server that hangs, no connection that takes long to open. No error holds a URL or a
// password. A decision that was sent is never sent again: after an error the units may have been taken, once. One whose
// caller has left before it was sent is not sent.
//
// A server that has lost the script is told it again. One that has become a replica is an outage, until the URL, or the
// sentinels behind it, lead to another. So is one without memory for a change. A value that this script has not written, and a key of
// another type, count as nothing and are written over: that bucket is full again, and nobody is locked out. Older versions
// of this package have other keys, so that while a deployment rolls on, old and new processes limit apart.
//
// # Concurrency
//
// Everything may be used from several goroutines. Calls at the same time share connections, packets and round trips: those that
// are ready at once go in one batch of up to 128. In a cluster each call goes alone, lest a node that hangs holds up others.
//
// # Time
//
// The clock is the server's, in microseconds. It may be set back, or a replica that is behind take over: then what is owed
// is as it was at the last change, so that nothing more is admitted and nobody waits longer than for what he owes. A step
// forward is time that has passed: one full bucket more, once. Intervals are rounded up, to the nanosecond where a
// bucket fills within 26 days, and so that a rate is never above the declared one. Bursts go up to 2^50, reservations up to
// 26 days ahead.
//
// # Cost
//
// One round trip, and for each key some 100 bytes of Redis while its buckets are not full. Measured as in ADR 15 of the
// repository, with 64 callers on two shared cores that the server shares: see there for decisions a second and
// server CPU. A call alone costs a goroutine; nothing waits for others to come. A refusal of the open breaker costs less than
// a microsecond.
package redisstore
