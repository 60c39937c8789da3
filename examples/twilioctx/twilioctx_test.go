package twilioctx_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twilio/twilio-go/client"
	openapi "github.com/twilio/twilio-go/rest/api/v2010"
	voice "github.com/twilio/twilio-go/rest/voice/v3"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/examples/internal/sim/fault"
	"github.com/prusik-go/prusik/examples/internal/sim/twiliosim"
	"github.com/prusik-go/prusik/examples/twilioctx"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/profile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	person = "+15558675310"
	from   = "+15005550006"
)

// rig is a simulator, and the official SDK on the whole pipeline before it.
type rig struct {
	*twiliosim.Sim
	http   *http.Client
	twilio *twilioctx.Client
}

func start(t *testing.T, cfg httpx.Config, faults ...fault.Fault) *rig {
	t.Helper()
	sim, err := twiliosim.New(twiliosim.Config{Server: fault.Config{Script: fault.Sequence(faults...)}})
	require.NoError(t, err)
	cfg.Profile, cfg.Base = profile.Twilio(), sim.Redirect(sim.Transport())
	http, err := httpx.NewClient("twilio", cfg)
	require.NoError(t, err)
	twilio, err := twilioctx.New(http, twiliosim.AccountSID, twiliosim.AuthToken)
	require.NoError(t, err)
	t.Cleanup(func() {
		http.CloseIdleConnections()
		require.NoError(t, sim.Close())
	})
	return &rig{sim, http, twilio}
}

func text(body string) *openapi.CreateMessageParams {
	return (&openapi.CreateMessageParams{}).SetTo(person).SetFrom(from).SetBody(body)
}

func (g *rig) send(ctx context.Context) (twilioctx.Outcome, error) {
	return g.twilio.Do(ctx, func(api *openapi.ApiService) error {
		_, err := api.CreateMessage(text("hello"))
		return err
	})
}

func fast() httpx.Config { return httpx.Config{BackoffBase: time.Millisecond} }

func TestACallSucceeds(t *testing.T) {
	g := start(t, fast())
	ctx := correlation.WithID(t.Context(), "job-1")
	o, err := g.send(ctx)
	require.NoError(t, err)
	require.Equal(t, 201, o.Status)
	require.Equal(t, errors.Delivered, o.Delivery)
	require.Equal(t, 1, o.Attempts)
	require.Empty(t, o.Stop)
	require.Equal(t, "job-1", o.CorrelationID)
	require.Equal(t, "job-1", g.Received(person)[0].CorrelationID, "the values of the context reach the wire")
	list, err := g.twilio.API(ctx).ListMessage((&openapi.ListMessageParams{}).SetTo(person))
	require.NoError(t, err)
	require.Len(t, list, 1)
}

func TestCancelEndsACallUnderWay(t *testing.T) {
	g := start(t, fast())
	ctx, cancel := context.WithCancel(t.Context())
	g.SetScript(fault.ScriptFunc(func(*http.Request) fault.Fault {
		cancel() // it has arrived
		return fault.Hang().Processed()
	}))
	o, err := g.send(ctx)
	require.NoError(t, g.Quiesce(t.Context()))
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, errors.Canceled, errors.KindOf(err))
	require.Equal(t, errors.Unknown, errors.DeliveryOf(err), "it was on its way, and Twilio has carried it out")
	require.Equal(t, errors.StopCanceled, o.Stop)
	require.Equal(t, errors.Unknown, o.Delivery)
	require.Zero(t, o.Status)
	require.Len(t, g.Received(person), 1)
}

func TestDeadlineOfTheCallerEndsACall(t *testing.T) {
	g := start(t, fast(), fault.Hang())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	o, err := g.send(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(began), 5*time.Second, "twilio-go by itself waits for 10 s")
	e, ok := errors.AsType[*errors.Error](err)
	require.True(t, ok)
	require.True(t, e.Timeout())
	require.Equal(t, errors.Unknown, o.Delivery)
	require.Equal(t, errors.StopDeadline, o.Stop)
}

func TestACanceledContextSendsNothing(t *testing.T) {
	g := start(t, fast())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o, err := g.send(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, errors.NotSent, o.Delivery)
	require.Equal(t, errors.NotSent, errors.DeliveryOf(err))
	require.Empty(t, g.Entries())
}

