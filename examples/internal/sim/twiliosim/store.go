package twiliosim

import (
	"slices"
	"time"
)

// store keeps what was sent, in order, by SID, by number, and by what makes a duplicate. What it holds is never
// changed.
type store[T any] struct {
	all  []*T
	sids map[string]*T
	tos  map[string][]*T
	same map[sameness][]string // SIDs
}

type sameness struct{ to, marker string }

func newStore[T any]() store[T] {
	return store[T]{sids: make(map[string]*T), tos: make(map[string][]*T), same: make(map[sameness][]string)}
}

func (s *store[T]) add(sid, to, marker string, item *T) {
	s.all = append(s.all, item)
	s.sids[sid] = item
	s.tos[to] = append(s.tos[to], item)
	k := sameness{to, marker}
	s.same[k] = append(s.same[k], sid)
}

func (s *store[T]) to(number string) []T {
	found := make([]T, 0, len(s.tos[number]))
	for _, item := range s.tos[number] {
		found = append(found, *item)
	}
	return found
}

// newest are the items to a number, or all for "", that match, newest first.
func (s *store[T]) newest(to string, match func(*T) bool) []*T {
	from := s.all
	if to != "" {
		from = s.tos[to]
	}
	var found []*T
	for _, f := range slices.Backward(from) {
		if match(f) {
			found = append(found, f)
		}
	}
	return found
}

func (s *store[T]) duplicates(kind string) []Duplicate {
	var found []Duplicate
	for k, sids := range s.same {
		if len(sids) > 1 {
			found = append(found, Duplicate{Kind: kind, To: k.to, Marker: k.marker, SIDs: append([]string(nil), sids...)})
		}
	}
	return found
}

// stamp is a time as Twilio writes it (RFC 2822, GMT).
func stamp(t time.Time) *string {
	text := t.UTC().Format(time.RFC1123Z)
	return &text
}

// orNil is a pointer to s, and nil for "".
func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
