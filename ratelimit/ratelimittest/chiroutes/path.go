package chiroutes

import (
	"math/rand/v2"
	"net/url"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"
)

// tries is how many paths are made for a route before it counts as out of reach. The first one does nearly always.
const tries = 1000

// path returns a path by which r finds the route, escaped as a request line has it.
func (rt route) path(r chi.Routes) (string, bool) {
	parts, err := split(rt.pattern)
	if err != nil {
		return "", false
	}
	m := maker{rand: rand.New(rand.NewPCG(1, 2))} //nolint:gosec // the same paths each time, and no secret
	for m.try = range tries {
		var path []byte
		for _, p := range parts {
			path = p.append(path, &m)
		}
		if r.Find(chi.NewRouteContext(), rt.method, string(path)) == rt.pattern {
			return (&url.URL{Path: string(path)}).EscapedPath(), true
		}
	}
	return "", false
}

// part is a piece of a pattern: text, "{name}", "{name:expr}" or "*".
type part struct {
	text string
	expr *syntax.Regexp
	kind byte
}

const (
	static   = 0
	param    = '{'
	wildcard = '*'
)

// split takes a pattern apart as chi does, which has accepted it.
func split(pattern string) (parts []part, err error) {
	for pattern != "" {
		i := strings.IndexAny(pattern, "{*")
		if i < 0 {
			return append(parts, part{text: pattern}), nil
		}
		if i > 0 {
			parts = append(parts, part{text: pattern[:i]})
			pattern = pattern[i:]
		}
		if pattern[0] == wildcard { // the last
			return append(parts, part{kind: wildcard}), nil
		}
		end := closing(pattern)
		p := part{kind: param}
		if _, expr, _ := strings.Cut(pattern[1:end], ":"); expr != "" {
			if p.expr, err = syntax.Parse(expr, syntax.Perl); err != nil {
				return nil, err
			}
		}
		parts = append(parts, p)
		pattern = pattern[end+1:]
	}
	return parts, nil
}

// closing is the index of the brace that closes the first one; there may be others in an expression.
func closing(pattern string) int {
	open := 0
	for i, c := range pattern {
		switch c {
		case '{':
			open++
		case '}':
			open--
		}
		if open == 0 {
			return i
		}
	}
	return len(pattern) - 1
}

// values are what parameters are tried with first: of several kinds, for where one is a route of its own.
func values() [4]string { return [...]string{"x", "1", "X-1", "x_y.z"} }

// maker makes up paths. What it chooses is the simplest in the first try, and random in later ones.
type maker struct {
	rand *rand.Rand
	try  int
}

func (m *maker) choose(n int) int {
	if m.try == 0 {
		return 0
	}
	return m.rand.IntN(n)
}

func (p part) append(path []byte, m *maker) []byte {
	all := values()
	switch {
	case p.kind == static:
		return append(path, p.text...)
	case p.kind == wildcard:
		rest := [...]string{"x", "x/y", ""}
		return append(path, rest[m.choose(len(rest))]...)
	case p.expr == nil:
		return append(path, all[m.choose(len(all))]...)
	default:
		return m.match(path, p.expr)
	}
}

// match appends a text that re describes, without regard to ^, $ and \b: chi says whether it matches.
func (m *maker) match(b []byte, re *syntax.Regexp) []byte {
	repeat := func(least, most int) []byte {
		if most < 0 || most > least+3 {
			most = least + 3
		}
		if least == 0 && m.try == 0 { // a parameter must not be empty
			least = min(1, most)
		}
		for range least + m.choose(most-least+1) {
			b = m.match(b, re.Sub[0])
		}
		return b
	}
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			b = utf8.AppendRune(b, r)
		}
		return b
	case syntax.OpCharClass:
		return utf8.AppendRune(b, m.oneOf(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return utf8.AppendRune(b, m.oneOf([]rune{0, utf8.MaxRune}))
	case syntax.OpStar:
		return repeat(0, -1)
	case syntax.OpPlus:
		return repeat(1, -1)
	case syntax.OpQuest:
		return repeat(0, 1)
	case syntax.OpRepeat:
		return repeat(re.Min, re.Max)
	case syntax.OpAlternate:
		return m.match(b, re.Sub[m.choose(len(re.Sub))])
	default: // captures and concatenations; what is empty has no Sub
		for _, sub := range re.Sub {
			b = m.match(b, sub)
		}
		return b
	}
}

// oneOf chooses a rune of a class, a plain one where there is one.
func (m *maker) oneOf(class []rune) rune {
	var plain []rune
	for _, r := range "1xX-_.~" + "0235789abcdefwyzABCDEFWYZ" {
		for i := 0; i+1 < len(class); i += 2 {
			if class[i] <= r && r <= class[i+1] {
				plain = append(plain, r)
				break
			}
		}
	}
	if len(plain) > 0 {
		return plain[m.choose(len(plain))]
	}
	if len(class) == 0 {
		return utf8.RuneError // matches nothing, as the class does
	}
	i := m.choose(len(class)/2) * 2
	width := min(class[i+1]-class[i], 1<<8) + 1
	return class[i] + rune(m.choose(int(width))) //nolint:gosec // it is less than width
}
