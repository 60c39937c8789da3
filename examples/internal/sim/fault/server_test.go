package fault_test

import (
	"context"
	"crypto/x509"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/examples/internal/sim/fault"
)

func TestNewReportsEveryFaultOfItsConfig(t *testing.T) {
	_, err := fault.New(fault.Config{HTTP2: true, TLS: 9, MaxEntries: -1, MaxBody: -1})
	require.ErrorContains(t, err, "Handler is nil")
	require.ErrorContains(t, err, "TLS is 9")
	require.ErrorContains(t, err, "MaxEntries is -1")
	require.ErrorContains(t, err, "MaxBody is -1")
	_, err = fault.New(fault.Config{Handler: &vendor{}, HTTP2: true})
	require.ErrorContains(t, err, "HTTP2 needs TLS")
}

func TestOutageOverridesTheScriptUntilRecover(t *testing.T) {
	g := start(t, fault.Config{Script: fault.Sequence(fault.Status(500))})
	g.Outage(fault.Status(503))
	for range 3 {
		resp, _, err := g.post(t.Context(), "out")
		require.NoError(t, err)
		require.Equal(t, 503, resp.StatusCode)
	}
	g.Recover()
	resp, _, err := g.post(t.Context(), "back")
	require.NoError(t, err)
	require.Equal(t, 500, resp.StatusCode, "the outage must not have used up the script")
	require.Equal(t, map[string]int64{"status_503": 3, "status_500": 1}, g.Counts())
}

func TestOutageResetBeforeReadResetsAtAccept(t *testing.T) {
	g := start(t, fault.Config{})
	g.Outage(fault.ResetBeforeRead())
	_, _, err := g.post(t.Context(), "c1")
	require.Error(t, err)
	require.Empty(t, g.ByCall("c1"), "nothing of the request may have been read")
	entries := g.Entries()
	require.Len(t, entries, 1)
	require.Equal(t, "reset_before_read", entries[0].Fault)
	require.Empty(t, entries[0].Method)
	require.True(t, entries[0].Done)

	g.Recover()
	resp, _, err := g.post(t.Context(), "c2")
	require.NoError(t, err)
	require.Equal(t, 201, resp.StatusCode)
}

func TestDownRefusesDialsAndUpServesTheSamePort(t *testing.T) {
	g := start(t, fault.Config{})
	for range 3 {
		resp, _, err := g.post(t.Context(), "up")
		require.NoError(t, err)
		require.Equal(t, 201, resp.StatusCode)
		url := g.URL()

		g.Down()
		g.Down()
		require.Zero(t, g.OpenConns(), "a server that is down holds no connection")
		_, _, err = g.post(t.Context(), "down")
		require.Error(t, err)
		_, _, err = g.post(t.Context(), "down")
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		require.Empty(t, g.ByCall("down"))

		require.NoError(t, g.Up())
		require.NoError(t, g.Up())
		require.Equal(t, url, g.URL())
	}
}

func TestUpAfterCloseFails(t *testing.T) {
	g := start(t, fault.Config{})
	require.NoError(t, g.Close())
	require.ErrorContains(t, g.Up(), "closed")
}

func TestCloseEndsEveryWait(t *testing.T) {
	for _, f := range []fault.Fault{
		fault.Latency(long), fault.Hang(), fault.StalledBody(), fault.SlowDrip(long), fault.Status(503).After(long),
		fault.ResetBeforeRead().After(long), fault.ResetAfterRead(true).After(long),
	} {
		entered := make(chan struct{})
		g := start(t, fault.Config{Script: fault.ScriptFunc(func(*http.Request) fault.Fault {
			close(entered)
			return f
		})})
		var clients sync.WaitGroup
		clients.Go(func() { _, _, _ = g.post(context.Background(), "c1") })
		<-entered
		require.NoError(t, g.Close())
		require.NoError(t, g.Close())
		clients.Wait()
		require.Zero(t, g.InFlight(), f)
		require.Zero(t, g.OpenConns(), f)
		require.True(t, g.only(t, "c1").Done, f)
	}
}

func TestExpiredCertificateFailsTheHandshake(t *testing.T) {
	g := start(t, fault.Config{TLS: fault.ExpiredCert})
	_, _, err := g.post(t.Context(), "c1")
	var invalid x509.CertificateInvalidError
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, x509.Expired, invalid.Reason)
	require.Empty(t, g.Entries())
	require.EqualValues(t, 1, g.TotalConns())
}

