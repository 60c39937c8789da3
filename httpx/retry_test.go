package httpx_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
)

var (
	errDial  = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	errReset = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	noWait   = -time.Second // no back-off
)

// The table "Is a retry safe?" of the design, row by row, for every method.
func TestIsARetrySafe(t *testing.T) {
	idempotent := []string{"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}
	unsafe := []string{"POST", "PATCH", "PROPFIND"}
	type row struct {
		name     string
		first    step
		delivery errors.Delivery
		safe     int // sends of an idempotent or keyed request
		unsafe   int // sends of another
		stop     errors.Stop
	}
	rows := []row{
		{"dial", fail(errDial), errors.NotSent, 3, 3, errors.StopExhausted},
		{"dns", fail(&net.DNSError{Err: "no such host", Name: "vendor.test", IsNotFound: true}), errors.NotSent, 3, 3, errors.StopExhausted},
		{"reset", fail(errReset), errors.Unknown, 3, 1, errors.StopUnsafeMethod},
		{"unexpected EOF", fail(io.ErrUnexpectedEOF), errors.Unknown, 3, 1, errors.StopUnsafeMethod},
		{"anything else", fail(fmt.Errorf("odd")), errors.Unknown, 3, 1, errors.StopUnsafeMethod},
		{"429", answer(429, ""), errors.Rejected, 3, 3, errors.StopExhausted},
	}
	for _, status := range []int{408, 500, 502, 503, 504, 507, 520, 599} {
		rows = append(rows, row{fmt.Sprint(status), answer(status, ""), errors.Unknown, 3, 1, errors.StopUnsafeMethod})
	}
	for _, status := range []int{400, 401, 402, 403, 404, 405, 409, 410, 413, 422, 425, 451, 499, 501, 505} {
		rows = append(rows, row{fmt.Sprint(status), answer(status, ""), errors.Rejected, 1, 1, errors.StopPermanent})
	}
	for _, r := range rows {
		try := func(t *testing.T, method string, sends int, stop errors.Stop, headers ...string) {
			t.Helper()
			base := follow(r.first)
			var rec recorder
			c := client(t, httpx.Config{Base: base, BackoffBase: noWait, Hooks: rec.hooks(), Breaker: breaker.Config{Mode: breaker.Disabled}})
			resp, _, err := send(t, t.Context(), c, method, "", headers...)
			require.Equal(t, sends, base.count(), "%s on %s", method, r.name)
			require.Len(t, rec.calls, 1)
			require.Equal(t, stop, rec.calls[0].Stop)
			require.Equal(t, r.delivery, rec.calls[0].Delivery)
			require.Equal(t, sends, rec.calls[0].Attempts)
			if err != nil {
				require.Nil(t, resp)
				require.Equal(t, r.delivery, errors.DeliveryOf(err))
				require.Equal(t, stop, errors.StopOf(err))
				return
			}
			require.Equal(t, r.name, fmt.Sprint(resp.StatusCode))
			out, ok := httpx.OutcomeOf(resp)
			require.True(t, ok)
			require.Equal(t, r.delivery, out.Delivery)
			require.Equal(t, stop, out.Stop)
			require.Equal(t, sends, out.Attempts)
			require.Len(t, out.History, sends)
		}
		t.Run(r.name, func(t *testing.T) {
			stop := r.stop
			if stop == errors.StopUnsafeMethod {
				stop = errors.StopExhausted
			}
			for _, m := range idempotent {
				try(t, m, r.safe, stop)
			}
			for _, m := range unsafe {
				try(t, m, r.unsafe, r.stop)
				try(t, m, r.safe, stop, "Idempotency-Key", "k1")
			}
		})
	}
}

func TestTheCallersKeyIsWorthNothingWhereTheVendorIgnoresIt(t *testing.T) {
	base := follow(answer(503, ""))
	c := client(t, httpx.Config{
		Base: base, BackoffBase: noWait,
		Profile: httpx.Profile{HonoursKey: func(*http.Request) bool { return false }, IdempotencyHeader: "Idempotency-Key"},
	})
	_, _, err := send(t, t.Context(), c, "POST", "hello", "Idempotency-Key", "k1")
	require.NoError(t, err)
	require.Equal(t, 1, base.count(), "a person is never texted twice")
}

func TestOurKeyIsMadeOncePerCallAndTheCallersIsKept(t *testing.T) {
	base := follow(answer(503, ""), answer(503, ""), answer(200, ""))
	c := client(t, httpx.Config{Base: base, BackoffBase: noWait, Profile: httpx.Profile{IdempotencyHeader: "X-Key"}})
	for range 2 {
		_, _, err := send(t, t.Context(), c, "POST", "hello")
		require.NoError(t, err)
	}
	key := func(i int) string { return base.sent[i].header.Get("X-Key") }
	require.NotEmpty(t, key(0))
	require.Equal(t, key(0), key(1))
	require.Equal(t, key(0), key(2))
	require.NotEqual(t, key(0), key(3), "another call, another key")
	_, _, err := send(t, t.Context(), c, "POST", "hello", "X-Key", "mine")
	require.NoError(t, err)
	require.Equal(t, "mine", key(4))
	_, _, err = send(t, t.Context(), c, "GET", "")
	require.NoError(t, err)
	require.Empty(t, key(5), "an idempotent method needs none")
}

func TestTheLastResponseComesBackWhole(t *testing.T) {
	base := follow(answer(503, "first", "X-N", "1"), answer(500, "second", "X-N", "2"), answer(502, "third", "X-N", "3"))
	c := client(t, httpx.Config{Base: base, BackoffBase: noWait})
	resp, body, err := send(t, t.Context(), c, "GET", "")
	require.NoError(t, err, "a status is a response, never an error")
	require.Equal(t, 502, resp.StatusCode)
	require.Equal(t, "third", body)
	require.Equal(t, "3", resp.Header.Get("X-N"))
}

func TestOneAttemptOfUnknownDeliveryMakesTheWholeCallUnknown(t *testing.T) {
	base := follow(answer(503, ""), fail(errDial))
	c := client(t, httpx.Config{Base: base, BackoffBase: noWait, MaxAttempts: 2})
	_, _, err := send(t, t.Context(), c, "PUT", "x")
	require.Equal(t, errors.Unknown, errors.DeliveryOf(err), "the first one may have been processed")
	require.Equal(t, errors.StopExhausted, errors.StopOf(err))
	e, ok := errors.AsType[*errors.Error](err)
	require.True(t, ok)
	require.Equal(t, []string{"503", "dial"}, []string{e.Attempts[0].Reason, e.Attempts[1].Reason})
	require.Equal(t, []errors.Delivery{errors.Unknown, errors.NotSent}, []errors.Delivery{e.Attempts[0].Delivery, e.Attempts[1].Delivery})
}

func TestWaits(t *testing.T) {
	for name, tc := range map[string]struct {
		first    step
		profile  httpx.Profile
		cfg      httpx.Config
		min, max time.Duration // of the wait before the second attempt
		stop     errors.Stop   // instead of a second attempt
		after    time.Duration
	}{
		"back-off":                       {first: answer(503, ""), max: 500 * time.Millisecond},
		"Retry-After, seconds":           {first: answer(503, "", "Retry-After", "7"), min: 7 * time.Second, max: 7700 * time.Millisecond},
		"Retry-After on 429":             {first: answer(429, "", "Retry-After", "7"), min: 7 * time.Second, max: 7700 * time.Millisecond},
		"Retry-After, date":              {first: date(9 * time.Second), min: 9 * time.Second, max: 9900 * time.Millisecond},
		"Retry-After in the past":        {first: date(-time.Hour), max: 500 * time.Millisecond},
		"Retry-After, garbage":           {first: answer(503, "", "Retry-After", "soon"), max: 500 * time.Millisecond},
		"Retry-After above the ceiling":  {first: answer(503, "", "Retry-After", "31"), stop: errors.StopRateLimited, after: 31 * time.Second},
		"Retry-After of a century":       {first: answer(503, "", "Retry-After", "3155760000"), stop: errors.StopRateLimited, after: 3155760000 * time.Second},
		"Retry-After beyond the total":   {first: answer(503, "", "Retry-After", "20"), cfg: httpx.Config{TotalTimeout: 20 * time.Second}, stop: errors.StopDeadline, after: 20 * time.Second},
		"a vendor's wait is never slept": {first: answer(429, "", "Retry-After", "1"), cfg: httpx.Config{MaxRetryAfter: -1}, stop: errors.StopRateLimited, after: time.Second},
		"the vendor's own header": {
			first:   answer(429, "", "Retry-After-Ms", "2500", "Retry-After", "7"),
			profile: httpx.Profile{RetryAfter: []httpx.WaitHeader{{Name: "Retry-After-Ms", Unit: httpx.UnitMilliseconds}}},
			min:     2500 * time.Millisecond, max: 2750 * time.Millisecond,
		},
		"the reset of an empty quota": {
			first:   answer(429, "", "X-Left", "0", "X-Reset", "4s"),
			profile: httpx.Profile{Limits: []httpx.LimitHeaders{{Remaining: "X-Left", Reset: "X-Reset", Unit: httpx.UnitDuration}}},
			min:     4 * time.Second, max: 4400 * time.Millisecond,
		},
		"the IETF's RateLimit": {
			first: answer(429, "", "RateLimit", `"burst";r=9;t=1, "daily";r=0;t=6`), min: 6 * time.Second, max: 6600 * time.Millisecond,
		},
		"a limit the vendor says not to retry": {
			first: answer(429, "", "Retry-After", "6"),
			profile: httpx.Profile{Classify: func(httpx.Response) (httpx.Verdict, bool) {
				return httpx.Verdict{Delivery: errors.Rejected, Retry: httpx.RetryNever, Limited: true}, true
			}},
			stop: errors.StopRateLimited, after: 6 * time.Second,
		},
		"a quota that is not empty": {
			first:   answer(429, "", "X-Left", "3", "X-Reset", "4s"),
			profile: httpx.Profile{Limits: []httpx.LimitHeaders{{Remaining: "X-Left", Reset: "X-Reset", Unit: httpx.UnitDuration}}},
			max:     500 * time.Millisecond,
		},
		"the verdict's wait": {
			first: answer(400, ""),
			profile: httpx.Profile{Classify: func(httpx.Response) (httpx.Verdict, bool) {
				return httpx.Verdict{Delivery: errors.Rejected, Retry: httpx.RetryAlways, Wait: 3 * time.Second, Reason: "queue"}, true
			}},
			min: 3 * time.Second, max: 3300 * time.Millisecond,
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 { // jitter: the bounds must hold each time
				synctest.Test(t, func(t *testing.T) {
					base := follow(tc.first)
					cfg := tc.cfg
					cfg.Base, cfg.Profile, cfg.MaxAttempts = base, tc.profile, 2
					begin := time.Now()
					resp, _, err := send(t, t.Context(), client(t, cfg), "GET", "")
					require.NoError(t, err)
					out, _ := httpx.OutcomeOf(resp)
					if tc.stop != "" {
						require.Equal(t, 1, base.count())
						require.Equal(t, tc.stop, out.Stop)
						require.Equal(t, tc.after, out.RetryAfter, "the wait is told instead of slept")
						require.Zero(t, time.Since(begin))
						return
					}
					require.Equal(t, 2, base.count())
					wait := base.sent[1].at.Sub(base.sent[0].at)
					require.GreaterOrEqual(t, wait, tc.min)
					require.LessOrEqual(t, wait, tc.max)
					require.Equal(t, wait, out.History[1].Wait)
				})
			}
		})
	}
}

