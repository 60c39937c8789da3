// Package profile has the ready [httpx.Profile] of nine vendors: what their answers mean, and whether they
// honour an idempotency key.
//
//	client, err := httpx.NewClient("twilio", httpx.Config{Profile: profile.Twilio()})
//	if err != nil {
//		return err
//	}
//	resp, err := client.PostForm(messages, form) // a 429 is sent again, a 503 is not: it may have been texted
//	if err != nil {
//		return err
//	}
//	defer resp.Body.Close()
//
// A profile names only where a vendor differs from the standard rules: a 429 was not processed and may be
// retried with any method, any other 4xx was refused for good, a 408 or 5xx may have been processed and is
// retried only where a repeat is harmless, by its method or by a key the vendor honours.
//
// Each function cites what it was read from, and when; nothing was tried against a live vendor. What could not be
// confirmed on the vendor's own page says "not verified" and is read in the way that sends less. A wait that
// no vendor's page gives is marked as ours. Change a field of the returned value to know better.
//
// # Failure
//
// The functions in a profile take any bytes: HTML, JSON cut off in the middle, wrong types, a nil Request or
// Header. What they cannot read they leave to the standard rules. A [httpx.VendorError] is valid UTF-8
// without control characters, its Code at most 64 bytes, its Message 1024, its RequestID 128.
//
// # Concurrency
//
// The functions share nothing and keep nothing of their arguments. They may be called from several goroutines.
//
// # Time
//
// Where a vendor names a point in time, the wait until then is counted from the Date of the answer, so that a
// clock that is wrong here does no harm; only without one it is counted from now.
//
// # Cost
//
// An answer is parsed only where it differs by its body: on errors, on Vapi's 201, and on Slack's 200 up to the
// member "ok", which comes first.
package profile
