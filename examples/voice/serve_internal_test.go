package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/examples/internal/sim/fault"
	"github.com/prusik-go/prusik/flags/flagstest"
)

// gate holds back what Twilio does until it is opened.
type gate struct {
	arrived chan struct{}
	open    chan struct{}
}

func (g *rig) gate() *gate {
	held := &gate{make(chan struct{}, 100), make(chan struct{})}
	g.vendors.twilioSim.SetScript(fault.ScriptFunc(func(*http.Request) fault.Fault {
		held.arrived <- struct{}{}
		<-held.open
		return fault.None()
	}))
	return held
}

// A signal comes while calls are in flight, and while pages watch: the calls are finished and answered, the streams end, new
// connections are refused.
func TestAShutdownLosesNoCall(t *testing.T) {
	g := start(t)
	progress, status := g.follow(t, "/api/v1/progress/someone"), g.follow(t, "/ops/status")
	status.next(t)
	held := g.gate()
	const inFlight = 8
	type result struct {
		reply
		err error
	}
	results := make(chan result, inFlight)
	for i := range inFlight {
		go func() {
			r, err := g.try(t.Context(), "POST /api/v1/twilio/messages", fmt.Sprintf(`{"to":"%s","body":"%d"}`, person, i), "Idempotency-Key", fmt.Sprint(i))
			results <- result{r, err}
		}()
	}
	for range inFlight {
		receive(t, held.arrived)
	}
	g.stop()
	for range progress.events {
		require.Fail(t, "nothing was published")
	}
	for range status.events { // until it ends
	}
	eventually(t, "nobody new is let in", func() bool {
		c, err := net.Dial("tcp", g.addr)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	require.True(t, g.leaving.Load())
	require.Empty(t, results, "they are in flight still")
	close(held.open)
	for range inFlight {
		r := receive(t, results)
		require.NoError(t, r.err)
		require.Equal(t, http.StatusCreated, r.status, "%s", r.body)
	}
	g.end(t)
	require.Len(t, g.vendors.twilioSim.Received(person), inFlight)
	require.Empty(t, g.vendors.twilioSim.Duplicates())
}

// What does not end in time is cut off, and that is said.
func TestAShutdownDoesNotWaitForever(t *testing.T) {
	at := standard()
	at.drain = 10 * time.Millisecond
	g := startWith(t, at, quick)
	arrived := make(chan struct{}, 1)
	g.vendors.twilioSim.SetScript(fault.ScriptFunc(func(*http.Request) fault.Fault {
		arrived <- struct{}{}
		return fault.Hang()
	}))
	gone := make(chan error, 1)
	go func() {
		_, err := g.try(t.Context(), "POST /api/v1/twilio/messages", `{"to":"`+person+`","body":"x"}`, "Idempotency-Key", "k")
		gone <- err
	}()
	receive(t, arrived)
	g.stop()
	require.ErrorContains(t, receive(t, g.result), "requests were cut off")
	require.Error(t, receive(t, gone))
	g.result <- nil
}

func TestWhoLeavesIsNotReady(t *testing.T) {
	g := start(t)
	g.leaving.Store(true)
	g.send(t, "GET /readyz", "").problem(t, http.StatusServiceUnavailable, errors.Unavailable)
	require.Equal(t, http.StatusOK, g.send(t, "GET /healthz", "").status)
}

// A client that sends its request byte by byte is served, one that stops in the middle is cut off without a call to Twilio, and
// one that never reads its stream holds nobody up.
func TestASlowClient(t *testing.T) {
	at := standard()
	at.header, at.read = 300*time.Millisecond, 300*time.Millisecond
	g := startWith(t, at, quick)
	dial := func() net.Conn {
		c, err := net.Dial("tcp", g.addr)
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	body := `{"to":"` + person + `","body":"slow"}`
	head := fmt.Sprintf("POST /api/v1/twilio/messages HTTP/1.1\r\nHost: voice\r\nIdempotency-Key: slow\r\nContent-Length: %d\r\n\r\n", len(body))

	deaf := dial()
	_, err := io.WriteString(deaf, "GET /ops/status HTTP/1.1\r\nHost: voice\r\nAccept: text/event-stream\r\n\r\n")
	require.NoError(t, err)

	stopped := dial()
	_, err = io.WriteString(stopped, head+body[:10])
	require.NoError(t, err)
	_ = stopped.SetReadDeadline(time.Now().Add(patience))
	resp, err := http.ReadResponse(bufio.NewReader(stopped), nil)
	if err == nil { // an answer, or none: it is over
		require.Equal(t, http.StatusBadRequest, resp.StatusCode)
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	_, err = io.Copy(io.Discard, stopped)
	require.NoError(t, err, "the connection was closed by the service")
	require.Empty(t, g.vendors.twilioSim.Received(person))

	require.Equal(t, http.StatusCreated, g.text(t, "quick", "quick").status)
	at.header, at.read = patience, patience
	patient := startWith(t, at, quick)
	c, err := net.Dial("tcp", patient.addr)
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	for _, b := range []byte(head + body) {
		_, err := c.Write([]byte{b})
		require.NoError(t, err)
	}
	resp, err = http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, resp.StatusCode)
	_ = resp.Body.Close()
	require.Len(t, patient.vendors.twilioSim.Received(person), 1)
}

// console is what a command prints, while it runs.
type console struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write adds to it.
func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(b)
}

// String is all of it.
func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// The command as a newcomer starts it, with nothing set.
func TestTheCommandServesWithNothingSet(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var out, log console
	code := make(chan int, 1)
	go func() { code <- run(ctx, nil, []string{"VOICE_ADDR=127.0.0.1:0"}, &out, &log) }()
	found := regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
	eventually(t, "the address is printed", func() bool { return found.MatchString(out.String()) })
	require.Contains(t, out.String(), "APP_ENV is not set: production rules hold; simulated vendors because no credentials are set")
	resp, err := http.Get(found.FindString(out.String()) + "/readyz")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	stop()
	require.Equal(t, exitOK, receive(t, code))
}

// It does not start where it would not be what it seems, and one sentence says what to do.
func TestTheCommandRefusesToStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	accounts := []string{"TWILIO_ACCOUNT_SID=AC1", "TWILIO_AUTH_TOKEN=secret1", "TWILIO_FROM=+15005550006", "VAPI_API_KEY=secret2"}
	for says, environ := range map[string][]string{
		"INTEGRATIONS_STUB_MODE = true: want false in production, and APP_ENV is not set, which counts as production: set APP_ENV=development": {"INTEGRATIONS_STUB_MODE=true"},
		"VOICE_ADDR = \":8080\" would serve simulated vendors to others":                                                                       {"VOICE_ADDR=:8080"},
		"VOICE_ADDR = \"0.0.0.0:8080\" would serve simulated":                                                                                  {"VOICE_ADDR=0.0.0.0:8080"},
		"a vendor without credentials is a simulator, which sends nothing: set TWILIO_ACCOUNT_SID":                                             {"APP_ENV=production"},
		"a vendor without credentials is a simulator":                                                                                          append([]string{"APP_ENV=staging"}, accounts[:3]...),
		"set all of TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_FROM":                                                                     {"TWILIO_ACCOUNT_SID=AC1"},
		"VOICE_CALLBACK_KEY has 5 bytes":                                                                                                       {"VOICE_CALLBACK_KEY=short"},
		"VOICE_PUBLIC_URL = \"voice.example.com\"":                                                                                             {"VOICE_PUBLIC_URL=voice.example.com"},
		"VOICE_TRUSTED_PROXIES has \"10.0.0\"":                                                                                                 {"VOICE_TRUSTED_PROXIES=10.0.0"},
		"REDIS_URL cannot be read":                                                                                                             {"REDIS_URL=http://user:hunter2@host"},
		"VOICE_ADRR = set: want a flag that is declared, as it begins with VOICE_: did you mean VOICE_ADDR?":                                   {"VOICE_ADRR=:80"},
		"set VOICE_ADDR to another address":                                                                                                    {"VOICE_ADDR=" + taken.Addr().String()},
		"accountSID is \"AC1\"":                                                                                                                append([]string{"APP_ENV=production"}, accounts...),
	} {
		var out, stderr bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), patience) // one that does start is a failure and no hang
		code := run(ctx, nil, environ, &out, &stderr)
		cancel()
		require.Equal(t, exitFailed, code, "%v", environ)
		require.Contains(t, stderr.String(), says)
		require.Equal(t, 1, strings.Count(stderr.String(), "\n"), "one sentence: %s", stderr.String())
		require.Empty(t, out.String())
		for _, secret := range []string{"secret1", "secret2", "hunter2", "short"} {
			require.NotContains(t, stderr.String(), secret)
		}
	}
}

