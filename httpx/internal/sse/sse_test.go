package sse_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/httpx/internal/sse"
)

type writer struct {
	header   http.Header
	status   int
	text     string
	flushed  int
	deadline time.Time
	err      error
}

func (w *writer) Header() http.Header { return w.header }
func (w *writer) WriteHeader(n int)   { w.status = n }
func (w *writer) FlushError() error   { w.flushed++; return nil }

func (w *writer) SetWriteDeadline(t time.Time) error {
	w.deadline = t
	return nil
}

func (w *writer) Write(b []byte) (int, error) {
	w.text += string(b)
	return len(b), w.err
}

func TestEachBlockIsOnItsWayAndHasItsOwnDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &writer{header: http.Header{}}
		s := sse.Begin(w, time.Minute)
		require.Equal(t, http.StatusOK, w.status)
		require.Equal(t, "text/event-stream", w.header.Get("Content-Type"))
		require.Equal(t, "no-store", w.header.Get("Cache-Control"))
		require.Equal(t, "no", w.header.Get("X-Accel-Buffering"))
		for n := range 2 {
			require.NoError(t, s.Send([]byte("data: x\n\n")))
			require.Equal(t, n+1, w.flushed)
			require.Equal(t, time.Now().Add(time.Minute), w.deadline)
			time.Sleep(time.Second)
		}
		require.Equal(t, "data: x\n\ndata: x\n\n", w.text)
		w.err = errors.New("gone")
		require.ErrorIs(t, s.Send([]byte("data: x\n\n")), w.err)
		require.Equal(t, 2, w.flushed)
	})
}
