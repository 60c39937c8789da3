package stream_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/httpx/internal/stream"
)

type owner struct {
	reading []bool
	began   int
	ended   int
	n       int64
	err     error
	instead error
}

func (o *owner) Reading(b bool) { o.reading = append(o.reading, b) }

func (o *owner) Began() { o.began++ }

func (o *owner) Ended(n int64, err error) error {
	o.ended, o.n, o.err = o.ended+1, n, err
	if err == nil {
		return nil
	}
	return o.instead
}

type closer struct {
	io.Reader

	closes int
}

func (c *closer) Close() error { c.closes++; return nil }

func TestTheEndIsReportedOnce(t *testing.T) {
	boom, dressed := errors.New("reset"), errors.New("dressed")
	for name, tc := range map[string]struct {
		src      io.Reader
		use      func(*testing.T, *stream.Body)
		n        int64
		endedErr error
	}{
		"EOF, then Close": {strings.NewReader("hello"), func(t *testing.T, b *stream.Body) {
			got, err := io.ReadAll(b)
			require.NoError(t, err)
			require.Equal(t, "hello", string(got))
		}, 5, nil},
		"data with EOF": {iotest.DataErrReader(strings.NewReader("hello")), func(t *testing.T, b *stream.Body) {
			n, err := b.Read(make([]byte, 10))
			require.Equal(t, 5, n)
			require.ErrorIs(t, err, io.EOF)
		}, 5, nil},
		"Close before EOF": {strings.NewReader("hello"), func(t *testing.T, b *stream.Body) {
			_, err := b.Read(make([]byte, 2))
			require.NoError(t, err)
		}, 2, nil},
		"failed read, twice": {io.MultiReader(strings.NewReader("he"), iotest.ErrReader(boom)), func(t *testing.T, b *stream.Body) {
			_, err := io.ReadAll(b)
			require.Equal(t, dressed, err)
			_, err = b.Read(make([]byte, 1))
			require.Equal(t, dressed, err, "an error stays")
		}, 2, boom},
	} {
		t.Run(name, func(t *testing.T) {
			o := &owner{instead: dressed}
			src := &closer{Reader: tc.src}
			var b stream.Body
			b.Init(src, o)
			tc.use(t, &b)
			require.NoError(t, b.Close())
			require.NoError(t, b.Close())
			require.Equal(t, 1, o.ended)
			require.Equal(t, tc.n, o.n)
			require.Equal(t, tc.endedErr, o.err)
			require.Equal(t, 2, src.closes, "Close is forwarded as often as it is called")
			for i, begin := range o.reading {
				require.Equal(t, i%2 == 0, begin)
			}
			require.NotEmpty(t, o.reading)
			require.Same(t, o, b.Owner())
		})
	}
}
