package fault_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/examples/internal/sim/fault"
)

func ask(s fault.Script, id string) string {
	r := httptest.NewRequest(http.MethodPost, "/messages", nil)
	r.Header.Set("X-Test-Call", id)
	return s.Next(r).Name()
}

func TestSequenceIsFollowedByItsDefault(t *testing.T) {
	plain := fault.Sequence(fault.Status(500), fault.None(), fault.Status(502))
	require.Equal(t, []string{"status_500", "none", "status_502", "none"},
		[]string{ask(plain, ""), ask(plain, ""), ask(plain, ""), ask(plain, "")})

	then := fault.Sequence(fault.Status(500)).Then(fault.Always(fault.Status(504)))
	require.Equal(t, []string{"status_500", "status_504", "status_504"},
		[]string{ask(then, ""), ask(then, ""), ask(then, "")})
}

func TestWhenChoosesByTheRequest(t *testing.T) {
	s := fault.When(func(r *http.Request) bool { return fault.CallID(r) == "a" },
		fault.Always(fault.Status(500)),
		fault.When(func(r *http.Request) bool { return fault.CallID(r) == "b" }, nil, fault.Always(fault.Status(502))))
	require.Equal(t, "status_500", ask(s, "a"))
	require.Equal(t, "none", ask(s, "b"))
	require.Equal(t, "status_502", ask(s, "c"))
}

func TestAScriptCanReadTheBody(t *testing.T) {
	g := start(t, fault.Config{Script: fault.When(
		func(r *http.Request) bool { return string(fault.Body(r)) == "text=hello" }, fault.Always(fault.Status(418)), nil)})
	resp, _, err := g.post(t.Context(), "c1")
	require.NoError(t, err)
	require.Equal(t, 418, resp.StatusCode)
	require.True(t, g.only(t, "c1").ReadWhole)
	require.Nil(t, fault.Body(httptest.NewRequest(http.MethodGet, "/", nil)))
}

func TestMixFollowsItsSharesAndItsSeed(t *testing.T) {
	shares := []fault.Share{{P: .5, Fault: fault.Status(500)}, {P: .25, Fault: fault.Status(502)}}
	run := func(seed uint64) (all []string, count map[string]int) {
		s, err := fault.Mix(seed, shares...)
		require.NoError(t, err)
		count = map[string]int{}
		for range 4000 {
			f := ask(s, "")
			all = append(all, f)
			count[f]++
		}
		return all, count
	}
	first, count := run(7)
	again, _ := run(7)
	other, _ := run(8)
	require.Equal(t, first, again)
	require.NotEqual(t, first, other)
	require.InDelta(t, 2000, count["status_500"], 200)
	require.InDelta(t, 1000, count["status_502"], 200)
	require.InDelta(t, 1000, count["none"], 200)
}

func TestMixByGivesACallTheSameFaultsInAnyOrder(t *testing.T) {
	shares := []fault.Share{{P: .5, Fault: fault.Status(500)}, {P: .25, Fault: fault.Status(502)}}
	const calls, attempts = 2000, 3
	forward, err := fault.MixBy(7, nil, shares...)
	require.NoError(t, err)
	backward, err := fault.MixBy(7, fault.CallID, shares...)
	require.NoError(t, err)
	want, got, count := map[string][]string{}, map[string][]string{}, map[string]int{}
	for i := range calls {
		id := strconv.Itoa(i)
		for range attempts {
			f := ask(forward, id)
			want[id] = append(want[id], f)
			count[f]++
		}
	}
	for range attempts {
		for i := range calls {
			id := strconv.Itoa(calls - 1 - i)
			got[id] = append(got[id], ask(backward, id))
		}
	}
	require.Equal(t, want, got)
	changed := 0
	for _, faults := range want {
		if faults[0] != faults[1] {
			changed++
		}
	}
	require.InDelta(t, calls*(1-.5*.5-.25*.25-.25*.25), changed, 150, "attempts must be drawn independently")
	require.InDelta(t, calls*attempts/2, count["status_500"], 300)
	require.InDelta(t, calls*attempts/4, count["status_502"], 300)
}

func TestMixRefusesWhatIsNotAProbability(t *testing.T) {
	for _, shares := range [][]fault.Share{{{P: 0}}, {{P: -1}}, {{P: 1.1}}, {{P: .6}, {P: .6}}} {
		_, err := fault.Mix(1, shares...)
		require.Error(t, err)
		_, err = fault.MixBy(1, nil, shares...)
		require.Error(t, err)
	}
}
