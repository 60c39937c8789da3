package status_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/status"
	"github.com/prusik-go/prusik/ratelimit"
)

// logBook keeps what was logged, as text.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBook) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}

func (l *logBook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Nothing of a request may reach who looks at the status: neither of those that were made, nor of his own.
func TestPlantedSecretsAreNotShown(t *testing.T) {
	for name, base := range map[string]*vendor{"an error": down(), "a 500": answers(500), "a 429": answers(429), "a 404": answers(404)} {
		t.Run(name, func(t *testing.T) {
			var logged logBook
			s := newStatus(t, status.Config{
				Logger: logged.logger(),
				Guard:  func(*http.Request) (string, error) { return "anna", nil },
			})
			base.header.Set("Set-Cookie", "planted-answer-cookie")
			c := watch(t, s, "vendor", httpx.Config{Base: base, BreakerPerHost: true, Breaker: breaker.Config{Failures: 2}})
			for range 3 {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPut,
					"http://planted-user:planted-password@vendor.test/planted-path?planted=query", strings.NewReader("planted-body"))
				require.NoError(t, err)
				req.Header.Set("Authorization", "Bearer planted-token")
				if resp, err := c.Do(req); err == nil {
					_ = resp.Body.Close()
				}
			}
			st := &store{down: true}
			l := limiter(t, s, ratelimit.Config{Store: st, OnOutage: ratelimit.FailClosed})
			allow(t, l) // of planted-key
			l.Outbound("planted-account").Pause(1)
			text := fmt.Sprintf("%+v", s.State())
			for _, accept := range []string{"application/json", "text/html"} {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/planted?planted", http.NoBody)
				r.Header.Set("Accept", accept)
				r.Header.Set("Cookie", "planted-cookie")
				w := httptest.NewRecorder()
				s.ServeHTTP(w, r)
				text += fmt.Sprint(w.Header()) + w.Body.String()
			}
			for _, body := range []string{`{"planted":1}`, `{"client":"planted","breaker":"planted"}`, `planted`} {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/planted", strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				s.ServeHTTP(w, r)
				require.GreaterOrEqual(t, w.Code, 400)
				text += fmt.Sprint(w.Header()) + w.Body.String()
			}
			require.NotContains(t, strings.ToLower(text), "planted")
			require.NotEmpty(t, logged.String())
			require.NotContains(t, logged.String(), "planted")
		})
	}
}
