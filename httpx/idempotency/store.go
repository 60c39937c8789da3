package idempotency

import (
	"context"
	"crypto/sha256"
	"time"
)

// Store keeps keys where several processes share them. The nil Store of a [Config] is the memory of this process. The test of a
// Store is [github.com/prusik-go/prusik/httpx/idempotency/idempotencytest.TestStore].
//
// A Store has these duties:
//
//   - Begin looks and claims in one step: of all that begin with one ID at once, in all processes, exactly one is told
//     [Claimed], until that one has released it, or its record has expired.
//   - The clock is the Store's own, one for all who share it.
//   - A record expires TTL after its Finish, and one that was never finished TTL after the end of its Lease; not before.
//     A Store that has no room for more refuses with [ErrNoRoom]. It never forgets one to make room for another.
//   - A repeated call of one Run changes nothing that the first has not changed: a client may send it again.
//   - It obeys ctx, and returns an error where it could not do what it was asked, or does not know whether it has. It does not
//     decide by itself what an outage means, that is [Config.OnOutage]. An error may carry a wait, see
//     [github.com/prusik-go/prusik/errors.RetryAfter].
//   - It may be called from several goroutines, and keeps none of what it is given beyond the call, nor changes it.
type Store interface {
	// Begin claims c.ID for c.Run, or returns the record that is there, unchanged. One that c.Run itself holds, and has not
	// finished, is [Claimed] again.
	Begin(ctx context.Context, c Claim) (Record, error)
	// Finish keeps answer, which is not empty, where c.Run holds the record, even if its Lease is over, or where there is none
	// any more. Where another run holds it, nothing is done, and that is no error. An answer for which there is no room is
	// refused with [ErrNoRoom], unless it is of 128 bytes or less.
	Finish(ctx context.Context, c Claim, answer []byte) error
	// Release deletes the record, where c.Run holds it and has not finished it. Else nothing is done.
	Release(ctx context.Context, c Claim) error
}

// ErrNoRoom is the error of a [Store] that is full. From Begin it is a 503 for the client, whatever [Config.OnOutage] says.
const ErrNoRoom = constError("idempotency: no room for another key")

// Claim is what a request asks of a [Store].
type Claim struct {
	// ID is what is claimed: a SHA-256 of name, scope and key.
	ID [sha256.Size]byte
	// Run is who claims it: random for each request.
	Run [16]byte
	// Fingerprint is that of the request.
	Fingerprint [sha256.Size]byte
	// Lease is how long the request counts as in progress, and TTL how long a record is kept after that. Both are
	// positive; a Store may round them up to milliseconds.
	Lease, TTL time.Duration
}

// State is how things stand with a key.
type State uint8

// The states. The zero is none of them.
const (
	// Claimed: there was no record, and now there is one of this Run.
	Claimed State = iota + 1
	// Running: another run has claimed it and not finished, and its Lease is not over.
	Running
	// Abandoned: another run has claimed it and not finished, and its Lease is over. It may still finish.
	Abandoned
	// Finished: a run has finished.
	Finished
)

// Record is what a [Store] has of a key.
type Record struct {
	// State is how things stand.
	State State
	// Fingerprint is that of the run which holds the record.
	Fingerprint [sha256.Size]byte
	// Answer is what Finish was given, where Finished. It is read only.
	Answer []byte
}
