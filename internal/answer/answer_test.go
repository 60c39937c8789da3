package answer_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/internal/answer"
)

func TestWhatAStatusMeans(t *testing.T) {
	for status, want := range map[int]struct {
		delivery errors.Delivery
		kind     errors.Kind
	}{
		400: {errors.Rejected, errors.Invalid}, 401: {errors.Rejected, errors.Internal}, 402: {errors.Rejected, errors.Internal},
		403: {errors.Rejected, errors.Internal}, 404: {errors.Rejected, errors.NotFound}, 408: {errors.Unknown, errors.VendorTimeout},
		409: {errors.Rejected, errors.Conflict}, 410: {errors.Rejected, errors.NotFound}, 429: {errors.Rejected, errors.Invalid},
		500: {errors.Unknown, errors.VendorBadResponse}, 501: {errors.Rejected, errors.VendorBadResponse}, 502: {errors.Unknown, errors.VendorBadResponse},
		503: {errors.Unknown, errors.VendorBadResponse}, 504: {errors.Unknown, errors.VendorTimeout}, 505: {errors.Rejected, errors.VendorBadResponse},
		520: {errors.Unknown, errors.VendorBadResponse},
	} {
		require.Equal(t, want.delivery, answer.Delivery(status), status)
		require.Equal(t, want.kind, answer.Kind(status), status)
		require.Equal(t, strconv.Itoa(status), answer.Reason(status))
	}
	for _, status := range []int{100, 200, 204, 301, 399} {
		require.Equal(t, errors.Delivered, answer.Delivery(status))
	}
}
