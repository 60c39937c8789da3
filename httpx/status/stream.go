package status

import (
	"bytes"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx/internal/sse"
)

// shot is the last look at the state, shared by all who watch.
type shot struct {
	mu      sync.Mutex
	at      time.Time
	event   []byte // ready to send; never changed
	still   []byte
	version uint64 // counts what differed
}

// look returns the state as an event, and its version. Who comes soon after another gets the same one: to be watched
// by many costs what it costs to be watched by one.
func (s *Status) look() (event []byte, version uint64) {
	p := &s.last
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.event == nil || now.Sub(p.at) >= s.cfg.Refresh/2 {
		p.at = now
		st, _ := s.state()
		body, err := json.Marshal(st)
		if err != nil {
			return p.event, p.version // nothing in a State can fail
		}
		p.event = append(append([]byte("event: state\ndata: "), body...), "\n\n"...)
		still, err := json.Marshal(st.still())
		if err != nil || !bytes.Equal(still, p.still) {
			p.still = still
			p.version++
		}
	}
	return p.event, p.version
}

// serveStream sends the whole state at once, and again where it differs, and every Beat. So a reader that comes back needs
// nothing of what it missed, and for one that is slow nothing is queued.
func (s *Status) serveStream(w http.ResponseWriter, r *http.Request) {
	defer s.readers.Add(-1)
	if s.readers.Add(1) > int64(s.cfg.MaxReaders) {
		_ = errors.Write(w, r, &errors.Error{Kind: errors.Unavailable, Retry: errors.Retry{After: s.cfg.Beat}})
		return
	}
	to := sse.Begin(w, 3*s.cfg.Beat)
	if r.Method == http.MethodHead {
		return
	}
	again := time.NewTicker(s.cfg.Refresh)
	defer again.Stop()
	end := time.NewTimer(s.cfg.MaxStream)
	defer end.Stop()
	sent, seen := time.Now(), uint64(0)
	if to.Send([]byte("retry: 1000\n\n")) != nil {
		return
	}
	for {
		event, version := s.look()
		if now := time.Now(); version != seen || now.Sub(sent) >= s.cfg.Beat {
			sent, seen = now, version
			if to.Send(event) != nil {
				return
			}
		}
		select {
		case <-again.C:
		case <-end.C:
			return
		case <-s.closed:
			return
		case <-r.Context().Done():
			return
		}
	}
}
