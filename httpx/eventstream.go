package httpx

import (
	"container/list"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx/internal/sse"
	"github.com/prusik-go/prusik/internal/check"
)

// EventStreamConfig bounds an [EventStream]. Zero fields take their defaults; no field has an off.
type EventStreamConfig struct {
	// ID finds the correlation id a request asks for. Nil: the query parameter "id".
	ID func(r *http.Request) string
	// MaxIDs is how many ids are remembered, the one longest without an event and without a reader forgotten first.
	// Zero: 1024. MaxReaders is how many requests are served at a time, 503 beyond. Zero: 1024.
	MaxIDs, MaxReaders int
	// Keep is how many events of an id a late or reconnecting reader gets. Zero: 32, more than ten attempts make.
	Keep int
	// KeepFor is how long an id without a reader is remembered after its last event. Zero: 2 minutes.
	KeepFor time.Duration
	// Heartbeat is the time between two comments on an idle stream, so that proxies keep it. Zero: 15 s, which is what
	// the HTML standard advises.
	Heartbeat time.Duration
	// MaxStream ends a stream; the browser's EventSource comes back by itself, with the last id it saw. Zero: 5 minutes.
	MaxStream time.Duration
}

// EventStream is an [http.Handler] that serves the events of one correlation id as Server-Sent Events, each one's data an
// [Event] in JSON. Give [EventStream.Publish] to Hooks.OnEvent:
//
//	events, err := httpx.NewEventStream(httpx.EventStreamConfig{})
//	client, err := httpx.NewClient("twilio", httpx.Config{Hooks: httpx.Hooks{OnEvent: events.Publish}})
//	mux.Handle("GET /events", events) // new EventSource("/events?id=" + correlationID)
//
// Who knows an id may read its events: they hold no secret, but put the handler behind the same authentication as the
// rest of the API. A slow reader never holds up a call; it misses the events that have left Keep.
type EventStream struct {
	cfg  EventStreamConfig
	life string // of this stream: the number of an event of another process, or replica, is none of ours

	mu      sync.Mutex
	topics  map[string]*topic
	oldest  *list.List // of *topic, by last event, oldest first
	readers int
	closed  chan struct{}
	once    sync.Once
}

type topic struct {
	id      string
	place   *list.Element
	last    time.Time
	seq     uint64  // of the newest event
	events  []Event // the newest Keep
	readers map[chan struct{}]struct{}
}

