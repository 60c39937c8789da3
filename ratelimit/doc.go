// Package ratelimit admits as many requests of a key as its limits say, and tells those it refuses when to come back.
//
//	func main() {
//		limits, err := ratelimit.ParseLimits("10/minute; 100 per 2 hours")
//		if err != nil {
//			log.Fatal(err)
//		}
//		l, err := ratelimit.New("api", ratelimit.Config{Limits: limits})
//		if err != nil {
//			log.Fatal(err)
//		}
//		proxies := netip.MustParsePrefix("10.0.0.0/8") // whose X-Forwarded-For is believed; ratelimit.RemoteAddr without any
//		mux := http.NewServeMux()
//		mux.Handle("POST /calls", l.Handler(ratelimit.ClientIP(proxies))(http.HandlerFunc(call)))
//		log.Fatal(http.ListenAndServe(":8080", mux))
//	}
//
// Choose [Limiter.Handler] for a server, [Limiter.Outbound] for an httpx client, [Limiter.Transport] for a plain one, [Do] for
// a function; [Limiter.Allow] to be told now, [Limiter.Wait] to wait for one's turn. Package ratelimittest proves that every
// route of a server is limited.
//
// A limit is a bucket for each key (GCRA): a burst may come at once, then one each interval. Several limits decide at once:
// a request takes of all or, where one refuses, of none. [Shadow] tries limits out without acting on them, and [Limiter.SetLimits]
// changes them while they are in use.
//
// # Failure
//
// A refusal is a [Decision]; as an error it is an [errors.Error] of kind rate_limited (429), outbound vendor_rate_limited (503),
// with the exact time after which the same request passes. One that asks for more than a burst holds is refused at once and
// for good. An empty key or a negative cost is an error of kind internal, never a bucket that all share. When a [Store] of
// several processes is down, [Config.OnOutage] decides, and there is no default for it; what the store said reaches
// [Hooks.OnError] and no client.
//
// The memory holds [Config.MaxKeys] keys that owe something; a key whose buckets are full takes no place, and is the first
// to go. Where there are more, the one that owes least of a few dozen is evicted, and what it owed is remembered in a table
// of fixed size that it shares with other evicted keys. So it is guaranteed that no key is ever admitted more than its limits
// say: nobody can push out his own exhausted bucket and start afresh. The price is paid by new keys, which may start with
// less than a full bucket, up to an empty one, for as long as more keys than MaxKeys owe something:
// [Snapshot.Evictions] grows then. Two keys share a bucket by chance, of a hash of 128 bits.
//
// # Concurrency
//
// Everything may be used from several goroutines. There is no lock that all callers share, but one each for up to 64 parts of
// the memory. No goroutine is started. Hooks are called under no lock, by several goroutines at the same time.
//
// # Time
//
// The memory's clock is the monotonic one: a wall clock that steps changes nothing, except for X-RateLimit-Reset where that is
// a date by [LegacyResetEpochSeconds]. Intervals are rounded up to the nanosecond. Only Wait, [Outbound.Acquire] and Transport
// wait; a wait that cannot fit the deadline of its context is refused at once, and a canceled one gives back what it took,
// but for the turns that others have behind it: that takes up to a second where a Store hangs.
//
// # Cost
//
// A decision allocates nothing, a request through Handler a twentieth of an allocation for its fields; a table grows by
// doubling. Measured on 2 shared cores, as medians: [Limiter.Allow] 135 ns, of 10,000 keys 180 ns, with three limits 190 ns;
// [Outbound.Acquire] 140 ns from one or two goroutines; Handler with its fields 370 ns, of 10,000 keys 400 ns, of 1,000,000
// 650 ns in CPU time of interleaved rounds, which is 0.31, 0.31 and 0.47 times that of httprate v0.16.1 (internal/bench in the
// repository). Three limits cost another 150 to 250 ns, mostly for their fields. A refusal is answered in 8.5 µs and 48
// allocations, those of [errors.Write]. Of a million keys each takes 54 bytes with one limit and 97 with three; as tables fill
// and double it is between 32 and 77, and 53 and 128. It takes nothing once its bucket is full and others have been asked for.
package ratelimit
