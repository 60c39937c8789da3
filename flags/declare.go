package flags

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prusik-go/prusik/internal/check"
)

// Value is what a flag can hold.
type Value interface {
	bool | int | float64 | time.Duration | string
}

// Flag is one flag. It is declared with a method of [Set].
type Flag[T Value] struct {
	flag
	now atomic.Pointer[T]
}

// Bool is a flag that is on or off, and a gate: see [Bool.Handler].
type Bool struct{ Flag[bool] }

// Get is the present value: one atomic load, and no allocation.
func (f *Flag[T]) Get() T { return *f.now.Load() }

// In is the value that ctx is pinned to by [Set.Pin] or [Set.Handler], and where it is not, the present one.
func (f *Flag[T]) In(ctx context.Context) T {
	if values := f.owner.pinned(ctx).values; f.at < len(values) {
		if v, ok := values[f.at].(*T); ok {
			return *v
		}
	}
	return f.Get() // declared after the context was pinned
}

// Name is the flag's name, which is that of its variable.
func (f *Flag[T]) Name() string { return f.name }

func (f *Flag[T]) base() *flag { return &f.flag }

// set makes v the present value, and returns where it is.
func (f *Flag[T]) set(v any) any {
	value, _ := v.(T) // the kinds see to it
	if old := f.now.Load(); old != nil && *old == value {
		return old
	}
	f.now.Store(&value)
	return &value
}

// read is the value at a place that set returned.
func (*Flag[T]) read(at any) any {
	if v, ok := at.(*T); ok {
		return *v
	}
	return nil
}

// Declared is any flag of a set: a [*Bool] or a [*Flag].
type Declared interface {
	Name() string
	base() *flag
}

// cell holds the present value of a flag, whatever its type.
type cell interface {
	Declared
	set(v any) (at any)
	read(at any) any
}

// flag is what is the same for all types. What is not said to be guarded does not change once it is declared.
type flag struct {
	owner *Set
	at    int // in snapshot.values
	cell  cell
	spec

	env, over *setting // nil: it says nothing; guarded by owner.mu
}

// spec is a declaration.
type spec struct {
	name            string
	kind            kind
	doc             string
	def             any
	low, high       any // nil: no bounds
	choices         []string
	never, required []Environment
	secret, locked  bool
	removeBy        time.Time
	unit            time.Duration
	follows         *flag
	faults          []string
}

// setting is what one layer says.
type setting struct {
	value  any
	source Source
	origin string // file and line, or the flag that is followed

	author, reason string
	since, until   time.Time
	end            *ending // nil: none by itself
}

// effective is what counts: the override, else what is beneath it.
func (f *flag) effective() *setting {
	if f.over != nil {
		return f.over
	}
	return f.beneath()
}

// beneath is what counts without an override: the environment, else the flag it follows, else the default.
func (f *flag) beneath() *setting {
	switch {
	case f.env != nil:
		return f.env
	case f.follows != nil:
		return &setting{value: f.follows.effective().value, source: FromFlag, origin: f.follows.name}
	default:
		return &setting{value: f.def, source: FromDefault}
	}
}

// outcome is a value that a flag may come to.
type outcome struct {
	value any
	of    *flag // whose setting it is
	over  bool  // an override
}

// outcomes are all of them, as overrides end: what is hidden by one counts when it is over.
func (f *flag) outcomes() []outcome {
	var all []outcome
	if f.over != nil {
		all = append(all, outcome{f.over.value, f, true})
	}
	switch {
	case f.env != nil:
		return append(all, outcome{f.env.value, f, false})
	case f.follows != nil:
		return append(all, f.follows.outcomes()...)
	default:
		return append(all, outcome{f.def, f, false})
	}
}

// never is what worst wants of a value that NeverIn does not let be.
const never = "never"

// worst is the first outcome that may not be in env, and what is wanted in its place, which is empty where there is none.
func (f *flag) worst(env Environment) (o outcome, want string) {
	for _, o := range f.outcomes() {
		if o.value != f.def && slices.Contains(f.never, env) {
			return o, never
		}
		if want := f.accept(o.value); want != "" && o.of != f {
			return o, want
		}
	}
	return outcome{}, ""
}

