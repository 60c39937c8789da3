package correlation_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
)

func FuzzValid(f *testing.F) {
	for _, id := range []string{"", "a", someID, "-a", "a\n", "a b", "é", "a\x80"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		require.Equal(t, rule.MatchString(id), correlation.Valid(id))
	})
}

// Whatever the header is, a valid id is in the context and on the response: the header's own or none of it.
func FuzzInbound(f *testing.F) {
	f.Add(someID, "", false)
	f.Add("a\r\nX: y", "a", true)
	f.Add("", "", true)
	f.Fuzz(func(t *testing.T, first, second string, repeated bool) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		values := []string{first}
		if repeated {
			values = append(values, second)
		}
		r.Header["X-Correlation-Id"] = values
		id, seen, resp := serve(t, newCorrelator(t, correlation.Config{}), r)
		require.Equal(t, !repeated && rule.MatchString(first), id == first)
		require.True(t, rule.MatchString(id))
		require.Equal(t, []string{id}, resp.Header["X-Correlation-Id"])
		require.Equal(t, []string{id}, seen.Header["X-Correlation-Id"])
	})
}

func FuzzTraceparent(f *testing.F) {
	f.Add(traceparent)
	f.Add("00-00000000000000000000000000000000-0000000000000000-00")
	f.Add(traceparent + "-")
	strict := regexp.MustCompile(`\A00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]([0-9a-f])\z`)
	zero := regexp.MustCompile(`\A0*\z`)
	f.Fuzz(func(t *testing.T, v string) {
		m := strict.FindStringSubmatch(v)
		trace, ok := traceOfHeader(t, v)
		require.Equal(t, m != nil && !zero.MatchString(m[1]) && !zero.MatchString(m[2]), ok)
		if ok {
			sampled := m[3][0]%2 == 1 // '1' to '9' are odd as their digits are, 'b', 'd' and 'f' are even
			if m[3][0] >= 'a' {
				sampled = !sampled
			}
			require.Equal(t, correlation.Trace{TraceID: m[1], SpanID: m[2], Sampled: sampled}, trace)
		}
	})
}

// Nothing but a token we made is accepted, and no input makes Verify panic or say more than its three reasons.
func FuzzVerify(f *testing.F) {
	s := newSigner(f, keyA)
	good := map[string]string{s.Token(someID, 1<<62): someID, s.Token("order-7", 1<<62): "order-7"}
	for token := range good {
		f.Add(token)
		f.Add(token[:len(token)-1])
	}
	f.Add("")
	f.Add(base64.RawURLEncoding.EncodeToString(make([]byte, 30)))
	f.Add(base64.RawURLEncoding.EncodeToString(make([]byte, 14)) + ".x")
	f.Fuzz(func(t *testing.T, token string) {
		id, err := s.Verify(token)
		if want, ok := good[token]; ok {
			require.NoError(t, err)
			require.Equal(t, want, id)
			return
		}
		require.Empty(t, id)
		require.Equal(t, errors.Unauthenticated, errors.KindOf(err))
		reason, ok := errors.AsType[correlation.TokenError](err)
		require.True(t, ok)
		require.Contains(t, []correlation.TokenError{correlation.TokenMalformed, correlation.TokenSignature}, reason)
	})
}
