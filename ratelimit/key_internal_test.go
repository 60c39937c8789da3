package ratelimit

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The short way to an IPv4 address is the same as the long one, also where it gives up.
func FuzzParseAddr(f *testing.F) {
	for _, s := range []string{
		"192.0.2.1", "192.0.2.1:80", "0.0.0.0:0", "255.255.255.255:65535", "256.0.0.1", "1.2.3.1234", "01.2.3.4", "1.2.3.04:1", "1.2.3",
		"1.2.3.4.5", "1.2.3.4:", "1.2.3.4:x", "1.2.3.4:1:1", ".1.2.3.4", "1..2.3", "1.2.3.", "", "1.2.3.4%eth0", "::ffff:1.2.3.4", "[1.2.3.4]:1",
		"+1.2.3.4", "1.2.3.4 ", "0x1.2.3.4", "[::1]:80", "2001:db8::1", "1.2.3.\xff",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		addr, text, ok := parseAddr(s)
		wantAddr, wantText, wantOK := parseAnyAddr(s)
		require.Equal(t, wantOK, ok, "%q", s)
		if ok {
			require.Equal(t, wantAddr, addr, "%q", s)
			require.Equal(t, wantText, text, "%q", s)
		}
	})
}
