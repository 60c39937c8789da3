package soak_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// vendorName is which vendor a call goes to.
type vendorName string

const (
	texts   vendorName = "twilio"  // twiliosim: its creates take no idempotency key
	orders  vendorName = "orders"  // takes an idempotency key
	ledgers vendorName = "ledgers" // unknown to httpx, behind the default breaker
	expired vendorName = "expired" // its certificate ran out; reached by the client of orders
)

// bodyKind is what the request body is.
type bodyKind string

const (
	noBody     bodyKind = "none"
	rewindable bodyKind = "rewindable" // has GetBody
	once       bodyKind = "once"       // an io.Reader that fits the replay buffer
	onceBig    bodyKind = "once_big"   // an io.Reader that does not
)

// moment is when a caller cancels.
type moment string

const (
	never      moment = "never"
	before     moment = "before"      // the call
	afterTime  moment = "after_time"  // plan.after
	onAttempt  moment = "on_attempt"  // plan.at is about to be sent
	onRetrying moment = "on_retrying" // the first wait begins
	onConn     moment = "on_conn"     // a connection is there, nothing is written
	onWrote    moment = "on_wrote"    // the request is written
	onAnswer   moment = "on_answer"   // the first byte of an answer is there
	midBody    moment = "mid_body"    // the first read of the body has returned
)

// reading is what a caller does with a response body.
type reading string

const (
	readAll   reading = "read_all"
	readSome  reading = "read_some"  // and close
	closeOnly reading = "close_only" // unread
	abandon   reading = "abandon"    // an error's body neither read nor closed
)

// idFrom is where a call has its correlation id from.
type idFrom string

const (
	idMade    idFrom = "made" // by httpx
	idHeader  idFrom = "header"
	idContext idFrom = "context"
)

// plan is one call: all of it follows from the seed and the call's number.
type plan struct {
	id     string
	vendor vendorName
	method string
	path   string
	// key is the caller's own Idempotency-Key.
	key   string
	body  bodyKind
	bytes int
	// keyed says whether this vendor honours a key on this request, the caller's or ours.
	keyed bool

	cancel   moment
	after    time.Duration
	at       int
	deadline time.Duration
	reading  reading // of an answer below 400
	errors   reading // of an answer of 400 or above
	ids      idFrom
	observe  bool
	// refuse is the number of the attempt the outbound limiter refuses; zero: none.
	refuse int
}

// safe says whether an attempt that may have been processed can be sent again.
func (p *plan) safe() bool {
	switch p.method {
	case http.MethodPost, http.MethodPatch:
		return p.keyed
	default:
		return true
	}
}

// chance draws from weighted choices.
func chance[T any](rng *rand.Rand, otherwise T, choices ...weighted[T]) T {
	x := rng.Float64()
	for _, c := range choices {
		if x < c.p {
			return c.v
		}
		x -= c.p
	}
	return otherwise
}

type weighted[T any] struct {
	p float64
	v T
}

func newPlan(seed uint64, n int) plan {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	p := plan{id: fmt.Sprintf("c%d", n)}
	p.vendor = chance(rng, texts, weighted[vendorName]{0.36, orders}, weighted[vendorName]{0.22, ledgers}, weighted[vendorName]{0.03, expired})
	switch p.vendor {
	case texts:
		p.toTexts(rng, n)
	default:
		p.toOther(rng)
	}
	if p.method == http.MethodPost || p.method == http.MethodPut || p.method == http.MethodPatch {
		p.body = chance(rng, rewindable, weighted[bodyKind]{0.25, once}, weighted[bodyKind]{0.1, onceBig})
		p.bytes = 40 + rng.IntN(500)
		if p.body == onceBig {
			p.bytes = maxBodyBuffer + 1 + rng.IntN(20_000)
			if p.vendor == texts {
				p.bytes = maxBodyBuffer + rng.IntN(500) // a text has 1600 characters at most
			}
		}
	} else {
		p.body = noBody
	}
	p.cancel = chance(rng, never,
		weighted[moment]{0.01, before}, weighted[moment]{0.06, afterTime}, weighted[moment]{0.04, onAttempt},
		weighted[moment]{0.03, onRetrying}, weighted[moment]{0.02, onConn}, weighted[moment]{0.02, onWrote},
		weighted[moment]{0.02, onAnswer}, weighted[moment]{0.02, midBody})
	p.after = time.Duration(rng.Int64N(int64(250 * time.Millisecond)))
	p.at = 1 + rng.IntN(maxAttempts)
	if rng.Float64() < 0.08 {
		p.deadline = time.Duration(1 + rng.Int64N(int64(150*time.Millisecond)))
	}
	p.reading = chance(rng, readAll, weighted[reading]{0.1, readSome}, weighted[reading]{0.1, closeOnly})
	p.errors = chance(rng, readAll, weighted[reading]{0.4, abandon}, weighted[reading]{0.1, closeOnly})
	p.ids = chance(rng, idMade, weighted[idFrom]{0.3, idHeader}, weighted[idFrom]{0.3, idContext})
	p.observe = p.cancel == onAttempt || p.cancel == onRetrying || rng.Float64() < 0.2
	if p.vendor == orders && rng.Float64() < 0.02 {
		p.refuse = 1 + rng.IntN(maxAttempts)
	}
	return p
}

// toTexts makes a call to Twilio. Its creates take no key: one that the caller sends all the same changes nothing.
func (p *plan) toTexts(rng *rand.Rand, n int) {
	p.method = http.MethodPost
	p.path = chance(rng, "/Messages.json", weighted[string]{0.12, "/Calls.json"}, weighted[string]{0.1, "/Messages.json?To=" + number(n)},
		weighted[string]{0.04, "/Messages/SM0.json"})
	if p.path != "/Messages.json" && p.path != "/Calls.json" {
		p.method = http.MethodGet
		return
	}
	if rng.Float64() < 0.15 {
		p.key = "own-" + p.id
	}
}

func (p *plan) toOther(rng *rand.Rand) {
	p.path = chance(rng, "/things/"+p.id, weighted[string]{0.04, "/missing/" + p.id})
	p.method = chance(rng, http.MethodGet, weighted[string]{0.5, http.MethodPost}, weighted[string]{0.05, http.MethodPatch},
		weighted[string]{0.15, http.MethodPut}, weighted[string]{0.1, http.MethodDelete})
	if p.method != http.MethodGet && rng.Float64() < 0.3 {
		p.key = "own-" + p.id
	}
	if p.method != http.MethodPost && p.method != http.MethodPatch {
		return
	}
	p.keyed = p.vendor == orders || p.vendor == expired || p.key != ""
}

// number is the person call n is about.
func number(n int) string { return fmt.Sprintf("+1555%07d", n%10_000_000) }
