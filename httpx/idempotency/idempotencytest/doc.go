// Package idempotencytest checks that a store keeps the contract of [idempotency.Store].
//
//	func TestContract(t *testing.T) {
//		if err := idempotencytest.TestStore(newStore(t)); err != nil {
//			t.Error(err)
//		}
//	}
//
// # Failure
//
// [TestStore] returns every duty that is not kept, joined.
//
// # Concurrency
//
// One store may be tested several times at once: the keys are random.
//
// # Time
//
// It waits for leases and records to end, for a few seconds in all; in a bubble of testing/synctest that takes no time.
//
// # Cost
//
// Some two hundred calls.
package idempotencytest
