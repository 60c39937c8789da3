package soak_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/examples/internal/sim/fault"
)

// net/http's transport repeats a request by itself where a reused connection is reset before the answer, if it is a
// GET or has an Idempotency-Key, and its body can be had again. Each test is one of the ways in which that once broke
// what httpx promises; the soak finds them by chance, here they come for certain.

// warm makes a call on which net/http's connection can be reused, and hands the vendor over to script.
func warm(t *testing.T, r *run, v vendorName, script fault.Script) {
	t.Helper()
	resp, err := r.get(r.ctx, r.clients.of(v))
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	r.vendors.server(v).SetScript(script)
}

func single(t *testing.T) *run {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	r := start(t, ctx, 1)
	t.Cleanup(func() {
		for _, c := range r.clients.all() {
			c.http.CloseIdleConnections()
		}
		r.vendors.close(t)
	})
	return r
}

func keyedPost(v vendorName) plan {
	p := plan{id: "c1", vendor: v, method: http.MethodPost, path: "/things/c1", key: "own-c1", body: rewindable, bytes: 40, keyed: true, reading: readAll, errors: readAll, cancel: never}
	if v == texts {
		p.path, p.keyed = "/Messages.json", false
	}
	return p
}

func TestACallersKeyThatTwilioIgnoresTextsNobodyTwice(t *testing.T) {
	r := single(t)
	warm(t, r, texts, fault.Sequence(fault.ResetAfterRead(true)))
	told := r.caller.do(keyedPost(texts))
	require.Len(t, r.vendors.texts.Received(number(1)), 1)
	require.Error(t, told.err, "the answer was lost")
	require.Equal(t, errors.Unknown, errors.DeliveryOf(told.err))
	require.Equal(t, errors.StopUnsafeMethod, errors.StopOf(told.err))
}

func TestWhatWasSentIsNotToldAsNotSentWhereTheRepeatCannotDial(t *testing.T) {
	for _, method := range []string{http.MethodPost, http.MethodDelete} {
		t.Run(method, func(t *testing.T) {
			r := single(t)
			down := fault.ScriptFunc(func(q *http.Request) fault.Fault {
				_ = fault.Body(q)
				go r.vendors.orders.Down() // it waits for the accept loop, not for requests
				return fault.Hang().Processed()
			})
			warm(t, r, orders, down)
			p := keyedPost(orders)
			if p.method = method; method == http.MethodDelete {
				p.body = noBody
			}
			told := r.caller.do(p)
			require.Error(t, told.err)
			require.Equal(t, 1, processed(r.vendors.orders.ByCall("c1#1")))
			require.Equal(t, errors.Unknown, errors.DeliveryOf(told.err), "%v", told.err)
		})
	}
}

func TestWhatWasProcessedIsNotToldAsRejectedWhereTheRepeatIs(t *testing.T) {
	for _, method := range []string{http.MethodPost, http.MethodDelete} {
		t.Run(method, func(t *testing.T) {
			r := single(t)
			warm(t, r, orders, fault.Sequence(fault.ResetAfterRead(true)).Then(fault.Always(fault.TooManyRequestsAfter(time.Minute))))
			p := keyedPost(orders)
			if p.method = method; method == http.MethodDelete {
				p.body = noBody
			}
			told := r.caller.do(p)
			require.NoError(t, told.err)
			require.Equal(t, http.StatusTooManyRequests, told.status)
			require.Equal(t, errors.Unknown, told.outcome.Delivery)
		})
	}
}

func TestTheErrorOfAnErrorsBodyIsOneOfOurs(t *testing.T) {
	r := single(t)
	warm(t, r, orders, fault.Always(fault.TruncatedBody()))
	p := keyedPost(orders)
	p.method, p.path, p.body, p.key = http.MethodGet, "/missing/c1", noBody, ""
	told := r.caller.do(p)
	require.Equal(t, http.StatusNotFound, told.status)
	require.ErrorIs(t, told.bodyErr, io.ErrUnexpectedEOF)
	e, ok := errors.AsType[*errors.Error](told.bodyErr)
	require.True(t, ok, "%T", told.bodyErr)
	require.Equal(t, errors.Rejected, e.Delivery)
	require.True(t, strings.HasPrefix(e.Op, http.MethodGet))
}
