package flags

import (
	"slices"
	"time"
)

// Listing is a set at one moment: every flag, its value, and where that comes from.
type Listing struct {
	Set         string      `json:"set"`
	Environment Environment `json:"environment"`
	// Variable names the environment, and EnvironmentGiven is what it says: Environment is production where that is empty or unknown.
	Variable         string `json:"variable"`
	EnvironmentGiven string `json:"environment_given"`
	// Files are the files that were read.
	Files  []string `json:"files,omitempty"`
	Loaded bool     `json:"loaded"`
	Flags  []Entry  `json:"flags"`
}

// Entry is a flag in a [Listing]. Values are written as in the environment; that of a [Secret] is "(secret)", or empty where it
// is.
type Entry struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Doc     string `json:"doc"`
	Value   string `json:"value"`
	Default string `json:"default"`
	// Number is the value where it is a number: of a bool 1 or 0, of a duration its seconds.
	Number *float64 `json:"number,omitempty"`

	Source Source `json:"source"`
	// Origin is the file and line, or the flag that is followed.
	Origin string `json:"origin,omitempty"`
	// Beneath is the value that comes back when the override ends.
	Beneath string `json:"beneath,omitempty"`
	// Author, Reason, Since and Until are those of an override.
	Author string    `json:"author,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until,omitzero"`

	Min        string        `json:"min,omitempty"`
	Max        string        `json:"max,omitempty"`
	Choices    []string      `json:"choices,omitempty"`
	Unit       string        `json:"unit,omitempty"`
	Follows    string        `json:"follows,omitempty"`
	NeverIn    []Environment `json:"never_in,omitempty"`
	RequiredIn []Environment `json:"required_in,omitempty"`
	Secret     bool          `json:"secret,omitempty"`
	Locked     bool          `json:"locked,omitempty"`
	RemoveBy   string        `json:"remove_by,omitempty"`
	// Overdue is true from the day after RemoveBy, in UTC.
	Overdue bool `json:"overdue,omitempty"`
}

// List returns the set as it is, its flags in the order of their declaration.
func (s *Set) List() Listing {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := Listing{
		Set: s.name, Environment: s.where.env, Variable: s.cfg.Variable, EnvironmentGiven: s.where.given,
		Files: slices.Clone(s.where.files), Loaded: s.state.Load().loaded, Flags: make([]Entry, 0, len(s.flags)),
	}
	now := time.Now()
	for _, f := range s.flags {
		l.Flags = append(l.Flags, f.entry(now))
	}
	return l
}

// entry describes f. mu is held.
func (f *flag) entry(now time.Time) Entry {
	v := f.effective()
	e := Entry{
		Name: f.name, Type: string(f.kind), Doc: f.doc, Value: f.show(v.value), Default: f.show(f.def), Number: f.number(v.value),
		Source: v.source, Origin: v.origin, Author: v.author, Reason: v.reason, Since: v.since, Until: v.until,
		Choices: slices.Clone(f.choices), NeverIn: slices.Clone(f.never), RequiredIn: slices.Clone(f.required),
		Secret: f.secret, Locked: f.locked,
	}
	if f.over != nil {
		e.Beneath = f.show(f.beneath().value)
	}
	if f.low != nil {
		e.Min, e.Max = text(f.low), text(f.high)
	}
	if f.unit > 0 {
		e.Unit = unitName(f.unit)
	}
	if f.follows != nil {
		e.Follows = f.follows.name
	}
	if !f.removeBy.IsZero() {
		e.RemoveBy = f.removeBy.Format(time.DateOnly)
		e.Overdue = !now.Before(f.removeBy.AddDate(0, 0, 1))
	}
	return e
}

// number is v as a number, and nil where it is none or nobody may know it.
func (f *flag) number(v any) *float64 {
	n := 0.0
	switch v := v.(type) {
	case bool:
		if v {
			n = 1
		}
	case int:
		n = float64(v)
	case float64:
		n = v
	case time.Duration:
		n = v.Seconds()
	default:
		return nil
	}
	if f.secret {
		return nil
	}
	return &n
}
