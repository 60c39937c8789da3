package redisstore_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/internal/redistest"
	"github.com/prusik-go/prusik/ratelimit"
	"github.com/prusik-go/prusik/ratelimit/redisstore"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(contenderEnv); url != "" {
		contend(url)
		return
	}
	// A client of rueidis for a cluster leaves one that sleeps for up to a second when it is closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"))
}

// patient is a timeout that a busy test machine does not reach.
const patient = 20 * time.Second

// newStore is redisstore.New with a patient timeout where there is none.
func newStore(t testing.TB, cfg redisstore.Config) *redisstore.Store {
	t.Helper()
	if cfg.Timeout == 0 {
		cfg.Timeout = patient
	}
	s, err := redisstore.New("redis", cfg)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// admin is a client to look at a server with.
func admin(t testing.TB, srv *redistest.Server) rueidis.Client {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{srv.Addr}, DisableCache: true, ForceSingleClient: true})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// limits reads limits and fills in what a limiter fills in.
func limits(t testing.TB, text string) ratelimit.Limits {
	t.Helper()
	ls, err := ratelimit.ParseLimits(text)
	require.NoError(t, err)
	for i := range ls {
		ls[i].Name = ls[i].String()
		if ls[i].Burst == 0 {
			ls[i].Burst = ls[i].Count
		}
	}
	return ls
}

// request is one request of a key.
func request(t testing.TB, key, text string) ratelimit.Request {
	t.Helper()
	return ratelimit.Request{Limiter: "api", Key: key, Limits: limits(t, text), Cost: 1}
}

// take is Take where it must be decided.
func take(t testing.TB, s *redisstore.Store, r ratelimit.Request) ratelimit.Result {
	t.Helper()
	res, err := s.Take(context.Background(), r)
	require.NoError(t, err)
	return res
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, patient, 5*time.Millisecond, what)
}

// refund is Refund of all that r took.
func refund(t testing.TB, s *redisstore.Store, r ratelimit.Request) {
	t.Helper()
	require.NoError(t, s.Refund(context.Background(), r, taken(r)))
}

// taken is what r takes of each limit.
func taken(r ratelimit.Request) (back [ratelimit.MaxLimits]time.Duration) {
	for i, l := range r.Limits[:min(len(r.Limits), len(back))] {
		back[i] = time.Duration(r.Cost) * l.Interval()
	}
	return back
}
