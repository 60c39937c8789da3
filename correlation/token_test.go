package correlation_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
)

const (
	keyA   = "key A, of 24 bytes ......"
	keyB   = "key B, of 24 bytes ......"
	someID = "0190c7a5-7e4f-7c3d-8a51-0123456789ab"
)

func newSigner(t testing.TB, keys ...string) *correlation.Signer {
	t.Helper()
	raw := make([][]byte, len(keys))
	for i, k := range keys {
		raw[i] = []byte(k)
	}
	s, err := correlation.NewSigner(raw...)
	require.NoError(t, err)
	return s
}

func requireRefused(t testing.TB, s *correlation.Signer, token string, want correlation.TokenError) {
	t.Helper()
	id, err := s.Verify(token)
	require.Empty(t, id)
	require.ErrorIs(t, err, want, "%q", token)
	require.Equal(t, errors.Unauthenticated, errors.KindOf(err))
	if token != "" {
		require.NotContains(t, err.Error(), token)
	}
}

func TestNewSignerReportsEveryFaultAndNoKey(t *testing.T) {
	t.Parallel()
	s, err := correlation.NewSigner([]byte("short secret"), []byte(keyA), nil)
	require.Nil(t, s)
	require.ErrorContains(t, err, "keys[0] = 12 bytes: want at least 16")
	require.ErrorContains(t, err, "keys[2] = 0 bytes: want at least 16")
	require.NotContains(t, err.Error(), "keys[1]")
	require.NotContains(t, err.Error(), "secret")

	s, err = correlation.NewSigner()
	require.Nil(t, s)
	require.ErrorContains(t, err, "at least one")

	_, err = correlation.NewSigner(make([]byte, 15))
	require.Error(t, err)
	_, err = correlation.NewSigner(make([]byte, 16))
	require.NoError(t, err)
}

func TestTokenBringsAnIDBack(t *testing.T) {
	t.Parallel()
	s := newSigner(t, keyA)
	unreserved := regexp.MustCompile(`\A[A-Za-z0-9._~-]+\z`)
	for id, size := range map[string]int{
		someID:                             40,
		correlation.NewID():                40,
		uuid.NewString():                   40,
		strings.ToUpper(someID):            56, // is an id of its own, and comes back as it was
		"x":                                21,
		"a.b~c_d-e":                        29,
		"20-characters-long-id":            41, // one of the size of a UUID's token
		strings.Repeat("z", 64):            84,
		"0190c7a57e4f7c3d8a510123456789ab": 52,
	} {
		token := s.Token(id, 0)
		require.Len(t, token, size, "%q", id)
		require.Regexp(t, unreserved, token)
		require.Equal(t, token, url.QueryEscape(token))
		got, err := s.Verify(token)
		require.NoError(t, err)
		require.Equal(t, id, got)
	}
	require.Less(t, len(s.Token(strings.Repeat("z", 64), 0)), 4000, "Twilio's bound on a URL")
}

// Tokens are in vendors' hands for days: a change of the format is a change for users. The two were made by another
// implementation, with Python's hmac.
func TestTokenGolden(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // it is 2000-01-01T00:00:00Z
		s := newSigner(t, keyA)
		require.Equal(t, "OG1RkEheDF1gKk_TI9EBkMelfk98PYpRASNFZ4mr", s.Token(someID, time.Hour))
		require.Equal(t, "OG1RkHuTGGnRalkB9W8.order-7", s.Token("order-7", time.Hour))
	})
}

func TestTokenOfAnInvalidIDIsNone(t *testing.T) {
	t.Parallel()
	s := newSigner(t, keyA)
	for _, id := range []string{"", "a b", "-a", strings.Repeat("a", 65)} {
		require.Empty(t, s.Token(id, 0))
	}
	requireRefused(t, s, "", correlation.TokenMalformed)
}

func TestTokenExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSigner(t, keyA)
		hour, byDefault, moment := s.Token(someID, time.Hour), s.Token("x", 0), s.Token("x", 1)
		requireRefused(t, s, s.Token("x", -time.Second), correlation.TokenExpired)
		requireRefused(t, s, s.Token("x", math.MinInt64), correlation.TokenExpired)
		requireRefused(t, s, s.Token("x", -time.Duration(time.Now().UnixNano())-2*time.Second), correlation.TokenExpired)
		forever := s.Token("x", math.MaxInt64)

		valid := func(token string) {
			_, err := s.Verify(token)
			require.NoError(t, err)
		}
		valid(moment)
		time.Sleep(time.Second)
		requireRefused(t, s, moment, correlation.TokenExpired)
		time.Sleep(time.Hour - time.Second - 1)
		valid(hour)
		time.Sleep(time.Nanosecond)
		requireRefused(t, s, hour, correlation.TokenExpired)
		time.Sleep(correlation.DefaultTokenTTL - time.Hour - 1)
		valid(byDefault)
		time.Sleep(time.Nanosecond)
		requireRefused(t, s, byDefault, correlation.TokenExpired)
		time.Sleep(50 * 365 * 24 * time.Hour)
		valid(forever)
	})
}

