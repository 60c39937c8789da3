package status

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/flags"
)

// Flags is a set of flags that is watched.
type Flags struct {
	Set string `json:"set"`
	// Environment is where the program runs; Assumed is true where it counts as production because nothing, or nothing
	// that is known, says where.
	Environment string `json:"environment"`
	Assumed     bool   `json:"assumed,omitempty"`
	Flags       []Flag `json:"flags"`
}

// Flag is a [flags.Entry], without what its documents are for.
type Flag struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Doc  string `json:"doc"`
	// Value and Default are written as in the environment; that of a secret is "(secret)".
	Value   string `json:"value"`
	Default string `json:"default"`
	// Choices are the values of an enum.
	Choices []string `json:"choices,omitempty"`
	// Source is where the value comes from: "default", "flag", "file", "environment" or "override". Origin is the file and line,
	// or the flag that is followed.
	Source string `json:"source"`
	Origin string `json:"origin,omitempty"`
	// Author, Reason, Since and Until are those of an override.
	Author string    `json:"author,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until,omitzero"`
	// Locked is true where there can be no override.
	Locked bool `json:"locked,omitempty"`
}

// WatchFlags lists the flags of set, and tells what is changed at run time. Where there is a [Config.Guard], whom it lets in may
// override those that are not locked.
func (s *Status) WatchFlags(set *flags.Set) {
	if set == nil {
		return
	}
	src := s.source(set.Name())
	s.mu.Lock()
	if slices.Contains(s.flags, set) {
		s.mu.Unlock()
		return
	}
	full := len(s.flags) >= s.cfg.MaxWatched || src == nil
	if full {
		s.omitted++
	} else {
		s.flags = append(s.flags, set)
	}
	s.mu.Unlock()
	if full {
		s.cfg.Logger.Warn("not listed on the status page: it lists MaxWatched already", "name", set.Name(), "max_watched", s.cfg.MaxWatched)
		return
	}
	set.AddHooks(flags.Hooks{OnChange: func(e flags.ChangeEvent) {
		if e.Cause == flags.Followed { // it is plain from the flag that it follows
			return
		}
		src.recent.add(Decision{
			Source: src.name, What: Switched, Flag: e.Flag, From: e.From, To: e.To, Reason: string(e.Cause), Who: e.Author, Why: e.Reason,
			CorrelationID: e.CorrelationID, Wait: Seconds(span(e.At, e.Until)),
		})
	}})
}

func span(from, until time.Time) time.Duration {
	if until.IsZero() {
		return 0
	}
	return until.Sub(from)
}

func flagsState(set *flags.Set) Flags {
	l := set.List()
	f := Flags{
		Set: l.Set, Environment: string(l.Environment), Assumed: string(l.Environment) != l.EnvironmentGiven, Flags: make([]Flag, 0, len(l.Flags)),
	}
	for i := range l.Flags {
		f.Flags = append(f.Flags, flagState(&l.Flags[i]))
	}
	return f
}

func flagState(e *flags.Entry) Flag {
	return Flag{
		Name: e.Name, Type: e.Type, Doc: e.Doc, Value: e.Value, Default: e.Default, Choices: e.Choices, Source: string(e.Source), Origin: e.Origin,
		Author: e.Author, Reason: e.Reason, Since: e.Since, Until: e.Until, Locked: e.Locked,
	}
}

// flagCommand carries out a command to a flag.
func (s *Status) flagCommand(o *order, e *CommandEvent) (Flag, error) {
	set := s.flagSet(o.Set, o.Flag)
	if set == nil {
		e.Flag = other // not what was sent
		return Flag{}, &errors.Error{Kind: errors.NotFound, Op: "command", Public: "There is no such flag."}
	}
	e.Set, e.Flag, e.Reason, e.Command = set.Name(), o.Flag, o.Reason, o.Command
	c := flags.Change{Flag: o.Flag, Author: author(e.Who), Reason: o.Reason, CorrelationID: e.CorrelationID}
	var err error
	switch o.Command {
	case Override:
		c.Value = o.Value
		c.For = time.Duration(max(-1, min(o.ForSeconds, 2*maxOverride.Seconds())) * float64(time.Second))
		if c.For < 0 || c.For > maxOverride || c.For == 0 && o.ForSeconds != 0 { // less than a nanosecond is not for ever
			return Flag{}, invalid("An override holds for up to a year; 0 seconds are until it is cleared.")
		}
		err = set.Override(c)
	case Clear:
		err = set.Clear(c)
	default:
		e.Command = ""
		return Flag{}, invalid("The commands of a flag are override and clear.")
	}
	return entry(set, o.Flag), err
}

// other is a flag that there is not.
const other = "other"

// author is who commands, at the length that a set takes.
func author(who string) string {
	const most = 200
	return cmp.Or(strings.ToValidUTF8(who[:min(len(who), most)], ""), "status page")
}

// maxOverride is longer than anybody means.
const maxOverride = 366 * 24 * time.Hour

// flagSet finds the set that has the flag; of several, the one of that name.
func (s *Status) flagSet(name, flag string) *flags.Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, set := range s.flags {
		if (name == "" || set.Name() == name) && set.Lookup(flag) != nil {
			return set
		}
	}
	return nil
}

func entry(set *flags.Set, flag string) Flag {
	all := set.List().Flags
	for i := range all {
		if all[i].Name == flag {
			return flagState(&all[i])
		}
	}
	return Flag{Name: flag}
}
