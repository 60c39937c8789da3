package page_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/examples/internal/browser"
)

// seen is what progress.js has called back with.
type seen struct {
	Status             string
	Attempt            int
	MaxAttempts        int
	NextRetryInSeconds *int
	Tick               bool
	Service, Reason    string
	HTTPStatus         int
	Delivery, Stop     string
	Sentence           string
}

// streams are scripted streams of events: what each connection to one gets is the next of its lines, which end with the
// connection, or stay open where the last is "hold".
type streams struct {
	mu      sync.Mutex
	lines   map[string][][]string
	asked   map[string]int
	resumed []string
	over    chan struct{}
}

func (s *streams) serve(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	s.mu.Lock()
	n := s.asked[id]
	s.asked[id]++
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		s.resumed = append(s.resumed, id+" "+last)
	}
	all := s.lines[id]
	s.mu.Unlock()
	if n >= len(all) {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	for _, line := range all[n] {
		if line == "hold" {
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
			case <-s.over:
			}
			return
		}
		_, _ = fmt.Fprint(w, line, "\n")
	}
}

func (s *streams) count(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[id]
}

func event(id, data string) string { return "id: " + id + "\ndata: " + data + "\n" }

func TestProgressJS(t *testing.T) {
	p := browser.Open(t, 800, 600)
	s := start(t)
	st := &streams{asked: map[string]int{}, over: make(chan struct{}), lines: map[string][][]string{
		"whole": {{
			"retry: 50\n", ":\n",
			event("a-1", `{"status":"attempt","attempt":1,"max_attempts":3,"service":"twilio"}`),
			event("a-2", `not JSON`), event("a-3", `null`), event("a-4", `{"attempt":9}`), event("a-5", `[1]`),
			event("a-6", `{"status":"retrying","attempt":2,"max_attempts":3,"next_retry_in_seconds":2,"reason":"503","http_status":503}`),
			"hold",
		}},
		// The connection breaks twice; what it brings again was seen.
		"broken": {
			{"retry: 50\n", event("b-1", `{"status":"attempt","attempt":1,"max_attempts":2}`)},
			{event("b-1", `{"status":"attempt","attempt":1,"max_attempts":2}`), event("b-2", `{"status":"attempt","attempt":2,"max_attempts":2}`)},
			{event("b-3", `{"status":"failed","attempt":2,"max_attempts":2,"delivery":"unknown","stop":"exhausted"}`), "hold"},
		},
		"nothing": {},
		"closed":  {{"hold"}, {"hold"}},
	}}
	s.mux.HandleFunc("GET /streams/{id}", st.serve)
	s.mux.HandleFunc("GET /silent/{id}", func(_ http.ResponseWriter, r *http.Request) { // not even a head
		select {
		case <-r.Context().Done():
		case <-st.over:
		}
	})
	s.mux.HandleFunc("GET /blank", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, `<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>Blank</title>`)
	})
	t.Cleanup(func() {
		close(st.over)
		s.stop()
	})
	p.Go(s.url + "/blank")
	browser.Eval[any](p, `import("/assets/progress.js").then((m) => {
		window.m = m;
		window.seen = {}; window.lost = {}; window.ready = {}; window.watches = {};
		window.start = (id, options = {}) => {
			seen[id] = []; lost[id] = 0;
			watches[id] = m.watch(id, (p) => seen[id].push({ ...p, sentence: m.sentence(p) }),
				{ url: (id) => "/streams/" + id, onLost: () => lost[id]++, ...options });
			watches[id].ready.then(() => { ready[id] = true; });
			return null;
		};
		return null;
	})`)
	watch := func(id, options string) { browser.Eval[any](p, `start("`+id+`", `+options+`)`) }
	got := func(id string) []seen { return browser.Eval[[]seen](p, `seen["`+id+`"]`) }
	lost := func(id string) int { return browser.Eval[int](p, `lost["`+id+`"]`) }
	ready := func(id string) bool { return browser.Eval[bool](p, `ready["`+id+`"] === true`) }

	t.Run("events, and the seconds between them", func(t *testing.T) {
		watch("whole", "{}")
		p.Await("the end of the countdown", func() bool { all := got("whole"); return len(all) >= 3 && *all[len(all)-1].NextRetryInSeconds == 0 })
		all := got("whole")
		require.True(t, ready("whole"))
		require.Equal(t, seen{Status: "attempt", Attempt: 1, MaxAttempts: 3, Service: "twilio", Sentence: "Sending, attempt 1 of 3"}, all[0])
		two := 2
		require.Equal(t, seen{
			Status: "retrying", Attempt: 2, MaxAttempts: 3, NextRetryInSeconds: &two, Reason: "503", HTTPStatus: 503,
			Sentence: "Retrying, attempt 2 of 3, next try in 2 s",
		}, all[1])
		for i, tick := range all[2:] { // a second may be missed by a busy machine, none is told twice
			require.True(t, tick.Tick)
			require.Less(t, *tick.NextRetryInSeconds, *all[1+i].NextRetryInSeconds)
		}
		require.Equal(t, "Retrying, attempt 2 of 3, next try now", all[len(all)-1].Sentence)
		browser.Eval[any](p, `(watches.whole.close(), null)`)
	})

	t.Run("a connection that breaks is taken up, and nothing is told twice", func(t *testing.T) {
		watch("broken", "{}")
		p.Await("the last event", func() bool { all := got("broken"); return len(all) > 0 && all[len(all)-1].Status == "failed" })
		var said []string
		for _, e := range got("broken") {
			said = append(said, e.Sentence)
		}
		require.Equal(t, []string{"Sending, attempt 1 of 2", "Trying again, attempt 2 of 2", "Failed after 2 attempts"}, said)
		require.Equal(t, "unknown exhausted", got("broken")[2].Delivery+" "+got("broken")[2].Stop)
		require.Zero(t, lost("broken"))
		st.mu.Lock()
		require.Equal(t, []string{"broken b-1", "broken b-2"}, st.resumed)
		st.mu.Unlock()
		browser.Eval[any](p, `(watches.broken.close(), null)`)
	})

	t.Run("where there is no stream it gives up, once, and says so", func(t *testing.T) {
		watch("nothing", "{ tries: 2 }")
		p.Await("it gives up", func() bool { return lost("nothing") == 1 })
		require.True(t, ready("nothing"), "the request does not wait for what will not come")
		require.Equal(t, 2, st.count("nothing"))
		require.Empty(t, got("nothing"))
	})

	t.Run("a stream that does not answer holds nothing up", func(t *testing.T) {
		watch("silent", `{ url: (id) => "/silent/" + id, patience: 10 }`)
		p.Await("it is ready all the same", func() bool { return ready("silent") })
		require.Zero(t, lost("silent"))
		browser.Eval[any](p, `(watches.silent.close(), null)`)
	})

	t.Run("closed is closed", func(t *testing.T) {
		watch("closed", "{}")
		p.Await("it is ready", func() bool { return ready("closed") })
		browser.Eval[any](p, `(watches.closed.close(), watches.closed.close(), null)`)
		require.Equal(t, 1, st.count("closed"))
		require.Zero(t, lost("closed"), "who closes it knows")
	})

	t.Run("words", func(t *testing.T) {
		for data, want := range map[string]string{
			`{"status":"circuit_open","attempt":0,"max_attempts":3,"next_retry_in_seconds":12}`: "The circuit is open, next try in 12 s",
			`{"status":"rate_limited","attempt":1,"max_attempts":3}`:                            "Held back by a limit",
			`{"status":"succeeded","attempt":2,"max_attempts":3}`:                               "Done after 2 attempts",
			`{"status":"succeeded","attempt":1,"max_attempts":3}`:                               "Done",
			`{"status":"failed","attempt":1,"max_attempts":3}`:                                  "Failed",
			`{"status":"new_one","attempt":"x","max_attempts":-1}`:                              "new_one",
		} {
			require.Equal(t, want, browser.Eval[string](p, `m.sentence(m.parse('`+data+`'))`))
		}
	})

	t.Run("an id, also where the browser has no randomUUID", func(t *testing.T) {
		require.Regexp(t, `^[0-9a-f-]{36}$`, browser.Eval[string](p, `m.newID()`))
		browser.Eval[any](p, `(Object.defineProperty(crypto, "randomUUID", { value: undefined }), null)`)
		require.Regexp(t, `^[0-9a-f]{32}$`, browser.Eval[string](p, `m.newID()`))
	})
}
