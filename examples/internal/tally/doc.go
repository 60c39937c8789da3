// Package tally holds one test: random calls through httpx clients at a vendor that injects faults, and afterwards every
// counter of package metrics against the vendor's own ledger, exactly.
//
//	go test -race ./internal/tally                            # the short form
//	go test -race ./internal/tally -tally.calls=20000         # the long form
//	go test -race ./internal/tally -tally.seed=4711           # the calls and faults of an earlier run
//
// What a counter has to be follows from the ledger alone: which calls arrived how often, in what order, and what was done to
// them. A call that is not in it was refused, and each client has but one policy that may have refused it. Nothing depends on
// time: no fault is a timeout, a caller leaves when the vendor sees its request, and connections are not used again, so that
// net/http repeats nothing by itself.
package tally
