package idempotency_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx/idempotency"
	"github.com/prusik-go/prusik/ratelimit"
)

// ended runs h once for a key, and says what became of the key and what a retry is answered with.
func ended(t *testing.T, h http.HandlerFunc) (end string, first, retry *httptest.ResponseRecorder, runs int) {
	t.Helper()
	var j journal
	guarded := newKeys(t, idempotency.Config{Hooks: j.hooks()}).Handler(caller)(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			runs++
			h(w, r)
		}))
	serve := func() *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set("X-User", "ann")
		r.Header.Set(idempotency.Header, "k")
		w := httptest.NewRecorder()
		guarded.ServeHTTP(w, r)
		return w
	}
	first = serve()
	end = j.last()
	retry = serve()
	return end, first, retry, runs
}

// The table of the package documentation, for answers of which nothing is known but the status.
func TestWhatAStatusDoesToAKey(t *testing.T) {
	t.Parallel()
	freed := map[int]bool{401: true, 403: true, 409: true, 412: true, 413: true, 425: true, 428: true, 429: true}
	for status := 200; status < 600; status++ {
		end, first, retry, runs := ended(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "text")
		})
		require.Equal(t, status, first.Code)
		switch {
		case freed[status]:
			require.Equal(t, "freed", end, status)
			require.Equal(t, 2, runs, status)
		case status == errors.StatusClientClosedRequest:
			require.Equal(t, "lost", end, status)
			require.Equal(t, 500, retry.Code)
			require.Equal(t, 1, runs)
		default:
			require.Equal(t, "kept", end, status)
			require.Equal(t, status, retry.Code)
			require.Equal(t, "true", retry.Header().Get(idempotency.HeaderReplayed))
			require.Equal(t, 1, runs, status)
		}
	}
}

// What is known of the request at the vendor is believed before the status.
func TestWhatAnErrorDoesToAKey(t *testing.T) {
	t.Parallel()
	of := func(k errors.Kind, d errors.Delivery, s errors.Stop) *errors.Error {
		return &errors.Error{Kind: k, Delivery: d, Stop: s}
	}
	notSent := of(errors.CircuitOpen, errors.NotSent, errors.StopBreakerOpen)
	unknown := of(errors.VendorTimeout, errors.Unknown, errors.StopUnsafeMethod)
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"refused by a breaker":        {notSent, "freed"},
		"kill switch":                 {of(errors.FeatureDisabled, errors.NotSent, errors.StopPermanent), "freed"},
		"dial":                        {of(errors.VendorBadResponse, errors.NotSent, errors.StopExhausted), "freed"},
		"the vendor's limit":          {of(errors.VendorRateLimited, errors.Rejected, errors.StopRateLimited), "freed"},
		"the vendor refused":          {of(errors.Invalid, errors.Rejected, errors.StopPermanent), "freed"},
		"in an url.Error":             {&url.Error{Op: "Post", URL: "/", Err: notSent}, "freed"},
		"canceled before it was sent": {of(errors.Canceled, errors.NotSent, errors.StopCanceled), "freed"},
		"unknown":                     {unknown, "kept"},
		"a 5xx of the vendor":         {of(errors.VendorBadResponse, errors.Unknown, errors.StopUnsafeMethod), "kept"},
		"a conflict after a timeout":  {of(errors.Conflict, errors.Unknown, errors.StopExhausted), "kept"},
		"attempts": {&errors.Error{
			Kind: errors.RateLimited, Attempts: []errors.Attempt{{Status: 500}},
		}, "kept"},
		"done, and its answer is not ours": {of(errors.Conflict, errors.Delivered, ""), "kept"},
		"canceled after":                   {of(errors.Canceled, errors.Unknown, errors.StopCanceled), "lost"},
		"canceled, no vendor":              {context.Canceled, "lost"},
		"invalid":                          {errors.Invalid, "kept"},
		"not found":                        {errors.NotFound, "kept"},
		"foreign":                          {io.EOF, "kept"},
		"unavailable, by nobody known":     {errors.Unavailable, "kept"},
		"no vendor: the status decides":    {&errors.Error{Kind: errors.Unauthenticated}, "freed"},
		"flag":                             {errors.FeatureDisabled, "freed"},
		"conflict":                         {errors.Conflict, "freed"},
		"limited":                          {errors.RateLimited, "freed"},
		"two, both not sent":               {errors.Join(notSent, notSent), "freed"},
		"two, one unknown":                 {errors.Join(notSent, unknown), "kept"},
		"two, one not known":               {errors.Join(notSent, io.EOF), "kept"},
		"two, one not known, first":        {fmt.Errorf("%w, %w", io.EOF, notSent), "kept"},
		"wrapped without its delivery":     {&errors.Error{Kind: errors.Unavailable, Err: notSent}, "kept"},
		"wrapped unknown":                  {&errors.Error{Kind: errors.Internal, Delivery: errors.NotSent, Err: io.EOF}, "freed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, h := range []http.Handler{
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = errors.Write(w, r, test.err) }),
				errors.Handler(func(http.ResponseWriter, *http.Request) error { return test.err }),
			} {
				end, first, retry, runs := ended(t, h.ServeHTTP)
				require.Equal(t, test.want, end)
				require.Equal(t, map[string]int{"freed": 2, "kept": 1, "lost": 1}[end], runs)
				switch end {
				case "kept":
					require.Equal(t, first.Code, retry.Code)
					require.Equal(t, first.Body.String(), retry.Body.String())
				case "lost":
					require.Equal(t, 500, retry.Code)
					require.Contains(t, retry.Body.String(), `"delivery":"unknown"`)
				}
			}
		})
	}
}

