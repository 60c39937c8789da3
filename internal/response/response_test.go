package response_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/internal/response"
)

// plain is a writer that can do nothing but the least.
type plain struct{ http.ResponseWriter }

// failing is a source that gives nothing.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestStatus(t *testing.T) {
	for name, tc := range map[string]struct {
		do   func(*response.Writer)
		want int
	}{
		"nothing":       {func(*response.Writer) {}, 0},
		"a status":      {func(w *response.Writer) { w.WriteHeader(404); w.WriteHeader(500) }, 404},
		"early hints":   {func(w *response.Writer) { w.WriteHeader(103) }, 0},
		"an upgrade":    {func(w *response.Writer) { w.WriteHeader(101) }, 101},
		"bytes":         {func(w *response.Writer) { _, _ = w.Write([]byte("x")) }, 200},
		"a string":      {func(w *response.Writer) { _, _ = io.WriteString(w, "x") }, 200},
		"a reader":      {func(w *response.Writer) { _, _ = io.Copy(w, struct{ io.Reader }{strings.NewReader("x")}) }, 200},
		"an empty one":  {func(w *response.Writer) { _, _ = io.Copy(w, struct{ io.Reader }{strings.NewReader("")}) }, 0},
		"a failing one": {func(w *response.Writer) { _, _ = io.Copy(w, failing{}); w.WriteHeader(500) }, 500},
		"a flush":       {func(w *response.Writer) { w.Flush() }, 200},
		"none possible": {func(w *response.Writer) { w.ResponseWriter = plain{w.ResponseWriter}; w.Flush() }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := &response.Writer{ResponseWriter: httptest.NewRecorder()}
			tc.do(w)
			require.Equal(t, tc.want, w.Status)
			_, _, err := w.Hijack()
			require.ErrorIs(t, err, http.ErrNotSupported)
			require.False(t, w.Hijacked)
		})
	}
}
