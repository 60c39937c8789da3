package redisstore_test

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/httpx/idempotency"
	"github.com/prusik-go/prusik/httpx/idempotency/redisstore"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(contenderEnv); addr != "" {
		contend(addr)
		return
	}
	redis.SetLogger(silent{}) // it tells of outages
	goleak.VerifyTestMain(m)
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// patient is a timeout that a busy test machine does not reach.
const patient = 20 * time.Second

func newClient(t testing.TB, addr string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, DialTimeout: patient, ReadTimeout: patient, DialerRetries: 1, MaxRetries: -1, DisableIdentity: true})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// newStore is redisstore.New with a patient timeout where there is none.
func newStore(t testing.TB, cfg redisstore.Config) *redisstore.Store {
	t.Helper()
	if cfg.Timeout == 0 {
		cfg.Timeout = patient
	}
	s, err := redisstore.New("redis", cfg)
	require.NoError(t, err)
	return s
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, patient, 5*time.Millisecond, what)
}

// claim is one that nobody else has.
func claim() (c idempotency.Claim) {
	_, _ = rand.Read(c.ID[:])
	_, _ = rand.Read(c.Run[:])
	c.Lease, c.TTL = time.Hour, time.Hour
	return c
}

func another(c idempotency.Claim) idempotency.Claim {
	_, _ = rand.Read(c.Run[:])
	return c
}

// begin is Begin where it must be decided.
func begin(t testing.TB, s *redisstore.Store, c idempotency.Claim) idempotency.Record {
	t.Helper()
	rec, err := s.Begin(context.Background(), c)
	require.NoError(t, err)
	return rec
}

// service is a process that serves.
type service struct {
	runs    atomic.Int64
	handler http.Handler
}

func newService(t testing.TB, s idempotency.Store, o idempotency.Outage, during func()) *service {
	t.Helper()
	k, err := idempotency.New("api", idempotency.Config{Store: s, OnOutage: o, Lease: time.Second})
	require.NoError(t, err)
	svc := &service{}
	svc.handler = k.Handler(user)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		svc.runs.Add(1)
		if during != nil {
			during()
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "sent")
	}))
	return svc
}

func user(*http.Request) (string, error) { return "ann", nil }

func (s *service) post(key string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/messages", strings.NewReader("hello"))
	r.Header.Set(idempotency.Header, key)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}
