package soak_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
)

// stats are the numbers of a run.
type stats struct {
	calls, attempts, retries     int
	arrived, lost, repeated      int // attempts that came, that did not, and requests net/http repeated by itself
	through                      int // calls of which something came
	acted                        int // requests processed
	unsafe, unsafeActed          int // calls that may be sent once, and those that were processed
	bodyErrors, unread           int
	idle, timeouts               int // bodies and attempts that ended by a timeout of the client's
	longest                      time.Duration
	delivery, stop, kind, status map[string]int
	faults, vendors, cancels     map[string]int
	attemptDelivery              map[string]int
	downs, storms                map[string]int
	opened, closed               map[string]int64
	conns                        map[string]uint64
	permits                      map[string]int // held at once, to show that none was lost
}

func newStats() *stats {
	return &stats{
		delivery: map[string]int{}, stop: map[string]int{}, kind: map[string]int{}, status: map[string]int{}, faults: map[string]int{},
		vendors: map[string]int{}, cancels: map[string]int{}, attemptDelivery: map[string]int{}, downs: map[string]int{},
		storms: map[string]int{}, opened: map[string]int64{}, closed: map[string]int64{}, conns: map[string]uint64{}, permits: map[string]int{},
	}
}

// add counts one call.
func (s *stats) add(v *verdict) {
	s.calls++
	s.vendors[string(v.plan.vendor)]++
	s.attempts += v.rec.count
	s.retries += max(0, v.rec.count-1)
	s.delivery[v.given.String()]++
	if v.stop != "" {
		s.stop[string(v.stop)]++
	}
	if v.e != nil {
		s.kind[string(v.e.Kind)]++
	} else {
		s.status[strconv.Itoa(v.status)]++
	}
	for _, a := range v.history {
		s.attemptDelivery[a.Delivery.String()]++
		if a.Reason == "timeout" && v.plan.deadline == 0 {
			s.timeouts++
		}
	}
	if v.canceled {
		s.cancels[string(v.plan.cancel)]++
	}
	for i := range v.count() {
		if n := len(v.of[i+1]); n == 0 {
			s.lost++
		} else {
			s.arrived++
			s.repeated += n - 1
		}
	}
	if len(v.entries) > 0 {
		s.through++
	}
	n := processed(v.entries)
	s.acted += n
	if !v.plan.safe() {
		s.unsafe++
		s.unsafeActed += n
	}
	if v.bodyErr != nil {
		s.bodyErrors++
	}
	if v.status < 400 && v.plan.deadline == 0 && errors.KindOf(v.bodyErr) == errors.VendorTimeout {
		s.idle++
	}
	if v.status >= 400 && v.plan.errors == abandon {
		s.unread++
	}
	s.longest = max(s.longest, v.took)
}

func (s *stats) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d calls, %d attempts, %d retries; the longest call took %v\n", s.calls, s.attempts, s.retries, s.longest.Round(time.Millisecond))
	fmt.Fprintf(&b, "  attempts: %d came, %d never did, net/http repeated %d by itself; %d calls came through, %d requests were processed\n",
		s.arrived, s.lost, s.repeated, s.through, s.acted)
	fmt.Fprintf(&b, "  neither idempotent nor keyed: %d calls, %d processed, none twice\n", s.unsafe, s.unsafeActed)
	fmt.Fprintf(&b, "  %d attempts timed out; %d bodies failed, %d of them stalled; %d error bodies were neither read nor closed\n",
		s.timeouts, s.bodyErrors, s.idle, s.unread)
	line(&b, "vendors", s.vendors)
	line(&b, "faults", s.faults)
	line(&b, "storms", s.storms)
	line(&b, "ports down", s.downs)
	line(&b, "told, calls", s.delivery)
	line(&b, "told, failed attempts and retries", s.attemptDelivery)
	line(&b, "stops", s.stop)
	line(&b, "kinds of error", s.kind)
	line(&b, "statuses", s.status)
	line(&b, "callers gone", s.cancels)
	line(&b, "breakers opened", s.opened)
	line(&b, "breakers closed again", s.closed)
	line(&b, "permits held at once at the end", s.permits)
	line(&b, "connections", s.conns)
	return b.String()
}

func line[N int | int64 | uint64](b *strings.Builder, what string, counts map[string]N) {
	fmt.Fprintf(b, "  %s:", what)
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(b, " %s %d", k, counts[k])
	}
	b.WriteByte('\n')
}

// enough is the number of calls from which on everything must have come up.
const enough = 5000

// covered fails where the run has not shown what it claims to show.
func (s *stats) covered(t *testing.T) {
	t.Helper()
	if s.calls < enough {
		t.Logf("fewer than %d calls: not asserted that everything came up", enough)
		return
	}
	for _, share := range faults() {
		require.Positive(t, s.faults[share.Fault.Name()], "fault %v never struck", share.Fault)
	}
	for _, stop := range errors.Stops() {
		require.Positive(t, s.stop[string(stop)], "no call was stopped by %q", stop)
	}
	for _, d := range []errors.Delivery{errors.Unknown, errors.NotSent, errors.Rejected, errors.Delivered} {
		require.Positive(t, s.delivery[d.String()], "no call was told %v", d)
	}
	for _, when := range []moment{before, afterTime, onAttempt, onRetrying, onConn, onWrote, onAnswer, midBody} {
		require.Positive(t, s.cancels[string(when)], "no caller went away %s", when)
	}
	for _, v := range []vendorName{texts, orders, ledgers} {
		require.Positive(t, s.downs[string(v)], "the port of %s was never closed", v)
	}
	conns := s.conns[string(texts)] + s.conns[string(orders)] + s.conns[string(ledgers)]
	require.Less(t, conns, uint64(s.arrived), "connections are not reused")
	require.Positive(t, s.timeouts, "no attempt timed out")
	require.Positive(t, s.idle, "no body was given up for stalling")
	require.Positive(t, s.unread, "no error body was left unread")
	require.Greater(t, s.through, s.calls/3, "hardly a call came to a vendor")
	require.Greater(t, s.retries, s.calls/20)
	for name, atLeast := range map[string]int64{"texts": 2, "orders": 2, "ledgers": int64(s.calls / 400)} {
		require.GreaterOrEqual(t, s.opened[name], atLeast, "the breaker of %s hardly opened", name)
		require.GreaterOrEqual(t, s.closed[name], max(1, atLeast/2), "the breaker of %s hardly closed again", name)
	}
}
