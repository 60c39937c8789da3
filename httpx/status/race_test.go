//go:build race

package status_test

// raceEnabled: under the race detector sync.Pool drops things on purpose, so that counts of allocations mean nothing.
const raceEnabled = true
