package check_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/internal/check"
)

func TestNoFaultIsNoError(t *testing.T) {
	t.Parallel()
	f := check.New("breaker", "twilio")
	f.Name("twilio")
	check.Range(f, "Ratio", 0.5, 0, 1)
	check.Range(f, "Ratio", 0.0, 0, 1)
	check.Range(f, "Ratio", 1.0, 0, 1)
	require.NoError(t, f.Err())
}

func TestEveryFaultIsReported(t *testing.T) {
	t.Parallel()
	f := check.New("breaker", "twilio")
	check.Range(f, "Ratio", 1.5, 0, 1)
	check.Range(f, "OpenFor", -time.Second, 0, time.Hour)
	f.Add("Store", "nil", "a store")
	require.EqualError(t, f.Err(), `breaker "twilio": Ratio = 1.5: want 0 to 1
breaker "twilio": OpenFor = -1s: want 0s to 1h0m0s
breaker "twilio": Store = nil: want a store`)
}

func TestNaNIsAFault(t *testing.T) {
	t.Parallel()
	f := check.New("breaker", "x")
	check.Range(f, "Ratio", math.NaN(), math.Inf(-1), math.Inf(1))
	require.ErrorContains(t, f.Err(), "Ratio = NaN")
}

func TestName(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"a": true, "Twilio-2.eu_1": true, "-": true, strings.Repeat("a", 64): true,
		"": false, strings.Repeat("a", 65): false, "a b": false, "é": false, "a\n": false, "a/b": false, "a{": false, "a`": false, "a@": false,
	} {
		f := check.New("breaker", name)
		f.Name(name)
		require.Equal(t, ok, f.Err() == nil, "%q", name)
		if !ok {
			require.NotContains(t, f.Err().Error(), "\n", "quoted")
		}
	}
}
