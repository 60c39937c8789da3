// Package openfeature joins the flags of a program to OpenFeature, both ways: [NewProvider] serves a set to OpenFeature's
// clients, and [Follow] has a set take its overrides from any provider of OpenFeature.
//
//	import of "github.com/open-feature/go-sdk/openfeature"
//
//	func main() {
//		if err := set.Load(os.Environ(), ".env"); err != nil {
//			log.Fatal(err)
//		}
//		// Libraries that ask OpenFeature get our flags.
//		if err := of.SetNamedProviderAndWait("voice", openfeature.NewProvider(set)); err != nil {
//			log.Fatal(err)
//		}
//		// Our flags follow what the flag service says; flagd is a provider of OpenFeature's.
//		if err := of.SetNamedProvider("remote", flagd); err != nil {
//			log.Fatal(err)
//		}
//		source, err := openfeature.Follow(set, of.NewClient("remote"), openfeature.Config{})
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer source.Close()
//		log.Fatal(http.ListenAndServe(":8080", set.Handler(api)))
//	}
//
// A program that follows reads its flags as ever, at the price of an atomic load, and has what a set gives beside: bounds, NeverIn,
// pinned requests, the audit, and an operator's override that stands above what the provider says.
//
// Served, the types are these; every other pair is a TYPE_MISMATCH and the caller's default:
//
//	flag      asked for as
//	bool      bool
//	int       int; float, where that holds it exactly
//	float     float
//	duration  string, "1m30s"; float, in seconds
//	string    string
//	enum      string
//	all       object: bool, int64, float64 or string
//
// The reason is DEFAULT where nobody has said anything, and STATIC for everything else, overrides too: TARGETING_MATCH is the word
// for a rule that was evaluated, and an override is the same for everybody until the event that ends it. Of a bool and an enum the
// value is the variant. The flag metadata are flagSetId, source, and of an override author, reason and, where it ends by itself, until (RFC 3339).
//
// Followed, a bool, an int, a float and a string are asked for as such, an enum as a string, and a duration as a string ("1m30s") or
// else as a float of seconds. What counts then is, from the strongest: the override of somebody else, the provider, the environment,
// the default. The context for targeting is that of the client: its SetEvaluationContext.
//
// # Failure
//
// Served, an unknown flag is FLAG_NOT_FOUND, and so is a secret: it is not told. A set that is not loaded is PROVIDER_NOT_READY.
//
// Followed, a provider that is down, an answer of another type and a panic of the provider leave the flag its last good value;
// so does a value that is out of bounds, or that NeverIn forbids. Each flag stands by itself, and [Hooks] hear of it once. Only
// FLAG_NOT_FOUND is an answer: nothing to say, and the override ends. So does it where a provider hands the default back. A string
// that is empty cannot be an override, and is refused. At the start of a program there is no last good value but what the
// environment says.
//
// # Concurrency
//
// Everything may be used from several goroutines. A [Source] has one goroutine, which evaluates one flag after the other, and on
// which the set's hooks for its overrides run. A request that is pinned meanwhile may see a part of a change at the provider that
// touches several flags. A [Provider] has none.
//
// # Time
//
// [Config.Interval] and [Config.Timeout] are on the monotonic clock. A provider that does not obey its context holds up the
// Source, and its Close, as long as it likes; it holds up nobody who reads a flag, and Follow for Timeout.
//
// # Cost
//
// A bool through a client of OpenFeature costs 1.7 µs and 12 allocations, of which 0.5 µs and 3 allocations are the Provider's; the
// SDK's own in-memory provider has 1.0 µs and 8, of which 0.2 µs and 1. The difference is the metadata. A flag's Get is an atomic load:
// who follows reads that. A Source's pass over 100 flags that have not changed takes 0.5 ms and 2,500 allocations, nearly all of it
// in the SDK's client. A change of a flag costs a Provider a look through the listing of the set. Measured by BenchmarkBool and
// BenchmarkPass: the best of 40 short runs on 2 busy shared cores with Go 1.26 and go-sdk 1.20.0.
package openfeature
