package ratelimit

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
)

// stepped is t as it would be, had the wall clock been set by d since: the difference of their wall times to any later time
// is d more, and that of their monotonic ones is the same. A Time keeps whole seconds of the wall in 33 bits above 30 of
// nanoseconds.
func stepped(t *testing.T, at time.Time, d time.Duration) time.Time {
	t.Helper()
	out := at
	*(*uint64)(unsafe.Pointer(&out)) -= uint64(int64(d/time.Second)) << 30
	require.Equal(t, d, at.Round(0).Sub(out.Round(0)), "the wall has stepped")
	require.Zero(t, at.Sub(out), "time has not")
	return out
}

// A wall clock that is set back by an hour locks nobody out, and one that is set forward by a day admits nothing. In a bubble
// a time has no monotonic reading: this is real time, and waits for none.
func TestAStepOfTheWallClockChangesNothing(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]time.Duration{"none": 0, "back an hour": -time.Hour, "forward a day": 24 * time.Hour} {
		l, err := New("api", Config{Limits: limitsOf(t, "2/hour"), Legacy: LegacyResetSeconds})
		require.NoError(t, err)
		h := l.Handler(func(*http.Request) (string, error) { return "k", nil })(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		get := func() *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
			return w
		}
		about := func(want time.Duration, got time.Duration) {
			require.LessOrEqual(t, got, want, name)
			require.Greater(t, got, want-time.Minute, name)
		}
		barred := func(o *Outbound) time.Duration {
			_, err := o.Acquire(t.Context(), 0)
			after, _ := errors.RetryAfter(err)
			return after
		}
		paused, learned := l.Outbound("paused"), l.Outbound("learned")
		require.Equal(t, 200, get().Code)
		require.Equal(t, 200, get().Code)
		given, err := l.Allow(t.Context(), "other")
		require.NoError(t, err)
		paused.Pause(20 * time.Minute)
		learned.Learn(0, 40*time.Minute)

		l.born, l.memory.born = stepped(t, l.born, d), stepped(t, l.memory.born, d)

		w := get()
		require.Equal(t, 429, w.Code, name)
		for header, want := range map[string]time.Duration{"Retry-After": 30 * time.Minute, "X-RateLimit-Reset": time.Hour} {
			n, err := strconv.Atoi(w.Header().Get(header))
			require.NoError(t, err)
			about(want, time.Duration(n)*time.Second)
		}
		about(20*time.Minute, barred(paused))
		about(40*time.Minute, barred(learned))
		require.NoError(t, given.Refund(t.Context()))
		for range 2 {
			d, err := l.Allow(t.Context(), "other")
			require.NoError(t, err)
			require.True(t, d.Allowed(), name)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 29*time.Minute)
		defer cancel()
		_, err = l.Wait(ctx, "k")
		after, _ := errors.RetryAfter(err)
		about(30*time.Minute, after)
	}
}

// Nothing else reads the wall clock: the limiter's clock begins in New, and X-RateLimit-Reset may be a date.
func TestTheWallClockIsReadWhereItIsMeant(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	reads := map[string]int{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		if n := strings.Count(string(text), "time.Now("); n > 0 {
			reads[name] = n
		}
	}
	require.Equal(t, map[string]int{"ratelimit.go": 1, "fields.go": 1}, reads)
}
