package idempotency

import (
	"net/http"
	"strings"
)

// Header is the field that a key travels in.
const Header = "Idempotency-Key"

// maxKey is the longest key accepted, in characters. It is Stripe's; the draft names none.
const maxKey = 255

// keyOf returns the key of a request's header. It is "" with ok where there is no such field, and not ok where there is one
// that is not understood: to run without the protection that was asked for would be worse than to refuse.
func keyOf(h http.Header) (key string, ok bool) {
	values := h[Header]
	switch len(values) {
	case 0:
		return "", true
	case 1:
		key, ok = parseKey(values[0])
		return key, ok && key != "" && len(key) <= maxKey
	default:
		return "", false
	}
}

// parseKey reads a string of RFC 9651 (section 3.3.3), without parameters, or a bare word of those characters that need no
// quotes in its tokens, and "=" of base64: clients of APIs that are older than the draft send it so. A bare abc is the key "abc".
// Both leave no room for a comma, by which a proxy joins fields that are repeated.
func parseKey(s string) (key string, ok bool) {
	s = strings.Trim(s, " \t")
	if len(s) > 2*maxKey+2 { // each character escaped, and the quotes
		return "", false
	}
	if !strings.HasPrefix(s, `"`) {
		for _, c := range []byte(s) {
			if !bare(c) {
				return "", false
			}
		}
		return s, true
	}
	s = s[1:]
	plain := strings.IndexByte(s, '"')
	if plain < 0 {
		return "", false
	}
	if plain == len(s)-1 && strings.IndexByte(s, '\\') < 0 && printable(s) {
		return s[:plain], true // the common case: nothing to copy
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), i == len(s)-1
		case c == '\\':
			i++
			if i == len(s) || s[i] != '"' && s[i] != '\\' {
				return "", false
			}
			b.WriteByte(s[i])
		case c < ' ' || c > '~':
			return "", false
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}

func printable(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// bare reports whether c may be in a key without quotes.
func bare(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.IndexByte("!#$%&'*+-.^_`|~:/=", c) >= 0
}
