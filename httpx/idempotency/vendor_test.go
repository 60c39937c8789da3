package idempotency_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/idempotency"
)

// From the client's key to the vendor: what an httpx client knows of the delivery decides whether a retry with the same key sends.
func TestTheVendorDecides(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		vendor  http.HandlerFunc // answers the first request; later ones are accepted
		config  httpx.Config
		prepare func(*httpx.Transport)
		status  int // of the first
		retry   int // of the second, with the same key
		sends   int64
	}{
		"accepted": {status: 201, retry: 201, sends: 1},
		"a 500, it may have been sent": {
			vendor: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
			status: 502, retry: 502, sends: 1,
		},
		"no answer, it may have been sent": {
			vendor: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			status: 502, retry: 502, sends: 1,
		},
		"no answer in time": {
			vendor: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			config: httpx.Config{AttemptTimeout: 50 * time.Millisecond, TotalTimeout: time.Minute},
			status: 504, retry: 504, sends: 1,
		},
		"a 400, it was not sent": {
			vendor: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(400) },
			status: 400, retry: 201, sends: 2,
		},
		"a 429, it was not sent": {
			vendor: func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "60"); w.WriteHeader(429) },
			status: 503, retry: 201, sends: 2,
		},
		"the breaker is open": {
			prepare: func(tr *httpx.Transport) { tr.Breaker().ForceOpen() },
			status:  503, retry: 201, sends: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sends atomic.Int64
			vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if sends.Add(1) == 1 && test.vendor != nil {
					test.vendor(w, r)
					return
				}
				w.WriteHeader(201)
			}))
			t.Cleanup(vendor.Close)
			tr, err := httpx.NewTransport("vendor", test.config)
			require.NoError(t, err)
			t.Cleanup(tr.CloseIdleConnections)
			out := &http.Client{Transport: tr}
			if test.prepare != nil {
				test.prepare(tr)
			}
			send := errors.Handler(func(w http.ResponseWriter, r *http.Request) error {
				req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, vendor.URL, strings.NewReader("hi"))
				if err != nil {
					return err
				}
				resp, err := out.Do(req)
				if err != nil {
					return err
				}
				defer resp.Body.Close()
				if resp.StatusCode >= 400 {
					return httpx.ResponseError(resp)
				}
				w.WriteHeader(resp.StatusCode)
				return nil
			})
			c := serve(t, newKeys(t, idempotency.Config{}), send.ServeHTTP)
			require.Equal(t, test.status, c.send(t, "POST /sms", "k", "hi").status)
			if b := tr.Breaker(); b.State() == breaker.ForcedOpen {
				b.Reset()
			}
			a := c.send(t, "POST /sms", "k", "hi")
			require.Equal(t, test.retry, a.status, a.body)
			require.Equal(t, test.sends, sends.Load())
			require.Equal(t, test.sends == 1 && test.prepare == nil, a.replayed())
		})
	}
}
