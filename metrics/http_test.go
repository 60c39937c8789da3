package metrics_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/metrics"
)

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func request(method, path string) *http.Request {
	return httptest.NewRequest(method, path, http.NoBody)
}

func TestARouteIsAPattern(t *testing.T) {
	cor, err := correlation.New(correlation.Config{})
	require.NoError(t, err)
	ok := func(http.ResponseWriter, *http.Request) {}
	for name, wrap := range map[string]func(http.Handler) http.Handler{
		"around the mux":    func(h http.Handler) http.Handler { return h },
		"under correlation": cor.Handler,
	} {
		t.Run(name, func(t *testing.T) {
			m, reg := start(t, metrics.Config{})
			mux := http.NewServeMux()
			for _, pattern := range []string{"GET /texts/{id}", "POST /texts/{id}", "vendor.test/hook", "GET vendor.test/hook", "/any"} {
				mux.HandleFunc(pattern, ok)
			}
			h := wrap(m.Handler(mux))
			for _, r := range []*http.Request{
				request("GET", "/texts/1"), request("GET", "/texts/2"), request("POST", "/texts/1"), request("PUT", "/texts/1"),
				request("GET", "http://vendor.test/hook"), request("PUT", "http://vendor.test/hook"), request("BREW", "/any"), request("GET", "/none"),
			} {
				serve(h, r)
			}
			all := samples(t, reg)
			require.Equal(t, map[string]int{
				`http_server_requests_total{code="200",method="GET",route="/texts/{id}"}`:      2,
				`http_server_requests_total{code="200",method="POST",route="/texts/{id}"}`:     1,
				`http_server_requests_total{code="405",method="PUT",route="unmatched"}`:        1,
				`http_server_requests_total{code="200",method="GET",route="vendor.test/hook"}`: 1,
				`http_server_requests_total{code="200",method="PUT",route="vendor.test/hook"}`: 1,
				`http_server_requests_total{code="200",method="other",route="/any"}`:           1,
				`http_server_requests_total{code="404",method="GET",route="unmatched"}`:        1,
			}, only(all, "http_server_requests_total"))
			require.Equal(t, 2, all[`http_server_request_duration_seconds{method="GET",route="/texts/{id}"}`])
		})
	}
	m, reg := start(t, metrics.Config{})
	mux := http.NewServeMux()
	mux.Handle("/inner/{x}", m.Handler(http.HandlerFunc(ok))) // the pattern is there before
	serve(mux, request("GET", "/inner/1"))
	require.Equal(t, 1, samples(t, reg)[`http_server_requests_total{code="200",method="GET",route="/inner/{x}"}`])
}

// The two share a writer: what one knows of the answer the other acts on.
func TestAnErrorBehindTheMetricsIsCountedAsItIsAnswered(t *testing.T) {
	m, reg := start(t, metrics.Config{})
	broken := iotest.ErrReader(io.ErrClosedPipe)
	h := func(fn errors.HandlerFunc) http.Handler { return m.Handler(errors.Handler(fn)) }
	w := serve(h(func(w http.ResponseWriter, _ *http.Request) error {
		_, _ = io.Copy(w, broken) // nothing has come
		return errors.NotFound
	}), request("GET", "/"))
	require.Equal(t, http.StatusNotFound, w.Code)
	w = serve(h(func(http.ResponseWriter, *http.Request) error { panic("bug") }), request("PUT", "/"))
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		serve(h(func(w http.ResponseWriter, _ *http.Request) error {
			_, _ = io.WriteString(w, "half")
			return errors.NotFound
		}), request("POST", "/"))
	})
	require.Equal(t, map[string]int{
		`http_server_requests_total{code="404",method="GET",route="unmatched"}`:  1,
		`http_server_requests_total{code="500",method="PUT",route="unmatched"}`:  1,
		`http_server_requests_total{code="200",method="POST",route="unmatched"}`: 1,
	}, only(samples(t, reg), "http_server_requests_total"))
}

