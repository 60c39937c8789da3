package fault

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
)

// Answer is a whole HTTP answer.
type Answer struct {
	// Status is the status code. In what [Config.Errors] returns, 0 stands for the status asked for.
	Status int
	// Header is sent as it is; Content-Length is set by the server.
	Header http.Header
	// Body is sent whole.
	Body []byte
}

// recorder keeps a handler's answer.
type recorder struct {
	answer Answer
	sent   http.Header // what the header was at WriteHeader
}

func newRecorder() *recorder {
	return &recorder{answer: Answer{Header: http.Header{}}}
}

func (r *recorder) Header() http.Header { return r.answer.Header }

func (r *recorder) WriteHeader(status int) {
	if r.sent != nil || status < 200 {
		return
	}
	r.answer.Status = status
	r.sent = r.answer.Header.Clone()
	if r.sent == nil {
		r.sent = http.Header{}
	}
}

func (r *recorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	r.answer.Body = append(r.answer.Body, b...)
	return len(b), nil
}

func (r *recorder) result() Answer {
	r.WriteHeader(http.StatusOK)
	r.answer.Header = r.sent
	return r.answer
}

// begin writes the head of the answer, announcing length bytes.
func (a Answer) begin(w http.ResponseWriter, length int) {
	maps.Copy(w.Header(), a.Header)
	if bodyAllowed(a.Status) {
		w.Header().Set("Content-Length", strconv.Itoa(length))
	}
	w.WriteHeader(a.Status)
}

func bodyAllowed(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}

// plainError is the error body of a vendor that has not said what its own looks like.
func plainError(_ *http.Request, status int) Answer {
	return Answer{
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   fmt.Appendf(nil, `{"status":%d,"message":%q}`, status, http.StatusText(status)),
	}
}

// htmlError is the page of a proxy in front of the vendor.
func htmlError(status int) Answer {
	server, text := "openresty", http.StatusText(status)
	if status >= 520 && status <= 527 {
		server, text = "cloudflare", cloudflareText[status-520]
	}
	return Answer{
		Status: status,
		Header: http.Header{"Content-Type": {"text/html"}, "Server": {server}},
		Body: fmt.Appendf(nil, "<html>\r\n<head><title>%d %s</title></head>\r\n<body>\r\n<center><h1>%d %s</h1></center>\r\n"+
			"<hr><center>%s</center>\r\n</body>\r\n</html>\r\n", status, text, status, text, server),
	}
}

var cloudflareText = [...]string{ //nolint:gochecknoglobals // a table, never written
	"Web server is returning an unknown error", "Web server is down", "Connection timed out", "Origin is unreachable",
	"A timeout occurred", "SSL handshake failed", "Invalid SSL certificate", "Railgun error",
}
