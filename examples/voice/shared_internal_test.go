package main

import (
	"fmt"
	"net/http"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/internal/redistest"
)

// outages is how often the limiter did without Redis: a busy machine may be too slow for it.
func (g *rig) outages(t *testing.T) string {
	t.Helper()
	return regexp.MustCompile(`(?m)^rate_limit_store_errors_total.*$`).FindString(string(g.send(t, "GET /metrics", "").body))
}

// Two instances on one Redis are one service: a client's requests count together, and a key that one of them has seen is not run
// by the other.
func TestTwoInstancesShareLimitsAndKeys(t *testing.T) {
	server := redistest.Start(t)
	environ := []string{"REDIS_URL=" + server.URL(), "RATE_LIMIT_PER_MINUTE=60", "VOICE_TRUSTED_PROXIES=127.0.0.1"}
	one, two := start(t, environ...), start(t, environ...)
	received := func() int {
		return len(one.vendors.twilioSim.Received(person)) + len(two.vendors.twilioSim.Received(person))
	}

	var clicks sync.WaitGroup
	for range 8 {
		for _, g := range []*rig{one, two} {
			clicks.Go(func() {
				switch r := g.text(t, "click", "hello"); r.status {
				case http.StatusCreated, http.StatusConflict, http.StatusServiceUnavailable: // the last where Redis was too slow
				default:
					t.Errorf("%d %s", r.status, r.body)
				}
			})
		}
	}
	clicks.Wait()
	require.LessOrEqual(t, received(), 1)
	for _, g := range []*rig{one, two, one} {
		eventually(t, "it is sent, or was", func() bool { return g.text(t, "click", "hello").status == http.StatusCreated })
	}
	require.Equal(t, 1, received())

	// A client at two instances, in turn, until both refuse. What was decided without Redis proves nothing: then another client.
	for round := 0; ; round++ {
		require.Less(t, round, 20, "Redis was never quick enough")
		before, began, allowed, denied := one.outages(t)+two.outages(t), time.Now(), 0, 0
		for denied < 2 {
			denied = 0
			for _, g := range []*rig{one, two} {
				if r := g.send(t, "GET /api/v1/vapi/settings", "", "X-Forwarded-For", fmt.Sprint("203.0.113.", round)); r.status == http.StatusOK {
					allowed++
				} else {
					r.problem(t, http.StatusTooManyRequests, errors.RateLimited)
					denied++
				}
			}
			require.Less(t, allowed, 1000)
		}
		if before == one.outages(t)+two.outages(t) {
			require.InDelta(t, 60, allowed, time.Since(began).Seconds()+2, "and one more each second")
			break
		}
	}

	// Redis goes: reading goes on, by what each instance counts itself, and nobody is texted without the protection of a key.
	server.Kill()
	eventually(t, "reading goes on", func() bool { return one.send(t, "GET /api/v1/vapi/settings", "").status == http.StatusOK })
	two.text(t, "new", "hello").problem(t, http.StatusServiceUnavailable, errors.Unavailable)
	require.Equal(t, 1, received())
	server.Restart()
	eventually(t, "it is back", func() bool { return two.text(t, "new", "hello").status == http.StatusCreated })
	require.Equal(t, 2, received())
}
