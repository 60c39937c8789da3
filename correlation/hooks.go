package correlation

import "net/http"

// Hooks are callbacks; nil ones are skipped. They run on the request's goroutine, before the next handler.
type Hooks struct {
	// OnReplaced is called where a request brought an id, or a token, that was not accepted. One that brought
	// none is no event.
	OnReplaced func(ReplacedEvent)
}

// ReplacedEvent reports an id or token that was not accepted. What was offered is not in it.
type ReplacedEvent struct {
	// Request is the request as the next handler gets it, with the id in use in its context.
	Request *http.Request
	// ID is the id in use.
	ID     string
	Reason Reason
	// Err is the error of [Signer.Verify] for [ReasonToken], otherwise nil.
	Err error
}

// Reason says why an id was not accepted. It is fit for a metric's label.
type Reason string

// The reasons. The set is closed.
const (
	ReasonInvalid   Reason = "invalid"   // it breaks the rule of [Valid]
	ReasonRepeated  Reason = "repeated"  // the header came more than once
	ReasonUntrusted Reason = "untrusted" // the peer is not one of Config.TrustedPeers
	ReasonToken     Reason = "token"     // the token of a callback was not valid
)

func (h Hooks) replaced(r *http.Request, id string, reason Reason, err error) {
	if h.OnReplaced != nil {
		h.OnReplaced(ReplacedEvent{Request: r, ID: id, Reason: reason, Err: err})
	}
}
