// Package bench compares Prusik's outbound client, and what a server puts around its routes, with what people would use
// instead, in the same process and in the same run, so that what is reported is a ratio and not a time.
//
// A [Contestant] makes a client over a given transport, a [Guard] is a breaker alone, and [Served] is middleware around a
// handler: [Limiters] and [Stacks]. A [Scenario] says what the far side does and how the
// client is called; [Scenarios] lists them all. [Measure] runs the contestants of a scenario in many short
// rounds, in another order each round, and keeps medians. The command cmd/ratios prints the table in README.md
// and checks it against the limits; the benchmarks in this package run the same scenarios under go test.
//
// Every call of every contestant carries a cancellable context of its own, and its response body is read to the
// end and closed, as in a server.
package bench