// In development, .env is read; elsewhere it is not.
func TestDotEnvIsForDevelopment(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile(".env", []byte("RATE_LIMIT_PER_MINUTE=7\n"), 0o600))
	s := declare()
	require.NoError(t, s.load([]string{"APP_ENV=development", "VOICE_ADDR=:0"}))
	require.Equal(t, 7, s.program.RateLimitPerMinute.Get())
	s = declare()
	require.NoError(t, s.load(nil))
	require.Equal(t, 10, s.program.RateLimitPerMinute.Get())
}

func TestTheCommandSaysWhatItOffers(t *testing.T) {
	for _, args := range [][]string{{"-drill", "-sabotage", "other"}, {"-drill", "more"}, {"-dril"}, {"-seed", "2"}, {"serve"}} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, exitUsage, run(t.Context(), args, nil, &stdout, &stderr), "%v", args)
		require.NotEmpty(t, stderr.String())
		require.Empty(t, stdout.String())
	}
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitOK, run(t.Context(), []string{"-h"}, nil, &stdout, &stderr))
	require.Contains(t, stderr.String(), "-drill")
}

// The documents are what the declarations say: FLAGSTEST_UPDATE=1 go test writes them.
func TestTheDocumentsOfTheFlags(t *testing.T) {
	set, root := declare().Set, filepath.Join("..", "..")
	flagstest.Golden(t, filepath.Join(root, ".env.example"), set.WriteEnv)
	flagstest.GoldenSection(t, filepath.Join(root, "README.md"), "flags", set.WriteMarkdown)
	flagstest.GoldenSection(t, filepath.Join(root, "metrics", "ops", "RUNBOOK.md"), "checklist", set.WriteChecklist)
	flagstest.RequireCurrent(t, set)
}