func TestFaultsOverTLSAndHTTP2(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		g := start(t, fault.Config{TLS: fault.ValidCert, HTTP2: http2, Script: fault.Sequence(
			fault.None(), fault.Status(503), fault.ResetAfterRead(true), fault.TruncatedBody(), fault.CutJSON())})
		resp, _, err := g.post(t.Context(), "none")
		require.NoError(t, err)
		require.Equal(t, http2, resp.ProtoMajor == 2)
		resp, _, err = g.post(t.Context(), "status")
		require.NoError(t, err)
		require.Equal(t, 503, resp.StatusCode)
		_, _, err = g.post(t.Context(), "reset")
		require.Error(t, err)
		require.True(t, g.only(t, "reset").Processed)
		_, _, err = g.post(t.Context(), "truncated")
		require.Error(t, err)
		_, body, err := g.post(t.Context(), "cut")
		require.NoError(t, err)
		require.Equal(t, vendorBody[:len(vendorBody)/2], body)
		require.EqualValues(t, 4, g.vendor.did.Load())
		g.Down()
		_, _, err = g.post(t.Context(), "down")
		require.Error(t, err)
		require.NoError(t, g.Up())
		_, _, err = g.post(t.Context(), "up")
		require.NoError(t, err)
	}
}

func TestConnectionsAreCounted(t *testing.T) {
	g := start(t, fault.Config{Script: fault.Sequence(fault.None(), fault.None(), fault.ResetAfterRead(false))})
	for range 2 {
		_, _, err := g.post(t.Context(), "reused")
		require.NoError(t, err)
	}
	require.Equal(t, 1, g.OpenConns())
	require.EqualValues(t, 1, g.TotalConns())
	_, _, err := g.post(t.Context(), "reset")
	require.Error(t, err)
	require.Zero(t, g.OpenConns())
	_, _, err = g.post(t.Context(), "again")
	require.NoError(t, err)
	require.Equal(t, 1, g.OpenConns())
	require.EqualValues(t, 2, g.TotalConns())
	require.EqualValues(t, 2, g.only(t, "again").Conn)
}

func TestOversizedBodyIsRefusedUnprocessed(t *testing.T) {
	g := start(t, fault.Config{MaxBody: 4})
	resp, _, err := g.post(t.Context(), "c1")
	require.NoError(t, err)
	require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
	require.Zero(t, g.vendor.did.Load())
	require.False(t, g.only(t, "c1").ReadWhole)
}

func TestBodyCutOffByTheClientIsNotProcessed(t *testing.T) {
	entered := make(chan struct{})
	g := start(t, fault.Config{Script: fault.ScriptFunc(func(*http.Request) fault.Fault {
		close(entered)
		return fault.None()
	})})
	ctx, cancel := context.WithCancel(t.Context())
	pr, pw := io.Pipe()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.URL(), pr)
	require.NoError(t, err)
	req.ContentLength = 100
	var client sync.WaitGroup
	client.Go(func() { _, _ = g.client.Do(req) })
	<-entered
	cancel()
	require.NoError(t, pw.Close()) // the Transport waits for the body's reader
	client.Wait()
	require.NoError(t, g.Quiesce(t.Context()))
	require.False(t, g.Entries()[0].ReadWhole)
	require.False(t, g.Entries()[0].Processed)
	require.Zero(t, g.vendor.did.Load())
}

func TestAHandlerThatPanicsAnswers500(t *testing.T) {
	g := start(t, fault.Config{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("oops") })})
	resp, body, err := g.post(t.Context(), "c1")
	require.NoError(t, err)
	require.Equal(t, 500, resp.StatusCode)
	require.Contains(t, body, "oops")
	require.False(t, g.only(t, "c1").Processed)
}

func TestAHandlerCanOverruleProcessed(t *testing.T) {
	g := start(t, fault.Config{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fault.SetProcessed(r, false)
	})})
	_, _, err := g.post(t.Context(), "c1")
	require.NoError(t, err)
	require.False(t, g.only(t, "c1").Processed)
}

