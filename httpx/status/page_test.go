package status_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/httpx/status"
)

func page(t *testing.T, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ops/status", http.NoBody)
	r.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	newStatus(t, status.Config{}).ServeHTTP(w, r)
	return w
}

func TestThePagesPolicyAllowsWhatIsInItAndNothingElse(t *testing.T) {
	w := page(t)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"))
	policy := w.Header().Get("Content-Security-Policy")
	require.True(t, strings.HasPrefix(policy, "default-src 'none'; "))
	for _, part := range []string{"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "connect-src 'self'"} {
		require.Contains(t, policy, part)
	}
	require.NotContains(t, policy, "unsafe")
	require.NotContains(t, policy, "http")
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Resource-Policy": "same-origin",
	} {
		require.Equal(t, want, w.Header().Get(name))
	}
	body := w.Body.String()
	for directive, tag := range map[string]string{"style-src": "style", "script-src": "script"} {
		found := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllStringSubmatch(body, -1)
		require.Len(t, found, 1)
		require.Greater(t, len(found[0][1]), 1000, "the real thing is in it")
		sum := sha256.Sum256([]byte(found[0][1]))
		require.Contains(t, policy, directive+" 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	require.NotRegexp(t, `(?i)<[^>]+\s(style|on[a-z]+)=`, body, "neither style nor handler in an attribute")
	require.NotRegexp(t, `(?i)(src|href)="(https?:)?//`, body, "nothing from elsewhere")
	require.NotContains(t, body, "innerHTML")
	require.NotContains(t, body, "{{")
}

func TestThePageIsSentOnce(t *testing.T) {
	w := page(t)
	tag := w.Header().Get("ETag")
	require.NotEmpty(t, tag)
	w = page(t, "If-None-Match", tag)
	require.Equal(t, http.StatusNotModified, w.Code)
	require.Empty(t, w.Body.String())
	require.Equal(t, http.StatusOK, page(t, "If-None-Match", `"another"`).Code)
}
