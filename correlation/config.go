package correlation

import (
	"net/netip"
	"strconv"

	"github.com/prusik-go/prusik/internal/check"
)

// Config is the configuration of a [Correlator]. The zero value works.
type Config struct {
	// TrustedPeers are the networks whose ids and traces are accepted: your proxies and your own services. The peer is
	// the other end of the connection (Request.RemoteAddr), not what X-Forwarded-For says. An IPv4 peer is held against
	// the IPv4 networks, also where it shows as ::ffff:192.0.2.1; an IPv6 zone is left out of account. A peer without an
	// IP address, as on a unix socket, is not trusted.
	//
	// Empty means everyone: an id is a label and grants nothing, so one that keeps the rule of [Valid] is taken from
	// anybody. Set it where an outsider must not choose what your logs are searched by.
	TrustedPeers []netip.Prefix
	// Hooks are told of ids that were not accepted.
	Hooks Hooks
}

// Correlator gives every request an id. Make it with [New].
type Correlator struct {
	trusted []netip.Prefix
	hooks   Hooks
}

// New checks cfg, and reports everything that is wrong with it at once.
func New(cfg Config) (*Correlator, error) {
	faults := check.New("correlation", "config")
	c := &Correlator{hooks: cfg.Hooks}
	for i, p := range cfg.TrustedPeers {
		if !p.IsValid() {
			faults.Add("TrustedPeers["+strconv.Itoa(i)+"]", p, "a network such as 10.0.0.0/8")
			continue
		}
		c.trusted = append(c.trusted, unmap(p))
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// unmap returns ::ffff:10.0.0.0/104 as 10.0.0.0/8.
func unmap(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// trusts reports whether ids are accepted from the peer at addr, an "IP:port" or an IP.
func (c *Correlator) trusts(addr string) bool {
	if len(c.trusted) == 0 {
		return true
	}
	ap, err := netip.ParseAddrPort(addr)
	ip := ap.Addr()
	if err != nil {
		if ip, err = netip.ParseAddr(addr); err != nil {
			return false
		}
	}
	ip = ip.Unmap().WithZone("")
	for _, p := range c.trusted {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}
