//go:build race

package metrics_test

// raceEnabled: under the race detector counts of allocations mean nothing.
const raceEnabled = true
