package headers

import (
	"math"
	"strings"
	"time"
)

// maxRateLimit is the most of a RateLimit field that is read, in bytes over all its lines.
const maxRateLimit = 8 << 10

// ParseRateLimit reads the lines of a RateLimit field (draft-ietf-httpapi-ratelimit-headers): the dictionary of
// draft 07, "limit=100, remaining=50, reset=30", or the list of draft 08 and later, "default";r=50;t=30. Of a
// list it returns the most restrictive item: the least remaining and, among equals, the longest reset. A reset
// that is not said is zero. The field is a structured one (RFC 8941) and is read as strictly: anything
// malformed, a negative number, an item without its remaining, or more than 8 KiB, makes all of it not known.
// Inner lists, which no draft uses, count as malformed.
func ParseRateLimit(values []string) (remaining int64, reset time.Duration, ok bool) {
	size := 0
	for _, v := range values {
		size += len(v) + 1
		if size > maxRateLimit {
			return 0, 0, false
		}
	}
	if len(values) == 0 {
		return 0, 0, false
	}
	var best quota
	list := strings.HasPrefix(strings.TrimLeft(values[0], " "), `"`)
	for _, v := range values {
		p := parser(v)
		p.skip(" ")
		for {
			if list {
				item, ok := p.item()
				if !ok {
					return 0, 0, false
				}
				if !best.known || item.less(best) {
					best = item
				}
			} else if !p.member(&best) {
				return 0, 0, false
			}
			p.skip(" \t")
			if p == "" {
				break
			}
			if !p.eat(',') {
				return 0, 0, false
			}
			p.skip(" \t")
		}
	}
	if !best.known || best.remaining < 0 || best.reset < 0 {
		return 0, 0, false
	}
	return best.remaining, time.Duration(min(best.reset, int64(math.MaxInt64/time.Second))) * time.Second, true
}

// quota is what one item says. In it, -1 stands for a value of the wrong type.
type quota struct {
	remaining, reset int64
	known            bool // remaining was there
}

func (q quota) less(o quota) bool {
	return q.remaining < o.remaining || q.remaining == o.remaining && q.reset > o.reset
}

// parser is what is left to read.
type parser string

func (p *parser) skip(chars string) { *p = parser(strings.TrimLeft(string(*p), chars)) }

func (p *parser) eat(c byte) bool {
	if *p == "" || (*p)[0] != c {
		return false
	}
	*p = (*p)[1:]
	return true
}

// while cuts off the longest prefix of bytes that satisfy is.
func (p *parser) while(is func(c byte) bool) string {
	n := 0
	for n < len(*p) && is((*p)[n]) {
		n++
	}
	cut := (*p)[:n]
	*p = (*p)[n:]
	return string(cut)
}

// item reads an item of the list: a string with the parameters r and t.
func (p *parser) item() (q quota, ok bool) {
	if *p == "" || (*p)[0] != '"' {
		return q, false
	}
	if _, ok := p.bare(); !ok {
		return q, false
	}
	ok = p.params(func(key string, n int64) {
		switch key {
		case "r":
			q.remaining, q.known = n, true
		case "t":
			q.reset = n
		}
	})
	return q, ok && q.known && q.remaining >= 0 && q.reset >= 0
}

// member reads a member of the dictionary into q. As the RFC has it, the last of a key counts.
func (p *parser) member(q *quota) bool {
	key, ok := p.key()
	if !ok {
		return false
	}
	n := int64(-1)
	if p.eat('=') {
		if n, ok = p.bare(); !ok {
			return false
		}
	}
	switch key {
	case "remaining":
		q.remaining, q.known = n, true
	case "reset":
		q.reset = n
	}
	return p.params(func(string, int64) {})
}

func (p *parser) params(yield func(key string, n int64)) bool {
	for p.eat(';') {
		p.skip(" ")
		key, ok := p.key()
		if !ok {
			return false
		}
		n := int64(-1)
		if p.eat('=') {
			if n, ok = p.bare(); !ok {
				return false
			}
		}
		yield(key, n)
	}
	return true
}

func (p *parser) key() (string, bool) {
	if *p == "" || !lower((*p)[0]) && (*p)[0] != '*' {
		return "", false
	}
	return p.while(func(c byte) bool { return lower(c) || digit(c) || strings.IndexByte("_-.*", c) >= 0 }), true
}

// bare reads a bare item of RFC 8941 and returns it if it is an integer from 0 on, else -1.
func (p *parser) bare() (int64, bool) {
	if *p == "" {
		return 0, false
	}
	switch c := (*p)[0]; {
	case c == '-' || digit(c):
		return p.number()
	case c == '"':
		return -1, p.quoted()
	case c == '?':
		p.eat('?')
		return -1, p.eat('0') || p.eat('1')
	case c == ':':
		p.eat(':')
		p.while(func(c byte) bool { return lower(c|0x20) || digit(c) || strings.IndexByte("+/=", c) >= 0 })
		return -1, p.eat(':')
	case c == '*' || lower(c|0x20):
		p.while(func(c byte) bool {
			return lower(c|0x20) || digit(c) || strings.IndexByte("!#$%&'*+-.^_`|~:/", c) >= 0
		})
		return -1, true
	default:
		return 0, false
	}
}

// number reads an integer of up to 15 digits, or a decimal of up to 12 and 3.
func (p *parser) number() (int64, bool) {
	negative := p.eat('-')
	whole := p.while(digit)
	if p.eat('.') {
		n := len(p.while(digit))
		return -1, len(whole) >= 1 && len(whole) <= 12 && n >= 1 && n <= 3
	}
	if len(whole) < 1 || len(whole) > 15 {
		return 0, false
	}
	n, _ := digits(whole)
	if negative && n != 0 {
		return -1, true
	}
	return n, true
}

func (p *parser) quoted() bool {
	p.eat('"')
	for *p != "" {
		c := (*p)[0]
		*p = (*p)[1:]
		switch {
		case c == '"':
			return true
		case c == '\\':
			if !p.eat('"') && !p.eat('\\') {
				return false
			}
		case c < 0x20 || c > 0x7e:
			return false
		}
	}
	return false
}

func digit(c byte) bool { return '0' <= c && c <= '9' }
func lower(c byte) bool { return 'a' <= c && c <= 'z' }