// date answers 503 with a Retry-After date, whole seconds from now.
func date(d time.Duration) step {
	return func(req *http.Request) (*http.Response, error) {
		return answer(503, "", "Retry-After", time.Now().Add(d).UTC().Format(http.TimeFormat))(req)
	}
}

func TestAWaitThatDoesNotFitTheCallersDeadlineIsNotSlept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		base := follow(answer(503, "down", "Retry-After", "5"))
		begin := time.Now()
		resp, body, err := send(t, ctx, client(t, httpx.Config{Base: base}), "GET", "")
		require.NoError(t, err)
		require.Equal(t, "down", body)
		require.Zero(t, time.Since(begin))
		out, _ := httpx.OutcomeOf(resp)
		require.Equal(t, errors.StopDeadline, out.Stop)
	})
}

func TestTheBudgetEndsRetriesAndSuccessesPayItBack(t *testing.T) {
	base := follow(answer(503, ""))
	c := client(t, httpx.Config{
		Base: base, BackoffBase: noWait, RetryBudget: 3, RetryBudgetRefill: 0.5, Breaker: breaker.Config{Mode: breaker.Disabled},
	})
	var last httpx.Outcome
	for range 5 {
		resp, _, err := send(t, t.Context(), c, "GET", "")
		require.NoError(t, err)
		last, _ = httpx.OutcomeOf(resp)
	}
	require.Equal(t, 5+3, base.count(), "an outage costs the budget and then nothing")
	require.Equal(t, errors.StopBudget, last.Stop)
	base.steps = []step{answer(200, "")}
	for range 2 {
		_, _, err := send(t, t.Context(), c, "GET", "")
		require.NoError(t, err)
	}
	base.sent, base.steps = nil, []step{answer(503, "")}
	_, _, err := send(t, t.Context(), c, "GET", "")
	require.NoError(t, err)
	require.Equal(t, 2, base.count(), "two successes paid for one retry")
}

func TestARetryThatIsNotSentCostsNoBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := follow(answer(503, "", "Retry-After", "5"))
		tr, err := httpx.NewTransport("vendor", httpx.Config{Base: base, Breaker: breaker.Config{Mode: breaker.Disabled}})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, _, err = send(t, ctx, &http.Client{Transport: tr}, "GET", "")
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, errors.StopCanceled, errors.StopOf(err))
		require.Equal(t, errors.Unknown, errors.DeliveryOf(err), "the attempt before the wait may have been processed")
		require.Equal(t, 1, base.count())
		require.InDelta(t, 1, tr.BudgetLeft(), 0)
	})
}

func TestTimeouts(t *testing.T) {
	for name, tc := range map[string]struct {
		method   string
		steps    []step
		cfg      httpx.Config
		deadline time.Duration
		sends    int
		took     time.Duration
		kind     errors.Kind
		stop     errors.Stop
	}{
		"an attempt's, and the next works": {"GET", []step{hang, answer(200, "")}, httpx.Config{BackoffBase: noWait}, 0, 2, 10 * time.Second, "", ""},
		"every attempt's":                  {"GET", []step{hang}, httpx.Config{BackoffBase: noWait}, 0, 3, 30 * time.Second, errors.VendorTimeout, errors.StopExhausted},
		"a POST's is not tried again":      {"POST", []step{hang}, httpx.Config{}, 0, 1, 10 * time.Second, errors.VendorTimeout, errors.StopUnsafeMethod},
		"the total's":                      {"GET", []step{hang}, httpx.Config{BackoffBase: noWait, TotalTimeout: 15 * time.Second, AttemptTimeout: -1}, 0, 1, 15 * time.Second, errors.VendorTimeout, errors.StopDeadline},
		"the caller's":                     {"GET", []step{hang}, httpx.Config{}, 4 * time.Second, 1, 4 * time.Second, errors.VendorTimeout, errors.StopDeadline},
		"the base's own":                   {"GET", []step{fail(context.DeadlineExceeded)}, httpx.Config{BackoffBase: noWait}, 0, 3, 0, errors.VendorTimeout, errors.StopExhausted},
		"the last attempt gets what is left": {
			"GET",
			[]step{after(4*time.Second, answer(503, "")), hang},
			httpx.Config{BackoffBase: noWait, TotalTimeout: 9 * time.Second, MaxAttempts: 2, AttemptTimeout: -1},
			0, 2, 9 * time.Second, errors.VendorTimeout, errors.StopExhausted,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if tc.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tc.deadline)
					defer cancel()
				}
				base := follow(tc.steps...)
				tc.cfg.Base = base
				begin := time.Now()
				_, _, err := send(t, ctx, client(t, tc.cfg), tc.method, "")
				require.Equal(t, tc.took, time.Since(begin))
				require.Equal(t, tc.sends, base.count())
				require.Equal(t, tc.kind, errors.KindOf(err))
				if tc.kind == "" {
					return
				}
				require.Equal(t, tc.stop, errors.StopOf(err))
				require.Equal(t, errors.Unknown, errors.DeliveryOf(err))
				require.ErrorIs(t, err, context.DeadlineExceeded)
				var ne net.Error
				require.ErrorAs(t, err, &ne)
				require.True(t, ne.Timeout())
				e, ok := errors.AsType[*errors.Error](err)
				require.True(t, ok)
				require.True(t, e.Timeout())
			})
		})
	}
}

