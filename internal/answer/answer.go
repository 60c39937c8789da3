// Package answer says what the status of a vendor's answer means where nothing else is known of it.
package answer

import (
	"net/http"
	"strconv"

	"github.com/prusik-go/prusik/errors"
)

// Delivery is what a status says of the request.
func Delivery(status int) errors.Delivery {
	switch {
	case status < 400:
		return errors.Delivered
	case status == http.StatusRequestTimeout:
		return errors.Unknown
	case status < 500, status == http.StatusNotImplemented, status == http.StatusHTTPVersionNotSupported:
		return errors.Rejected
	default:
		return errors.Unknown
	}
}

// Kind is the kind of an answer that means a failure. A vendor's 401 or 403 is not our caller's to mend but ours: the
// credentials are.
func Kind(status int) errors.Kind {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusPaymentRequired:
		return errors.Internal
	case http.StatusNotFound, http.StatusGone:
		return errors.NotFound
	case http.StatusConflict:
		return errors.Conflict
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return errors.VendorTimeout
	}
	if status >= 400 && status < 500 {
		return errors.Invalid
	}
	return errors.VendorBadResponse
}

// Reason is the status as a label; the ones an outage is made of cost nothing.
func Reason(status int) string {
	switch status {
	case http.StatusTooManyRequests:
		return "429"
	case http.StatusInternalServerError:
		return "500"
	case http.StatusBadGateway:
		return "502"
	case http.StatusServiceUnavailable:
		return "503"
	case http.StatusGatewayTimeout:
		return "504"
	default:
		return strconv.Itoa(status)
	}
}
