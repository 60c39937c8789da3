package fault_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/examples/internal/sim/fault"
)

const long = time.Hour // never waited out: a test that waits for it hangs and fails

func TestNoneLetsTheRequestThrough(t *testing.T) {
	g := start(t, fault.Config{Key: func(_ *http.Request, body []byte) string { return string(body) }})
	resp, body, err := g.post(t.Context(), "c1")
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, resp.StatusCode)
	require.JSONEq(t, vendorBody, body)

	e := g.only(t, "c1")
	require.NoError(t, g.Quiesce(t.Context()))
	require.False(t, e.At.IsZero())
	require.Equal(t, fault.Entry{
		Seq: 1, At: e.At, Conn: 1, Method: "POST", Path: "/messages", Key: "text=hello", TestCall: "c1", Fault: "none",
		ReadWhole: true, Processed: true, HandlerStatus: 201, Status: 201, Done: true,
	}, g.Entries()[0])
	require.Equal(t, map[string]int64{"none": 1}, g.Counts())
}

func TestLatencyProcessesAtOnceAndAnswersLate(t *testing.T) {
	g := start(t, fault.Config{Script: fault.Sequence(fault.Latency(30 * time.Millisecond))})
	begin := time.Now()
	resp, _, err := g.post(t.Context(), "c1")
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, resp.StatusCode)
	require.GreaterOrEqual(t, time.Since(begin), 30*time.Millisecond)
}

func TestLatencyOutlastingTheClientIsProcessedAndUnanswered(t *testing.T) {
	g := start(t, fault.Config{Script: fault.Always(fault.Latency(long))})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, _, err := g.post(ctx, "c1")
	require.ErrorIs(t, err, context.DeadlineExceeded)

	require.NoError(t, g.Quiesce(t.Context()))
	e := g.only(t, "c1")
	require.True(t, e.Processed)
	require.True(t, e.Done)
	require.Equal(t, 201, e.HandlerStatus)
	require.Zero(t, e.Status)
}

func TestHangIsReadAndNeverProcessed(t *testing.T) {
	g := start(t, fault.Config{Script: fault.Sequence(fault.Hang(), fault.Hang().Processed())})
	for i, want := range []bool{false, true} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, _, err := g.post(ctx, strconv.Itoa(i))
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, g.Quiesce(t.Context()))
		e := g.only(t, strconv.Itoa(i))
		require.True(t, e.ReadWhole)
		require.Equal(t, want, e.Processed)
	}
}

func TestStatusAnswersInPlaceOfTheHandler(t *testing.T) {
	for _, code := range []int{500, 502, 503, 504} {
		g := start(t, fault.Config{Script: fault.Always(fault.Status(code))})
		resp, body, err := g.post(t.Context(), "c1")
		require.NoError(t, err)
		require.Equal(t, code, resp.StatusCode)
		require.True(t, json.Valid([]byte(body)))
		require.Equal(t, "application/json", resp.Header.Get("Content-Type"))
		require.Zero(t, g.vendor.did.Load())
		e := g.only(t, "c1")
		require.False(t, e.Processed)
		require.True(t, e.ReadWhole)
		require.Equal(t, code, e.Status)
		require.Zero(t, e.HandlerStatus)
	}
}

func TestStatusBodyAndHeadersCanBeSet(t *testing.T) {
	base := fault.Status(503).WithHeader("X-Base", "yes")
	custom := base.WithHeader("X-Vendor", "yes").WithBody("text/plain", "go away")
	g := start(t, fault.Config{Script: fault.Sequence(custom, base)})
	resp, body, err := g.post(t.Context(), "c1")
	require.NoError(t, err)
	require.Equal(t, "go away", body)
	require.Equal(t, "text/plain", resp.Header.Get("Content-Type"))
	require.Equal(t, "yes", resp.Header.Get("X-Vendor"))

	resp, _, err = g.post(t.Context(), "c2")
	require.NoError(t, err)
	require.Equal(t, "yes", resp.Header.Get("X-Base"))
	require.Empty(t, resp.Header.Get("X-Vendor"), "the fault that was built on was changed")
}

func TestStatusUsesTheVendorsOwnErrorBody(t *testing.T) {
	g := start(t, fault.Config{
		Script: fault.Always(fault.Status(503)),
		Errors: func(_ *http.Request, status int) fault.Answer {
			return fault.Answer{Header: http.Header{"X-Request-Id": {"r1"}}, Body: []byte(strconv.Itoa(status * 10))}
		},
	})
	resp, body, err := g.post(t.Context(), "c1")
	require.NoError(t, err)
	require.Equal(t, "5030", body)
	require.Equal(t, "r1", resp.Header.Get("X-Request-Id"))
}

