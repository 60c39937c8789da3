package httpxtest_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/httpx/httpxtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPlainTransport(t *testing.T) {
	t.Parallel()
	httpxtest.Run(t, httpxtest.Subject{
		Wrap: func(base http.RoundTripper) (http.RoundTripper, error) { return base, nil },
	})
}

func TestReference(t *testing.T) {
	t.Parallel()
	httpxtest.Run(t, reference(""))
}

// A user's retrier has errors of its own.
func TestReferenceWithoutPrusikErrors(t *testing.T) {
	t.Parallel()
	s := reference("")
	s.Wrap = func(base http.RoundTripper) (http.RoundTripper, error) { return &retrier{base: base, max: 4}, nil }
	s.MaxAttempts, s.PrusikErrors, s.Refusing = 4, false, nil
	httpxtest.Run(t, s)
}

func TestChecksAreNamedAndDocumented(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range httpxtest.Checks() {
		require.NotEmpty(t, c.Name)
		require.NotEmpty(t, c.Doc, c.Name)
		require.False(t, seen[c.Name], "%s is there twice", c.Name)
		seen[c.Name] = true
		require.True(t, c.Applies(reference("")), "%s does not apply to a subject that claims everything", c.Name)
	}
}
