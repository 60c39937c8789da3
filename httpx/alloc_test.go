package httpx_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/httpx"
)

// stub answers without a network, and closes the request's body like a real transport.
type stub struct {
	err  error
	body string
}

func (s stub) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_, _ = io.Copy(io.Discard, req.Body)
		_ = req.Body.Close()
	}
	if s.err != nil {
		return nil, s.err
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(s.body)), Request: req,
		ContentLength: int64(len(s.body)),
	}, nil
}

func get(tb testing.TB, client *http.Client) {
	ctx, cancel := context.WithCancel(tb.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://vendor.test/", http.NoBody)
	if err != nil {
		tb.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}

func client(tb testing.TB, cfg httpx.Config) *http.Client {
	tb.Helper()
	c, err := httpx.NewClient("vendor", cfg)
	require.NoError(tb, err)
	return c
}

func untimed(base http.RoundTripper) httpx.Config {
	return httpx.Config{Base: base, TotalTimeout: -1, AttemptTimeout: -1, BodyIdleTimeout: -1}
}

func BenchmarkGET(b *testing.B) {
	base := stub{body: "ok"}
	down := stub{err: errors.New("down")}
	open := client(b, httpx.Config{Base: down, MaxAttempts: -1})
	for range 5 {
		get(b, open)
	}
	for _, tc := range []struct {
		name   string
		client *http.Client
	}{
		{"bare", &http.Client{Transport: base}},
		{"untimed", client(b, untimed(base))},
		{"timed", client(b, httpx.Config{Base: base})},
		{"bare-error", &http.Client{Transport: down}},
		{"open", open},
	} {
		b.Run(tc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				get(b, tc.client)
			}
		})
	}
}
