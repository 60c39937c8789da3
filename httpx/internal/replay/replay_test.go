package replay_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/httpx/internal/replay"
)

// attempts is a Body with its request and limit.
type attempts struct {
	replay.Body

	req   *http.Request
	limit int64
}

func (a *attempts) Init(req *http.Request, limit int64) { a.req, a.limit = req, limit }
func (a *attempts) Next() (io.ReadCloser, error)        { return a.Body.Next(a.req, a.limit) }
func (a *attempts) Replayable() bool                    { return a.Body.Replayable(a.req) }
func (a *attempts) Finish()                             { a.Body.Finish(a.req) }

// source is a body without GetBody that counts its closes.
type source struct {
	io.Reader

	mu     sync.Mutex
	closes int
}

func (s *source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closes++
	return nil
}

func (s *source) closed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closes
}

func request(t *testing.T, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://vendor.test", body)
	require.NoError(t, err)
	return req
}

func readAll(t *testing.T, r io.ReadCloser) string {
	t.Helper()
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return string(b)
}

func TestABodyWithGetBodyIsRewoundAndTheFirstOneIsTheCallersOwn(t *testing.T) {
	req := request(t, strings.NewReader("hello"))
	var b attempts
	b.Init(req, 0)
	first, err := b.Next()
	require.NoError(t, err)
	require.Equal(t, req.Body, first, "a rewindable body is never wrapped: net/http knows its type")
	require.Equal(t, "hello", readAll(t, first))
	for range 2 {
		require.True(t, b.Replayable())
		again, err := b.Next()
		require.NoError(t, err)
		require.Equal(t, "hello", readAll(t, again))
	}
	b.Finish()
}

func TestTheErrorOfGetBodyIsReturned(t *testing.T) {
	req := request(t, strings.NewReader("hello"))
	req.GetBody = func() (io.ReadCloser, error) { return nil, io.ErrClosedPipe }
	var b attempts
	b.Init(req, 0)
	_, err := b.Next()
	require.NoError(t, err)
	_, err = b.Next()
	require.ErrorIs(t, err, io.ErrClosedPipe)
}

func TestARecordedBodyIsReplayedAndClosedOnceAtTheEnd(t *testing.T) {
	src := &source{Reader: iotest.OneByteReader(strings.NewReader("hello, world"))}
	var b attempts
	b.Init(request(t, src), 64)
	for range 3 {
		body, err := b.Next()
		require.NoError(t, err)
		require.Equal(t, "hello, world", readAll(t, body))
		require.True(t, b.Replayable())
		require.Zero(t, src.closed(), "a later attempt may need it")
	}
	b.Finish()
	require.Equal(t, 1, src.closed())
}

func TestAnAttemptThatReadHalfLeavesTheRestToTheNext(t *testing.T) {
	src := &source{Reader: strings.NewReader("0123456789")}
	var b attempts
	b.Init(request(t, src), 64)
	first, err := b.Next()
	require.NoError(t, err)
	_, err = io.ReadFull(first, make([]byte, 4))
	require.NoError(t, err)
	require.NoError(t, first.Close())
	second, err := b.Next()
	require.NoError(t, err)
	require.Equal(t, "0123456789", readAll(t, second))
	_, err = first.Read(make([]byte, 1))
	require.Error(t, err, "an old attempt must not steal bytes from the new one")
	b.Finish()
	require.Equal(t, 1, src.closed())
}

func TestABodyBeyondTheBoundIsSentWholeOnceAndNotAgain(t *testing.T) {
	src := &source{Reader: strings.NewReader(strings.Repeat("x", 100))}
	var b attempts
	b.Init(request(t, src), 99)
	first, err := b.Next()
	require.NoError(t, err)
	require.Len(t, readAll(t, first), 100)
	require.False(t, b.Replayable())
	_, err = b.Next()
	require.ErrorIs(t, err, replay.ErrNotReplayable)
	b.Finish()
	require.Equal(t, 1, src.closed())
}

func TestABodyAtTheBoundIsReplayed(t *testing.T) {
	src := &source{Reader: strings.NewReader(strings.Repeat("x", 100))}
	var b attempts
	b.Init(request(t, src), 100)
	for range 2 {
		body, err := b.Next()
		require.NoError(t, err)
		require.Len(t, readAll(t, body), 100)
	}
}

