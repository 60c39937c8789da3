package httpx

import (
	"net/http"
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
