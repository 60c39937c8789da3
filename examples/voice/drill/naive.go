package drill

import (
	"net/http"
	"strconv"

	"github.com/prusik-go/prusik/httpx"
)

// naive is the sabotage: a client as many have it, which repeats at once whatever failed, up to three times, a text too.
// It has no breaker, no back-off and no idea whether the vendor has carried out what it did not answer, and it does not
// close the answers that it drops.
type naive struct{ next http.RoundTripper }

const naiveAttempts = 3

// RoundTrip implements [http.RoundTripper].
func (n *naive) RoundTrip(req *http.Request) (*http.Response, error) {
	rec := recordOf(req.Context())
	for attempt := 1; ; attempt++ {
		out := req.Clone(req.Context())
		if attempt > 1 && req.GetBody != nil {
			body, err := req.GetBody()
			if err != nil {
				return nil, err
			}
			out.Body = body
		}
		rec.observe(httpx.Event{Status: httpx.StatusAttempt, Attempt: attempt, MaxAttempts: naiveAttempts})
		resp, err := n.next.RoundTrip(out)
		reason := "reset"
		if err == nil {
			reason = strconv.Itoa(resp.StatusCode)
		}
		if attempt == naiveAttempts || err == nil && resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests {
			return resp, err
		}
		rec.observe(httpx.Event{Status: httpx.StatusRetrying, Attempt: attempt + 1, MaxAttempts: naiveAttempts, Reason: reason})
	}
}

// CloseIdleConnections forwards to the transport underneath.
func (n *naive) CloseIdleConnections() {
	if c, ok := n.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