func TestWhatAHandlerAnswers(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tc := range map[string]struct {
		handler func(http.ResponseWriter, *http.Request)
		ctx     context.Context
		code    string
		panics  int
	}{
		"nothing":                {func(http.ResponseWriter, *http.Request) {}, nil, "200", 0},
		"nothing to nobody":      {func(http.ResponseWriter, *http.Request) {}, gone, "499", 0},
		"something to nobody":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }, gone, "502", 0},
		"a body":                 {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") }, nil, "200", 0},
		"a copied body":          {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, strings.NewReader("x")) }, nil, "200", 0},
		"the first of two":       {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503); w.WriteHeader(200) }, nil, "503", 0},
		"informational first":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(404) }, nil, "404", 0},
		"a panic":                {func(http.ResponseWriter, *http.Request) { panic("bug") }, nil, "500", 1},
		"a panic in the middle":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); panic("bug") }, nil, "201", 1},
		"an abort":               {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil, "500", 0},
		"an abort in the middle": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200); panic(http.ErrAbortHandler) }, nil, "200", 0},
	} {
		t.Run(name, func(t *testing.T) {
			m, reg := start(t, metrics.Config{})
			r := request("GET", "/")
			if tc.ctx != nil {
				r = r.WithContext(tc.ctx)
			}
			h := m.Handler(http.HandlerFunc(tc.handler))
			if tc.panics > 0 || strings.HasPrefix(name, "an abort") {
				require.Panics(t, func() { serve(h, r) }, "it goes on")
			} else {
				serve(h, r)
			}
			all := samples(t, reg)
			require.Equal(t, map[string]int{
				`http_server_requests_total{code="` + tc.code + `",method="GET",route="unmatched"}`: 1,
			}, only(all, "http_server_requests_total", "http_server_in_flight"))
			require.Equal(t, tc.panics, all[`http_server_panics_total{route="unmatched"}`])
			require.Equal(t, 1, all[`http_server_request_duration_seconds{method="GET",route="unmatched"}`])
		})
	}
}

func TestAHandlerThatEndsItsGoroutine(t *testing.T) {
	m, reg := start(t, metrics.Config{})
	var wg sync.WaitGroup
	wg.Go(func() {
		serve(m.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { runtime.Goexit() })), request("GET", "/"))
	})
	wg.Wait()
	require.Equal(t, 1, samples(t, reg)[`http_server_requests_total{code="500",method="GET",route="unmatched"}`])
	require.Equal(t, 1, samples(t, reg)[`http_server_panics_total{route="unmatched"}`])
}

// Streams, hijacking and deadlines, over a real server.
func TestTheWriterKeepsWhatItCan(t *testing.T) {
	m, reg := start(t, metrics.Config{})
	goOn := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stream", func(w http.ResponseWriter, _ *http.Request) {
		rc := http.NewResponseController(w)
		if err := rc.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, "first\n")
		w.(http.Flusher).Flush()
		<-goOn
		_, _ = io.WriteString(w, "second\n")
		if err := rc.Flush(); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("GET /hijack", func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello\n")
		_ = rw.Flush()
		_ = conn.Close()
	})
	srv := httptest.NewServer(m.Handler(mux))
	defer srv.Close()
	client := srv.Client()
	get := func(path string) *http.Response {
		t.Helper()
		resp, err := client.Get(srv.URL + path)
		require.NoError(t, err)
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
	resp := get("/stream")
	lines := bufio.NewReader(resp.Body)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "first\n", line)
	require.Equal(t, 1, samples(t, reg)["http_server_in_flight_requests"])
	close(goOn)
	line, err = lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "second\n", line)
	_, err = io.ReadAll(lines)
	require.NoError(t, err)

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/hijack", http.NoBody)
	require.NoError(t, err)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "x")
	resp, err = client.Do(req)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	require.NoError(t, resp.Body.Close())
	srv.Close() // and wait for the handlers
	require.Eventually(t, func() bool { return samples(t, reg)["http_server_in_flight_requests"] == 0 }, 10*time.Second, time.Millisecond, "a hijacked connection is not the server's to wait for")
	all := samples(t, reg)
	require.Equal(t, map[string]int{
		`http_server_requests_total{code="200",method="GET",route="/stream"}`: 1,
		`http_server_requests_total{code="101",method="GET",route="/hijack"}`: 1,
	}, only(all, "http_server_requests_total"))
	require.NotContains(t, all, `http_server_request_duration_seconds{method="GET",route="/hijack"}`)
}

func TestRoutesAndAnswersAreBounded(t *testing.T) {
	m, reg := start(t, metrics.Config{MaxRoutes: 3})
	h := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Pattern = r.URL.Path
		if r.URL.Path == "/0" {
			w.WriteHeader(200 + int(r.ContentLength))
		}
	}))
	for i := range 10 {
		serve(h, request("GET", fmt.Sprintf("/%d", i)))
	}
	serve(h, request("GET", "/1"))
	got := only(samples(t, reg), "http_server_requests_total")
	require.Equal(t, map[string]int{
		`http_server_requests_total{code="200",method="GET",route="/0"}`:    1,
		`http_server_requests_total{code="200",method="GET",route="/1"}`:    2,
		`http_server_requests_total{code="200",method="GET",route="/2"}`:    1,
		`http_server_requests_total{code="200",method="GET",route="other"}`: 7,
	}, got)
	for i := range 200 {
		r := request("POST", "/0")
		r.ContentLength = int64(i)
		serve(h, r)
	}
	got = only(samples(t, reg), "http_server_requests_total")
	require.Len(t, got, 50+1+3, "50 answers of the first route and other, and three more routes")
	require.Equal(t, 200-49, got[`http_server_requests_total{code="other",method="other",route="/0"}`])
}
