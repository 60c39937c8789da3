package status

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
)

//go:embed page/page.html
var pageHTML string

//go:embed page/page.css
var pageCSS string

//go:embed page/words.js
var wordsJS string

//go:embed page/switches.js
var switchesJS string

//go:embed page/page.js
var pageJS string

// page is one document: it can be mounted at any path, for it asks for nothing but the path it came from.
type page struct {
	body   []byte
	policy string
	tag    string
}

// newPage puts style and script into the document, and allows exactly these two by their hashes: nothing that is not in
// the program runs, whatever gets into the page.
func newPage() page {
	body := []byte(strings.NewReplacer("{{style}}", pageCSS, "{{words}}", wordsJS, "{{switches}}", switchesJS, "{{script}}", pageJS).Replace(pageHTML))
	sum := sha256.Sum256(body)
	return page{
		body: body,
		tag:  strconv.Quote(base64.RawURLEncoding.EncodeToString(sum[:12])),
		policy: strings.Join([]string{
			"default-src 'none'", "style-src " + hash(pageCSS), "script-src " + hash(wordsJS+switchesJS+pageJS), "connect-src 'self'",
			"img-src data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'",
		}, "; "),
	}
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func (p *page) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", p.policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", p.tag)
	if strings.Contains(r.Header.Get("If-None-Match"), p.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(p.body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = bytes.NewReader(p.body).WriteTo(w)
	}
}