// twilio-go says of this answer: "error decoding the response for an HTTP error code: 503: invalid character '<'".
func TestAnHTMLErrorOnACreateIsUnknown(t *testing.T) {
	g := start(t, fast(), fault.HTMLError(503).Processed())
	o, err := g.send(t.Context())
	require.Error(t, err)
	_, ok := errors.AsType[*client.TwilioRestError](err)
	require.False(t, ok, "nothing that twilio-go can read")
	e, ok := errors.AsType[*errors.Error](err)
	require.True(t, ok)
	require.Equal(t, errors.VendorBadResponse, e.Kind)
	require.Equal(t, errors.Unknown, e.Delivery)
	require.Equal(t, errors.StopUnsafeMethod, e.Stop)
	require.Equal(t, 503, e.Attempts[0].Status)
	require.Equal(t, 503, o.Status)
	require.Equal(t, errors.Unknown, o.Delivery)
	require.Len(t, g.Entries(), 1, "a text is not sent again")
	require.Len(t, g.Received(person), 1, "and this one had been sent")
}

func TestTheErrorIsThereWithoutDo(t *testing.T) {
	g := start(t, fast(), fault.ProcessedStatus(500))
	_, err := g.twilio.API(t.Context()).CreateMessage(text("hello"))
	require.Equal(t, errors.Unknown, errors.DeliveryOf(err))
	require.Equal(t, errors.StopUnsafeMethod, errors.StopOf(err))
	rest, ok := errors.AsType[*client.TwilioRestError](err)
	require.True(t, ok)
	require.Equal(t, 20500, rest.Code)
}

func TestA429IsRetried(t *testing.T) {
	g := start(t, fast(), fault.TooManyRequests())
	o, err := g.send(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, o.Attempts)
	require.Equal(t, 3, o.MaxAttempts)
	require.Equal(t, errors.Delivered, o.Delivery)
	require.Equal(t, 429, o.History[0].Status)
	require.Len(t, g.Received(person), 1)
	require.Len(t, g.Entries(), 2)
}

func TestRetryAfterIsTold(t *testing.T) {
	g := start(t, httpx.Config{MaxRetryAfter: time.Second}, fault.TooManyRequestsAfter(40*time.Second))
	o, err := g.send(t.Context())
	require.Equal(t, 40*time.Second, o.RetryAfter)
	require.Equal(t, errors.StopRateLimited, o.Stop)
	require.Equal(t, errors.Rejected, o.Delivery)
	require.Equal(t, errors.VendorRateLimited, errors.KindOf(err))
	after, ok := errors.RetryAfter(err)
	require.True(t, ok)
	require.Equal(t, 40*time.Second, after)
}

func TestARefusalByTwilioIsPermanent(t *testing.T) {
	g := start(t, fast())
	g.Refuse(person, 21610)
	o, err := g.send(t.Context())
	rest, ok := errors.AsType[*client.TwilioRestError](err)
	require.True(t, ok)
	require.Equal(t, 21610, rest.Code)
	e, ok := errors.AsType[*errors.Error](err)
	require.True(t, ok)
	require.Equal(t, "21610", e.VendorCode)
	require.Equal(t, errors.Rejected, o.Delivery)
	require.Equal(t, errors.StopPermanent, o.Stop)
	require.Equal(t, 400, o.Status)
}

func TestADeadPortIsNotSent(t *testing.T) {
	g := start(t, fast())
	g.Down()
	o, err := g.send(t.Context())
	require.Equal(t, errors.NotSent, o.Delivery)
	require.Equal(t, errors.NotSent, errors.DeliveryOf(err))
	require.Equal(t, 3, o.Attempts, "what never left is safe to repeat")
	require.Len(t, o.History, 3)
}

func TestAnOpenBreakerIsToldAtOnce(t *testing.T) {
	g := start(t, fast())
	pipeline, ok := g.http.Transport.(*httpx.Transport)
	require.True(t, ok)
	pipeline.Breaker().ForceOpen()
	o, err := g.send(t.Context())
	require.ErrorIs(t, err, errors.CircuitOpen)
	require.Equal(t, errors.StopBreakerOpen, o.Stop)
	require.Equal(t, errors.NotSent, o.Delivery)
	require.Zero(t, o.Attempts)
	require.Empty(t, g.Entries())
}

func TestACarriedOutCallWithABrokenAnswerIsDelivered(t *testing.T) {
	for name, f := range map[string]fault.Fault{"cut": fault.CutJSON(), "truncated": fault.TruncatedBody()} {
		t.Run(name, func(t *testing.T) {
			g := start(t, fast(), f)
			o, err := g.send(t.Context())
			require.Error(t, err)
			require.Equal(t, 201, o.Status)
			require.Equal(t, errors.Delivered, o.Delivery)
			require.Equal(t, errors.Delivered, errors.DeliveryOf(err))
			require.Equal(t, errors.VendorBadResponse, errors.KindOf(err))
			require.Len(t, g.Received(person), 1)
		})
	}
}

