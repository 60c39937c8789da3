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
		"a reader":      {func(w *response.Writer) { _, _ = io.Copy(w, strings.NewReader("x")) }, 200},
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
