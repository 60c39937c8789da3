//go:build race

package ratelimit

// raceEnabled: tests of many millions are cut short under the race detector.
const raceEnabled = true
