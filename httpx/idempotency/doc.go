// Package idempotency runs a request once, however often its client sends it: a double click texts nobody twice.
//
//	func main() {
//		keys, err := idempotency.New("api", idempotency.Config{})
//		if err != nil {
//			log.Fatal(err)
//		}
//		user := func(r *http.Request) (string, error) { return r.Header.Get("X-User"), nil } // whom your sign-in has found
//		send := func(w http.ResponseWriter, r *http.Request) error {
//			return sendText(r) // with an httpx client: its errors know whether something was sent
//		}
//		mux := http.NewServeMux()
//		mux.Handle("POST /messages", keys.Handler(user)(errors.Handler(send)))
//		log.Fatal(http.ListenAndServe(":8080", mux))
//	}
//
// It is the server's side of the Idempotency-Key field, draft-ietf-httpapi-idempotency-key-header-07: a page makes a key for
// each thing its user wants done, such as crypto.randomUUID(), and sends it with every try. The key is a string in quotes; a
// bare word, as Stripe's clients send it, is read as well. [Keys.Handler] answers:
//
//	the key is                                     answer
//	new                                            the handler's
//	that of a request which has ended              the same again, with Idempotency-Replayed: true
//	that of one in progress                        409, Retry-After: 1
//	that of another request                        422
//	that of one whose outcome is not known         500, delivery unknown: check before sending it again
//	that of one whose answer was too large         its status, and a problem that says so
//	missing and required, repeated or malformed    400
//	new, and the body larger than MaxBody          413
//	new, and the store is down or full             503
//
// A refusal is a problem whose member "idempotency" is the name of its [Decision]. Two requests are the same if method, path,
// query, Content-Type and body are: a form that is encoded as multipart has another boundary, and so another body, each time.
//
// A replay has the status, the body and the fields that the handler has set, but not Date, Set-Cookie, Retry-After,
// X-Correlation-ID, RateLimit and X-RateLimit fields, traces, trailers, and what is about one connection. Its correlation id is its
// own; that of the request which was run is in Idempotency-Correlation-ID.
//
// # What frees a key
//
// What was done, or may have been, is kept. An answer that says that nothing was done frees the key, so that a retry can do it:
//
//	the handler                                                              its key is
//	calls [Release], or [Keep]                                               free, or kept, whatever follows
//	answers by [errors.Write] or errors.Handler, delivery not_sent or rejected    free: a breaker, a limiter, a dial, a vendor's 4xx
//	the same, delivery unknown or delivered, of a call                       kept
//	401, 403, 409, 412, 413, 425, 428, 429                                   free
//	499, or nothing, to a client that has left                               kept: outcome not known
//	any other status                                                         kept
//	panics, exits its goroutine or takes the connection over                 kept: outcome not known
//
// A handler that makes several calls must say Keep when one has succeeded: a later one that is refused would free the key. Of
// joined errors each has to say that nothing was done. A writer without Unwrap between the two hides the error, and then
// the status decides; a plain 5xx is kept.
//
// # Failure
//
// A process that dies leaves its keys taken in a [Store]: when [Config.Lease] is over, their outcome is not known, and nothing is
// run again before TTL is over. So it is where an answer could not be kept. When the Store is down, [Config.OnOutage] decides, and
// there is no default for it. A full memory refuses new keys, 503, and forgets none that protects; one caller can fill it, so
// mount it inside of a limit. What the memory holds is gone with its process: with several processes, or where a restart
// must not text twice, use a Store. Neither is a transaction: a handler that dies between its call and its answer has done it.
//
// Answers are kept as they are, also with what they hold of a person. Keys and scopes are hashed.
//
// # Concurrency
//
// Everything may be used from several goroutines. No goroutine is started. Hooks are called under no lock.
//
// An answer reaches its client while it is being kept. One of more than some 2 KiB, or flushed, may be there before it is: a retry at
// that moment is a 409.
//
// # Time
//
// The memory's clock is the monotonic one. Nothing waits, but for the Store, up to 5 s after the handler. The handler runs on where
// its client leaves, unless it heeds its context, and what it answers is kept.
//
// # Cost
//
// A request without a key, or of another method, costs some nanoseconds and allocates nothing. Measured on 2 busy shared cores with a
// small body: a new key 8 µs and 16 allocations, a replay 3 to 5 µs and 10; body and answer are held in memory meanwhile. A key in
// memory takes 260 bytes and its answer.
package idempotency
