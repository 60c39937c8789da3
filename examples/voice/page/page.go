package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/prusik-go/prusik/errors"
)

//go:embed assets
var assets embed.FS

// policy lets the page run what came with it and talk to where it came from. There is no script and no style in the
// document, and none may be made of text.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; " +
	"form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

type file struct {
	body        []byte
	contentType string
	tag         string
}

// Handler serves the page: GET / is the document, GET /assets/* what it is made of. Anything else is 404, another method
// 405, both as problems. Every answer may be kept by a browser, which asks each time whether it is still the same.
func Handler() http.Handler {
	files := make(map[string]file)
	types := map[string]string{".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
	entries, _ := assets.ReadDir("assets") // embedded: it is there
	for _, e := range entries {
		body, _ := assets.ReadFile("assets/" + e.Name())
		sum := sha256.Sum256(body)
		f := file{body, types[path.Ext(e.Name())], strconv.Quote(base64.RawURLEncoding.EncodeToString(sum[:12]))}
		if e.Name() == "index.html" {
			files["/"] = f
		} else {
			files["/assets/"+e.Name()] = f
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		f, ok := files[r.URL.Path]
		switch {
		case !ok:
			_ = errors.Write(w, r, errors.NotFound)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		default:
			f.serve(w, r)
		}
	})
}

func (f file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", f.tag)
	if strings.Contains(r.Header.Get("If-None-Match"), f.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(f.body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = bytes.NewReader(f.body).WriteTo(w)
	}
}
