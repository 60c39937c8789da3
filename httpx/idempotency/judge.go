package idempotency

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/prusik-go/prusik/errors"
)

// word is what is said of an answer.
type word int32

const (
	silent word = iota // nothing
	free               // nothing was done
	keep               // something was done, or may have been
)

// judge says whether an answer frees the key. What the error says that the answer was made of is believed first, and then the
// status: those that say by RFC 9110, 6585 or 8470 that the request was not applied, and that may say something else for the same
// request later. Everything else is kept: a 503 is what http.TimeoutHandler sends while the work goes on, a 408 what some
// send for a vendor that did not answer, and the body was here before the handler was.
func judge(status int, err error) word {
	if w := ofError(err); w != silent {
		return w
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, // who it is or what he may has to be settled first; a flag is off
		http.StatusConflict, http.StatusPreconditionFailed, http.StatusPreconditionRequired, // as things stand now
		http.StatusRequestEntityTooLarge, http.StatusTooEarly, http.StatusTooManyRequests:
		return free
	default:
		return keep
	}
}

// ofError is what an error says, by the delivery of the first [errors.Error] of each branch of its tree. Where there are
// several branches, all have to say that nothing was done.
func ofError(err error) word {
	if err == nil {
		return silent
	}
	if e, ok := err.(*errors.Error); ok { //nolint:errorlint // the tree is walked here
		switch {
		case e.Delivery == errors.NotSent, e.Delivery == errors.Rejected:
			return free
		case e.Delivery == errors.Delivered, e.Stop != "", len(e.Attempts) > 0:
			return keep
		default: // it is of no call: its delivery is unknown because it has none
			return silent
		}
	}
	switch u := err.(type) { //nolint:errorlint // the tree is walked here
	case interface{ Unwrap() error }:
		return ofError(u.Unwrap())
	case interface{ Unwrap() []error }:
		worst := silent
		for i, branch := range u.Unwrap() {
			switch w := ofError(branch); {
			case w == keep:
				return keep
			case i == 0:
				worst = w
			case w == silent:
				worst = silent
			}
		}
		return worst
	default:
		return silent
	}
}

// run is what a handler is told it may say about its request.
type run struct {
	keys *Keys
	said atomic.Int32 // a word
}

type runKey struct{}

func runOf(ctx context.Context) *run {
	rn, _ := ctx.Value(runKey{}).(*run)
	return rn
}

// Release says that nothing was done for the request of ctx, and nothing will be: whatever is answered, its key is free again
// when the handler returns, and a retry is run. It does not undo anything. After a panic the key stays taken.
//
// The last call of Release and [Keep] counts. Without a key, and after the handler, both do nothing. They may be called
// from several goroutines.
func Release(ctx context.Context) { say(ctx, free) }

// Keep says that something was done for the request of ctx: whatever is answered, it is kept, and a retry is not run. It is for
// a handler that makes several calls: without it, one that was refused after another has succeeded, and whose error is the
// answer, would free the key.
func Keep(ctx context.Context) { say(ctx, keep) }

func say(ctx context.Context, w word) {
	if rn := runOf(ctx); rn != nil {
		rn.said.Store(int32(w))
	}
}