func TestRedirectSendsAnyHostHereAndLeavesTheRequestAlone(t *testing.T) {
	var host, path string
	g := start(t, fault.Config{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		host, path = r.Host, r.URL.RequestURI()
	})})
	client := &http.Client{Transport: g.Redirect(g.client.Transport)}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.vendor.test/v1/x?y=1", strings.NewReader("b"))
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "api.vendor.test", host)
	require.Equal(t, "/v1/x?y=1", path)
	require.Equal(t, "https://api.vendor.test/v1/x?y=1", req.URL.String())
}

func TestLedgerIsBoundedAndKeepsTheNewest(t *testing.T) {
	g := start(t, fault.Config{MaxEntries: 3})
	for i := range 5 {
		_, _, err := g.post(t.Context(), strconv.Itoa(i%2))
		require.NoError(t, err)
	}
	entries := g.Entries()
	require.Len(t, entries, 3)
	require.EqualValues(t, 3, entries[0].Seq)
	require.EqualValues(t, 5, entries[2].Seq)
	require.EqualValues(t, 2, g.Dropped())
	require.Len(t, g.ByCall("0"), 2)
	require.Len(t, g.ByCall("1"), 1)
	require.Equal(t, map[string]int64{"none": 5}, g.Counts())
}

func TestResetEmptiesTheLedgerEvenUnderARequest(t *testing.T) {
	g := start(t, fault.Config{MaxEntries: 3, Script: fault.Sequence(fault.None(), fault.Hang())})
	_, _, err := g.post(t.Context(), "old")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, _, err = g.post(ctx, "old")
	require.Error(t, err)
	g.Reset()
	require.NoError(t, g.Quiesce(t.Context()))
	require.Empty(t, g.Entries())
	require.Empty(t, g.ByCall("old"))
	require.Empty(t, g.Counts())
	_, _, err = g.post(t.Context(), "new")
	require.NoError(t, err)
	require.EqualValues(t, 3, g.only(t, "new").Seq)
}

func TestByCallFindsBothHeaders(t *testing.T) {
	g := start(t, fault.Config{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.URL(), nil)
	require.NoError(t, err)
	req.Header.Set("X-Correlation-ID", "corr")
	req.Header.Set("X-Test-Call", "call")
	resp, err := g.client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, g.only(t, "call"), g.only(t, "corr"))
	require.Equal(t, "corr", g.only(t, "call").CorrelationID)
	require.Empty(t, g.ByCall(""))
}

func TestQuiesceEndsWithItsContext(t *testing.T) {
	entered := make(chan struct{})
	g := start(t, fault.Config{Script: fault.ScriptFunc(func(*http.Request) fault.Fault {
		close(entered)
		return fault.Hang()
	})})
	ctx, cancel := context.WithCancel(t.Context())
	var client sync.WaitGroup
	client.Go(func() { _, _, _ = g.post(ctx, "c1") })
	<-entered
	require.Equal(t, 1, g.InFlight())
	gone, goneNow := context.WithCancel(t.Context())
	goneNow()
	require.ErrorIs(t, g.Quiesce(gone), context.Canceled)
	cancel()
	client.Wait()
	require.NoError(t, g.Quiesce(t.Context()))
}

func TestManyCallersUnderEveryFaultLeaveTheLedgerExact(t *testing.T) {
	script, err := fault.MixBy(1, nil,
		fault.Share{P: .1, Fault: fault.ResetAfterRead(true)}, fault.Share{P: .1, Fault: fault.ResetAfterRead(false)},
		fault.Share{P: .1, Fault: fault.ResetBeforeRead()}, fault.Share{P: .1, Fault: fault.ProcessedStatus(503)},
		fault.Share{P: .1, Fault: fault.TruncatedBody()}, fault.Share{P: .1, Fault: fault.Latency(time.Millisecond)},
		fault.Share{P: .1, Fault: fault.HTMLError(502)})
	require.NoError(t, err)
	g := start(t, fault.Config{Script: script})
	const callers, each = 16, 60
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				_, _, _ = g.post(context.Background(), strconv.Itoa(c*each+i))
			}
		})
	}
	wg.Wait()
	require.NoError(t, g.Quiesce(t.Context()))
	entries := g.Entries()
	var processed int64
	for _, e := range entries {
		if e.Processed {
			processed++
		}
	}
	require.Len(t, entries, callers*each)
	require.Equal(t, g.vendor.did.Load(), processed)
	var counted int64
	for _, n := range g.Counts() {
		counted += n
	}
	require.EqualValues(t, callers*each, counted)
}
