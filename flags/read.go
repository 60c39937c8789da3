package flags

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/prusik-go/prusik/errors"
)

// Reading is the value of a flag and where it comes from, both of the same moment.
type Reading struct {
	// Value is a bool, an int, a float64, a [time.Duration] or a string.
	Value any
	// Type is "bool", "int", "float", "duration", "string" or "enum".
	Type   string
	Source Source
	// Origin is the file and line, or the flag that is followed.
	Origin string
	// Author, Reason, Since and Until are those of an override.
	Author, Reason string
	Since, Until   time.Time
}

// Read is the flag of that name as [Flag.In] reads it: the value that ctx is pinned to, or the present one. It is for code that
// serves flags by name, and costs a look into a map; a program reads its own flags with [Flag.Get] and [Flag.In].
//
// The error is an [*errors.Error]: of kind unavailable where [Set.Load] has not succeeded, not_found for a flag that does not
// exist, and forbidden for a [Secret], which nobody gets by its name.
func (s *Set) Read(ctx context.Context, name string) (Reading, error) {
	at := s.pinned(ctx)
	if !at.loaded {
		return Reading{}, &errors.Error{Kind: errors.Unavailable, Op: "read", Public: "The flags are not loaded.", Err: s.Err()}
	}
	fl := at.byName[name]
	if fl == nil {
		return Reading{}, refuse(errors.NotFound, "read", "there is no such flag"+didYouMean(nearest(name, slices.Sorted(maps.Keys(at.byName)))))
	}
	if fl.secret {
		return Reading{}, refuse(errors.Forbidden, "read", name+" is a secret")
	}
	v := at.settings[fl.at]
	return Reading{
		Value: v.value, Type: string(fl.kind), Source: v.source, Origin: v.origin,
		Author: v.author, Reason: v.reason, Since: v.since, Until: v.until,
	}, nil
}

// Try is what [Set.Override] would do with c: the value as it would be listed, or the error. It changes nothing and no hook is told.
func (s *Set) Try(c Change) (value string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, err := s.prepare(Overridden, []Change{c})
	if err != nil {
		return "", err
	}
	return s.byName[c.Flag].show(next[0].value), nil
}