// Option is a part of a declaration.
type Option func(*spec)

// Doc says what the flag does, for the people who deploy the program: a sentence or two, on one line. It is required.
func Doc(text string) Option { return func(s *spec) { s.doc = text } }

// Default is the value where nothing else is said, which is the zero of the type otherwise; of an [Set.Enum] it is its
// first choice. It is one that the variable could say.
func Default[T Value](v T) Option { return func(s *spec) { s.def = v } }

// Range are the least and the greatest value that are accepted, of an int, a float or a duration.
func Range[T int | float64 | time.Duration](low, high T) Option {
	return func(s *spec) { s.low, s.high = low, high }
}

// Unit is that of a duration that is written as a number alone: with time.Second, "30" is 30 s. Without it, a number
// alone is not accepted. "1m30s" always is.
func Unit(u time.Duration) Option { return func(s *spec) { s.unit = u } }

// NeverIn keeps the flag at its default in these environments, at the start and at run time.
func NeverIn(environments ...Environment) Option {
	return func(s *spec) { s.never = append(s.never, environments...) }
}

// RequiredIn makes it an error of [Set.Load] to leave the flag unset in these environments.
func RequiredIn(environments ...Environment) Option {
	return func(s *spec) { s.required = append(s.required, environments...) }
}

// Secret keeps the value out of errors, events and documents. What follows a secret is one. The choices of an [Set.Enum] and the bounds
// of a [Range] are told: they are no secrets, and which of them it is, is.
func Secret() Option { return func(s *spec) { s.secret = true } }

// Locked refuses overrides.
func Locked() Option { return func(s *spec) { s.locked = true } }

// RemoveBy is the day, as 2006-01-02, by which the flag should be gone from the code. It works on after that day; the listing
// says that it is overdue, and flagstest.RequireCurrent fails. The documents name the day, so that they do not change by themselves.
func RemoveBy(day string) Option {
	return func(s *spec) {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			s.faults = append(s.faults, "RemoveBy("+strconv.Quote(day)+"): want a day such as 2026-12-31")
		}
		s.removeBy = at
	}
}

// Follows gives an unset flag the value of another one of its set and type, which is declared before it: the switch of one
// service follows that of the whole program. The default of the other is its default.
func Follows(other Declared) Option { return func(s *spec) { s.follows = other.base() } }

// Bool declares a flag that is on or off: "true" or "1", "false" or "0", in upper or lower case, and nothing else.
func (s *Set) Bool(name string, options ...Option) *Bool {
	b := &Bool{}
	s.declare(&b.flag, b, boolKind, name, options)
	return b
}

// Int declares a flag that is a whole number, written in decimal.
func (s *Set) Int(name string, options ...Option) *Flag[int] {
	return declare[int](s, intKind, name, options)
}

// Float declares a flag that is a finite number, written in decimal.
func (s *Set) Float(name string, options ...Option) *Flag[float64] {
	return declare[float64](s, floatKind, name, options)
}

// Duration declares a flag that is a duration as [time.ParseDuration] reads it, or a number alone where [Unit] is set.
func (s *Set) Duration(name string, options ...Option) *Flag[time.Duration] {
	return declare[time.Duration](s, durationKind, name, options)
}

// String declares a flag that is a text without control characters that neither begins nor ends in white space.
func (s *Set) String(name string, options ...Option) *Flag[string] {
	return declare[string](s, stringKind, name, options)
}

// Enum declares a flag that is one of choices, of which there are at least two, each a text as of a [Set.String]. The first is the
// default, unless another one is.
func (s *Set) Enum(name string, choices []string, options ...Option) *Flag[string] {
	choices = slices.Clone(choices)
	options = append([]Option{func(s *spec) {
		s.choices = choices
		if len(choices) > 0 {
			s.def = choices[0]
		}
	}}, options...)
	return declare[string](s, enumKind, name, options)
}