func TestABodyThatFailedToReadIsNotReplayed(t *testing.T) {
	boom := errors.New("disk gone")
	src := &source{Reader: io.MultiReader(strings.NewReader("half"), failing{boom})}
	var b attempts
	b.Init(request(t, src), 100)
	body, err := b.Next()
	require.NoError(t, err)
	_, err = io.ReadAll(body)
	require.ErrorIs(t, err, boom)
	require.False(t, b.Replayable())
}

func TestBufferingOffSendsTheCallersBodyOnce(t *testing.T) {
	src := &source{Reader: strings.NewReader("x")}
	req := request(t, src)
	var b attempts
	b.Init(req, -1)
	body, err := b.Next()
	require.NoError(t, err)
	require.Equal(t, req.Body, body)
	require.False(t, b.Replayable())
	require.NoError(t, body.Close())
	b.Finish()
	require.Equal(t, 1, src.closed(), "the transport's close is the only one")
}

func TestABodyThatWasNeverHandedOutIsClosed(t *testing.T) {
	src := &source{Reader: strings.NewReader("x")}
	var b attempts
	b.Init(request(t, src), 10)
	b.Finish()
	b.Finish()
	require.Equal(t, 1, src.closed())
}

func TestTheLastAttemptsCloseMayComeAfterFinish(t *testing.T) {
	src := &source{Reader: strings.NewReader("upload")}
	var b attempts
	b.Init(request(t, src), 10)
	body, err := b.Next()
	require.NoError(t, err)
	b.Finish() // the response has begun while the upload goes on
	require.Zero(t, src.closed())
	require.Equal(t, "upload", readAll(t, body))
	require.Equal(t, 1, src.closed())
	require.NoError(t, body.Close())
	require.Equal(t, 1, src.closed())
}

func TestNoBodyNeedsNothing(t *testing.T) {
	for _, body := range []io.ReadCloser{nil, http.NoBody} {
		req := request(t, nil)
		req.Body = body
		var b attempts
		b.Init(req, 10)
		got, err := b.Next()
		require.NoError(t, err)
		require.Equal(t, body, got)
		require.True(t, b.Replayable())
		b.Finish()
	}
}

// A transport may still be reading the old attempt's body when the next one starts.
func TestAStaleReaderUnderwayLosesNothing(t *testing.T) {
	pr, pw := io.Pipe()
	src := &source{Reader: pr}
	var b attempts
	b.Init(request(t, src), 64)
	old, err := b.Next()
	require.NoError(t, err)
	oldDone := make(chan []byte)
	go func() {
		buf := make([]byte, 3)
		n, _ := old.Read(buf) // blocks in the pipe
		oldDone <- buf[:n]
	}()
	_, err = pw.Write([]byte("abc"))
	require.NoError(t, err)
	<-oldDone
	next, err := b.Next()
	require.NoError(t, err)
	go func() {
		_, _ = pw.Write([]byte("def"))
		_ = pw.Close()
	}()
	require.Equal(t, "abcdef", readAll(t, next))
	b.Finish()
	require.Equal(t, 1, src.closed())
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A read of an earlier attempt is under way when the next one begins, and brings more than is kept: the next one fails
// rather than leave it out.
func TestBytesThatAreKeptNowhereAreNotLeftOut(t *testing.T) {
	asked, give := make(chan struct{}), make(chan string)
	src := readFunc(func(p []byte) (int, error) {
		asked <- struct{}{}
		return copy(p, <-give), nil
	})
	var a attempts
	a.Init(request(t, src), 4)
	first, err := a.Next()
	require.NoError(t, err)
	reading := make(chan int)
	go func() {
		n, _ := first.Read(make([]byte, 16))
		reading <- n
	}()
	<-asked
	require.True(t, a.Replayable(), "nothing is lost yet, and nobody waits to know")
	second, err := a.Next()
	require.NoError(t, err)
	give <- "more than 4"
	require.Equal(t, 11, <-reading)
	_, err = second.Read(make([]byte, 16))
	require.ErrorIs(t, err, replay.ErrNotReplayable)
	require.False(t, a.Replayable())
	a.Finish()
	require.NoError(t, second.Close())
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }
