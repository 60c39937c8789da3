// Package soak holds one long test: many callers, through httpx clients, at vendors that inject every fault of package
// fault at random, and afterwards the ledgers of the vendors against what each caller was told.
//
//	go test -race ./internal/soak                                          // the short form
//	go test -race ./internal/soak -timeout 30m -soak.calls=100000          // the long form
//	go test -race ./internal/soak -soak.calls=6000 -soak.seed=4711 -v      // the calls and faults of an earlier run
//
// The seed fixes what each call is, how its caller behaves and which faults its attempts meet; it does not fix which
// goroutine runs first. So no assertion depends on time: each compares what a caller was told with what the vendor saw.
//
// # How attempts are told apart
//
// A tap under the pipeline, on top of net/http's transport, numbers the attempts of a call and adds the number to its
// X-Test-Call header, "c17" to "c17#2". The ledger then says of each single attempt whether it arrived, was read whole
// and was processed. net/http repeats some requests by itself where a reused connection is reset: such a repeat arrives
// under the same number, and the tap has counted a second connection for it. So the count is exact with connections
// reused: every attempt arrived once, or not at all, or as often as it had a connection. What is told of an attempt has to
// agree with all its arrivals; only of a GET that net/http repeated it is the last try that is told, and nothing compared.
package soak
