//go:build race

package correlation_test

// raceEnabled: under the race detector sync.Pool drops things on purpose, so that counts of allocations mean nothing.
const raceEnabled = true
