package ratelimit

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// MaxLimits is the most limits of one [Limiter].
const MaxLimits = 8

// maxSpan bounds the period of a limit and the time its bucket takes to fill: sums of a few of them fit a Duration.
const maxSpan = 10 * 365 * 24 * time.Hour

// maxCount is the largest integer of a structured field (RFC 9651): a count has to fit the RateLimit fields.
const maxCount = 999_999_999_999_999

// Limit is Count requests a Period. A bucket holds Burst of them and gets one back each Period/Count, so that after an
// idle time Burst may come at once, the sustained rate is Count a Period, and no Period ever sees more than Burst+Count.
type Limit struct {
	// Name is the policy's name in answers, errors and events: 1 to 160 printable ASCII characters, other than '"' and
	// '\'. Empty means the limiter's name, and where the limiter has several limits a slash and the limit as it reads.
	Name string
	// Count is how many, 1 to 999,999,999,999,999, the largest integer of a structured field.
	Count int64
	// Period is for how long: from a nanosecond a Count up to ten years.
	Period time.Duration
	// Burst is how many may come at once, up to the same number. 0 means Count.
	Burst int64
}

// Limits are limits that hold together.
type Limits []Limit

// burst is Burst with its default.
func (l Limit) burst() int64 {
	if l.Burst == 0 {
		return l.Count
	}
	return l.Burst
}

// Interval is the time in which one unit comes back: Period/Count, rounded up to the nanosecond so that the rate is never
// above the one that was declared.
func (l Limit) Interval() time.Duration {
	if l.Count <= 0 {
		return 0
	}
	d := l.Period / time.Duration(l.Count)
	if l.Period%time.Duration(l.Count) != 0 {
		d++
	}
	return d
}

// Span is the time an empty bucket takes to fill: Burst times [Limit.Interval].
func (l Limit) Span() time.Duration { return time.Duration(l.burst()) * l.Interval() }

// fault says what is wrong with l, or "".
func (l Limit) fault() string {
	switch {
	case l.Count < 1 || l.Count > maxCount:
		return "a count from 1 to 999999999999999"
	case l.Period <= 0 || l.Period > maxSpan:
		return "a period of up to ten years"
	case time.Duration(l.Count) > l.Period:
		return "at most one a nanosecond"
	case l.Burst < 0 || l.Burst > maxCount:
		return "a burst from 1 to 999999999999999, or 0 for the count"
	case l.burst() > int64(maxSpan/l.Interval()):
		return "a burst that comes back within ten years"
	case !nameable(l.Name):
		return `a name of up to 160 printable ASCII characters without '"' and '\'`
	default:
		return ""
	}
}

// maxName fits the longest name of a limiter and what [Limit.String] makes of a limit.
const maxName = 160

func nameable(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return len(s) <= maxName
}

// granularity is a unit of the grammar.
type granularity struct {
	names  string // the first is the one to print
	period time.Duration
}

// granularities, the longest first. A month has 30 days and a year twelve of those months, as in Python's limits.
func granularities() [6]granularity {
	const day = 24 * time.Hour
	return [...]granularity{
		{"year years yr yrs y", 360 * day},
		{"month months mo mos", 30 * day},
		{"day days d", day},
		{"hour hours hr hrs h", time.Hour},
		{"minute minutes min mins m", time.Minute},
		{"second seconds sec secs s", time.Second},
	}
}

// String writes l in the grammar of [ParseLimits], without its name: "10/minute", "100 per 2 hours burst 20". A
// period that is not of whole seconds, which the grammar cannot express, reads as a Duration: "10 per 250ms".
func (l Limit) String() string {
	s := strconv.FormatInt(l.Count, 10) + l.per()
	if l.Burst != 0 && l.Burst != l.Count {
		s += " burst " + strconv.FormatInt(l.Burst, 10)
	}
	return s
}

// per writes the period.
func (l Limit) per() string {
	for _, g := range granularities() {
		n := l.Period / g.period
		if n < 1 || l.Period%g.period != 0 {
			continue
		}
		name, _, _ := strings.Cut(g.names, " ")
		if n == 1 {
			return "/" + name
		}
		return " per " + strconv.FormatInt(int64(n), 10) + " " + name + "s"
	}
	return " per " + l.Period.String()
}

// String writes the limits in the grammar of [ParseLimits], without their names.
func (ls Limits) String() string {
	parts := make([]string, len(ls))
	for i, l := range ls {
		parts[i] = l.String()
	}
	return strings.Join(parts, "; ")
}

