package idempotency_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx/idempotency"
	"github.com/prusik-go/prusik/ratelimit"
)

func TestTheSecondIsGivenTheAnswerOfTheFirst(t *testing.T) {
	t.Parallel()
	var j journal
	h := counted{handler: sent}
	c := serve(t, newKeys(t, idempotency.Config{Hooks: j.hooks()}), h.serve)
	first := c.send(t, "POST /sms?to=1", `"k1"`, `"hi"`)
	require.Equal(t, 201, first.status)
	require.JSONEq(t, `{"sent":"hi"}`, first.body)
	require.False(t, first.replayed())
	for range 3 {
		again := c.send(t, "POST /sms?to=1", `"k1"`, `"hi"`)
		require.True(t, again.replayed())
		require.Equal(t, 201, again.status)
		require.Equal(t, first.body, again.body)
		require.Equal(t, first.header.Values("Location"), again.header.Values("Location"))
		require.Equal(t, first.header.Values("Content-Type"), again.header.Values("Content-Type"))
	}
	require.EqualValues(t, 1, h.runs.Load())
	decisions, ends := j.heard()
	require.Equal(t, []string{"api run", "api replayed", "api replayed", "api replayed"}, decisions)
	require.Equal(t, []string{"kept"}, ends)

	require.True(t, c.send(t, "POST /sms?to=1", `k1`, `"hi"`).replayed(), "bare and quoted are one key")
	require.False(t, c.send(t, "POST /sms?to=1", `"k2"`, `"hi"`).replayed())
	require.False(t, c.send(t, "POST /sms?to=1", `"k1"`, `"hi"`, "X-User", "bob").replayed(), "another's key")
	require.EqualValues(t, 3, h.runs.Load())
}

func TestAKeyIsForOneRequest(t *testing.T) {
	t.Parallel()
	h := counted{handler: sent}
	c := serve(t, newKeys(t, idempotency.Config{}), h.serve)
	c.send(t, "POST /sms?to=1", "k", `"hi"`, "Content-Type", "application/json")
	for name, a := range map[string]answer{
		"body":         c.send(t, "POST /sms?to=1", "k", `"ho"`, "Content-Type", "application/json"),
		"no body":      c.send(t, "POST /sms?to=1", "k", ``, "Content-Type", "application/json"),
		"query":        c.send(t, "POST /sms?to=2", "k", `"hi"`, "Content-Type", "application/json"),
		"path":         c.send(t, "POST /calls?to=1", "k", `"hi"`, "Content-Type", "application/json"),
		"method":       c.send(t, "PATCH /sms?to=1", "k", `"hi"`, "Content-Type", "application/json"),
		"content type": c.send(t, "POST /sms?to=1", "k", `"hi"`, "Content-Type", "text/plain"),
	} {
		p := a.problem(t, 422, "mismatch")
		require.Equal(t, errors.Invalid, p.Kind, name)
		require.False(t, a.replayed())
		require.NotContains(t, a.body, `"k"`)
	}
	require.True(t, c.send(t, "POST /sms?to=1", "k", `"hi"`, "Content-Type", "application/json", "Accept-Language", "de").replayed())
	require.EqualValues(t, 1, h.runs.Load())
}

func TestOneInProgressIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	begun, finish := make(chan struct{}), make(chan struct{})
	c := serve(t, newKeys(t, idempotency.Config{}), func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-finish
		_, _ = io.WriteString(w, "done")
	})
	var first answer
	var wg sync.WaitGroup
	r := c.request(t, "POST /", "k", "")
	wg.Go(func() { first, _ = c.try(r) })
	<-begun
	a := c.send(t, "POST /", "k", "")
	p := a.problem(t, 409, "in_progress")
	require.Equal(t, errors.Conflict, p.Kind)
	require.Equal(t, "1", a.header.Get("Retry-After"))
	c.send(t, "POST /", "k", "other").problem(t, 422, "mismatch")
	close(finish)
	wg.Wait()
	require.Equal(t, "done", first.body)
	require.Equal(t, "done", c.send(t, "POST /", "k", "").body)
}

