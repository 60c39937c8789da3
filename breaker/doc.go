// Package breaker stops calls to something that keeps failing, and lets them through again once it has recovered.
//
//	func main() {
//		b, err := breaker.New("calendar", breaker.Config{}) // opens at 3 failures in a row, for 30 s
//		if err != nil {
//			log.Fatal(err)
//		}
//		http.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
//			events, err := breaker.Do(r.Context(), b, fetchEvents) // func(context.Context) ([]Event, error)
//			if err != nil {
//				_ = errors.Write(w, r, err) // while open: 503 and Retry-After, without a call
//				return
//			}
//			_ = json.NewEncoder(w).Encode(events)
//		})
//		log.Fatal(http.ListenAndServe(":8080", nil))
//	}
//
// Choose [Do] for a function, [Breaker.Transport] for a client, [Breaker.Handler] for a server, [Breaker.Allow] where a
// call ends elsewhere than it begins, and [Breaker.TryAcquire] to build on. An httpx client has a breaker already.
// A [Group] keeps one breaker per key.
//
// A closed breaker counts results in a window, of the last calls or of the last time ([Config]). When the window holds
// too many failures it opens and refuses calls for a while: longer each time it opens again without having
// closed, and with jitter that only lengthens. Then the next calls are probes, a few at a time, each a lease that runs
// out: enough successes close the breaker, one failure opens it again. A result is a success, a failure or ignored
// ([Outcome]); the caller's cancellation, a 4xx and a 429 say nothing of the vendor's health and are ignored.
//
// [Breaker.Reconfigure] changes thresholds, times and mode of a breaker in use and keeps its state and what it has counted.
//
// # Failure
//
// A refusal is an [errors.Error] of kind circuit_open with the breaker's name, delivery not_sent, and the time
// to the next probe; a server answers 503 with Retry-After. A panic or runtime.Goexit of the call counts as a failure,
// gives a probe's place back, and goes on. A result that comes after the state has changed is dropped, and so is one
// of a probe whose lease has run out. A call that blocks for good costs a probe's place for [Config.ProbeLease].
//
// # Concurrency
//
// Everything may be used from several goroutines. [Hooks] are called one at a time and in order, but for OnCount, and never
// under a lock. No goroutine is started.
//
// # Time
//
// The time open, the leases and [Config.SlowCall] are measured on the monotonic clock. The time window divides the wall
// clock: set back, the window stands still until the clock has caught up. Nothing waits.
//
// # Cost
//
// Nothing is allocated, except for the error of a refusal and the response writer of [Breaker.Handler]. A closed breaker
// whose count window holds no failure takes no lock, and reads no clock unless [Config.SlowCall] or a hook asks for
// it. Measured on 2 shared cores, median of 25 interleaved rounds, serial and parallel alike: [Do] 16 ns, with
// failures in the window 72 ns, with a time window 105 ns, with SlowCall 60 ns, with [Hooks.OnOutcome] 140 ns
// (gobreaker v2.4.0's Execute: 120 ns); a refused [Breaker.TryAcquire] 36 ns (gobreaker: 58 ns).
package breaker
