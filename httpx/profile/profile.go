package profile

import (
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
)

// All returns every profile of this package, each made anew.
func All() []httpx.Profile {
	return []httpx.Profile{
		Twilio(), Vapi(), Stripe(), OpenAI(), SendGrid(), Slack(), GitHub(), Deepgram(), ElevenLabs(),
	}
}

// never is for vendors that document no idempotency key: then one that a caller sends makes nothing safe.
func never(*http.Request) bool { return false }

// refused is what the standard rules know of an error status.
func refused(status int) errors.Delivery {
	if status < 400 || status >= 500 || status == http.StatusRequestTimeout {
		return errors.Unknown
	}
	return errors.Rejected
}

// limited is an answer that was not processed because of a limit: it may be sent again, by any method.
func limited(reason string, wait time.Duration) httpx.Verdict {
	return httpx.Verdict{Delivery: errors.Rejected, Limited: true, Wait: wait, Reason: reason}
}

// asked reads a header in which the vendor says itself whether to retry: "true" or "false".
func asked(v string) (httpx.Rule, bool) {
	switch {
	case strings.EqualFold(v, "true"):
		return httpx.RetryAlways, true
	case strings.EqualFold(v, "false"):
		return httpx.RetryNever, true
	default:
		return httpx.RetryByDelivery, false
	}
}

// vendorError bounds what outside bytes may bring into an error, a log or a label.
func vendorError(code, message, requestID string) httpx.VendorError {
	return httpx.VendorError{Code: clean(code, 64), Message: clean(message, 1024), RequestID: clean(requestID, 128)}
}

// clean returns at most size bytes of s, whole characters, valid and without control characters.
func clean(s string, size int) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune { // Map makes invalid bytes U+FFFD
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s))
	if len(s) > size {
		for !utf8.RuneStart(s[size]) {
			size--
		}
		s = s[:size]
	}
	return s
}