// Of 64 that come at once one is run, whatever the others are told.
func TestManyAtOnceRunOnce(t *testing.T) {
	t.Parallel()
	for round := range 10 {
		h := counted{handler: sent}
		k := newKeys(t, idempotency.Config{})
		guarded := k.Handler(caller)(http.HandlerFunc(h.serve))
		var wg sync.WaitGroup
		var done, busy atomic.Int64
		start := make(chan struct{})
		for range 64 {
			wg.Go(func() {
				<-start
				r := httptest.NewRequest(http.MethodPost, "/sms", strings.NewReader(`"hi"`))
				r.Header.Set("X-User", "ann")
				r.Header.Set(idempotency.Header, "k")
				w := httptest.NewRecorder()
				guarded.ServeHTTP(w, r)
				switch w.Code {
				case 201:
					done.Add(1)
				case 409:
					busy.Add(1)
				}
			})
		}
		close(start)
		wg.Wait()
		require.EqualValues(t, 1, h.runs.Load(), "round %d", round)
		require.EqualValues(t, 64, done.Load()+busy.Load())
		require.Positive(t, done.Load())
	}
}

func TestWhatIsNotAsked(t *testing.T) {
	t.Parallel()
	h := counted{handler: sent}
	c := serve(t, newKeys(t, idempotency.Config{}), h.serve)
	for range 2 {
		require.Equal(t, 201, c.send(t, "POST /", "", "1").status, "no key")
		require.Equal(t, 201, c.send(t, "PUT /", "k", "1").status, "a method that is not guarded")
		require.Equal(t, 201, c.send(t, "GET /", "k", "").status)
	}
	require.EqualValues(t, 6, h.runs.Load())

	c = serve(t, newKeys(t, idempotency.Config{Required: true, Methods: []string{"PUT"}}), h.serve)
	require.Equal(t, 201, c.send(t, "POST /", "", "1").status)
	p := c.send(t, "PUT /", "", "1").problem(t, 400, "missing")
	require.Contains(t, p.Detail, "Idempotency-Key")
	require.Equal(t, 201, c.send(t, "PUT /", "k", "1").status)
	require.True(t, c.send(t, "PUT /", "k", "1").replayed())
}