func TestARedirectedCreateIsUnknown(t *testing.T) {
	g := start(t, fast(), fault.Status(307).WithHeader("Location", "/elsewhere").WithBody("text/plain", ""))
	o, err := g.send(t.Context())
	require.Error(t, err)
	require.Equal(t, 307, o.Status)
	require.Equal(t, errors.Unknown, o.Delivery)
	require.Equal(t, errors.Unknown, errors.DeliveryOf(err))
	require.Len(t, g.Entries(), 1, "redirects are not followed")
}

func TestTheCallersOwnErrorStays(t *testing.T) {
	g := start(t, fast())
	own := errors.New("no such customer")
	o, err := g.twilio.Do(t.Context(), func(*openapi.ApiService) error { return own })
	require.Same(t, own, err)
	require.Equal(t, errors.NotSent, o.Delivery, "nothing was sent")
	o, err = g.twilio.Do(t.Context(), func(api *openapi.ApiService) error {
		_, err := api.CreateMessage(text("hello"))
		require.NoError(t, err)
		return own
	})
	require.Same(t, own, err)
	require.Equal(t, errors.Delivered, o.Delivery)
}

// transcribe is a create of a v1.0 service. Plain twilio-go sends it twice when the error is not JSON.
func transcribe(base client.BaseClient) error {
	_, err := voice.NewApiServiceWithClient(base).CreateV3Transcriptions((&voice.CreateV3TranscriptionsParams{}).
		SetCreateV3TranscriptionsRequest(voice.CreateV3TranscriptionsRequest{}))
	return err
}

func TestAServiceOfV1IsSentOnce(t *testing.T) {
	g := start(t, httpx.Config{MaxAttempts: -1})
	g.Outage(fault.HTMLError(503))

	plain := &client.Client{
		Credentials: client.NewCredentials(twiliosim.AccountSID, twiliosim.AuthToken), HTTPClient: g.http,
	}
	require.Error(t, transcribe(plain))
	require.Len(t, g.Entries(), 2, "the hazard: twilio-go v1.31.0, client/client.go:104")

	g.Reset()
	o, err := g.twilio.DoBase(t.Context(), transcribe)
	require.Len(t, g.Entries(), 1)
	require.Equal(t, 503, o.Status)
	require.Equal(t, 1, o.Attempts)
	require.Equal(t, errors.Unknown, errors.DeliveryOf(err))
	require.Equal(t, errors.VendorBadResponse, errors.KindOf(err))
}

func TestTheErrorOfAServiceOfV1IsThere(t *testing.T) {
	g := start(t, fast(), fault.Status(400).WithBody("application/json", `{"code":20001,"message":"no","httpStatusCode":400}`))
	_, err := g.twilio.DoBase(t.Context(), transcribe)
	v1, ok := errors.AsType[*client.RestErrorV1](err)
	require.True(t, ok)
	require.Equal(t, 20001, v1.Code)
	require.Equal(t, errors.Rejected, errors.DeliveryOf(err))
	require.Len(t, g.Entries(), 1)
}

// twilio-go does not close the body of an error: 20 pages of 8 kB left 20 connections open.
func TestHTMLErrorsLeakNoConnection(t *testing.T) {
	g := start(t, httpx.Config{MaxAttempts: -1, Breaker: breaker.Config{Mode: breaker.Disabled}})
	g.Outage(fault.Status(503).WithBody("text/html", "<html>"+strings.Repeat("x", 8<<10)+"</html>"))
	for range 20 {
		_, err := g.send(t.Context())
		require.Error(t, err)
	}
	require.Len(t, g.Entries(), 20)
	require.EqualValues(t, 1, g.TotalConns(), "one connection served them all")
	g.http.CloseIdleConnections()
	require.Eventually(t, func() bool { return g.OpenConns() == 0 }, 5*time.Second, time.Millisecond)
}

func TestAnAnswerWithoutABodyHasAnOutcome(t *testing.T) {
	answers := []int{503, 204}
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		status := answers[0]
		answers = answers[1:]
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	})
	http, err := httpx.NewClient("twilio", httpx.Config{Base: base, Profile: profile.Twilio(), BackoffBase: -1})
	require.NoError(t, err)
	twilio, err := twilioctx.New(http, twiliosim.AccountSID, twiliosim.AuthToken)
	require.NoError(t, err)
	o, err := twilio.Do(t.Context(), func(api *openapi.ApiService) error { return api.DeleteMessage("SM1", nil) })
	require.NoError(t, err)
	require.Equal(t, 204, o.Status)
	require.Equal(t, errors.Delivered, o.Delivery)
	require.Equal(t, 2, o.Attempts)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestATransportOfAnotherKindIsNeverReportedAsSafe(t *testing.T) {
	lost := io.ErrClosedPipe
	twilio, err := twilioctx.New(&http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		return nil, lost
	})}, twiliosim.AccountSID, twiliosim.AuthToken)
	require.NoError(t, err)
	o, err := twilio.Do(t.Context(), func(api *openapi.ApiService) error {
		_, err := api.CreateMessage(text("hello"))
		return err
	})
	require.ErrorIs(t, err, lost)
	require.Equal(t, errors.Unknown, o.Delivery)
	require.Equal(t, errors.Unknown, errors.DeliveryOf(err))
}