func TestACanceledCallIsCanceledAtEveryPoint(t *testing.T) {
	for name, tc := range map[string]struct {
		first    step
		at       time.Duration
		sends    int
		delivery errors.Delivery
	}{
		"before it starts":  {answer(200, ""), -1, 0, errors.NotSent},
		"in an attempt":     {hang, time.Second, 1, errors.Unknown},
		"while it waits":    {answer(429, "", "Retry-After", "9"), time.Second, 1, errors.Rejected},
		"waiting, unknown":  {answer(500, "", "Retry-After", "9"), time.Second, 1, errors.Unknown},
		"waiting, not sent": {fail(errDial), time.Nanosecond, 1, errors.NotSent},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cause := errors.New("the user hung up")
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if tc.at < 0 {
					cancel(cause)
				} else {
					time.AfterFunc(tc.at, func() { cancel(cause) })
				}
				base := follow(tc.first)
				tr, err := httpx.NewTransport("vendor", httpx.Config{Base: base, BackoffBase: time.Hour, BackoffMax: time.Hour, TotalTimeout: -1})
				require.NoError(t, err)
				begin := time.Now()
				_, _, err = send(t, ctx, &http.Client{Transport: tr}, "GET", "")
				require.ErrorIs(t, err, context.Canceled)
				require.Equal(t, errors.Canceled, errors.KindOf(err))
				require.Equal(t, errors.StopCanceled, errors.StopOf(err))
				require.Equal(t, tc.delivery, errors.DeliveryOf(err))
				require.Equal(t, tc.sends, base.count())
				require.Equal(t, max(tc.at, 0), time.Since(begin))
				if tc.sends == 0 || tc.delivery == errors.Unknown && name == "in an attempt" {
					require.ErrorIs(t, err, cause)
				}
				require.Zero(t, tr.InFlight())
			})
		})
	}
}

