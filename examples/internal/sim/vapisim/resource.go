package vapisim

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// ownFields are the fields only the vendor sets.
var ownFields = []string{"createdAt", "id", "orgId", "updatedAt"} //nolint:gochecknoglobals // a table, never written

// resource is a call, an assistant or a phone number. Its map is replaced, never changed, so that it can be read
// without the lock; all else is under the lock.
type resource struct {
	id               string
	fields           map[string]any
	created, updated time.Time
	removed          bool

	call *callState // nil for what is not a call
}

// resource makes one from the fields given. The lock is held.
func (s *Sim) resource(fields map[string]any, now time.Time) *resource {
	fields = maps.Clone(fields)
	if fields == nil {
		fields = map[string]any{}
	}
	id, _ := fields["id"].(string)
	if id == "" {
		id = s.id()
	}
	for _, name := range ownFields {
		delete(fields, name)
	}
	now = now.UTC().Truncate(time.Millisecond)
	return &resource{id: id, fields: fields, created: now, updated: now}
}

// id is a new UUID. The lock is held.
func (s *Sim) id() string {
	s.made++
	a := s.made * 0x9e3779b97f4a7c15 // odd, so a bijection
	a ^= a >> 32
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", a>>32, a>>16&0xffff, a>>4&0xfff, a&0xfff, s.made)
}

// wire is the resource as JSON sees it. The lock is held; the result is the caller's.
func (o *resource) wire() map[string]any {
	j := make(map[string]any, len(o.fields)+8)
	maps.Copy(j, o.fields)
	j["id"], j["orgId"] = o.id, OrgID
	j["createdAt"], j["updatedAt"] = stamp(o.created), stamp(o.updated)
	if o.call != nil {
		o.call.wire(j)
	}
	return j
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// collection keeps resources by id and in the order of their creation.
type collection struct {
	byID  map[string]*resource
	order []*resource
}

func newCollection() *collection { return &collection{byID: make(map[string]*resource)} }

func (c *collection) add(o *resource) {
	c.byID[o.id] = o
	c.order = append(c.order, o)
}

func (c *collection) remove(o *resource) {
	delete(c.byID, o.id)
	o.removed = true
	if len(c.order) > 2*len(c.byID)+64 {
		c.order = slices.DeleteFunc(c.order, func(o *resource) bool { return o.removed })
	}
}

// list answers newest first.
func (s *Sim) list(r *http.Request, c *collection) (int, any) {
	f, faults := readFilter(r.URL.Query())
	if len(faults) > 0 {
		return refuse(http.StatusBadRequest, faults...)
	}
	found := []map[string]any{}
	for i := len(c.order) - 1; i >= 0 && len(found) < f.limit; i-- {
		o := c.order[i]
		if !f.created.reaches(o.created) {
			break // what follows is older still
		}
		if !o.removed && f.matches(o) {
			found = append(found, o.wire())
		}
	}
	return http.StatusOK, found
}

// filter is the query of a list.
type filter struct {
	limit            int
	equal            map[string]string
	created, updated span
}

func (f filter) matches(o *resource) bool {
	for name, want := range f.equal {
		have := o.id
		if name != "id" {
			have, _ = o.fields[name].(string)
		}
		if have != want {
			return false
		}
	}
	return f.created.holds(o.created) && f.updated.holds(o.updated)
}

// span is four optional bounds in time.
type span struct{ gt, ge, lt, le time.Time }

// reaches reports whether t is not too early.
func (s span) reaches(t time.Time) bool {
	return (s.gt.IsZero() || t.After(s.gt)) && (s.ge.IsZero() || !t.Before(s.ge))
}

func (s span) holds(t time.Time) bool {
	return s.reaches(t) && (s.lt.IsZero() || t.Before(s.lt)) && (s.le.IsZero() || !t.After(s.le))
}

func readFilter(q url.Values) (filter, []string) {
	f := filter{limit: 100, equal: make(map[string]string)}
	var faults []string
	if text := q.Get("limit"); text != "" {
		n, err := strconv.ParseFloat(text, 64)    // the SDK's limit is a float
		if err != nil || !(n >= 0 && n <= 1000) { // NaN too
			faults = append(faults, "limit must be a number from 0 to 1000")
		}
		f.limit = int(n)
	}
	for _, name := range []string{"id", "assistantId", "phoneNumberId"} {
		if want := q.Get(name); want != "" {
			f.equal[name] = want
		}
	}
	for name, to := range map[string]*time.Time{
		"createdAtGt": &f.created.gt, "createdAtGe": &f.created.ge, "createdAtLt": &f.created.lt, "createdAtLe": &f.created.le,
		"updatedAtGt": &f.updated.gt, "updatedAtGe": &f.updated.ge, "updatedAtLt": &f.updated.lt, "updatedAtLe": &f.updated.le,
	} {
		text := q.Get(name)
		if text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			faults = append(faults, name+" must be a valid ISO 8601 date string")
		}
		*to = t
	}
	slices.Sort(faults)
	return f, faults
}

// decode reads a JSON object, keeping its numbers as they are.
func decode(r *http.Request) (map[string]any, []string) {
	d := json.NewDecoder(r.Body)
	d.UseNumber()
	fields := map[string]any{}
	if err := d.Decode(&fields); err != nil || fields == nil {
		return map[string]any{}, []string{"the body must be a JSON object"}
	}
	if _, err := d.Token(); err != io.EOF {
		return map[string]any{}, []string{"the body must be one JSON object"}
	}
	return fields, nil
}

func checkName(fields map[string]any) []string {
	name, ok := fields["name"]
	if !ok || name == nil {
		return nil
	}
	text, ok := name.(string)
	switch {
	case !ok:
		return []string{"name must be a string"}
	case utf8.RuneCountInString(text) > 40:
		return []string{"name must be shorter than or equal to 40 characters"}
	}
	return nil
}