func TestTooManyRequestsInItsThreeForms(t *testing.T) {
	g := start(t, fault.Config{Script: fault.Sequence(
		fault.TooManyRequests(), fault.TooManyRequestsAfter(1500*time.Millisecond), fault.TooManyRequestsUntil(90*time.Second))})
	none, _, err := g.post(t.Context(), "none")
	require.NoError(t, err)
	require.Equal(t, 429, none.StatusCode)
	require.Empty(t, none.Header.Values("Retry-After"))

	seconds, _, err := g.post(t.Context(), "seconds")
	require.NoError(t, err)
	require.Equal(t, "2", seconds.Header.Get("Retry-After"))

	before := time.Now()
	date, _, err := g.post(t.Context(), "date")
	require.NoError(t, err)
	at, err := http.ParseTime(date.Header.Get("Retry-After"))
	require.NoError(t, err)
	require.WithinRange(t, at, before.Add(90*time.Second).Truncate(time.Second), time.Now().Add(91*time.Second))
	require.Zero(t, g.vendor.did.Load())
	require.Equal(t, map[string]int64{"status_429": 3}, g.Counts())
}

func TestProcessedStatusActsAndAnswersAnError(t *testing.T) {
	for _, code := range []int{500, 502, 503, 504} {
		g := start(t, fault.Config{Script: fault.Always(fault.ProcessedStatus(code))})
		resp, body, err := g.post(t.Context(), "c1")
		require.NoError(t, err)
		require.Equal(t, code, resp.StatusCode)
		require.NotEqual(t, vendorBody, body)
		require.EqualValues(t, 1, g.vendor.did.Load())
		e := g.only(t, "c1")
		require.True(t, e.Processed)
		require.Equal(t, 201, e.HandlerStatus)
		require.Equal(t, code, e.Status)
		require.Equal(t, "processed_status_"+strconv.Itoa(code), e.Fault)
	}
}

func TestHTMLErrorIsAProxysPage(t *testing.T) {
	g := start(t, fault.Config{Script: fault.Sequence(fault.HTMLError(502), fault.HTMLError(522))})
	for _, server := range []string{"openresty", "cloudflare"} {
		resp, body, err := g.post(t.Context(), server)
		require.NoError(t, err)
		require.Equal(t, "text/html", resp.Header.Get("Content-Type"))
		require.Equal(t, server, resp.Header.Get("Server"))
		require.Contains(t, body, "<center>"+server+"</center>")
		require.False(t, g.only(t, server).Processed)
	}
}

func TestResetBeforeReadNeverProcesses(t *testing.T) {
	g := start(t, fault.Config{Script: fault.Always(fault.ResetBeforeRead())})
	_, _, err := g.post(t.Context(), "c1")
	require.Error(t, err)
	require.Zero(t, g.vendor.did.Load())
	e := g.only(t, "c1")
	require.False(t, e.ReadWhole)
	require.False(t, e.Processed)
	require.Zero(t, e.Status)
}

func TestResetAfterReadUnprocessedLosesTheRequest(t *testing.T) {
	g := start(t, fault.Config{Script: fault.Always(fault.ResetAfterRead(false))})
	_, _, err := g.post(t.Context(), "c1")
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.Zero(t, g.vendor.did.Load())
	e := g.only(t, "c1")
	require.True(t, e.ReadWhole)
	require.False(t, e.Processed)
	require.Equal(t, "reset_after_read", e.Fault)
}

func TestResetAfterReadProcessedLosesTheAnswer(t *testing.T) {
	g := start(t, fault.Config{Script: fault.Always(fault.ResetAfterRead(true))})
	_, _, err := g.post(t.Context(), "c1")
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.EqualValues(t, 1, g.vendor.did.Load())
	e := g.only(t, "c1")
	require.True(t, e.Processed)
	require.Equal(t, 201, e.HandlerStatus)
	require.Zero(t, e.Status)
	require.Equal(t, "processed_reset_after_read", e.Fault)
}

func TestSlowDripDeliversTheWholeBodySlowly(t *testing.T) {
	g := start(t, fault.Config{Script: fault.Always(fault.SlowDrip(time.Millisecond))})
	begin := time.Now()
	resp, body, err := g.post(t.Context(), "c1")
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, resp.StatusCode)
	require.JSONEq(t, vendorBody, body)
	require.GreaterOrEqual(t, time.Since(begin), time.Duration(len(vendorBody)-1)*time.Millisecond)
}

