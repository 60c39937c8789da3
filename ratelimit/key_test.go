package ratelimit_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/ratelimit"
)

func from(t testing.TB, peer string, forwarded ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.RemoteAddr = peer
	for _, f := range forwarded {
		r.Header.Add("X-Forwarded-For", f)
	}
	return r
}

func TestRemoteAddr(t *testing.T) {
	t.Parallel()
	for peer, want := range map[string]string{
		"192.0.2.1:1234":            "192.0.2.1",
		"192.0.2.1":                 "192.0.2.1",
		"[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::1":      "2001:db8:1:2::/64",
		"[fe80::1%eth0]:80":         "fe80::/64",
		"[fe80::1%eth1]:81":         "fe80::/64",
		"[::ffff:192.0.2.1]:80":     "192.0.2.1",
		"::ffff:c000:201":           "192.0.2.1",
		"[::1]:80":                  "::/64",
		"[2001:db8:1:2::3]":         "2001:db8:1:2::/64",
		"192.0.2.1:0":               "192.0.2.1",
	} {
		got, err := ratelimit.RemoteAddr(from(t, peer, "203.0.113.9"))
		require.NoError(t, err, peer)
		require.Equal(t, want, got, peer)
	}
	for _, peer := range []string{"", "@", "/run/app.sock", "pipe", "localhost:80", "192.0.2.1:http", "[192.0.2.1]:80", "[::1", "::1]:80", "192.0.2.256:1", "192.0.2.1:", "[::1]80"} {
		got, err := ratelimit.RemoteAddr(from(t, peer))
		require.Error(t, err, peer)
		require.Empty(t, got)
	}
}

