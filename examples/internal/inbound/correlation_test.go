package inbound_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
)

// vendorCall is what a vendor was sent.
type vendorCall struct {
	id   string
	form url.Values
}

// vendor is a server, and post a call to it by a client that sends ids.
func vendor(t *testing.T) (post func(context.Context, url.Values) error, calls <-chan vendorCall) {
	t.Helper()
	seen := make(chan vendorCall, 10)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		seen <- vendorCall{r.Header.Get(correlation.Header), r.Form}
	}))
	t.Cleanup(s.Close)
	c := &http.Client{Transport: correlator(t, correlation.Config{}).Transport(s.Client().Transport)}
	return func(ctx context.Context, form url.Values) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, strings.NewReader(form.Encode()))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := c.Do(r)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}, seen
}

// A request's id, or a new one where its peer is not trusted, is on the answer, in the log and at the vendor. Problems have
// it as well: see client.problem.
func TestOneIDOnTheWholePath(t *testing.T) {
	t.Parallel()
	for network, trusted := range map[string]bool{"127.0.0.0/8": true, "10.0.0.0/8": false} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			onEveryRouter(t, func(t *testing.T, serve func(server) client) {
				var log journal
				post, calls := vendor(t)
				cor := correlator(t, correlation.Config{TrustedPeers: []netip.Prefix{netip.MustParsePrefix(network)}})
				c := serve(server{
					use: []middleware{cor.Handler, errors.Middleware()},
					routes: []route{{pattern: "POST /calls/{id}", handler: func(w http.ResponseWriter, r *http.Request) {
						id, _ := correlation.ID(r.Context())
						log.logger().InfoContext(r.Context(), "calling")
						if err := post(r.Context(), nil); err != nil {
							t.Error(err)
						}
						_, _ = io.WriteString(w, id)
					}}},
				})
				const theirs = "0190c7a5-7e4f-7c3d-8a51-0123456789ab"
				resp, id := c.send(t, "POST /calls/1", correlation.Header, theirs)
				require.Equal(t, trusted, id == theirs, id)
				require.True(t, correlation.Valid(id))
				require.Equal(t, []string{id}, resp.Header.Values(correlation.Header))
				require.Equal(t, 1, strings.Count(log.String(), `"correlation_id":"`+id+`"`))
				require.Equal(t, id, receive(t, calls).id)
				_, other := c.send(t, "POST /calls/1")
				require.NotEqual(t, id, other)
				require.Equal(t, other, receive(t, calls).id)
			})
		})
	}
}

// Work that outlives its request has the id and is not canceled with it: on chi too, which by then may use its part of the
// context for the next request.
func TestDetachedWorkKeepsTheIDAfterTheAnswer(t *testing.T) {
	t.Parallel()
	onEveryRouter(t, func(t *testing.T, serve func(server) client) {
		post, calls := vendor(t)
		answered := make(chan struct{})
		failed := make(chan error, 3)
		c := serve(server{use: stack(t), routes: []route{{pattern: "POST /sms/{to}", handler: func(_ http.ResponseWriter, r *http.Request) {
			detached, to := correlation.Detach(r.Context()), r.PathValue("to")
			go func() {
				<-r.Context().Done() // net/http ends it when the handler has returned
				<-answered
				failed <- post(detached, url.Values{"To": {to}})
			}()
		}}}})
		want := map[string]string{}
		for i := range 3 {
			to := fmt.Sprint("person", i)
			resp, _ := c.send(t, "POST /sms/"+to)
			want[to] = resp.Header.Get(correlation.Header)
		}
		close(answered)
		for range want {
			require.NoError(t, receive(t, failed))
			call := receive(t, calls)
			require.Equal(t, want[call.form.Get("To")], call.id)
		}
	})
}

// The id goes to the vendor in the callback's URL and is that of the callback, whatever id the vendor itself sends.
func TestACallbackBringsTheIDBack(t *testing.T) {
	t.Parallel()
	onEveryRouter(t, func(t *testing.T, serve func(server) client) {
		signer, err := correlation.NewSigner([]byte("a key of more than 16 bytes"))
		require.NoError(t, err)
		var log journal
		post, calls := vendor(t)
		replaced := make(chan correlation.ReplacedEvent, 10)
		hooks := correlation.Hooks{OnReplaced: func(e correlation.ReplacedEvent) { replaced <- e }}
		c := serve(server{use: stack(t), routes: []route{
			{pattern: "POST /calls", handler: func(_ http.ResponseWriter, r *http.Request) {
				id, _ := correlation.ID(r.Context())
				callback := "/callbacks/status?sid=1&" + correlation.TokenParam + "=" + signer.Token(id, 0)
				if err := post(r.Context(), url.Values{"StatusCallback": {callback}}); err != nil {
					t.Error(err)
				}
			}},
			{pattern: "POST /callbacks/{what}", with: []middleware{signer.Handler("", hooks)}, handler: func(w http.ResponseWriter, r *http.Request) {
				id, _ := correlation.ID(r.Context())
				log.logger().InfoContext(r.Context(), r.PathValue("what"))
				_, _ = io.WriteString(w, id)
			}},
		}})
		resp, _ := c.send(t, "POST /calls")
		id := resp.Header.Get(correlation.Header)
		call := receive(t, calls)
		require.Equal(t, id, call.id)
		callback := call.form.Get("StatusCallback")

		resp, seen := c.send(t, "POST "+callback, correlation.Header, "an-id-of-the-vendor")
		require.Equal(t, id, seen)
		require.Equal(t, []string{id}, resp.Header.Values(correlation.Header))
		require.Contains(t, log.String(), `"msg":"status","correlation_id":"`+id+`"`)
		require.Empty(t, replaced)

		resp, seen = c.send(t, "POST "+callback+"x")
		require.Equal(t, http.StatusOK, resp.StatusCode, "a callback is never refused for its token")
		require.NotEqual(t, id, seen)
		require.Equal(t, []string{seen}, resp.Header.Values(correlation.Header))
		event := receive(t, replaced)
		require.Equal(t, correlation.ReasonToken, event.Reason)
		require.Equal(t, seen, event.ID)
		require.Equal(t, errors.Unauthenticated, errors.KindOf(event.Err))
	})
}
