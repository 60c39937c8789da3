package twiliosim

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	defaultPageSize = 50
	maxPageSize     = 1000
)

// envelope is what Twilio puts around a page of a list.
type envelope struct {
	End             int     `json:"end"`
	FirstPageURI    string  `json:"first_page_uri"`
	NextPageURI     *string `json:"next_page_uri"`
	Page            int     `json:"page"`
	PageSize        int     `json:"page_size"`
	PreviousPageURI *string `json:"previous_page_uri"`
	Start           int     `json:"start"`
	URI             string  `json:"uri"`
}

// page is the page of items that the query asks for. A page token names the last item of the page before, so that what
// is created meanwhile shifts nothing.
func page[T any](path string, q url.Values, items []*T, sid func(*T) string) ([]*T, envelope) {
	size := defaultPageSize
	if n, err := strconv.Atoi(q.Get("PageSize")); err == nil && n > 0 {
		size = min(n, maxPageSize)
	}
	number, err := strconv.Atoi(q.Get("Page"))
	if err != nil || number < 0 {
		number = 0
	}
	from := min(number, len(items)) * size // the first factor bounds the product for any Page
	if last, ok := strings.CutPrefix(q.Get("PageToken"), "PA"); ok {
		for i, item := range items {
			if sid(item) == last {
				from = i + 1
				break
			}
		}
	}
	from = min(from, len(items))
	to := min(from+size, len(items))
	uri := func(number int, token string) string {
		v := url.Values{}
		for key, values := range q {
			if key != "Page" && key != "PageToken" {
				v[key] = values
			}
		}
		v.Set("PageSize", strconv.Itoa(size))
		v.Set("Page", strconv.Itoa(number))
		if token != "" {
			v.Set("PageToken", token)
		}
		return path + "?" + v.Encode()
	}
	e := envelope{
		Start: number * size, End: max(number*size+to-from-1, 0), Page: number, PageSize: size,
		FirstPageURI: uri(0, ""), URI: uri(number, q.Get("PageToken")),
	}
	if to < len(items) {
		next := uri(number+1, "PA"+sid(items[to-1]))
		e.NextPageURI = &next
	}
	if number > 0 {
		previous := uri(number-1, "")
		e.PreviousPageURI = &previous
	}
	return items[from:to], e
}

// dateFilter reads name, name< and name>, each a day or an RFC 3339 time; both ends are inclusive.
func dateFilter(q url.Values, name string) (func(time.Time) bool, error) {
	after, before := time.Time{}, time.Time{}
	for key, bound := range map[string]struct{ first, last *time.Time }{
		name: {&after, &before}, name + ">": {&after, nil}, name + "<": {nil, &before},
	} {
		text := q.Get(key)
		if text == "" {
			continue
		}
		first, last, err := span(text)
		if err != nil {
			return nil, err
		}
		if bound.first != nil {
			*bound.first = first
		}
		if bound.last != nil {
			*bound.last = last
		}
	}
	return func(t time.Time) bool {
		t = t.Truncate(time.Second)
		return (after.IsZero() || !t.Before(after)) && (before.IsZero() || !t.After(before))
	}, nil
}

// span is the first and the last second of a day, or a second.
func span(text string) (first, last time.Time, err error) {
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, t.Add(24*time.Hour - time.Second), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		t = t.Truncate(time.Second)
		return t, t, nil
	}
	return first, last, errors.New("twiliosim: neither a day nor an RFC 3339 time")
}
