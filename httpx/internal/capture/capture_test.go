package capture_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prusik-go/prusik/httpx/internal/capture"
)

type wire struct {
	io.Reader

	closes int
}

func (w *wire) Close() error { w.closes++; return nil }

func TestTakeReadsClosesAndReplaysTheEnd(t *testing.T) {
	boom := errors.New("reset")
	for name, tc := range map[string]struct {
		body    io.Reader
		size    int64
		most    int64
		want    string
		wantErr error
	}{
		"whole":               {strings.NewReader("error"), 5, 10, "error", nil},
		"exactly the bound":   {strings.NewReader("error"), 5, 5, "error", nil},
		"size not known":      {strings.NewReader("error"), -1, 10, "error", nil},
		"size is a lie":       {strings.NewReader("error"), 1 << 40, 10, "error", nil},
		"size is too small":   {strings.NewReader("error"), 1, 10, "error", nil},
		"beyond the bound":    {strings.NewReader("errors"), 6, 5, "error", io.ErrUnexpectedEOF},
		"empty":               {strings.NewReader(""), 0, 5, "", nil},
		"wire fails":          {io.MultiReader(strings.NewReader("err"), iotest.ErrReader(boom)), 9, 10, "err", boom},
		"data with the error": {iotest.DataErrReader(strings.NewReader("error")), -1, 10, "error", nil},
		"byte by byte":        {iotest.OneByteReader(strings.NewReader(strings.Repeat("x", 5000))), -1, 6000, strings.Repeat("x", 5000), nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{Reader: tc.body}
			var b capture.Body
			b.Take(&wire{Reader: strings.NewReader("what an attempt before left")}, -1, 100)
			require.NoError(t, b.Close())
			b.Take(w, tc.size, tc.most)
			require.Equal(t, 1, w.closes)
			require.Equal(t, tc.want, string(b.Bytes()))
			got, err := io.ReadAll(&b)
			require.Equal(t, tc.want, string(got))
			require.ErrorIs(t, err, tc.wantErr)
			require.NoError(t, b.Close())
			require.NoError(t, b.Close())
			_, err = b.Read(make([]byte, 1))
			require.Error(t, err)
			require.Equal(t, 1, w.closes)
		})
	}
}

func TestPeekLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "body")
		most := rapid.Int64Range(1, 300).Draw(t, "most")
		size := rapid.Int64Range(-1, 400).Draw(t, "size")
		w := &wire{Reader: iotest.HalfReader(bytes.NewReader(body))}
		data, rest := capture.Peek(w, size, most)
		if int64(len(body)) <= most {
			require.True(t, bytes.Equal(body, data))
		} else {
			require.Nil(t, data)
		}
		require.Zero(t, w.closes)
		got, err := io.ReadAll(rest)
		require.NoError(t, err)
		require.True(t, bytes.Equal(body, got))
		require.NoError(t, rest.Close())
		require.Equal(t, 1, w.closes)
	})
}

func TestPeekKeepsTheWiresError(t *testing.T) {
	boom := errors.New("reset")
	data, rest := capture.Peek(&wire{Reader: io.MultiReader(strings.NewReader("{"), iotest.ErrReader(boom))}, -1, 10)
	require.Nil(t, data, "half a document is not for a parser")
	got, err := io.ReadAll(rest)
	require.Equal(t, "{", string(got))
	require.ErrorIs(t, err, boom)
}
