package status_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/status"
	"github.com/prusik-go/prusik/ratelimit"
)

// Everything at once, for the race detector; and what was counted adds up.
func TestEverythingAtOnce(t *testing.T) {
	s := newStatus(t, status.Config{Guard: letIn, Keep: 5})
	const callers, each = 8, 100
	v := up()
	c := watch(t, s, "vendor", httpx.Config{Base: v, MaxAttempts: -1, BreakerPerHost: true})
	l := limiter(t, s, ratelimit.Config{})
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for n := range each {
				if i == 0 && n%10 == 0 {
					v.status.Store(int64(200 + 300*(n/10%2)))
				}
				get(t, c)
				allow(t, l)
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			for n := range 30 {
				_ = s.State()
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/",
					strings.NewReader(`{"client":"vendor","breaker":"vendor/vendor.test","command":"reset"}`))
				r.Header.Set("Content-Type", "application/json")
				s.ServeHTTP(httptest.NewRecorder(), r)
				watch(t, s, fmt.Sprintf("late%d", n), httpx.Config{Base: v})
			}
		})
	}
	wg.Wait()
	st := s.State()
	require.Len(t, st.Clients, 61)
	require.Len(t, st.Recent, 5)
	vendor := st.Clients[60]
	require.Equal(t, "vendor", vendor.ID)
	require.Equal(t, uint64(callers*each), vendor.Calls)
	require.Equal(t, uint64(callers*each), st.Limiters[0].Allowed+st.Limiters[0].Denied)
	require.Zero(t, vendor.InFlight)
}
