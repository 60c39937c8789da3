package httpx

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The base is out of sight from outside, and a test by behaviour would have to wait for its timeouts.
func TestTheBaseOfItsOwn(t *testing.T) {
	base := func(c Config) *http.Transport {
		tr, err := NewTransport("vendor", c)
		require.NoError(t, err)
		b, ok := tr.base.(*http.Transport)
		require.True(t, ok)
		return b
	}
	b := base(Config{})
	require.NotSame(t, http.DefaultTransport, b)
	require.Equal(t, 128, b.MaxIdleConnsPerHost)
	require.Equal(t, 512, b.MaxIdleConns)
	require.Equal(t, 5*time.Second, b.TLSHandshakeTimeout)
	require.Equal(t, 5*time.Second, dialer().Timeout)
	require.True(t, b.ForceAttemptHTTP2)
	require.Equal(t, 10, base(Config{MaxConcurrent: 10}).MaxIdleConnsPerHost)
	require.Equal(t, 128, base(Config{MaxConcurrent: -1}).MaxIdleConnsPerHost)
}

type decorated struct{ http.RoundTripper }

func TestADecoratorIsOnTheBase(t *testing.T) {
	wrap := func(base http.RoundTripper) http.RoundTripper { return decorated{base} }
	tr, err := NewTransport("vendor", Config{Decorate: wrap, MaxConcurrent: 10})
	require.NoError(t, err)
	d, ok := tr.base.(decorated)
	require.True(t, ok)
	b, ok := d.RoundTripper.(*http.Transport)
	require.True(t, ok)
	require.Equal(t, 10, b.MaxIdleConnsPerHost)

	own := &http.Transport{}
	tr, err = NewTransport("vendor", Config{Decorate: wrap, Base: own})
	require.NoError(t, err)
	require.Equal(t, decorated{own}, tr.base)

	_, err = NewTransport("vendor", Config{Decorate: func(http.RoundTripper) http.RoundTripper { return nil }})
	require.ErrorContains(t, err, "Decorate")
}

// The README's table of defaults, row by row, from the configuration of a client that sets nothing.
func TestTheReadmesDefaultsAreTheRealOnes(t *testing.T) {
	raw, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	_, table, ok := strings.Cut(string(raw), "## What is on the path")
	require.True(t, ok)
	table, _, _ = strings.Cut(table, "\n## ")
	rows := map[string]string{}
	for line := range strings.Lines(table) {
		if cells := strings.Split(line, "|"); len(cells) == 5 {
			rows[strings.TrimSpace(cells[1])] = strings.TrimSpace(cells[2])
		}
	}
	tr, err := NewTransport("vendor", Config{})
	require.NoError(t, err)
	c, b := tr.cfg, tr.breaker.Config()
	require.Equal(t, b.Failures, b.Window, "in a row")
	require.Zero(t, c.BulkheadWait)
	s := func(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + " s" }
	for row, want := range map[string]string{
		"bulkhead":          fmt.Sprintf("%d calls, no waiting; Vapi 10", c.MaxConcurrent), // Vapi's is held by its profile's test
		"total timeout":     s(c.TotalTimeout) + " to the response headers",
		"retry":             fmt.Sprintf("%d attempts, full jitter %s doubling to %s", c.MaxAttempts, s(c.BackoffBase), s(c.BackoffMax)),
		"vendor's wait":     "obeyed up to " + s(c.MaxRetryAfter) + ", never shortened",
		"retry budget":      fmt.Sprintf("%d retries, %v paid back per first-try success", c.RetryBudget, c.RetryBudgetRefill),
		"attempt timeout":   s(c.AttemptTimeout) + " to the response headers",
		"body idle timeout": s(c.BodyIdleTimeout) + " for each read",
		"breaker": fmt.Sprintf("%d failures in a row open it for %s (+0 to %.0f %%), doubling to %s; %d probe",
			b.Failures, s(b.OpenFor), 100*b.Jitter, s(b.MaxOpenFor), b.Probes),
		"request body kept for a retry": fmt.Sprintf("%d MiB without `GetBody`; none with it", c.MaxBodyBuffer>>20),
		"error body":                    fmt.Sprintf("%d KiB, read at once", c.MaxErrorBody>>10),
	} {
		require.Equal(t, want, rows[row], row)
	}
}