// An error that is written behind an answer says nothing of that answer.
func TestAnErrorAfterTheAnswer(t *testing.T) {
	t.Parallel()
	end, _, _, _ := ended(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "sent")
		_ = errors.Write(w, r, &errors.Error{Kind: errors.Unavailable, Delivery: errors.NotSent})
	})
	require.Equal(t, "kept", end)
}

// What the library's own middlewares refuse behind it frees the key.
func TestRefusalsOfMiddlewaresFreeTheKey(t *testing.T) {
	t.Parallel()
	b, err := breaker.New("vendor", breaker.Config{})
	require.NoError(t, err)
	b.ForceOpen()
	end, first, _, _ := ended(t, b.Handler(http.HandlerFunc(sent)).ServeHTTP)
	require.Equal(t, 503, first.Code)
	require.Equal(t, "freed", end)

	limits, err := ratelimit.ParseLimits("1/hour")
	require.NoError(t, err)
	l, err := ratelimit.New("one", ratelimit.Config{Limits: limits})
	require.NoError(t, err)
	_, err = l.Allow(t.Context(), "192.0.2.1")
	require.NoError(t, err)
	end, first, _, _ = ended(t, l.Handler(ratelimit.RemoteAddr)(http.HandlerFunc(sent)).ServeHTTP)
	require.Equal(t, 429, first.Code)
	require.Equal(t, "freed", end)
}

func TestAHandlerKnowsBest(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		say    func(context.Context)
		status int
		want   string
	}{
		"released":           {idempotency.Release, 500, "freed"},
		"released 200":       {idempotency.Release, 200, "freed"},
		"kept":               {idempotency.Keep, 429, "kept"},
		"the last one: free": {func(ctx context.Context) { idempotency.Keep(ctx); idempotency.Release(ctx) }, 500, "freed"},
		"the last one: keep": {func(ctx context.Context) { idempotency.Release(ctx); idempotency.Keep(ctx) }, 429, "kept"},
	} {
		end, _, retry, _ := ended(t, func(w http.ResponseWriter, r *http.Request) {
			test.say(context.WithoutCancel(r.Context()))
			w.WriteHeader(test.status)
		})
		require.Equal(t, test.want, end, name)
		require.Equal(t, test.status, retry.Code, name)
	}
	end, _, _, _ := ended(t, func(w http.ResponseWriter, r *http.Request) {
		idempotency.Keep(r.Context()) // one of two calls was made
		_ = errors.Write(w, r, &errors.Error{Kind: errors.CircuitOpen, Delivery: errors.NotSent})
	})
	require.Equal(t, "kept", end)
	idempotency.Release(t.Context()) // nothing happens
	idempotency.Keep(t.Context())
}

func TestNames(t *testing.T) {
	t.Parallel()
	for d := idempotency.Run; d <= idempotency.Refused; d++ {
		text, err := d.MarshalText()
		require.NoError(t, err)
		require.NotEmpty(t, string(text))
	}
	require.Empty(t, (idempotency.Refused + 1).String())
	require.Empty(t, idempotency.Decision(0).String())
	require.Empty(t, idempotency.End(0).String())
	text, _ := idempotency.Lost.MarshalText()
	require.Equal(t, "lost", string(text))
	text, _ = idempotency.FailOpen.MarshalText()
	require.Equal(t, "open", string(text))
	require.Empty(t, idempotency.Outage(9).String())
}