func TestAFieldThatIsNoKeyIsRefused(t *testing.T) {
	t.Parallel()
	h := counted{handler: sent}
	c := serve(t, newKeys(t, idempotency.Config{}), h.serve)
	for _, key := range []string{
		`""`, `"a`, `a"`, `"a" "b"`, `a b`, `"a", "b"`, `a,b`, `"a";b=1`, `"é"`, `é`, `"a\b"`, `"a\`, `"a" x`,
		strings.Repeat("x", 256), `"` + strings.Repeat("x", 256) + `"`, strings.Repeat("x", 10_000),
	} {
		a := c.send(t, "POST /", key, "1")
		a.problem(t, 400, "malformed")
		if len(key) > 4 {
			quoted, err := json.Marshal(key)
			require.NoError(t, err)
			require.NotContains(t, a.body, string(quoted[1:len(quoted)-1]), "it is not echoed")
		}
	}
	for _, key := range []string{strings.Repeat("x", 255), `"` + strings.Repeat(`\"`, 255) + `"`, `"a b, c; d"`, "dGVzdA==", "8e03978e-40d5-43dd-bc93-6894a57f9324"} {
		require.Equal(t, 201, c.send(t, "POST /", key, "1").status, key)
	}
	r := c.request(t, "POST /", "", "1")
	r.Header[idempotency.Header] = []string{"k", "k"}
	a, err := c.try(r)
	require.NoError(t, err)
	a.problem(t, 400, "malformed")
	r = httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header[idempotency.Header] = []string{""}
	w := httptest.NewRecorder()
	newKeys(t, idempotency.Config{}).Handler(caller)(http.HandlerFunc(h.serve)).ServeHTTP(w, r)
	require.Equal(t, 400, w.Code, "an empty field")
	require.EqualValues(t, 5, h.runs.Load())
}

func TestAScopeIsNeeded(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	h := counted{handler: sent}
	for name, test := range map[string]struct {
		scope  func(*http.Request) (string, error)
		status int
	}{
		"nil":        {nil, 500},
		"empty":      {func(*http.Request) (string, error) { return "", nil }, 500},
		"its error":  {func(*http.Request) (string, error) { return "", errors.Unauthenticated }, 401},
		"its secret": {func(*http.Request) (string, error) { return "", errors.New(secret) }, 500},
	} {
		var j journal
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set(idempotency.Header, "k")
		w := httptest.NewRecorder()
		newKeys(t, idempotency.Config{Hooks: j.hooks()}).Handler(test.scope)(http.HandlerFunc(h.serve)).ServeHTTP(w, r)
		require.Equal(t, test.status, w.Code, name)
		require.NotContains(t, w.Body.String(), secret)
		require.Equal(t, []string{"scope "}, j.ops, name)
	}
	require.Zero(t, h.runs.Load())
	k := newKeys(t, idempotency.Config{})
	require.NotNil(t, k.Handler(ratelimit.RemoteAddr))
	require.NotNil(t, k.Handler(ratelimit.ClientIP()), "a KeyFunc fits")
}

// Names, scopes and keys are told apart whatever they hold.
func TestNoTwoKeysMeet(t *testing.T) {
	t.Parallel()
	h := counted{handler: sent}
	k := newKeys(t, idempotency.Config{})
	for i, pair := range [][2]string{{"a", "bc"}, {"ab", "c"}, {"abc", "-"}, {"a\x00b", "c"}, {"a", "b"}} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set(idempotency.Header, pair[1])
		k.Handler(func(*http.Request) (string, error) { return pair[0], nil })(http.HandlerFunc(h.serve)).ServeHTTP(httptest.NewRecorder(), r)
		require.EqualValues(t, i+1, h.runs.Load())
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	h := counted{handler: sent}
	c := serve(t, newKeys(t, idempotency.Config{MaxBody: 10}), h.serve)
	require.Equal(t, `{"sent":1234567890}`, c.send(t, "POST /", "k", "1234567890").body, "as long as it may be")
	require.Equal(t, 201, c.send(t, "POST /", "", "12345678901").status, "without a key it is nobody's business")
	a := c.send(t, "POST /", "k2", "12345678901")
	a.problem(t, 413, "too_large")
	r := c.request(t, "POST /", "k2", "")
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader("12345678901")), -1
	a, err := c.try(r)
	require.NoError(t, err)
	a.problem(t, 413, "too_large")
	require.Equal(t, 201, c.send(t, "POST /", "k2", "1").status, "nothing was claimed")
	require.EqualValues(t, 3, h.runs.Load())

	// A trailer that comes behind a body reaches the handler.
	c = serve(t, newKeys(t, idempotency.Config{}), func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, string(b)+r.Trailer.Get("X-Sum")+strconv.FormatBool(err == nil))
	})
	r = c.request(t, "POST /", "k", "")
	r.Trailer = http.Header{"X-Sum": nil}
	r.Body, r.ContentLength = &trailed{Reader: strings.NewReader("body "), r: r}, -1
	a, err = c.try(r)
	require.NoError(t, err)
	require.Equal(t, "body sumtrue", a.body)
}

type trailed struct {
	io.Reader
	r *http.Request
}

func (b *trailed) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		b.r.Trailer.Set("X-Sum", "sum")
	}
	return n, err
}

func (*trailed) Close() error { return nil }

// A body that breaks off claims nothing.
func TestABrokenBody(t *testing.T) {
	t.Parallel()
	h := counted{handler: sent}
	guarded := newKeys(t, idempotency.Config{}).Handler(caller)(http.HandlerFunc(h.serve))
	for _, test := range []struct {
		body   io.Reader
		status int
	}{
		{io.MultiReader(strings.NewReader("1"), iotestErr{}), 400},
		{http.MaxBytesReader(nil, io.NopCloser(strings.NewReader("123")), 2), 413},
		{strings.NewReader("1"), 201},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", test.body)
		r.Header.Set("X-User", "ann")
		r.Header.Set(idempotency.Header, "k")
		w := httptest.NewRecorder()
		guarded.ServeHTTP(w, r)
		require.Equal(t, test.status, w.Code)
	}
	require.EqualValues(t, 1, h.runs.Load())
}

type iotestErr struct{}

func (iotestErr) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// What a replay has is what the handler set, but for what is about the first answer alone.
func TestTheHeaderOfAReplay(t *testing.T) {
	t.Parallel()
	cor, err := correlation.New(correlation.Config{})
	require.NoError(t, err)
	limits, err := ratelimit.ParseLimits("100/minute")
	require.NoError(t, err)
	limiter, err := ratelimit.New("api", ratelimit.Config{Limits: limits, Legacy: ratelimit.LegacyResetSeconds})
	require.NoError(t, err)
	origin := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
			w.Header().Add("Vary", "Origin")
			next.ServeHTTP(w, r)
		})
	}
	c := serve(t, newKeys(t, idempotency.Config{}), func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Set-Cookie", "session=1")
		h.Set("Date", "Thu, 01 Jan 1970 00:00:00 GMT")
		h.Set("Etag", `"1"`)
		h["X-Two"] = []string{"1", "2"}
		h.Add("Vary", "Accept")
		h.Set("Retry-After", "7")
		h.Set("Traceparent", "00-x")
		h.Set("X-Ratelimit-Limit", "1")
		h.Set("Ratelimit", `"inner";r=1`)
		h.Set("Ratelimit-Policy", `"inner";q=1`)
		h.Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "ok")
		h.Set("X-Late", "1")
		h.Set("X-Sum", "1")
	}, limiter.Handler(ratelimit.RemoteAddr), origin, cor.Handler)
	first := c.send(t, "POST /", "k", "", "Origin", "a")
	again := c.send(t, "POST /", "k", "", "Origin", "b")
	require.True(t, again.replayed())
	for name, want := range map[string][]string{
		"Etag": {`"1"`}, "X-Two": {"1", "2"}, "Vary": {"Origin", "Accept"}, "Access-Control-Allow-Origin": {"b"},
		"Set-Cookie": nil, "Retry-After": nil, "Traceparent": nil, "X-Late": nil, "X-Sum": nil, "Trailer": nil,
		"X-Ratelimit-Remaining": {"98"}, "X-Ratelimit-Limit": {"100"}, "Content-Length": {"2"},
	} {
		require.Equal(t, want, again.header[name], name)
	}
	require.Contains(t, again.header.Get("Ratelimit"), `"api";r=98`)
	require.Contains(t, again.header.Get("Ratelimit-Policy"), `"api"`)
	require.NotEqual(t, first.header.Get("Date"), again.header.Get("Date"))
	require.NotEmpty(t, again.header.Get(correlation.Header))
	require.NotEqual(t, first.header.Get(correlation.Header), again.header.Get(correlation.Header))
	require.Equal(t, first.header.Get(correlation.Header), again.header.Get(idempotency.HeaderOriginal))
	require.Empty(t, first.header.Get(idempotency.HeaderOriginal))
}

// On a router and on a route of it, it acts once.
func TestMountedTwice(t *testing.T) {
	t.Parallel()
	h := counted{handler: sent}
	var j journal
	k, other := newKeys(t, idempotency.Config{}), newKeys(t, idempotency.Config{Hooks: j.hooks()})
	c := serve(t, k, k.Handler(caller)(other.Handler(caller)(http.HandlerFunc(h.serve))).ServeHTTP)
	require.Equal(t, 201, c.send(t, "POST /", "k", "1").status)
	require.True(t, c.send(t, "POST /", "k", "1").replayed())
	require.EqualValues(t, 1, h.runs.Load())
	decisions, _ := j.heard()
	require.Equal(t, []string{"api run"}, decisions, "others act too")
}
