package errors_test

import (
	"encoding/json"
	"math"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prusik-go/prusik/errors"
)

func TestRetryJSON(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]errors.Retry{
		`{"status":"retrying","attempt":2,"max_attempts":3,"next_retry_in_seconds":5}`: {
			Status: "retrying", Attempt: 2, MaxAttempts: 3, After: 5 * time.Second,
		},
		`{"status":"failed","attempt":3,"max_attempts":3,"next_retry_in_seconds":null}`: {Attempt: 3, MaxAttempts: 3},
		`{"status":"failed","attempt":0,"max_attempts":0,"next_retry_in_seconds":1}`:    {After: 1},
	} {
		got, err := json.Marshal(r)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
		var back errors.Retry
		require.NoError(t, json.Unmarshal(got, &back))
		again, err := json.Marshal(back)
		require.NoError(t, err)
		require.Equal(t, want, string(again))
	}
	var r errors.Retry
	require.Error(t, json.Unmarshal([]byte(`{"attempt":"two"}`), &r))
	require.NoError(t, json.Unmarshal([]byte(`{"next_retry_in_seconds":9223372036854775807}`), &r))
	require.Positive(t, r.After, "no overflow")
	require.NoError(t, json.Unmarshal([]byte(`{"next_retry_in_seconds":-5}`), &r))
	require.Zero(t, r.After)
}

// In float64 the nanosecond would be lost, and the client would come too early.
func TestRetrySecondsOfALongWait(t *testing.T) {
	t.Parallel()
	r := errors.Retry{After: 400*24*time.Hour + 1}
	require.Equal(t, int64(400*24*60*60+1), r.Seconds())
	require.Equal(t, math.MaxInt64/int64(time.Second)+1, errors.Retry{After: math.MaxInt64}.Seconds())
	require.Zero(t, errors.Retry{After: -3 * time.Second}.Seconds(), "a wait that is over")
}

// The header, retry_after and next_retry_in_seconds are one value, and no client that heeds it comes too early.
func TestRetryRenderingsAgree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := errors.Retry{
			Status: rapid.SampledFrom([]string{"", "retrying", "failed"}).Draw(t, "status"),
			After: time.Duration(rapid.OneOf(
				rapid.Int64(), rapid.Int64Range(0, int64(time.Minute)), rapid.Just(int64(math.MaxInt64)),
			).Draw(t, "after")),
			Attempt:     rapid.IntRange(0, 5).Draw(t, "attempt"),
			MaxAttempts: rapid.IntRange(0, 5).Draw(t, "max"),
		}
		w := httptest.NewRecorder()
		if err := errors.Write(w, nil, &errors.Error{Kind: errors.RateLimited, Retry: r}); err != nil {
			t.Fatal(err)
		}
		var body struct {
			After *int64 `json:"retry_after"`
			Retry *struct {
				Next *int64 `json:"next_retry_in_seconds"`
			} `json:"retry"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		header := w.Header().Get("Retry-After")
		if r.After <= 0 {
			if header != "" || body.After != nil || body.Retry != nil && body.Retry.Next != nil {
				t.Fatalf("a wait that is not known is told: %q, %s", header, w.Body)
			}
			return
		}
		seconds, err := strconv.ParseInt(header, 10, 64)
		if err != nil || body.After == nil || body.Retry == nil || body.Retry.Next == nil {
			t.Fatalf("%q, %s", header, w.Body)
		}
		if *body.After != seconds || *body.Retry.Next != seconds || r.Header() != header || r.Seconds() != seconds {
			t.Fatalf("they disagree: %q, %s", header, w.Body)
		}
		// Not less than After, and not a second more. Compared in seconds: the product may not fit.
		whole, part := int64(r.After/time.Second), r.After%time.Second
		if part > 0 {
			whole++
		}
		if seconds != whole {
			t.Fatalf("%d seconds for %v", seconds, r.After)
		}
	})
}