func TestStopReasonsOfRefusals(t *testing.T) {
	limited := &errors.Error{Kind: errors.RateLimited, Retry: errors.Retry{After: 4 * time.Second}}
	for name, tc := range map[string]struct {
		cfg   httpx.Config
		prep  func(*httpx.Transport)
		kind  errors.Kind
		stop  errors.Stop
		after time.Duration
	}{
		"kill switch": {
			httpx.Config{KillSwitch: func() bool { return true }}, nil, errors.FeatureDisabled, errors.StopPermanent, 0,
		},
		"breaker": {
			httpx.Config{Breaker: breaker.Config{Jitter: -1}}, func(tr *httpx.Transport) { openIt(t, tr) }, errors.CircuitOpen, errors.StopBreakerOpen, 30 * time.Second,
		},
		"limiter": {httpx.Config{Limiter: &fakeLimiter{err: limited}}, nil, errors.VendorRateLimited, errors.StopRateLimited, 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := follow(answer(200, ""))
				var rec recorder
				tc.cfg.Base, tc.cfg.Hooks = base, rec.hooks()
				tr, err := httpx.NewTransport("vendor", tc.cfg)
				require.NoError(t, err)
				if tc.prep != nil {
					tc.prep(tr)
				}
				body := &closeCounter{Reader: strings.NewReader("x")}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://vendor.test", body)
				require.NoError(t, err)
				resp, err := tr.RoundTrip(req)
				require.Nil(t, resp)
				require.Equal(t, tc.kind, errors.KindOf(err))
				require.Equal(t, tc.stop, errors.StopOf(err))
				require.Equal(t, errors.NotSent, errors.DeliveryOf(err))
				wait, _ := errors.RetryAfter(err)
				require.Equal(t, tc.after, wait)
				require.Zero(t, base.count(), "nothing was sent")
				require.Equal(t, 1, body.closes, "a refused request's body is closed")
				require.Zero(t, tr.InFlight())
				require.Len(t, rec.calls, 1)
				require.Equal(t, tc.stop, rec.calls[0].Stop)
				e, _ := errors.AsType[*errors.Error](err)
				require.Equal(t, "GET vendor.test", e.Op)
				require.Equal(t, "vendor", e.Service)
				require.NotEmpty(t, e.CorrelationID)
			})
		})
	}
}