func TestSlowDripGivesTheHeadersAtOnce(t *testing.T) {
	g := start(t, fault.Config{Script: fault.Always(fault.SlowDrip(long))})
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.URL(), nil)
	require.NoError(t, err)
	resp, err := g.client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	one := make([]byte, 8)
	n, err := resp.Body.Read(one)
	require.NoError(t, err)
	require.Equal(t, vendorBody[:1], string(one[:n]))
	cancel()
	require.NoError(t, g.Quiesce(t.Context()), "the client's going must end the drip")
}

func TestStalledBodyGoesSilentHalfWay(t *testing.T) {
	g := start(t, fault.Config{Script: fault.Always(fault.StalledBody())})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	resp, body, err := g.post(ctx, "c1")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, http.StatusCreated, resp.StatusCode)
	require.Equal(t, vendorBody[:len(vendorBody)/2], body)
	require.NoError(t, g.Quiesce(t.Context()))
	require.True(t, g.only(t, "c1").Processed)
}

func TestTruncatedBodyEndsBeforeItsLength(t *testing.T) {
	g := start(t, fault.Config{Script: fault.Always(fault.TruncatedBody())})
	resp, body, err := g.post(t.Context(), "c1")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.EqualValues(t, len(vendorBody), resp.ContentLength)
	require.Equal(t, vendorBody[:len(vendorBody)/2], body)
	require.True(t, g.only(t, "c1").Processed)
}

func TestTruncatedBodyOfAnEmptyAnswerIsTruncatedToo(t *testing.T) {
	g := start(t, fault.Config{
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
		Script:  fault.Always(fault.TruncatedBody()),
	})
	_, _, err := g.post(t.Context(), "c1")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestCutJSONIsCompleteHTTPAndBrokenJSON(t *testing.T) {
	g := start(t, fault.Config{Script: fault.Always(fault.CutJSON())})
	resp, body, err := g.post(t.Context(), "c1")
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, resp.StatusCode)
	require.False(t, json.Valid([]byte(body)))
	require.True(t, g.only(t, "c1").Processed)
}

func TestWrongJSONKeepsTheStatusAndChangesTheShape(t *testing.T) {
	g := start(t, fault.Config{Script: fault.Always(fault.WrongJSON(`["what"]`))})
	resp, body, err := g.post(t.Context(), "c1")
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, resp.StatusCode)
	require.Equal(t, `["what"]`, body)
	require.True(t, g.only(t, "c1").Processed)
}

func TestWrongJSONLeavesARefusalAlone(t *testing.T) {
	g := start(t, fault.Config{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no such number", http.StatusBadRequest) }),
		Script:  fault.Always(fault.WrongJSON(`["what"]`)),
	})
	resp, body, err := g.post(t.Context(), "c1")
	require.NoError(t, err)
	require.Equal(t, 400, resp.StatusCode)
	require.Equal(t, "no such number\n", body)
	require.False(t, g.only(t, "c1").Processed, "a refusal has no effect")
}

func TestAfterHoldsAnyFaultBack(t *testing.T) {
	g := start(t, fault.Config{Script: fault.Always(fault.Status(503).After(30 * time.Millisecond))})
	begin := time.Now()
	resp, _, err := g.post(t.Context(), "c1")
	require.NoError(t, err)
	require.Equal(t, 503, resp.StatusCode)
	require.GreaterOrEqual(t, time.Since(begin), 30*time.Millisecond)
}

func TestFaultsSayWhatTheyAre(t *testing.T) {
	for f, want := range map[string]fault.Fault{
		"none":                                  {},
		"latency (after 1s)":                    fault.Latency(time.Second),
		"processed_hang":                        fault.Hang().Processed(),
		"status_429 (Retry-After: 3)":           fault.TooManyRequestsAfter(3 * time.Second),
		"processed_html_502":                    fault.HTMLError(502).Processed(),
		"reset_before_read":                     fault.ResetBeforeRead().Processed(),
		"slow_drip (after 1s, every 2s)":        fault.SlowDrip(2 * time.Second).After(time.Second),
		"cut_json":                              fault.CutJSON(),
		"processed_reset_after_read (after 2s)": fault.ResetAfterRead(true).After(2 * time.Second),
	} {
		require.Equal(t, f, want.String())
	}
}