func TestWhatIsNotSentIsSaidSo(t *testing.T) {
	g := start(t, fast())
	o, err := g.twilio.DoBase(t.Context(), func(base client.BaseClient) error {
		_, err := base.SendRequest("BAD METHOD", "https://api.twilio.com/", nil, map[string]any{})
		return err
	})
	require.Error(t, err)
	require.Equal(t, errors.NotSent, errors.DeliveryOf(err))
	require.Equal(t, errors.NotSent, o.Delivery)
	require.Empty(t, g.Entries())
}

func TestATimeoutOfTheClientIsHonoured(t *testing.T) {
	g := start(t, fast(), fault.Hang())
	_, err := g.twilio.DoBase(t.Context(), func(base client.BaseClient) error {
		base.SetTimeout(50 * time.Millisecond) // twilio-go's own way
		_, err := openapi.NewApiServiceWithClient(base).CreateMessage(text("hello"))
		return err
	})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, errors.VendorTimeout, errors.KindOf(err), "nobody has canceled")

	g.http.Timeout = 50 * time.Millisecond
	g.SetScript(fault.Always(fault.Hang()))
	_, err = g.send(t.Context())
	require.Equal(t, errors.VendorTimeout, errors.KindOf(err))
	g.SetScript(nil)
	g.http.Timeout = time.Minute
	o, err := g.send(t.Context())
	require.NoError(t, err)
	require.Equal(t, errors.Delivered, o.Delivery)
}

// With a timeout on the client there are two contexts to join, and what joins them ends with the request.
func TestAJoinedContextEndsWithTheRequest(t *testing.T) {
	for status, body := range map[int]string{201: `{"sid":"SM1"}`, 400: `{"code":21211,"status":400}`} {
		var sent context.Context
		base := roundTripper(func(r *http.Request) (*http.Response, error) {
			sent = r.Context()
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
		})
		twilio, err := twilioctx.New(&http.Client{Transport: base, Timeout: time.Minute}, twiliosim.AccountSID, twiliosim.AuthToken)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		o, err := twilio.Do(ctx, func(api *openapi.ApiService) error {
			_, err := api.CreateMessage(text("hello"))
			return err
		})
		require.Equal(t, status == 400, err != nil)
		require.Equal(t, status, o.Status)
		require.ErrorIs(t, sent.Err(), context.Canceled)
	}
}

// A fetch may be answered with a redirect that twilio-go reads as it is.
func TestARedirectedFetchIsTwilioGosToRead(t *testing.T) {
	g := start(t, fast(), fault.Status(307).WithHeader("Location", "/elsewhere").WithBody("application/json", `{"sid":"SM1"}`))
	o, err := g.twilio.Do(t.Context(), func(api *openapi.ApiService) error {
		m, err := api.FetchMessage("SM1", nil)
		require.Equal(t, "SM1", *m.Sid)
		return err
	})
	require.NoError(t, err)
	require.Equal(t, 307, o.Status)
	require.Equal(t, errors.Delivered, o.Delivery)
}

func TestAnErrorNamesNobody(t *testing.T) {
	g := start(t, fast())
	g.Refuse(person, 21610)
	_, refused := g.send(t.Context())
	g.Down()
	_, dead := g.twilio.API(t.Context()).PageMessage((&openapi.ListMessageParams{}).SetTo(person), "", "")
	for _, err := range []error{refused, dead} {
		require.Error(t, err)
		require.NotContains(t, err.Error(), "5558675310")
		require.NotContains(t, err.Error(), twiliosim.AccountSID)
	}
}

func TestAnAPIServesManyGoroutines(t *testing.T) {
	g := start(t, fast())
	api := g.twilio.API(t.Context())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				if _, err := api.CreateMessage(text("hello")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.Len(t, g.Received(person), 40)
}

func TestNewSaysAllThatIsWrong(t *testing.T) {
	_, err := twilioctx.New(nil, "SK123", "not-alphanumeric")
	require.ErrorContains(t, err, "Transport")
	require.ErrorContains(t, err, `accountSID is "SK123"`)
	require.ErrorContains(t, err, "authToken")
	require.NotContains(t, err.Error(), "not-alphanumeric")
	_, err = twilioctx.New(http.DefaultClient, twiliosim.AccountSID, twiliosim.AuthToken)
	require.ErrorContains(t, err, "naked", "a client without a transport is not protected")
}
