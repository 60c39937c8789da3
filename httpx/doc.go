// Package httpx turns any vendor's http.Client into one that retries only what is safe, breaks, limits, correlates,
// measures and explains itself.
//
//	package main
//
//	import (
//		"log"
//
//		"github.com/prusik-go/prusik/httpx"
//		"github.com/prusik-go/prusik/httpx/profile"
//	)
//
//	func main() {
//		client, err := httpx.NewClient("twilio", httpx.Config{Profile: profile.Twilio()})
//		if err != nil {
//			log.Fatal(err)
//		}
//		_ = client // a plain *http.Client: hand it to the vendor's SDK
//	}
//
// The order of the pipeline, outermost first: correlation, metrics and log of the call, kill switch, bulkhead, total
// timeout, retry [ outbound rate limit, breaker, attempt timeout, metrics of the attempt, base ]. [Transport.RoundTrip] is
// all of it, and [Transport.Explain] prints it with its numbers. With Config.Metrics, Prometheus has the same list as
// resilience_policy_info, and all that package metrics counts.
//
// # Retries
//
// What is known of an attempt decides, not the method alone ([errors.Delivery]). What never left, and what the vendor
// says it did not process, is sent again whatever the method. What may have been processed (a 5xx, a reset or a timeout
// after the write) is sent again only where the method is idempotent (RFC 9110) or the request carries an idempotency
// key that this vendor honours: a person is never texted twice. Local refusals and permanent errors are never retried.
//
// # Failure
//
// A status is a response, never an error: after the last attempt its real response comes back with its body intact, so
// that an SDK parses its own errors. An error is always an [*errors.Error] inside net/http's [*url.Error]: kind,
// delivery, attempts, the reason the retries stopped, and when to come back. It holds no path, query, header or body;
// the *url.Error around it does hold the URL, as net/http makes it: log the inner one. An error of a body being read is
// an [*errors.Error] too.
//
// # Streams
//
// Both timeouts end with the response headers; from then on only a read that gets no answer for BodyIdleTimeout
// ends the body. The body of an answer of 400 or above is read at once, up to MaxErrorBody, and handed on from
// memory: SDKs that do not close it leak nothing. A call, and its place in the bulkhead, ends with the first of EOF, Close
// and a failed read. A body that fails counts as a failure with the breaker; one of type text/event-stream counts
// by its headers.
//
// # Concurrency
//
// A client and a Transport are safe for concurrent use. Hooks and observers are called on the goroutine of the call, in
// order per call and for many calls at once.
//
// # Time
//
// A wait is slept on a timer and ends with the context. A wait that does not fit the deadline is not begun.
//
// # Cost
//
// On a stub transport a GET costs 4 allocations more than the bare client without timeouts and 11 with both; a
// refusal by an open breaker costs its error. No goroutine is started. internal/bench compares the time with peers.
package httpx
