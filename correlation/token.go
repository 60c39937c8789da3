package correlation

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/internal/check"
)

const (
	// TokenParam is the query parameter [Signer.Handler] reads unless told otherwise.
	TokenParam = "cid"
	// DefaultTokenTTL is how long a token is valid unless told otherwise. Twilio keeps a call in its queue for up to a
	// day, and a message for up to ten hours, before its callbacks begin; the second day is for the call itself.
	DefaultTokenTTL = 48 * time.Hour

	minKeyLen = 16
)

// A token is, in base64url without padding,
//
//	expiry (4 bytes, Unix seconds) | tag (10 bytes) | UUID (16 bytes)	for an id that is a UUID: 40 characters
//	expiry (4 bytes, Unix seconds) | tag (10 bytes)	then "." and the id	for any other id: 20 characters and the id
//
// The tag is HMAC-SHA-256 over domain, expiry and id, cut to 80 bits, the least RFC 2104 advises. Nothing can
// be tried against it but Verify itself, and at a million tries a second one forgery takes some ten billion years;
// what it wins is a wrong label in a log. With 80 bits a UUID's token has 40 characters, and so fits the smallest
// field a vendor offers (Vapi: name and customer.externalId).
const (
	expiryLen = 4
	tagLen    = 10
	headLen   = expiryLen + tagLen
	uuidBytes = 16
	uuidToken = (headLen + uuidBytes) / 3 * 4 // no remainder
	headText  = (headLen*8 + 5) / 6
	maxToken  = headText + 1 + maxLen
	macDomain = "github.com/prusik-go/prusik/correlation: callback token, version 1\n"
)

// TokenError says why a token was not accepted; match it with errors.Is.
type TokenError string

// The reasons. The set is closed.
const (
	TokenMalformed TokenError = "malformed token"     // it is no token: empty, cut short, altered in transit
	TokenSignature TokenError = "bad token signature" // no key of ours has signed it
	TokenExpired   TokenError = "expired token"       // it was ours; its time is over
)

// Error returns the reason.
func (e TokenError) Error() string { return string(e) }

// Signer makes tokens that carry an id to a vendor and, in the URL or body of the vendor's callback, back. A token shows
// that the id is one we gave out: an outsider can neither choose an id nor find a valid token by trial. It does not
// show who called: check the vendor's own signature for that. A token can be read by who has it, and used again until
// it expires. Make a Signer with [NewSigner].
type Signer struct{ keys [][]byte }

// NewSigner returns a Signer. The first key signs and all verify: to change keys, put the new one first and drop the
// old one when the last token of it has expired. A key has at least 16 random bytes; it is copied. Every process that
// makes or reads the tokens needs the same keys, and clocks that agree to within seconds.
func NewSigner(keys ...[]byte) (*Signer, error) {
	faults := check.New("correlation", "signer")
	if len(keys) == 0 {
		faults.Add("keys", "none", "at least one")
	}
	s := &Signer{}
	for i, key := range keys {
		if len(key) < minKeyLen { // the key is no part of the text
			faults.Add("keys["+strconv.Itoa(i)+"]", fmt.Sprintf("%d bytes", len(key)), fmt.Sprintf("at least %d", minKeyLen))
		}
		s.keys = append(s.keys, slices.Clone(key))
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return s, nil
}

// Token returns a token for id that is valid for ttl, counted in whole seconds and rounded up. It is 40 characters for a
// UUID and at most 84 for any id, and stands in a URL as it is. A ttl of zero is [DefaultTokenTTL]; a negative one
// gives a token that has expired. For an id that is not [Valid] the token is "", which Verify refuses.
func (s *Signer) Token(id string, ttl time.Duration) string {
	if !Valid(id) {
		return ""
	}
	if ttl == 0 {
		ttl = DefaultTokenTTL
	}
	at := time.Now().Add(ttl).Add(time.Second - 1).Unix() // two steps: a sum of durations could overflow
	var raw [headLen + uuidBytes]byte
	binary.BigEndian.PutUint32(raw[:], uint32(min(max(at, 0), math.MaxUint32)))
	tag := sign(s.keys[0], raw[:expiryLen], id)
	copy(raw[expiryLen:], tag[:])
	if u, ok := canonicalUUID(id); ok {
		copy(raw[headLen:], u[:])
		return base64.RawURLEncoding.EncodeToString(raw[:])
	}
	return base64.RawURLEncoding.EncodeToString(raw[:headLen]) + "." + id
}

// Verify returns the id of a token. The error is an [errors.Error] of kind [errors.Unauthenticated] that
// matches one of [TokenMalformed], [TokenSignature] and [TokenExpired]; the token is not in its text. A token
// of an id that is not [Valid] is malformed.
func (s *Signer) Verify(token string) (string, error) {
	head, id, ok := parseToken(token)
	if !ok {
		return "", refuse(TokenMalformed)
	}
	match := 0
	for _, key := range s.keys {
		tag := sign(key, head[:expiryLen], id)
		match |= subtle.ConstantTimeCompare(tag[:], head[expiryLen:])
	}
	if match == 0 {
		return "", refuse(TokenSignature)
	}
	if time.Now().Unix() >= int64(binary.BigEndian.Uint32(head[:])) {
		return "", refuse(TokenExpired)
	}
	return id, nil
}

func refuse(reason TokenError) error {
	return &errors.Error{Kind: errors.Unauthenticated, Service: "correlation", Op: "verify token", Err: reason}
}

func sign(key, expiry []byte, id string) (tag [tagLen]byte) {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(macDomain))
	mac.Write(expiry)
	mac.Write([]byte(id))
	copy(tag[:], mac.Sum(nil))
	return tag
}

// parseToken takes a token apart. There is one token for an id, an expiry and a key: other spellings are refused.
func parseToken(token string) (head [headLen]byte, id string, ok bool) {
	if len(token) > maxToken {
		return head, "", false
	}
	text, id, dotted := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(text)
	// The decoder skips line breaks and spare bits; encoding again shows both.
	if err != nil || base64.RawURLEncoding.EncodeToString(raw) != text {
		return head, "", false
	}
	switch {
	case dotted && len(raw) == headLen:
		if _, short := canonicalUUID(id); short {
			return head, "", false
		}
	case !dotted && len(raw) == headLen+uuidBytes:
		id = uuid.UUID(raw[headLen:]).String()
	default:
		return head, "", false
	}
	copy(head[:], raw)
	return head, id, Valid(id)
}

// canonicalUUID reports whether id is a UUID written as RFC 9562 writes it, which 16 bytes can bring back.
func canonicalUUID(id string) (uuid.UUID, bool) {
	if len(id) != 36 {
		return uuid.UUID{}, false
	}
	u, err := uuid.Parse(id)
	return u, err == nil && u.String() == id
}

// Format keeps the keys out of every fmt verb.
func (s *Signer) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "correlation.Signer(%d keys)", len(s.keys))
}