type closeCounter struct {
	io.Reader

	closes int
}

func (c *closeCounter) Close() error { c.closes++; return nil }

// openIt opens the transport's breaker by its own permits.
func openIt(t *testing.T, tr *httpx.Transport) {
	t.Helper()
	for range 3 {
		p, _, ok := tr.Breaker().TryAcquire()
		require.True(t, ok)
		p.Done(breaker.Failure)
	}
	require.Equal(t, breaker.Open, tr.Breaker().State())
}

func TestABreakerThatOpensBetweenAttemptsReturnsTheLastAnswer(t *testing.T) {
	base := follow(answer(503, "first"))
	c := client(t, httpx.Config{Base: base, BackoffBase: noWait, MaxAttempts: 5, Breaker: breaker.Config{Failures: 2}})
	var rec recorder
	resp, body, err := send(t, httpx.WithObserver(t.Context(), rec.hooks().OnEvent), c, "GET", "")
	require.NoError(t, err)
	require.Equal(t, "first", body)
	require.Equal(t, 2, base.count())
	out, _ := httpx.OutcomeOf(resp)
	require.Equal(t, errors.StopBreakerOpen, out.Stop)
	require.Greater(t, out.RetryAfter, 29*time.Second)
	require.Equal(t, []httpx.Status{"attempt", "retrying", "attempt", "retrying", "circuit_open", "failed"}, rec.statuses())
}

func TestWhatTheBreakerHears(t *testing.T) {
	for name, tc := range map[string]struct {
		step step
		want breaker.State // after three of them
	}{
		"503":       {answer(503, ""), breaker.Open},
		"reset":     {fail(errReset), breaker.Open},
		"dial":      {fail(errDial), breaker.Open},
		"timeout":   {fail(context.DeadlineExceeded), breaker.Open},
		"404":       {answer(404, ""), breaker.Closed},
		"429":       {answer(429, ""), breaker.Closed},
		"408":       {answer(408, ""), breaker.Closed},
		"local":     {fail(errors.New("unsupported protocol scheme \"x\"")), breaker.Closed},
		"malformed": {fail(nil), breaker.Open},
	} {
		t.Run(name, func(t *testing.T) {
			tr, err := httpx.NewTransport("vendor", httpx.Config{Base: follow(tc.step), MaxAttempts: -1})
			require.NoError(t, err)
			for range 3 {
				_, _, _ = send(t, t.Context(), &http.Client{Transport: tr}, "GET", "")
			}
			require.Equal(t, tc.want, tr.Breaker().State())
		})
	}
}

func TestA4xxBetweenFailuresDoesNotResetTheStreak(t *testing.T) {
	base := follow(answer(503, ""), answer(404, ""), answer(503, ""), answer(429, ""), answer(503, ""))
	tr, err := httpx.NewTransport("vendor", httpx.Config{Base: base, MaxAttempts: -1})
	require.NoError(t, err)
	for range 5 {
		_, _, err := send(t, t.Context(), &http.Client{Transport: tr}, "GET", "")
		require.NoError(t, err)
	}
	require.Equal(t, breaker.Open, tr.Breaker().State())
}

func TestTheBreakersHookHearsHowLongAnAnswerTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard []breaker.OutcomeEvent
		c := client(t, httpx.Config{Base: follow(after(3*time.Second, answer(200, "x"))), Breaker: breaker.Config{
			Hooks: breaker.Hooks{OnOutcome: func(e breaker.OutcomeEvent) { heard = append(heard, e) }},
		}})
		_, _, err := send(t, t.Context(), c, "GET", "")
		require.NoError(t, err)
		require.Len(t, heard, 1)
		require.Equal(t, 3*time.Second, heard[0].Duration)
	})
}