func declare[T Value](s *Set, k kind, name string, options []Option) *Flag[T] {
	f := &Flag[T]{}
	s.declare(&f.flag, f, k, name, options)
	return f
}

// declare adds f to the set, whatever is wrong with it: Load tells.
func (s *Set) declare(f *flag, c cell, k kind, name string, options []Option) {
	s.mu.Lock()
	defer s.unlock()
	f.owner, f.at, f.cell = s, len(s.flags), c
	f.spec = spec{name: name, kind: k, def: k.zero()}
	for _, o := range options {
		o(&f.spec)
	}
	if f.follows != nil {
		f.secret = f.secret || f.follows.secret
		if f.follows.owner == s && f.follows.kind == k {
			f.def = f.follows.def
		}
	}
	for _, fault := range f.wrong(s) {
		s.faults = append(s.faults, fmt.Errorf("flags %q: %s: %s", s.name, name, fault))
	}
	if f.def == nil || !k.holds(f.def) {
		f.def = k.zero()
	}
	if _, twice := s.byName[name]; !twice {
		s.byName[name] = f
	}
	s.flags = append(s.flags, f)
	if s.state.Load().loaded {
		f := check.New("flags", s.name)
		f.Add(name, "declared after Load", "every flag declared before it, or Load called again")
		s.late = append(s.late, f.Err())
	}
	s.publish(false)
}

// wrong is everything that is wrong with a declaration.
func (c *spec) wrong(s *Set) []string {
	faults := c.faults
	bad := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if !variable(c.name) {
		bad("the name: want %s", wantVariable)
	}
	if s.byName[c.name] != nil || c.name == s.cfg.Variable {
		bad("declared twice: want one declaration")
	}
	if c.doc == "" || strings.ContainsAny(c.doc, "\r\n") {
		bad("Doc(%q): want a sentence on one line for those who deploy", c.doc)
	}
	if c.follows != nil && (c.follows.owner != s || c.follows.kind != c.kind) {
		bad("Follows(%s): want a flag of the same set and type", c.follows.name)
	}
	c.wrongBounds(bad)
	for _, e := range slices.Concat(c.never, c.required) {
		if !slices.Contains(s.cfg.Environments, e) {
			bad("NeverIn or RequiredIn(%q): want an environment of the set", e)
		}
	}
	for _, e := range c.required {
		if slices.Contains(c.never, e) {
			bad("RequiredIn(%q): want it not in NeverIn as well", e)
		}
	}
	if c.unit < 0 || c.unit > 0 && c.kind != durationKind {
		bad("Unit(%v): want a positive one, for a duration", c.unit)
	}
	if c.kind == enumKind && (len(c.choices) < 2 || slices.ContainsFunc(c.choices, noChoice) || len(slices.Compact(slices.Sorted(slices.Values(c.choices)))) < len(c.choices)) {
		choices := fmt.Sprintf("%q", c.choices)
		if c.secret {
			choices = masked
		}
		bad("Enum(%s): want two choices or more, each once and a text as of a String, not empty", choices)
	}
	return faults
}

func noChoice(text string) bool { return text == "" || strings.TrimSpace(text) != text || !plain(text) }

func (c *spec) wrongBounds(bad func(string, ...any)) {
	if c.low != nil && (!c.kind.holds(c.low) || !c.kind.within(c.low, nil, c.high)) {
		bad("Range(%v, %v): want two of the flag's type, %s, the lower one first", c.low, c.high, c.kind)
		c.low, c.high = nil, nil
	}
	if !c.kind.holds(c.def) {
		bad("Default(%s): want one of the flag's type, %s", c.show(c.def), c.kind)
		return
	}
	want := c.accept(c.def)
	if said := text(c.def); want == "" && said != "" {
		_, want = c.parse(said) // what a variable could not say cannot be written into a document
	}
	if want != "" && c.follows == nil {
		bad("Default(%s): want %s", c.show(c.def), want)
	}
}
