// Package sse writes an answer of Server-Sent Events.
package sse

import (
	"net/http"
	"time"
)

// Stream is an answer that has begun. It is for one goroutine.
type Stream struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
}

// Begin sends the head of the answer. A reader that takes nothing for patience is gone.
func Begin(w http.ResponseWriter, patience time.Duration) *Stream {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // nginx buffers a stream otherwise
	w.WriteHeader(http.StatusOK)
	return &Stream{w, http.NewResponseController(w), patience}
}

// Send writes whole blocks, and returns when they are on their way. The error means that nobody reads any more.
func (s *Stream) Send(blocks []byte) error {
	// A server's WriteTimeout is meant for answers that end. A writer without deadlines goes without.
	_ = s.control.SetWriteDeadline(time.Now().Add(s.patience))
	if _, err := s.w.Write(blocks); err != nil {
		return err
	}
	return s.control.Flush()
}
