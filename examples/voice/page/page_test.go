package page_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/examples/voice/page"
)

func get(t *testing.T, method, path string, header ...string) (*http.Response, string) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	page.Handler().ServeHTTP(w, r)
	resp := w.Result()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

// Everything that the page is made of is served, and nothing of it comes from elsewhere.
func TestTheFilesNeedEachOtherAndNobodyElse(t *testing.T) {
	resp, document := get(t, http.MethodGet, "/")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "text/html; charset=utf-8", resp.Header.Get("Content-Type"))
	require.NotRegexp(t, `(?i)<style|\sstyle=|\son[a-z]+=|<script(?:\s+type="module")?>`, document, "no inline script or style")

	total := len(document)
	seen := map[string]bool{}
	queue := regexp.MustCompile(`(?:src|href)="(assets/[^"]+)"`).FindAllStringSubmatch(document, -1)
	require.NotEmpty(t, queue)
	for len(queue) > 0 {
		path := "/" + queue[0][1]
		queue = queue[1:]
		if seen[path] {
			continue
		}
		seen[path] = true
		resp, body := get(t, http.MethodGet, path)
		require.Equal(t, http.StatusOK, resp.StatusCode, path)
		total += len(body)
		require.NotRegexp(t, `https?://|@import|\beval\(|innerHTML`, body, path)
		if strings.HasSuffix(path, ".js") {
			require.Equal(t, "text/javascript; charset=utf-8", resp.Header.Get("Content-Type"))
			for _, m := range regexp.MustCompile(`(?m)^import .* from "\./([^"]+)"`).FindAllStringSubmatch(body, -1) {
				queue = append(queue, []string{"", "assets/" + m[1]})
			}
		}
	}
	require.Len(t, seen, 8, "each file is of use")
	require.InDelta(t, 63<<10, total, 2<<10, "bytes of the whole page; doc.go says what it is")
	t.Logf("%d bytes in %d files", total, len(seen)+1)
}

func TestWhatABrowserIsToldOfTheFiles(t *testing.T) {
	for _, path := range []string{"/", "/assets/progress.js"} {
		resp, body := get(t, http.MethodGet, path)
		h := resp.Header
		require.Contains(t, h.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'; style-src 'self';")
		require.NotContains(t, h.Get("Content-Security-Policy"), "unsafe")
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
		require.Equal(t, "DENY", h.Get("X-Frame-Options"))
		require.NotEmpty(t, body)

		resp, body = get(t, http.MethodGet, path, "If-None-Match", h.Get("ETag"))
		require.Equal(t, http.StatusNotModified, resp.StatusCode)
		require.Empty(t, body)
		resp, body = get(t, http.MethodHead, path)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.Equal(t, h.Get("Content-Length"), resp.Header.Get("Content-Length"))
		require.Empty(t, body)
		resp, _ = get(t, http.MethodPost, path)
		require.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
		require.Equal(t, "GET, HEAD", resp.Header.Get("Allow"))
	}
	for _, path := range []string{"/nothing", "/assets/", "/assets/index.html", "/assets/../page.go"} {
		resp, body := get(t, http.MethodGet, path)
		require.Equal(t, http.StatusNotFound, resp.StatusCode, path)
		require.Contains(t, body, `"kind":"not_found"`)
	}
}

// The module that others copy stays small and alone.
func TestProgressJSIsOneSmallFile(t *testing.T) {
	_, body := get(t, http.MethodGet, "/assets/progress.js")
	require.Less(t, strings.Count(body, "\n"), 150)
	require.NotRegexp(t, `(?m)^import `, body)
	for _, exported := range []string{"newID", "watch", "parse", "sentence"} {
		require.Contains(t, body, "export function "+exported+"(")
	}
}
