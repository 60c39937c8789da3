// Package errors is the one error type of Prusik and a drop-in superset of the standard errors package.
//
//	resp, err := client.Do(req)
//	switch errors.KindOf(err) {
//	case "": // no error
//	case errors.CircuitOpen, errors.VendorTimeout:
//		if wait, ok := errors.RetryAfter(err); ok {
//			log.Printf("the vendor is down, next try in %v", wait)
//		}
//	}
//	if errors.DeliveryOf(err) == errors.Unknown {
//		// The vendor may have acted on it: check before sending again.
//	}
//
// Every error a Prusik client returns is an [*Error]: it says what went wrong ([Kind]), what is known of the
// request at the vendor ([Delivery]), why the retries ended ([Stop]), when to come back ([Retry]) and what
// each attempt did ([Attempt]). On the server side [Handler], [Write] and [Problem] turn any error, or a panic,
// into an RFC 9457 problem document; an error's own text never reaches a client, only [Error.Public] does.
//
// # Failure
//
// An error of another package is of kind [Internal], and its delivery is [Unknown]: what is not known to be
// safe is never reported as safe.
//
// # Concurrency
//
// An [*Error] is immutable once it has been returned. All functions may be called from several goroutines.
//
// # Cost
//
// Matching walks the error tree and allocates nothing. The package needs the standard library only.
package errors