func TestTokenKeysRotate(t *testing.T) {
	t.Parallel()
	first := newSigner(t, keyA)
	both := newSigner(t, keyB, keyA)
	second := newSigner(t, keyB)

	got, err := both.Verify(first.Token(someID, 0))
	require.NoError(t, err)
	require.Equal(t, someID, got)
	_, err = second.Verify(both.Token(someID, 0))
	require.NoError(t, err, "the first key signs")
	requireRefused(t, first, both.Token(someID, 0), correlation.TokenSignature)
	requireRefused(t, second, first.Token(someID, 0), correlation.TokenSignature)
}

func TestSignerCopiesItsKeys(t *testing.T) {
	t.Parallel()
	key := []byte(keyA)
	s, err := correlation.NewSigner(key)
	require.NoError(t, err)
	token := s.Token(someID, 0)
	clear(key)
	_, err = s.Verify(token)
	require.NoError(t, err)
}

func TestTokenMalformed(t *testing.T) {
	t.Parallel()
	s := newSigner(t, keyA)
	short, long := s.Token(someID, 0), s.Token("order-7", 0)
	head, err := base64.RawURLEncoding.DecodeString(short)
	require.NoError(t, err)
	for _, token := range []string{
		"", ".", "x", someID, "order-7",
		short[:39], short + "A", short + "=", short + "\n", short[:20] + "\r\n" + short[20:], " " + short,
		short + ".", short + ".x", "." + short,
		long[:19], long[:20], long + " ", long + strings.Repeat("a", 64),
		strings.Replace(long, "order", "-rder", 1), // not a valid id
		strings.Replace(long, ".", "", 1),
		base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 30)), // "/" is no part of the alphabet
		base64.RawURLEncoding.EncodeToString(head[:14]) + "." + someID,    // the second spelling of one token
		strings.Repeat("A", 1<<20),
	} {
		requireRefused(t, s, token, correlation.TokenMalformed)
	}
}

// No character of a token can be changed.
func TestTokenAltered(t *testing.T) {
	t.Parallel()
	s := newSigner(t, keyA)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"
	for _, token := range []string{s.Token(someID, time.Hour), s.Token("order-7", time.Hour)} {
		for i := range len(token) {
			for _, c := range []byte(alphabet) {
				altered := token[:i] + string(c) + token[i+1:]
				if altered == token {
					continue
				}
				if id, err := s.Verify(altered); err == nil {
					t.Fatalf("%q is accepted for %q as %q", altered, token, id)
				}
			}
		}
	}
}

func TestTokenProperty(t *testing.T) {
	t.Parallel()
	s := newSigner(t, keyA)
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._~-]{0,63}`).Draw(t, "id")
		ttl := time.Duration(rapid.Int64Range(int64(time.Second), math.MaxInt64).Draw(t, "ttl"))
		got, err := s.Verify(s.Token(id, ttl))
		if err != nil || got != id {
			t.Fatalf("%q, %v", got, err)
		}
	})
}

// Another use of the same key, by somebody who signs expiry and id as they are, makes no token.
func TestTokenIsBoundToItsPurpose(t *testing.T) {
	t.Parallel()
	s := newSigner(t, keyA)
	raw, err := base64.RawURLEncoding.DecodeString(s.Token(someID, 0))
	require.NoError(t, err)
	copy(raw[4:14], hmacSHA256([]byte(keyA), raw[:4], []byte(someID)))
	requireRefused(t, s, base64.RawURLEncoding.EncodeToString(raw), correlation.TokenSignature)
}

func TestSignerPrintsNoKey(t *testing.T) {
	t.Parallel()
	s := newSigner(t, keyA, keyB)
	var buf bytes.Buffer
	slog.New(slog.NewTextHandler(&buf, nil)).Info("m", "signer", s)
	slog.New(slog.NewJSONHandler(&buf, nil)).Info("m", "signer", s)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X"} {
		fmt.Fprintf(&buf, verb, s)
		fmt.Fprintf(&buf, verb, struct{ S *correlation.Signer }{s})
	}
	for _, form := range []string{"%s", "%x", "%X", "%d"} {
		key := strings.Trim(fmt.Sprintf(form, []byte(keyA)[:8]), "[]")
		require.NotContains(t, buf.String(), key)
	}
	require.Contains(t, buf.String(), "2 keys")
}