// NewEventStream returns an empty stream. The error names every field of cfg that is wrong.
func NewEventStream(cfg EventStreamConfig) (*EventStream, error) {
	f := check.New("httpx", "EventStream")
	cfg.MaxIDs = or(cfg.MaxIDs, 1024)
	cfg.MaxReaders = or(cfg.MaxReaders, 1024)
	cfg.Keep = or(cfg.Keep, 32)
	check.Range(f, "MaxIDs", cfg.MaxIDs, 1, 1_000_000)
	check.Range(f, "MaxReaders", cfg.MaxReaders, 1, 1_000_000)
	check.Range(f, "Keep", cfg.Keep, 1, 10_000)
	for _, d := range []struct {
		name  string
		value *time.Duration
		zero  time.Duration
	}{
		{"KeepFor", &cfg.KeepFor, 2 * time.Minute},
		{"Heartbeat", &cfg.Heartbeat, 15 * time.Second},
		{"MaxStream", &cfg.MaxStream, 5 * time.Minute},
	} {
		if *d.value == 0 {
			*d.value = d.zero
		}
		check.Range(f, d.name, *d.value, time.Millisecond, 24*time.Hour)
	}
	if cfg.ID == nil {
		cfg.ID = func(r *http.Request) string { return r.URL.Query().Get("id") }
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	return &EventStream{cfg: cfg, life: life(), topics: make(map[string]*topic), oldest: list.New(), closed: make(chan struct{})}, nil
}

func life() string {
	return strconv.FormatUint(rand.Uint64(), 36) //nolint:gosec // it tells streams apart, it guards nothing
}

// Publish hands an event to the readers of its correlation id. It never blocks; an event without an id is dropped.
func (s *EventStream) Publish(e Event) {
	if e.CorrelationID == "" {
		return
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.topic(e.CorrelationID, now)
	t.seq++
	if len(t.events) == s.cfg.Keep {
		copy(t.events, t.events[1:])
		t.events = t.events[:len(t.events)-1]
	}
	t.events = append(t.events, e)
	for r := range t.readers {
		select {
		case r <- struct{}{}:
		default: // it has not looked at the last ones yet, and will see this one with them
		}
	}
}

// topic finds or makes an id's topic, and forgets what is old. Called with the lock held.
func (s *EventStream) topic(id string, now time.Time) *topic {
	t := s.topics[id]
	if t == nil {
		t = &topic{id: id, readers: make(map[chan struct{}]struct{})}
		t.place = s.oldest.PushBack(t)
		s.topics[id] = t
	}
	if len(t.readers) == 0 && !t.last.IsZero() && now.Sub(t.last) >= s.cfg.KeepFor {
		t.events = nil // it should have been forgotten; nothing has come by since
	}
	t.last = now
	s.oldest.MoveToBack(t.place)
	for at := s.oldest.Front(); at != nil && at != t.place; {
		next := at.Next()
		old, _ := at.Value.(*topic)
		if len(s.topics) <= s.cfg.MaxIDs && now.Sub(old.last) < s.cfg.KeepFor {
			break
		}
		if len(old.readers) == 0 {
			s.oldest.Remove(at)
			delete(s.topics, old.id)
		}
		at = next
	}
	return t
}

// Close ends all streams, so that a server can shut down without waiting for its browsers.
func (s *EventStream) Close() { s.once.Do(func() { close(s.closed) }) }

// ServeHTTP streams the events of the id the request asks for, from the first one remembered or after Last-Event-ID. It
// answers 400 to an id that is none and 503 beyond MaxReaders, as problems.
func (s *EventStream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := s.cfg.ID(r)
	if !correlation.Valid(id) {
		_ = errors.Write(w, r, &errors.Error{Kind: errors.Invalid, Public: "Name the correlation id whose events you want."})
		return
	}
	notify, ok := s.subscribe(id)
	if !ok {
		_ = errors.Write(w, r, &errors.Error{Kind: errors.Unavailable, Retry: errors.Retry{After: s.cfg.Heartbeat}})
		return
	}
	defer s.unsubscribe(id, notify)

	out := sse.Begin(w, 2*s.cfg.Heartbeat)
	if r.Method == http.MethodHead {
		return
	}
	var seen uint64
	if life, number, _ := strings.Cut(r.Header.Get("Last-Event-ID"), "-"); life == s.life {
		seen, _ = strconv.ParseUint(number, 10, 64) // not a number is none
	}
	s.stream(r.Context(), out, id, seen, notify)
}

func (s *EventStream) stream(ctx context.Context, to *sse.Stream, id string, seen uint64, notify <-chan struct{}) {
	beat := time.NewTicker(s.cfg.Heartbeat)
	defer beat.Stop()
	end := time.NewTimer(s.cfg.MaxStream)
	defer end.Stop()
	out := []byte("retry: 2000\n\n")
	for {
		var events []Event
		events, seen = s.after(id, seen)
		number := seen - uint64(len(events))
		for _, e := range events {
			number++
			data, err := json.Marshal(e)
			if err != nil {
				continue // an Event has nothing in it that can fail
			}
			out = fmt.Appendf(out, "id: %s-%d\ndata: %s\n\n", s.life, number, data)
		}
		if err := to.Send(out); err != nil {
			return
		}
		out = out[:0]
		select {
		case <-notify:
		case <-beat.C:
			out = append(out, ":\n\n"...)
		case <-end.C:
			return
		case <-s.closed:
			return
		case <-ctx.Done():
			return
		}
	}
}

// after returns the events that follow number seen, and the number of the last one. A number of another life of the
// stream is as good as none.
func (s *EventStream) after(id string, seen uint64) ([]Event, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.topics[id]
	if t == nil {
		return nil, seen
	}
	if seen > t.seq {
		seen = 0
	}
	missed := min(t.seq-seen, uint64(len(t.events)))
	events := append([]Event(nil), t.events[uint64(len(t.events))-missed:]...)
	return events, t.seq
}

func (s *EventStream) subscribe(id string) (chan struct{}, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readers >= s.cfg.MaxReaders {
		return nil, false
	}
	s.readers++
	notify := make(chan struct{}, 1)
	s.topic(id, time.Now()).readers[notify] = struct{}{}
	return notify, true
}

func (s *EventStream) unsubscribe(id string, notify chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readers--
	if t := s.topics[id]; t != nil {
		delete(t.readers, notify)
	}
}
