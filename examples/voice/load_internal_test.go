package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	twilioclient "github.com/twilio/twilio-go/client"
	openapi "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/examples/internal/sim/fault"
	"github.com/prusik-go/prusik/examples/internal/sim/twiliosim"
	"github.com/prusik-go/prusik/httpx"
)

// By default a few seconds at a rate that any machine carries, to see that the claims hold. The figures are of
//
//	go -C examples test ./voice -run Load -count=1 -v -load.for=60s -load.rate=600
var (
	loadFor  = flag.Duration("load.for", 5*time.Second, "how long the load lasts, at most 60 s")
	loadRate = flag.Int("load.rate", 200, "requests a second")
)

// failing is a vendor that fails a fifth of what it gets: it refuses, breaks before and after it has done what was asked, and
// loses the answer.
func failing(t *testing.T) fault.Script {
	t.Helper()
	s, err := fault.Mix(1,
		fault.Share{P: 0.05, Fault: fault.TooManyRequests()}, fault.Share{P: 0.06, Fault: fault.Status(503)},
		fault.Share{P: 0.05, Fault: fault.ProcessedStatus(503)}, fault.Share{P: 0.04, Fault: fault.ResetAfterRead(true)})
	require.NoError(t, err)
	return s
}

// tried is one text and what its sender was told.
type tried struct {
	body, ip string
	reply    reply
	took     time.Duration
	attempts int
}

// load sends as fire says, from many goroutines, at an even rate, and returns how many requests it sent a second.
func load(fire func(n int)) float64 {
	began, total := time.Now(), int(loadFor.Seconds()*float64(*loadRate))
	var next atomic.Int64
	var senders sync.WaitGroup
	for range 128 { // more than are in flight: a slow answer holds the next request up by nothing
		senders.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= total {
					return
				}
				time.Sleep(time.Until(began.Add(time.Duration(n) * time.Second / time.Duration(*loadRate))))
				fire(n)
			}
		})
	}
	senders.Wait()
	return float64(total) / time.Since(began).Seconds()
}

// Load from thousands of addresses while Twilio fails a fifth of what it gets: nobody is texted twice, whoever is told that the text
// was sent has been texted, every failure is one that the policy explains, and nothing grows but what is kept on purpose. That no
// goroutine is left is seen at the end of all tests.
func TestLoad(t *testing.T) {
	require.LessOrEqual(t, *loadFor, time.Minute)
	// At 15 % of failures that count, three in a row come every second at this rate: the default would cut Twilio off, and there
	// would be little to see.
	g := startWith(t, standard(), func(cfg httpx.Config) httpx.Config { cfg.Profile.Rates = nil; return cfg },
		"VOICE_TRUSTED_PROXIES=127.0.0.1", "RATE_LIMIT_PER_MINUTE=10", "TWILIO_CIRCUIT_BREAKER_THRESHOLD=30")
	g.http.Transport = &http.Transport{MaxIdleConnsPerHost: 256}
	g.vendors.twilioSim.SetScript(failing(t))

	var (
		mu      sync.Mutex
		all     []tried
		refused int // the abuser
		heap    []uint64
		at      []int
		routine []int
	)
	text := func(body, ip string) tried {
		began := time.Now()
		r, err := g.try(t.Context(), "POST /api/v1/twilio/messages", `{"to":"`+person+`","body":"`+body+`"}`,
			"Idempotency-Key", body, "X-Forwarded-For", ip)
		if err != nil {
			t.Error(err)
		}
		var done struct{ Attempts int }
		_ = json.Unmarshal(r.body, &done)
		return tried{body, ip, r, time.Since(began), done.Attempts}
	}
	total := int(loadFor.Seconds() * float64(*loadRate))
	rate := load(func(n int) {
		if n == total/2 || n == total-1 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			mu.Lock()
			heap, at, routine = append(heap, m.HeapAlloc), append(at, n), append(routine, runtime.NumGoroutine())
			mu.Unlock()
		}
		ip := fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255)
		switch n % 20 {
		case 0: // one client that does not know when to stop
			if r := text(fmt.Sprint("abuse-", n), "192.0.2.66").reply; r.status == http.StatusTooManyRequests {
				mu.Lock()
				refused++
				mu.Unlock()
			}
		case 1: // somebody reads
			r, err := g.try(t.Context(), "GET /api/v1/vapi/settings", "", "X-Forwarded-For", ip)
			full := err == nil && r.status == http.StatusServiceUnavailable && strings.Contains(string(r.body), `"unavailable"`)
			if !full && r.status != http.StatusOK { // Vapi's profile has ten calls at a time
				t.Errorf("Vapi is well: %v %d %s", err, r.status, r.body)
			}
		default:
			is := text(fmt.Sprint("text-", n), ip)
			mu.Lock()
			all = append(all, is)
			mu.Unlock()
			if n%20 < 4 { // and once more, as a proxy does
				again := text(is.body, ip)
				free := is.reply.status == http.StatusServiceUnavailable
				if !free && (again.reply.status != is.reply.status || string(again.reply.body) != string(is.reply.body) || again.reply.header.Get("Idempotency-Replayed") == "") {
					t.Errorf("told %d %s, and then %d %s", is.reply.status, is.reply.body, again.reply.status, again.reply.body)
				}
				if free && again.reply.status == http.StatusCreated {
					mu.Lock()
					all[slices.IndexFunc(all, func(one tried) bool { return one.body == is.body })] = again
					mu.Unlock()
				}
			}
		}
	})

	require.NoError(t, g.vendors.twilioSim.Quiesce(t.Context()))
	require.Empty(t, g.vendors.twilioSim.Duplicates(), "nobody was texted twice")
	received := map[string]int{}
	for _, m := range g.vendors.twilioSim.Received(person) {
		received[m.Body]++
	}
	count := map[string]int{}
	var once, retried []time.Duration
	for _, is := range all {
		label := fmt.Sprint(is.reply.status)
		if is.reply.status == http.StatusCreated {
			require.Equal(t, 1, received[is.body], "who is told that it was sent was texted")
			if is.attempts == 1 {
				once = append(once, is.took)
			} else {
				retried, label = append(retried, is.took), label+" after a retry"
			}
		} else {
			p, err := errors.DecodeProblem(is.reply.body)
			require.NoError(t, err, "%s", is.reply.body)
			label += " " + string(p.Kind) + ", " + p.Delivery
			switch p.Kind {
			case errors.VendorBadResponse: // Twilio's, after it was sent
				require.Equal(t, http.StatusBadGateway, is.reply.status)
				require.Equal(t, "unknown", p.Delivery)
			case errors.VendorRateLimited: // three times 429
				require.Equal(t, "rejected", p.Delivery)
				require.Zero(t, received[is.body])
			case errors.CircuitOpen, errors.Unavailable: // the breaker, the bulkhead
				require.Equal(t, http.StatusServiceUnavailable, is.reply.status)
				require.Equal(t, "not_sent", p.Delivery)
				require.Zero(t, received[is.body])
			default:
				require.Fail(t, "no policy explains this", "%d %s", is.reply.status, is.reply.body)
			}
		}
		count[label]++
	}
	require.NotZero(t, count["502 vendor_bad_response, unknown"])
	require.NotEmpty(t, retried)
	require.NotZero(t, refused, "the abuser was stopped")
	require.Len(t, heap, 2)
	grown := (float64(heap[1]) - float64(heap[0])) / float64(at[1]-at[0])
	t.Logf("%.0f requests/s for %v; %v; the abuser was refused %d times", rate, *loadFor, count, refused)
	t.Logf("with the library:    p50 %v, p99 %v at the first attempt; after a retry p50 %v", quantile(once, 0.5), quantile(once, 0.99), quantile(retried, 0.5))
	t.Logf("heap %d and %d KiB (%.0f bytes a request), goroutines %d and %d, at half time and at the end", heap[0]>>10, heap[1]>>10, grown, routine[0], routine[1])
	if *loadRate >= 500 { // the figures are wanted: this is no race detector, and no machine that does other things
		require.GreaterOrEqual(t, rate, 500.0)
		require.Less(t, grown, 4096.0, "bytes a request: a kept key with its answer, and what test and simulator remember of a text")
	}
}