// ParseLimits reads limits in the notation of Python's limits library: "10/minute", "10 per minute", "100 per 2 hours",
// several of them joined by ',', ';' or '|'. Units are second, minute, hour, day, month (30 days) and year (360
// days), their plurals and the usual abbreviations (s, sec, m, min, h, hr, d, mo, y, yr), in any case; blanks are free.
// "burst 20" after a limit sets [Limit.Burst] and is ours. The error says where it failed and what was expected.
func ParseLimits(s string) (Limits, error) {
	p := &limitParser{text: s}
	var all Limits
	for {
		l, ok := p.limit()
		if !ok {
			return nil, p.err
		}
		all = append(all, l)
		p.blanks()
		if p.at == len(s) {
			return all, nil
		}
		if strings.IndexByte(",;|", s[p.at]) < 0 {
			p.fail(p.at, "',', ';', '|' or the end")
			return nil, p.err
		}
		p.at++
	}
}

// limitParser reads text from at on. The first failure stays.
type limitParser struct {
	text string
	at   int
	err  error
}

// fail records what was expected at start.
func (p *limitParser) fail(start int, want string) {
	const most = 20 // of what was found; a setting can be anything
	found := "the end"
	if rest := p.text[start:]; rest != "" {
		if i := strings.IndexAny(rest[1:], ",;| \t\r\n"); i >= 0 {
			rest = rest[:i+1]
		}
		found = strconv.Quote(rest[:min(len(rest), most)])
	}
	p.err = fmt.Errorf("ratelimit: limits %q: at byte %d: found %s, want %s", short(p.text), start, found, want)
}

func short(s string) string {
	const most = 100
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

func (p *limitParser) blanks() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

func (p *limitParser) limit() (l Limit, ok bool) {
	p.blanks()
	start := p.at
	if l.Count, ok = p.number("a count such as the 10 of 10/minute"); !ok {
		return l, false
	}
	p.blanks()
	switch {
	case p.at < len(p.text) && p.text[p.at] == '/':
		p.at++
	case !p.word("per"):
		p.fail(p.at, `"/" or "per"`)
		return l, false
	}
	p.blanks()
	n := int64(1)
	if p.digit() {
		if n, ok = p.number(""); !ok {
			return l, false
		}
		p.blanks()
	}
	if l.Period, ok = p.period(n); !ok {
		return l, false
	}
	p.blanks()
	if p.word("burst") {
		p.blanks()
		if l.Burst, ok = p.number("how many may come at once"); !ok {
			return l, false
		}
	}
	if want := l.fault(); want != "" {
		p.fail(start, want)
		return l, false
	}
	return l, true
}

func (p *limitParser) digit() bool {
	return p.at < len(p.text) && '0' <= p.text[p.at] && p.text[p.at] <= '9'
}

// number reads a number from 1 that fits an int64.
func (p *limitParser) number(want string) (n int64, ok bool) {
	start := p.at
	for ; p.digit(); p.at++ {
		d := int64(p.text[p.at] - '0')
		if n > (math.MaxInt64-d)/10 {
			p.fail(start, "a number that fits 64 bits")
			return 0, false
		}
		n = n*10 + d
	}
	switch {
	case p.at == start:
		p.fail(start, want)
		return 0, false
	case n == 0:
		p.fail(start, "a number from 1")
		return 0, false
	}
	return n, true
}

// word reads w, in any case, and reports whether it was there.
func (p *limitParser) word(w string) bool {
	rest := p.text[p.at:]
	if len(rest) < len(w) || !strings.EqualFold(rest[:len(w)], w) {
		return false
	}
	p.at += len(w)
	return true
}

// period reads a unit and returns n of them.
func (p *limitParser) period(n int64) (time.Duration, bool) {
	start := p.at
	for p.at < len(p.text) && 'a' <= p.text[p.at]|0x20 && p.text[p.at]|0x20 <= 'z' {
		p.at++
	}
	unit := strings.ToLower(p.text[start:p.at])
	for _, g := range granularities() {
		for name := range strings.FieldsSeq(g.names) {
			if name != unit {
				continue
			}
			if n > int64(maxSpan/g.period) {
				p.fail(start, "a period of up to ten years")
				return 0, false
			}
			return time.Duration(n) * g.period, true
		}
	}
	p.fail(start, "second, minute, hour, day, month or year")
	return 0, false
}
