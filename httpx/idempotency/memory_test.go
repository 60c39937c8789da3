package idempotency_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prusik-go/prusik/httpx/idempotency"
	"github.com/prusik-go/prusik/httpx/idempotency/idempotencytest"
)

// The memory keeps the contract that it asks of a store.
func TestTheMemoryIsAStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, idempotencytest.TestStore(idempotency.NewMemory(1000, 1<<20)))
	})
}

// A new key is refused where there is no room, and none that protects is forgotten.
func TestAFullMemoryForgetsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		h := counted{handler: sent}
		k := newKeys(t, idempotency.Config{MaxKeys: 3, TTL: time.Hour, Hooks: j.hooks()})
		guarded := k.Handler(caller)(http.HandlerFunc(h.serve))
		send := func(key string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("1"))
			r.Header.Set("X-User", "ann")
			r.Header.Set(idempotency.Header, key)
			w := httptest.NewRecorder()
			guarded.ServeHTTP(w, r)
			return w
		}
		for i := range 3 {
			require.Equal(t, 201, send(strconv.Itoa(i)).Code)
		}
		w := send("3")
		require.Equal(t, 503, w.Code)
		require.Contains(t, w.Body.String(), `"delivery":"not_sent"`)
		require.Equal(t, []string{"begin "}, j.ops)
		require.ErrorIs(t, j.errs[0], idempotency.ErrNoRoom)
		for i := range 3 {
			require.Equal(t, "true", send(strconv.Itoa(i)).Header().Get(idempotency.HeaderReplayed))
		}
		require.EqualValues(t, 3, h.runs.Load())
		require.Equal(t, 3, k.Snapshot().Keys)
		require.Positive(t, k.Snapshot().Bytes)
		time.Sleep(time.Hour)
		require.Equal(t, 201, send("3").Code, "once they have expired, there is room")
		require.Equal(t, 1, k.Snapshot().Keys)
	})
}

// Where answers have no room, keys are kept without them.
func TestAnswersThatHaveNoRoom(t *testing.T) {
	t.Parallel()
	h := counted{handler: func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(201)
		_, _ = io.WriteString(w, strings.Repeat("x", 600))
	}}
	k := newKeys(t, idempotency.Config{MaxBytes: 1024})
	c := serve(t, k, h.serve)
	for _, key := range []string{"1", "2", "3"} {
		require.Len(t, c.send(t, "POST /", key, "").body, 600)
	}
	require.Len(t, c.send(t, "POST /", "1", "").body, 600)
	c.send(t, "POST /", "2", "").problem(t, 201, "not_kept")
	c.send(t, "POST /", "3", "").problem(t, 201, "not_kept")
	require.EqualValues(t, 3, h.runs.Load())
	require.LessOrEqual(t, k.Snapshot().Bytes, 1024)
}

// bubbleT has no deadline: [testing.T.Deadline] may not be called in a bubble.
type bubbleT struct{ *testing.T }

func (bubbleT) Deadline() (deadline time.Time, ok bool) { return deadline, false }

// The memory does as a map would that looks through all of its records each time, whatever happens in whatever order.
func TestTheMemoryModel(t *testing.T) {
	t.Parallel()
	const lease, ttl, most = 3 * time.Second, 10 * time.Second, 4
	type entry struct {
		run          byte
		lease, until time.Time
		answer       string
	}
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		rapid.Check(bubbleT{t}, func(t *rapid.T) {
			runs++
			m := idempotency.NewMemory(most, 1<<20)
			model := map[byte]*entry{}
			ctx := context.Background()
			for range rapid.IntRange(1, 60).Draw(t, "steps") {
				time.Sleep(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
				now := time.Now()
				for id, e := range model {
					if !e.until.After(now) {
						delete(model, id)
					}
				}
				id, run := rapid.ByteRange(0, 6).Draw(t, "id"), rapid.ByteRange(1, 3).Draw(t, "run")
				c := idempotency.Claim{ID: [32]byte{id}, Run: [16]byte{run}, Fingerprint: [32]byte{run}, Lease: lease, TTL: ttl}
				e := model[id]
				switch rapid.SampledFrom([]string{"begin", "begin", "finish", "release"}).Draw(t, "op") {
				case "begin":
					rec, err := m.Begin(ctx, c)
					want := idempotency.Record{State: idempotency.Claimed, Fingerprint: [32]byte{run}}
					switch {
					case e == nil && len(model) == most:
						require.ErrorIs(t, err, idempotency.ErrNoRoom)
						continue
					case e == nil:
						model[id] = &entry{run: run, lease: now.Add(lease), until: now.Add(lease + ttl)}
					default:
						want.Fingerprint = [32]byte{e.run}
						switch {
						case e.answer != "":
							want.State, want.Answer = idempotency.Finished, []byte(e.answer)
						case e.run == run:
						case e.lease.After(now):
							want.State = idempotency.Running
						default:
							want.State = idempotency.Abandoned
						}
					}
					require.NoError(t, err)
					require.Equal(t, want, rec)
				case "finish":
					err := m.Finish(ctx, c, []byte{run})
					if e == nil && len(model) == most {
						require.ErrorIs(t, err, idempotency.ErrNoRoom)
						continue
					}
					require.NoError(t, err)
					if e == nil {
						e = &entry{run: run}
						model[id] = e
					}
					if e.run == run && e.answer == "" {
						e.answer, e.until = string(rune(run)), now.Add(ttl)
					}
				default:
					require.NoError(t, m.Release(ctx, c))
					if e != nil && e.run == run && e.answer == "" {
						delete(model, id)
					}
				}
				require.Len(t, model, idempotency.Held(m), "nothing that has expired is held: there is so little of it")
			}
		})
		require.GreaterOrEqual(t, runs, 20, "rapid gives up, silently, after a day: of virtual time")
	})
}

// Expired records go a few at a time, as fast as new ones come.
func TestExpiryHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := idempotency.NewMemory(2000, 1<<20)
		begin := func(i int) {
			c := idempotency.Claim{ID: [32]byte{byte(i), byte(i >> 8)}, Run: [16]byte{1}, Lease: time.Second, TTL: time.Second}
			rec, err := m.Begin(t.Context(), c)
			require.NoError(t, err)
			require.Equal(t, idempotency.Claimed, rec.State)
			if i%2 == 0 {
				require.NoError(t, m.Finish(t.Context(), c, []byte("a")))
			}
		}
		for i := range 2000 {
			begin(i)
		}
		time.Sleep(2 * time.Second)
		begin(2000)
		require.Greater(t, idempotency.Held(m), 1900, "not all at once")
		for i := range 200 {
			begin(i)
		}
		require.LessOrEqual(t, idempotency.Held(m), 201)
	})
}
