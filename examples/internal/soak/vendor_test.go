package soak_test

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/examples/internal/sim/fault"
	"github.com/prusik-go/prusik/examples/internal/sim/twiliosim"
)

const (
	optedOut  = "+15550000000" // the simulator refuses texts to it
	fromFull  = "+15005550008" // the queue of this From is full: error 21611
	fromOwn   = "+15005550006"
	answerPad = 200 // bytes in every answer of the generic vendors, so that half of it is something
)

// faults is the mix every request is drawn from.
func faults() []fault.Share {
	const slow = attemptTimeout + 60*time.Millisecond
	return []fault.Share{
		{P: 0.05, Fault: fault.Latency(15 * time.Millisecond)},
		{P: 0.008, Fault: fault.Latency(attemptTimeout - time.Millisecond)}, // a draw with the attempt's clock
		{P: 0.012, Fault: fault.Latency(slow)},
		{P: 0.05, Fault: fault.TooManyRequests()},
		{P: 0.008, Fault: fault.TooManyRequestsAfter(time.Second)},
		{P: 0.008, Fault: fault.TooManyRequestsUntil(50 * time.Millisecond)},
		{P: 0.02, Fault: fault.Status(500)},
		{P: 0.02, Fault: fault.ProcessedStatus(500)},
		{P: 0.02, Fault: fault.Status(502)},
		{P: 0.02, Fault: fault.ProcessedStatus(502)},
		{P: 0.02, Fault: fault.Status(503)},
		{P: 0.02, Fault: fault.ProcessedStatus(503).After(5 * time.Millisecond)},
		{P: 0.02, Fault: fault.Status(504)},
		{P: 0.02, Fault: fault.ProcessedStatus(504)},
		{P: 0.005, Fault: fault.ProcessedStatus(408)},
		{P: 0.012, Fault: fault.HTMLError(502)},
		{P: 0.012, Fault: fault.HTMLError(520).Processed()},
		{P: 0.005, Fault: fault.HTMLError(429)},
		{P: 0.02, Fault: fault.ResetBeforeRead()},
		{P: 0.02, Fault: fault.ResetAfterRead(false)},
		{P: 0.03, Fault: fault.ResetAfterRead(true)},
		{P: 0.008, Fault: fault.SlowDrip(200 * time.Microsecond)},
		{P: 0.008, Fault: fault.StalledBody()},
		{P: 0.02, Fault: fault.TruncatedBody()},
		{P: 0.01, Fault: fault.CutJSON()},
		{P: 0.01, Fault: fault.WrongJSON(`{"sid":`)},
		{P: 0.01, Fault: fault.WrongJSON(`[]`)},
		{P: 0.008, Fault: fault.Hang()},
		{P: 0.008, Fault: fault.Hang().Processed()},
	}
}

// vendors are the servers of a run.
type vendors struct {
	texts   *twiliosim.Sim
	orders  *fault.Server
	ledgers *fault.Server
	expired *fault.Server
	effects effects
}

func startVendors(t *testing.T) *vendors {
	t.Helper()
	v := &vendors{effects: effects{of: make(map[string]map[string]int)}}
	var err error
	v.texts, err = twiliosim.New(twiliosim.Config{CallsPerSecond: -1})
	require.NoError(t, err)
	v.texts.Refuse(optedOut, 21610)
	generic := fault.Config{
		Handler: http.HandlerFunc(v.serve),
		Key:     func(r *http.Request, body []byte) string { return entryKey(r.Header.Get("Idempotency-Key"), body) },
	}
	v.orders, err = fault.New(generic)
	require.NoError(t, err)
	v.ledgers, err = fault.New(generic)
	require.NoError(t, err)
	generic.TLS = fault.ExpiredCert
	v.expired, err = fault.New(generic)
	require.NoError(t, err)
	return v
}

func (v *vendors) all() map[vendorName]*fault.Server {
	return map[vendorName]*fault.Server{texts: v.texts.Server, orders: v.orders, ledgers: v.ledgers, expired: v.expired}
}

func (v *vendors) server(name vendorName) *fault.Server { return v.all()[name] }

func (v *vendors) setScript(script fault.Script) {
	for _, s := range v.all() {
		s.SetScript(script)
	}
}

func (v *vendors) forget() {
	v.texts.Reset()
	for _, s := range v.all() {
		s.Reset()
	}
	v.effects.forget()
}

func (v *vendors) close(t *testing.T) {
	t.Helper()
	for name, s := range v.all() {
		require.NoError(t, s.Close(), name)
	}
}

// entryKey is what the ledger of a generic vendor keeps of a request: the idempotency key, and the body's checksum.
func entryKey(key string, body []byte) string {
	h := fnv.New64a()
	_, _ = h.Write(body)
	return key + "|" + strconv.FormatUint(h.Sum64(), 16)
}

// effects are what the generic vendors did for each call, by idempotency key: a second request with a key they know
// is answered like the first one and does nothing.
type effects struct {
	mu sync.Mutex
	of map[string]map[string]int
}

func (e *effects) apply(call, key string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.of[call] == nil {
		e.of[call] = make(map[string]int)
	}
	e.of[call][key]++
	return e.of[call][key]
}

func (e *effects) count(call string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.of[call])
}

func (e *effects) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.of)
}

// serve is the generic vendor.
func (v *vendors) serve(w http.ResponseWriter, r *http.Request) {
	call, _ := splitAttempt(r.Header.Get("X-Test-Call"))
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	switch {
	case strings.HasPrefix(r.URL.Path, "/missing/"):
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
		return
	case r.Method == http.MethodPost, r.Method == http.MethodPatch:
		if v.effects.apply(call, r.Header.Get("Idempotency-Key")) == 1 {
			w.WriteHeader(http.StatusCreated)
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"call": call, "pad": strings.Repeat("x", answerPad)})
}

// trouble is what happens to the vendors as a whole while calls are made, in turns: ports that close, and storms, in which
// every request meets the same fault.
type trouble struct {
	vendors *vendors
	rng     *rand.Rand
	turn    int
	downs   map[vendorName]int
	storms  map[string]int
}

func newTrouble(v *vendors, seed uint64) *trouble {
	return &trouble{vendors: v, rng: rand.New(rand.NewPCG(seed, 1<<63)), downs: make(map[vendorName]int), storms: make(map[string]int)}
}

// run makes trouble until ctx is done, and leaves every vendor up and well.
func (c *trouble) run(ctx context.Context) error {
	storms := []fault.Fault{
		fault.Status(503), fault.ProcessedStatus(500), fault.ResetBeforeRead(), fault.ResetAfterRead(true), fault.Hang(),
		fault.HTMLError(502), fault.TooManyRequests(),
	}
	targets := []vendorName{texts, orders, ledgers}
	for wait(ctx, c.between(50, 150)) {
		name := targets[c.turn%len(targets)]
		s := c.vendors.server(name)
		if c.turn/len(targets)%2 == 0 {
			c.downs[name]++
			s.Down()
			wait(ctx, c.between(5, 45))
			if err := s.Up(); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		} else {
			storm := storms[c.turn/(2*len(targets))%len(storms)]
			c.storms[storm.Name()]++
			s.Outage(storm)
			if name == texts {
				wait(ctx, c.between(250, 400)) // its breaker looks at a share of the calls in a time window
			} else {
				wait(ctx, c.between(40, 100))
			}
			s.Recover()
		}
		c.turn++
	}
	return nil
}

func (c *trouble) between(from, to int) time.Duration {
	return time.Duration(from+c.rng.IntN(to-from)) * time.Millisecond
}

// wait waits for d and reports whether ctx is still alive then.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