func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[int(q*float64(len(all)-1))].Round(10 * time.Microsecond)
}

// The same texts, at the same rate, to the same vendor, without the library: a handler, twilio-go, and net/http.
func TestLoadWithoutTheLibrary(t *testing.T) {
	if *loadRate < 500 {
		t.Skip("it claims nothing; it is for the figures: see load.rate")
	}
	sim, err := twiliosim.New(twiliosim.Config{Server: fault.Config{MaxEntries: 4096}})
	require.NoError(t, err)
	sim.SetScript(failing(t))
	transport := sim.Transport()
	transport.MaxIdleConnsPerHost = 128
	twilio := &twilioclient.Client{
		Credentials: twilioclient.NewCredentials(twiliosim.AccountSID, twiliosim.AuthToken),
		HTTPClient:  &http.Client{Transport: sim.Redirect(transport)}, // with a Timeout, each error that twilio-go leaves open is a goroutine
	}
	twilio.SetAccountSid(twiliosim.AccountSID)
	api := openapi.NewApiServiceWithClient(twilio)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var want struct{ To, Body string }
		if json.NewDecoder(r.Body).Decode(&want) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		m, err := api.CreateMessage((&openapi.CreateMessageParams{}).SetTo(want.To).SetFrom("+15005550006").SetBody(want.Body))
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(messageOf(m))
	})}
	go func() { _ = server.Serve(ln) }()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		transport.CloseIdleConnections()
		_ = server.Close()
		_ = sim.Close()
	})

	var mu sync.Mutex
	var took []time.Duration
	rate := load(func(n int) {
		began := time.Now()
		resp, err := client.Post("http://"+ln.Addr().String(), "application/json",
			strings.NewReader(fmt.Sprintf(`{"to":"%s","body":"%d-%d"}`, person, n, rand.Int())))
		if err != nil {
			t.Error(err)
			return
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusCreated {
			mu.Lock()
			took = append(took, time.Since(began))
			mu.Unlock()
		}
	})
	t.Logf("%.0f requests/s", rate)
	t.Logf("without the library: p50 %v, p99 %v of what succeeded", quantile(took, 0.5), quantile(took, 0.99))
}
