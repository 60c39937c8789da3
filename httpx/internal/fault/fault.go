// Package fault tells what a transport's error says of the request: whether it was sent, and whether the same would
// happen again.
package fault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
)

// Fault is what is known of a failed attempt.
type Fault struct {
	// Reason is a label: "dns", "dial", "tls", "invalid", "timeout", "reset", "protocol" or "transport".
	Reason string
	// NotSent: nothing of the request can have been processed. Permanent: it would fail the same way again.
	NotSent, Permanent bool
	// Timeout: time ran out.
	Timeout bool
	// Local: the request itself is at fault, not the vendor.
	Local bool
}

// Of classifies the error of a RoundTripper. What it does not know may have been sent.
func Of(err error) Fault {
	f := Fault{Reason: "transport", Timeout: timeout(err)}
	var (
		dns      *net.DNSError
		op       *net.OpError
		cert     *tls.CertificateVerificationError
		record   tls.RecordHeaderError
		text     = err.Error()
		isDialOp = errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect" || op.Op == "socks connect")
	)
	switch {
	case errors.As(err, &dns):
		f.Reason, f.NotSent = "dns", true
	case isDialOp:
		f.Reason, f.NotSent = "dial", true
	case errors.As(err, &cert), isX509(err):
		// Wrong names, unknown authorities and expired certificates stay so; and net/http verifies before it sends.
		f.Reason, f.NotSent, f.Permanent = "tls", true, true
	case errors.As(err, &record) && strings.Contains(text, "first record does not look like a TLS handshake"):
		f.Reason, f.NotSent, f.Permanent = "tls", true, true
	case text == "net/http: TLS handshake timeout": // net/http's own unexported type
		f.Reason, f.NotSent = "tls", true
	case local(text):
		f.Reason, f.NotSent, f.Permanent, f.Local = "invalid", true, true, true
	case f.Timeout:
		f.Reason = "timeout"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		text == "http: server closed idle connection":
		f.Reason = "reset"
	case errors.Is(err, errProtocol), quotes(text), strings.Contains(text, "http2: "), strings.Contains(text, "stream error"):
		f.Reason = "protocol"
	}
	return f
}

func timeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

func isX509(err error) bool {
	var (
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		roots     x509.SystemRootsError
		algorithm x509.InsecureAlgorithmError
	)
	return errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid) || errors.As(err, &roots) ||
		errors.As(err, &algorithm)
}

// local knows what net/http.Transport refuses before it dials. Its errors have no exported type; the tests ask the real
// transport for each of these texts.
func local(text string) bool {
	for _, prefix := range []string{
		"unsupported protocol scheme", "http: no Host in request URL", "http: nil Request.URL", "http: nil Request.Header",
		"net/http: invalid header field", "net/http: invalid method", "net/http: invalid trailer field",
		"net/http: invalid transfer encoding",
	} {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return false
}

// errProtocol is in the place of errors in which net/http quotes what it could not read: that may be anything.
var errProtocol = errors.New("the answer is not HTTP")

// Strip returns the error under a [*url.Error]: its URL may hold a credential or a query, and the rest says what went
// wrong. Where net/http quotes the answer, the quote is left out.
func Strip(err error) error {
	var u *url.Error
	for errors.As(err, &u) && u.Err != nil {
		err = u.Err
	}
	if err != nil && quotes(err.Error()) {
		return errProtocol
	}
	return err
}

// quotes knows the errors of net/http and net/textproto that repeat bytes of the answer.
func quotes(text string) bool {
	return strings.Contains(text, "malformed HTTP") || strings.Contains(text, "malformed MIME header") ||
		strings.Contains(text, "malformed chunked encoding") || strings.Contains(text, "bad Content-Length") ||
		strings.Contains(text, "invalid Trailer key") || strings.Contains(text, "unsupported transfer encoding")
}
