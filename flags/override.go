package flags

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/prusik-go/prusik/errors"
)

// Change is an override of a flag at run time, or the end of one.
type Change struct {
	// Flag is the flag's name.
	Flag string
	// Value is the new value, written as in the environment.
	Value string
	// Author and Reason say who wants it and why. They are required: what was changed at night is read in the morning.
	// 1 to 200 bytes each.
	Author, Reason string
	// For is how long the override holds, by the monotonic clock. Zero means until it is taken back. Changes of one Override that
	// hold for the same time end together.
	For time.Duration
	// Replaces is the author whose override may be replaced or cleared: that of another one stands, and the change is refused.
	// It is for what changes flags by itself, and must not undo what a person did. Empty means anybody's.
	Replaces string
	// CorrelationID is the id of the request that asks for it, where there is one. It is handed on to the hooks.
	CorrelationID string
}

// Override sets flags at run time, over what the environment says, all of them at once or none: a later override of a flag
// replaces an earlier one. What happens is told to the hooks, refusals too.
//
// The error is an [*errors.Error]: of kind not_found for a flag that does not exist, invalid for a value that the flag does not
// accept or a Change that is not complete, forbidden where the flag is [Locked] or [NeverIn] stands against it, conflict where
// [Change.Replaces] does, and unavailable before [Set.Load]. Its Public text may be shown to who asked.
func (s *Set) Override(changes ...Change) error { return s.change(Overridden, changes) }

// Clear takes overrides back. Value and For have to be zero. To clear what is not overridden changes nothing and is no error.
func (s *Set) Clear(changes ...Change) error { return s.change(Cleared, changes) }

func (s *Set) change(cause Cause, changes []Change) error {
	s.mu.Lock()
	defer s.unlock()
	next, err := s.prepare(cause, changes)
	if err != nil {
		for _, c := range changes {
			e := RefusalEvent{Flag: other, Author: c.Author, Reason: c.Reason, CorrelationID: c.CorrelationID, At: time.Now(), Err: err}
			if s.byName[c.Flag] != nil {
				e.Flag = c.Flag
			}
			s.queue.push(delivery{refusal: &e})
		}
		return err
	}
	s.install(cause, changes, next)
	return nil
}

// prepare makes the settings of the changes, in order, or says what is wrong with them. mu is held.
func (s *Set) prepare(cause Cause, changes []Change) ([]*setting, error) {
	if err := s.err(); err != nil {
		return nil, &errors.Error{Kind: errors.Unavailable, Op: string(cause), Public: "The flags are not loaded.", Err: err}
	}
	now := time.Now()
	next := make([]*setting, len(changes))
	seen := map[string]bool{}
	for i, c := range changes {
		fl := s.byName[c.Flag]
		if fl == nil {
			return nil, refuse(errors.NotFound, cause, "there is no such flag"+didYouMean(nearest(c.Flag, slices.Sorted(maps.Keys(s.byName)))))
		}
		if seen[c.Flag] {
			return nil, refuse(errors.Invalid, cause, c.Flag+" is there twice")
		}
		seen[c.Flag] = true
		if why := c.incomplete(cause); why != "" {
			return nil, refuse(errors.Invalid, cause, c.Flag+": want "+why)
		}
		if fl.locked {
			return nil, refuse(errors.Forbidden, cause, c.Flag+" is locked: change it where it is deployed")
		}
		if c.Replaces != "" && fl.over != nil && fl.over.author != c.Replaces {
			return nil, refuse(errors.Conflict, cause, c.Flag+" is overridden by "+fl.over.author)
		}
		if cause == Cleared {
			continue
		}
		value, want := fl.parse(c.Value)
		if want != "" {
			return nil, refuse(errors.Invalid, cause, c.Flag+" = "+fl.quote(c.Value)+": want "+want)
		}
		next[i] = &setting{value: value, source: FromOverride, author: c.Author, reason: c.Reason, since: now}
		if c.For > 0 {
			next[i].until = now.Add(c.For)
		}
	}
	return next, s.stillForbidden(cause, changes, next)
}

// stillForbidden tries the changes against NeverIn and bounds: a flag may also come to a value by following another, and when an
// override ends. mu is held.
func (s *Set) stillForbidden(cause Cause, changes []Change, next []*setting) error {
	before := make([]*setting, len(changes))
	for i, c := range changes {
		fl := s.byName[c.Flag]
		before[i], fl.over = fl.over, next[i]
	}
	defer func() {
		for i, c := range changes {
			s.byName[c.Flag].over = before[i]
		}
	}()
	for _, fl := range s.flags {
		switch o, want := fl.worst(s.where.env); want {
		case "":
		case never:
			return refuse(errors.Forbidden, cause, fmt.Sprintf("%s = %s is not allowed in %s", fl.name, fl.show(o.value), s.where.env))
		default:
			return refuse(errors.Invalid, cause, fmt.Sprintf("%s = %s, as it follows %s: want %s", fl.name, fl.show(o.value), o.of.name, want))
		}
	}
	return nil
}

