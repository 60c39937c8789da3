package idempotency

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"net/http"

	"github.com/prusik-go/prusik/errors"
)

// claimID is what a key is known by at a store: a hash of everything that tells keys apart, each part with its length, so
// that no two can be made to meet by moving bytes from one part to the next, and nothing of a user's leaves this package.
func claimID(name, scope, key string) [sha256.Size]byte {
	var stack [512]byte
	b := stack[:0]
	for _, part := range [...]string{name, scope, key} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return sha256.Sum256(b)
}

// fingerprint is what makes two requests the same one: method, path, query, content type and body. Other fields are left out:
// a retry has another date, trace, and maybe another token of the same user.
func fingerprint(r *http.Request, body []byte) (sum [sha256.Size]byte) {
	var stack [512]byte
	b := stack[:0]
	contentType := ""
	if values := r.Header["Content-Type"]; len(values) > 0 {
		contentType = values[0]
	}
	for _, part := range [...]string{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, contentType} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	// The body is the last part, which needs no length.
	if len(b)+len(body) <= len(stack) {
		return sha256.Sum256(append(b, body...))
	}
	h := sha256.New()
	_, _ = h.Write(b) // a hash takes everything
	_, _ = h.Write(body)
	h.Sum(sum[:0])
	return sum
}

// errTooLarge is a body of more than Config.MaxBody bytes.
const errTooLarge = constError("idempotency: the request's body is too large")

type constError string

func (e constError) Error() string { return string(e) }

// readBody reads the whole body of r, of up to most bytes.
func readBody(r *http.Request, most int64) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	if r.ContentLength > most {
		return nil, errTooLarge
	}
	var b bytes.Buffer
	if r.ContentLength > 0 {
		const announced = 64 << 10                                   // what is believed of a length before there is a body
		b.Grow(int(min(r.ContentLength, announced)) + bytes.MinRead) // and room to see the end
	}
	n, err := b.ReadFrom(io.LimitReader(r.Body, most+1))
	switch _, large := errors.AsType[*http.MaxBytesError](err); {
	case n > most, large:
		return nil, errTooLarge
	case err != nil:
		return nil, err
	}
	return b.Bytes(), nil
}

// kept is a body that was read, for the handler.
type kept struct{ bytes.Reader }

func (*kept) Close() error { return nil }
