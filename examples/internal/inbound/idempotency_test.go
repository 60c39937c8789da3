package inbound_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx/idempotency"
	"github.com/prusik-go/prusik/ratelimit"
)

func keys(t testing.TB, cfg idempotency.Config) *idempotency.Keys {
	t.Helper()
	k, err := idempotency.New("api", cfg)
	require.NoError(t, err)
	return k
}

// A double click, behind all that a service has: one text, and both are told of it, each with its own id and its own limit.
func TestADoubleClickSendsOnce(t *testing.T) {
	t.Parallel()
	onEveryRouter(t, func(t *testing.T, serve func(server) client) {
		var sends atomic.Int64
		c := serve(server{
			use: append(stack(t, limiter(t, "api", "50/minute")), keys(t, idempotency.Config{}).Handler(ratelimit.RemoteAddr)),
			routes: []route{{pattern: "POST /messages/{to}", handler: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusCreated)
				_, _ = io.WriteString(w, `{"to":"`+r.PathValue("to")+`","sent":`+strconv.FormatInt(sends.Add(1), 10)+`}`)
			}}, {pattern: "POST /large", handler: func(w http.ResponseWriter, _ *http.Request) {
				sends.Add(1)
				_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
			}}},
		})
		first, body := c.send(t, "POST /messages/1", idempotency.Header, `"k"`)
		require.Equal(t, http.StatusCreated, first.StatusCode)
		again, replay := c.send(t, "POST /messages/1", idempotency.Header, `"k"`)
		require.Equal(t, http.StatusCreated, again.StatusCode)
		require.Equal(t, body, replay)
		require.EqualValues(t, 1, sends.Load())
		require.Equal(t, "true", again.Header.Get(idempotency.HeaderReplayed))
		require.Equal(t, first.Header.Get(correlation.Header), again.Header.Get(idempotency.HeaderOriginal))
		require.NotEqual(t, first.Header.Get(correlation.Header), again.Header.Get(correlation.Header))
		require.NotEqual(t, first.Header.Get("RateLimit"), again.Header.Get("RateLimit"), "what is left is its own")
		c.problem(t, 422, "POST /messages/2", idempotency.Header, `"k"`)

		large, body := c.send(t, "POST /large", idempotency.Header, `"l"`)
		require.Equal(t, 200, large.StatusCode)
		require.Len(t, body, 1<<20)
		_, p, _ := c.problem(t, 200, "POST /large", idempotency.Header, `"l"`)
		require.Equal(t, "not_kept", p.Extra["idempotency"])
		require.EqualValues(t, 2, sends.Load())
	})
}

// Many at once, over real connections: one is run.
func TestManyClicksAtOnceSendOnce(t *testing.T) {
	t.Parallel()
	onEveryRouter(t, func(t *testing.T, serve func(server) client) {
		var sends, told atomic.Int64
		all := make(chan struct{})
		c := serve(server{
			use: append(stack(t), keys(t, idempotency.Config{}).Handler(ratelimit.RemoteAddr)),
			routes: []route{{pattern: "POST /messages", handler: func(w http.ResponseWriter, _ *http.Request) {
				sends.Add(1)
				<-all // until all others have been told
				ok(w, nil)
			}}},
		})
		var wg sync.WaitGroup
		const clicks = 16
		for range clicks {
			wg.Go(func() {
				resp, _ := c.send(t, "POST /messages", idempotency.Header, "k")
				if resp.StatusCode == http.StatusConflict && resp.Header.Get("Retry-After") == "1" && told.Add(1) == clicks-1 {
					close(all)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, sends.Load())
		require.EqualValues(t, clicks-1, told.Load())
	})
}

// A panic is answered by errors.Middleware, outside, and a retry is told that nobody knows.
func TestAPanicIsNotRunAgain(t *testing.T) {
	t.Parallel()
	onEveryRouter(t, func(t *testing.T, serve func(server) client) {
		var runs atomic.Int64
		c := serve(server{
			use: append(stack(t), keys(t, idempotency.Config{}).Handler(ratelimit.RemoteAddr)),
			routes: []route{{pattern: "POST /messages", handler: func(http.ResponseWriter, *http.Request) {
				runs.Add(1)
				panic("boom")
			}}},
		})
		first, p, _ := c.problem(t, 500, "POST /messages", idempotency.Header, "k")
		require.Equal(t, errors.Internal, p.Kind)
		again, p, _ := c.problem(t, 500, "POST /messages", idempotency.Header, "k")
		require.Equal(t, "unknown", p.Extra["idempotency"])
		require.Equal(t, "unknown", p.Delivery)
		require.Equal(t, first.Header.Get(correlation.Header), again.Header.Get(idempotency.HeaderOriginal), "whose log says why")
		require.EqualValues(t, 1, runs.Load())
	})
}