// install makes the changes, and tells. mu is held.
func (s *Set) install(cause Cause, changes []Change, next []*setting) {
	before := s.state.Load()
	told := map[*flag]*ChangeEvent{}
	ends := map[time.Duration]*ending{}
	for i, c := range changes {
		fl, v := s.byName[c.Flag], next[i]
		if fl.over == v { // to clear what is not overridden
			continue
		}
		e := &ChangeEvent{
			Flag: fl.name, From: fl.show(fl.cell.read(before.values[fl.at])), Cause: cause,
			Author: c.Author, Reason: c.Reason, CorrelationID: c.CorrelationID, At: time.Now(),
		}
		told[fl] = e
		fl.over.release()
		if fl.over = v; v != nil {
			e.Until = v.until
			s.endLater(fl, c.For, ends)
		}
	}
	s.settle(told, before)
}

// settle publishes what overrides have come to, and tells: of the flags in told first, in the order of their declaration. mu is held.
func (s *Set) settle(told map[*flag]*ChangeEvent, before *snapshot) {
	if len(told) == 0 {
		return
	}
	s.publish(before.loaded)
	for _, fl := range s.flags {
		if e := told[fl]; e != nil {
			now := fl.effective()
			e.To, e.Source = fl.show(now.value), now.source
			s.queue.push(delivery{change: e})
		}
	}
	s.tellDifferences(before, ChangeEvent{Cause: Followed, At: time.Now()}, told)
	s.queue.push(delivery{watchers: true})
}

// ending is the end of overrides that were made together for the same time: they end together too. It is guarded by the set's lock.
type ending struct {
	timer *time.Timer
	of    []*setting // by the flags in on
	on    []*flag
	left  int // that are still in place
}

// endLater has the override of fl end after d, with those of the same Override that last as long. mu is held.
func (s *Set) endLater(fl *flag, d time.Duration, ends map[time.Duration]*ending) {
	if d == 0 {
		return
	}
	e := ends[d]
	if e == nil {
		e = &ending{}
		e.timer = time.AfterFunc(d, func() { s.expire(e) })
		ends[d] = e
	}
	fl.over.end = e
	e.of, e.on, e.left = append(e.of, fl.over), append(e.on, fl), e.left+1
}

// release gives up an override that another one takes the place of.
func (v *setting) release() {
	if v == nil || v.end == nil {
		return
	}
	if v.end.left--; v.end.left == 0 {
		v.end.timer.Stop()
	}
}

// expire ends the overrides that are still in place.
func (s *Set) expire(end *ending) {
	s.mu.Lock()
	defer s.unlock()
	told := map[*flag]*ChangeEvent{}
	for i, fl := range end.on {
		if v := end.of[i]; fl.over == v {
			told[fl] = &ChangeEvent{
				Flag: fl.name, From: fl.show(v.value), Cause: Expired, Author: v.author, Reason: v.reason, At: time.Now(),
			}
			fl.over = nil
		}
	}
	s.settle(told, s.state.Load())
}

// tellDifferences reports the flags that have another value than before, but for those that were told. mu is held.
func (s *Set) tellDifferences(before *snapshot, e ChangeEvent, told map[*flag]*ChangeEvent) {
	for i, fl := range s.flags {
		now := fl.effective()
		if told[fl] != nil || i >= len(before.values) || before.values[i] == s.state.Load().values[i] {
			continue
		}
		one := e
		one.Flag, one.From, one.To, one.Source = fl.name, fl.show(fl.cell.read(before.values[i])), fl.show(now.value), now.source
		s.queue.push(delivery{change: &one})
	}
}

// incomplete says what a change lacks, or has too much.
func (c *Change) incomplete(cause Cause) string {
	const most = 200
	switch {
	case c.Author == "" || len(c.Author) > most:
		return "an Author of 1 to 200 bytes"
	case c.Reason == "" || len(c.Reason) > most:
		return "a Reason of 1 to 200 bytes"
	case c.For < 0:
		return "For = " + strconv.Quote(c.For.String()) + " to be positive, or zero for as long as it is not taken back"
	case cause == Cleared && (c.Value != "" || c.For != 0):
		return "no Value and no For to clear it"
	case cause == Overridden && c.Value == "":
		return "a Value; an override is taken back by Clear"
	default:
		return ""
	}
}

func refuse(kind errors.Kind, cause Cause, why string) error {
	return &errors.Error{Kind: kind, Op: string(cause), Public: why, Err: errors.New("flags: " + why)}
}
