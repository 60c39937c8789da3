package flags

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// kind is the type of a flag.
type kind string

const (
	boolKind     kind = "bool"
	intKind      kind = "int"
	floatKind    kind = "float"
	durationKind kind = "duration"
	stringKind   kind = "string"
	enumKind     kind = "enum"
)

func (k kind) zero() any {
	switch k {
	case boolKind:
		return false
	case intKind:
		return 0
	case floatKind:
		return 0.0
	case durationKind:
		return time.Duration(0)
	default:
		return ""
	}
}

// holds reports whether v is of the kind's type.
func (k kind) holds(v any) bool { return fmt.Sprintf("%T", v) == fmt.Sprintf("%T", k.zero()) }

// within reports whether low <= v <= high, all of them of the kind's type; nil is no bound.
func (k kind) within(v, low, high any) bool {
	return (low == nil || compare(low, v) <= 0) && (high == nil || compare(v, high) <= 0)
}

func compare(a, b any) int {
	switch a := a.(type) {
	case int:
		b, _ := b.(int)
		return cmp.Compare(a, b)
	case float64:
		b, _ := b.(float64)
		return cmp.Compare(a, b)
	case time.Duration:
		b, _ := b.(time.Duration)
		return cmp.Compare(a, b)
	default:
		return 0
	}
}

// parse reads text, which is not empty. Where it cannot, want says what would have been right.
func (c *spec) parse(text string) (value any, want string) {
	if strings.TrimSpace(text) != text {
		return nil, c.syntax() + ", without white space around it"
	}
	var ok bool
	switch c.kind {
	case boolKind:
		value, ok = parseBool(text)
	case intKind:
		n, err := strconv.Atoi(text)
		value, ok = n, err == nil
	case floatKind:
		value, ok = parseFloat(text)
	case durationKind:
		value, ok = parseDuration(text, c.unit)
	case enumKind:
		value, ok = text, slices.Contains(c.choices, text)
	default:
		value, ok = text, plain(text)
	}
	if !ok {
		return nil, c.syntax() + c.meant(text)
	}
	return value, c.accept(value)
}

func plain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// accept says what is wrong with a value of the right type.
func (c *spec) accept(v any) (want string) {
	switch {
	case c.kind == enumKind && !slices.ContainsFunc(c.choices, func(s string) bool { return s == v }):
		return c.syntax()
	case !c.kind.within(v, c.low, c.high):
		return text(c.low) + " to " + text(c.high)
	default:
		return ""
	}
}

// syntax says what the flag accepts.
func (c *spec) syntax() string {
	switch c.kind {
	case boolKind:
		return "true or false"
	case intKind:
		return "a whole number"
	case floatKind:
		return "a number"
	case durationKind:
		if c.unit > 0 {
			return "a duration such as " + c.show(3*c.unit) + ", or a number of " + unitName(c.unit)
		}
		return "a duration with its unit, such as 30s"
	case enumKind:
		return "one of " + strings.Join(c.choices, ", ")
	default:
		return "text without control characters"
	}
}

func unitName(u time.Duration) string {
	switch u {
	case time.Millisecond:
		return "milliseconds"
	case time.Second:
		return "seconds"
	case time.Minute:
		return "minutes"
	case time.Hour:
		return "hours"
	default:
		return u.String()
	}
}

// meant is a hint where text is nearly right.
func (c *spec) meant(text string) string {
	if c.secret {
		return ""
	}
	var choices []string
	switch c.kind {
	case boolKind:
		if choices = []string{"true", "false"}; slices.Contains([]string{"yes", "on", "y", "enabled"}, strings.ToLower(text)) {
			return didYouMean("true")
		}
		if slices.Contains([]string{"no", "off", "n", "disabled"}, strings.ToLower(text)) {
			return didYouMean("false")
		}
	case enumKind:
		choices = c.choices
	default:
		return ""
	}
	return didYouMean(nearest(text, choices))
}

func parseBool(text string) (value, ok bool) {
	switch strings.ToLower(text) {
	case "true", "1":
		return true, true
	case "false", "0":
		return false, true
	default:
		return false, false
	}
}

func parseFloat(text string) (float64, bool) {
	if strings.ContainsAny(text, "xXpP_") {
		return 0, false // hexadecimal, which strconv reads
	}
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil && !math.IsInf(v, 0) && !math.IsNaN(v)
}

func parseDuration(text string, unit time.Duration) (time.Duration, bool) {
	if unit > 0 {
		if n, ok := parseFloat(text); ok {
			d := n * float64(unit)
			return time.Duration(math.Round(d)), math.Abs(d) < math.MaxInt64
		}
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && strings.TrimLeft(text, "+-") != "0" // which needs no unit there
}

// text writes v as parse reads it.
func text(v any) string {
	if v, ok := v.(float64); ok {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}

const masked = "(secret)"

// show writes v for people. Of a secret it says no more than whether it is an empty text.
func (c *spec) show(v any) string {
	if c.secret && v != "" {
		return masked
	}
	return text(v)
}

// rest is what show says of the default, for sentences: what to leave the flag at.
func (c *spec) rest() string {
	if c.secret || c.def == "" {
		return "it unset"
	}
	return text(c.def)
}

// quote writes what was given for the flag for people.
func (c *spec) quote(given string) string {
	if c.secret {
		return masked
	}
	return quote(given)
}

// quote quotes as much as anybody reads.
func quote(given string) string {
	if len(given) > 100 {
		given = strings.ToValidUTF8(given[:100], "") + "..."
	}
	return strconv.Quote(given)
}