// What a client can write into X-Forwarded-For never chooses his bucket.
func TestClientIP(t *testing.T) {
	t.Parallel()
	key := ratelimit.ClientIP(netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("::ffff:172.16.0.0/108"))
	const client, proxy = "203.0.113.7", "10.0.0.1:443"
	for name, tc := range map[string]struct {
		r    *http.Request
		want string
	}{
		"a direct client forges":           {from(t, client+":5", "198.51.100.1"), client},
		"a direct client forges a proxy":   {from(t, client+":5", "198.51.100.1, 10.0.0.9"), client},
		"one proxy":                        {from(t, proxy, client), client},
		"one proxy, forged before":         {from(t, proxy, "198.51.100.1, 198.51.100.2 , "+client), client},
		"one proxy, forged proxies before": {from(t, proxy, "198.51.100.1, 10.0.0.9,"+client), client},
		"a chain":                          {from(t, proxy, "198.51.100.1,"+client+", 10.2.0.1,10.3.0.1"), client},
		"a chain, IPv6 proxies":            {from(t, "[fd00::1]:443", client+", fd00:1::2"), client},
		"a mapped peer":                    {from(t, "[::ffff:10.0.0.1]:443", client), client},
		"a mapped proxy network":           {from(t, "172.16.9.9:1", client), client},
		"a mapped client":                  {from(t, proxy, "::ffff:203.0.113.7"), client},
		"header repeated":                  {from(t, proxy, "198.51.100.1", client, "10.9.9.9"), client},
		"header repeated, forged first":    {from(t, proxy, "10.0.0.7, 198.51.100.1", client), client},
		"with ports":                       {from(t, proxy, client+":4711,10.0.0.3:80"), client},
		"IPv6 client by /64":               {from(t, proxy, "2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64"},
		"IPv6 client with port":            {from(t, proxy, "[2001:db8:1:2:3:4:5:6]:99"), "2001:db8:1:2::/64"},
		"IPv6 client in brackets":          {from(t, proxy, "[2001:db8:1:2:3:4:5:6]"), "2001:db8:1:2::/64"},
		"nothing before the client":        {from(t, proxy, ","+client), client},
		"IPv6 client with zone":            {from(t, proxy, "fe80::1%eth0"), "fe80::/64"},
		"no header":                        {from(t, proxy), "10.0.0.1"},
		"empty header":                     {from(t, proxy, ""), "10.0.0.1"},
		"garbage":                          {from(t, proxy, "unknown"), "10.0.0.1"},
		"garbage before the client":        {from(t, proxy, "<script>, "+client), client},
		"garbage behind a proxy":           {from(t, proxy, client+", unknown, 10.5.0.1"), "10.5.0.1"},
		"proxies only":                     {from(t, proxy, "10.7.0.1, 10.8.0.1"), "10.7.0.1"},
		"10,000 entries":                   {from(t, proxy, strings.Repeat("198.51.100.1,", 10_000)+client), client},
		"10,000 proxies":                   {from(t, proxy, strings.Repeat("10.1.1.1,", 9_999)+"10.1.1.1"), "10.1.1.1"},
		"10,000 proxies before the client": {from(t, proxy, strings.Repeat("10.1.1.1,", 10_000)+client), client},
		"10,000 lines":                     {from(t, proxy, append(make([]string, 10_000), client)...), client},
	} {
		got, err := key(tc.r)
		require.NoError(t, err, name)
		require.Equal(t, tc.want, got, name)
	}
	var chain []string
	for i := range 40 {
		chain = append(chain, "10.0.1."+strconv.Itoa(i))
	}
	got, err := key(from(t, proxy, strings.Join(chain, ",")))
	require.NoError(t, err)
	require.Equal(t, "10.0.1.8", got, "the 32nd from the right")
	got, err = ratelimit.ClientIP()(from(t, proxy, client))
	require.NoError(t, err)
	require.Equal(t, "10.0.0.1", got, "nobody is trusted")
	got, err = ratelimit.ClientIP(netip.MustParsePrefix("::ffff:0:0/96"))(from(t, proxy, client+",10.0.0.2"))
	require.NoError(t, err)
	require.Equal(t, client, got, "all of IPv4 is trusted")
	_, err = key(from(t, "@", client))
	require.Error(t, err)
	_, err = ratelimit.ClientIP(netip.Prefix{})(from(t, proxy, client))
	require.ErrorContains(t, err, "not valid")
}

func TestHeaderKey(t *testing.T) {
	t.Parallel()
	key := ratelimit.Header("x-api-KEY")
	r := from(t, "192.0.2.1:1")
	for _, values := range [][]string{nil, {""}, {"a", "b"}} {
		r.Header["X-Api-Key"] = values
		got, err := key(r)
		require.Empty(t, got)
		require.Equal(t, errors.Invalid, errors.KindOf(err))
		require.Equal(t, "The request needs exactly one X-Api-Key header.", errors.ProblemOf(err).Detail)
	}
	r.Header["X-Api-Key"] = []string{"secret"}
	got, err := key(r)
	require.NoError(t, err)
	require.Equal(t, "secret", got)
}

func FuzzClientIP(f *testing.F) {
	f.Add("10.0.0.1:1", "203.0.113.7", "")
	f.Add("[::ffff:10.0.0.1%1]:1", "1.2.3.4:5, [fe80::1%eth0]:9", "unknown,,")
	f.Add("192.0.2.1:1", "10.0.0.1", "::")
	proxies := netip.MustParsePrefix("10.0.0.0/8")
	key := ratelimit.ClientIP(proxies)
	f.Fuzz(func(t *testing.T, peer, first, second string) {
		r := &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {first, second}}}
		got, err := key(r)
		direct, directErr := ratelimit.RemoteAddr(r)
		require.Equal(t, directErr == nil, err == nil)
		if err != nil {
			require.Empty(t, got)
			return
		}
		addr, perr := netip.ParseAddr(direct)
		if perr != nil || !proxies.Contains(addr) {
			require.Equal(t, direct, got, "X-Forwarded-For counts behind a proxy only")
		}
		// A key is an address or a /64 in its one spelling.
		if p, perr := netip.ParsePrefix(got); perr == nil {
			require.Equal(t, p.Masked().String(), got)
			require.Equal(t, 64, p.Bits())
			return
		}
		addr, perr = netip.ParseAddr(got)
		require.NoError(t, perr)
		require.True(t, addr.Is4())
		require.Equal(t, addr.String(), got)
	})
}
