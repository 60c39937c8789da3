package ratelimit

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/prusik-go/prusik/errors"
)

// KeyFunc says whose request r is: an address, a user, an account. An empty key is an error, never a bucket that all
// share. The error is answered by its kind ([errors.Write]), and an error of another package is a 500: its text does not
// reach the client. It is called by several goroutines.
type KeyFunc func(r *http.Request) (string, error)

// RemoteAddr is a [KeyFunc]: the key of who is at the other end of the connection: the address without its port, of IPv6 the /64,
// which is what one subscriber has. Behind a proxy that is the proxy: see [ClientIP]. A connection without an IP address,
// as on a unix socket, is an error.
func RemoteAddr(r *http.Request) (string, error) {
	addr, text, ok := peer(r)
	if !ok {
		return "", errors.New("ratelimit: the peer has no IP address")
	}
	return addrKey(addr, text), nil
}

// ClientIP is the key of the client behind your proxies: trusted are their networks. Where the peer is one of them, the
// addresses in X-Forwarded-For are gone through from the right, as each proxy has added the one it was called from, up to
// the first that is not trusted; what stands left of it the client may have made up. Where the peer is not trusted, or
// there are none, X-Forwarded-For is ignored and the key is that of [RemoteAddr].
//
// An entry may have a port and a zone, which are dropped; ::ffff:192.0.2.1 is 192.0.2.1, and IPv6 counts by /64. At an entry
// that is no address the last one before it is taken, and so it is after 32 proxies. A network in trusted that is not
// valid makes every request an error.
func ClientIP(trusted ...netip.Prefix) KeyFunc {
	nets := make([]netip.Prefix, len(trusted))
	for i, p := range trusted {
		if nets[i] = unmap(p); !p.IsValid() {
			return func(*http.Request) (string, error) {
				return "", errors.New("ratelimit: ClientIP was given a network that is not valid")
			}
		}
	}
	isTrusted := func(a netip.Addr) bool {
		return slices.ContainsFunc(nets, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	return func(r *http.Request) (string, error) {
		addr, text, ok := peer(r)
		if !ok {
			return "", errors.New("ratelimit: the peer has no IP address")
		}
		if isTrusted(addr) {
			addr, text = forwarded(r.Header["X-Forwarded-For"], addr, text, isTrusted)
		}
		return addrKey(addr, text), nil
	}
}

// maxProxies bounds the walk along X-Forwarded-For.
const maxProxies = 32

// forwarded walks from the right, starting at the peer.
func forwarded(lines []string, addr netip.Addr, text string, trusted func(netip.Addr) bool) (netip.Addr, string) {
	hops := 0
	for _, line := range slices.Backward(lines) {
		for more := true; more; hops++ {
			entry := line
			i := strings.LastIndexByte(line, ',')
			if more = i >= 0; more {
				entry, line = line[i+1:], line[:i]
			}
			next, nextText, ok := parseAddr(strings.Trim(entry, " \t"))
			if !ok || hops == maxProxies {
				return addr, text
			}
			if addr, text = next, nextText; !trusted(addr) {
				return addr, text
			}
		}
	}
	return addr, text
}

// peer is the other end of the connection.
func peer(r *http.Request) (addr netip.Addr, text string, ok bool) { return parseAddr(r.RemoteAddr) }

// parseAddr reads "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]" and "[2001:db8::1]:80", without zone and
// unmapped. text is the address as it is written in s.
func parseAddr(s string) (addr netip.Addr, text string, ok bool) {
	if quad, n := leadingIPv4(s); n > 0 && isPort(s[n:]) {
		return netip.AddrFrom4(quad), s[:n], true
	}
	return parseAnyAddr(s)
}

// leadingIPv4 reads the IPv4 address that s begins with, as netip does, and its length; or 0, for others to say. Most keys of
// a server are of these, and this takes a quarter of the time of the other way.
func leadingIPv4(s string) (quad [4]byte, n int) {
	for field := range quad {
		if field > 0 {
			if n == len(s) || s[n] != '.' {
				return quad, 0
			}
			n++
		}
		start, value := n, 0
		for ; n < len(s) && n < start+3 && '0' <= s[n] && s[n] <= '9'; n++ {
			value = value*10 + int(s[n]-'0')
		}
		if n == start || value > 255 || s[start] == '0' && n > start+1 {
			return quad, 0
		}
		quad[field] = byte(value)
	}
	return quad, n
}

// parseAnyAddr is parseAddr for whatever there is.
func parseAnyAddr(s string) (addr netip.Addr, text string, ok bool) {
	text = s
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 || !isPort(s[end+1:]) {
			return addr, "", false
		}
		text = s[1:end]
		if !strings.Contains(text, ":") {
			return addr, "", false
		}
	} else if i := strings.IndexByte(s, ':'); i >= 0 && i == strings.LastIndexByte(s, ':') {
		if !isPort(s[i:]) {
			return addr, "", false
		}
		text = s[:i]
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return addr, "", false
	}
	return a.Unmap().WithZone(""), text, true
}

// isPort reports whether s is empty or a colon and digits.
func isPort(s string) bool {
	if s == "" {
		return true
	}
	for _, c := range []byte(s[1:]) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s[0] == ':' && len(s) > 1
}

// addrKey is the key of an address that was read from text.
func addrKey(addr netip.Addr, text string) string {
	const subscriber = 64 // bits: what an IPv6 customer gets at the least
	if addr.Is6() {
		p, err := addr.Prefix(subscriber)
		if err != nil {
			return "" // cannot be: 64 is within range and there is no zone; an empty key is refused
		}
		return p.String()
	}
	if strings.Contains(text, ":") { // it was mapped
		return addr.String()
	}
	return text // IPv4 has one spelling only, and this costs nothing
}

// Header is the key that a header holds, such as an API key; check before that it is a valid one, or anybody can have
// as many buckets as he likes. A header that is missing, empty or repeated is answered with 400.
func Header(name string) KeyFunc {
	canonical := http.CanonicalHeaderKey(name)
	return func(r *http.Request) (string, error) {
		values := r.Header[canonical]
		if len(values) != 1 || values[0] == "" {
			return "", &errors.Error{
				Kind: errors.Invalid, Op: "limit", Public: "The request needs exactly one " + canonical + " header.",
			}
		}
		return values[0], nil
	}
}
