package twiliosim_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/examples/internal/sim/fault"
	"github.com/prusik-go/prusik/examples/internal/sim/twiliosim"
)

func TestNewRefusesAForeignHandler(t *testing.T) {
	_, err := twiliosim.New(twiliosim.Config{Server: fault.Config{Handler: http.NotFoundHandler()}})
	require.ErrorContains(t, err, "Handler")
	_, err = twiliosim.New(twiliosim.Config{Server: fault.Config{MaxEntries: -1}})
	require.ErrorContains(t, err, "MaxEntries")
}

func TestCreatedMessageHasTheDocumentedShape(t *testing.T) {
	g := start(t, twiliosim.Config{})
	resp, m := g.do(t, "POST", account+"/Messages.json", url.Values{"To": {person}, "From": {from}, "Body": {"hi"}})
	require.Equal(t, http.StatusCreated, resp.StatusCode)
	require.Equal(t, []string{
		"account_sid", "api_version", "body", "date_created", "date_sent", "date_updated", "direction", "error_code",
		"error_message", "from", "messaging_service_sid", "num_media", "num_segments", "price", "price_unit", "sid", "status",
		"subresource_uris", "to", "uri",
	}, slices.Sorted(maps.Keys(m)))
	require.Regexp(t, `^SM[0-9a-f]{32}$`, m["sid"])
	require.Equal(t, "queued", m["status"])
	require.Equal(t, "outbound-api", m["direction"])
	require.Equal(t, "1", m["num_segments"])
	require.Nil(t, m["error_code"])
	_, err := time.Parse(time.RFC1123Z, m["date_created"].(string))
	require.NoError(t, err)
	require.Equal(t, account+"/Messages/"+m["sid"].(string)+".json", m["uri"])

	_, again := g.do(t, "GET", m["uri"].(string), nil)
	require.Equal(t, "delivered", again["status"])
	require.Equal(t, m["sid"], again["sid"])
}

func TestMessageOfAServiceIsAcceptedWithoutASender(t *testing.T) {
	g := start(t, twiliosim.Config{})
	resp, m := g.do(t, "POST", account+"/Messages.json", url.Values{
		"To": {"whatsapp:" + person}, "MessagingServiceSid": {"MG1"}, "MediaUrl": {"http://a", "http://b"},
	})
	require.Equal(t, http.StatusCreated, resp.StatusCode, m)
	require.Equal(t, "accepted", m["status"])
	require.Nil(t, m["from"])
	require.Equal(t, "MG1", m["messaging_service_sid"])
	require.Equal(t, "2", m["num_media"])
	require.Equal(t, "0", m["num_segments"])
}

func TestSegmentsAreCountedByAlphabet(t *testing.T) {
	g := start(t, twiliosim.Config{})
	for body, want := range map[string]string{
		strings.Repeat("a", 160): "1", strings.Repeat("a", 161): "2", strings.Repeat("é", 70): "1", strings.Repeat("é", 71): "2",
	} {
		_, m := g.do(t, "POST", account+"/Messages.json", url.Values{"To": {person}, "From": {from}, "Body": {body}})
		require.Equal(t, want, m["num_segments"])
	}
}

func TestMessageErrors(t *testing.T) {
	g := start(t, twiliosim.Config{Numbers: []string{"+15551110000"}})
	g.Refuse("+15552220000", 21608)
	for _, c := range []struct {
		to, from, body string
		code           int
	}{
		{"", from, "hi", 21604},
		{person, "", "hi", 21603},
		{person, from, "", 21619},
		{person, from, strings.Repeat("a", 1601), 21617},
		{"5558675310", from, "hi", 21211},
		{"+15005550001", from, "hi", 21211},
		{"+15005550002", from, "hi", 21612},
		{"+15005550003", from, "hi", 21408},
		{"+15005550004", from, "hi", 21610},
		{"+15005550009", from, "hi", 21614},
		{person, "+15005550001", "hi", 21212},
		{person, "+15005550007", "hi", 21606},
		{person, "+15005550008", "hi", 21611},
		{person, "+15559990000", "hi", 21606},
		{"+15552220000", from, "hi", 21608},
	} {
		form := url.Values{}
		for key, value := range map[string]string{"To": c.to, "From": c.from, "Body": c.body} {
			if value != "" {
				form.Set(key, value)
			}
		}
		resp, body := g.do(t, "POST", account+"/Messages.json", form)
		requireError(t, resp, body, 400, c.code)
	}
	messages, _ := g.Totals()
	require.Zero(t, messages)
	for _, e := range g.Entries() {
		require.False(t, e.Processed)
	}
	g.Refuse("+15552220000", 0)
	g.text(t, "+15552220000", "hi")
}

func TestCallErrors(t *testing.T) {
	g := start(t, twiliosim.Config{Numbers: []string{"+15551110000"}})
	for _, c := range []struct {
		to, from, url string
		code          int
	}{
		{"", from, "http://x", 21201},
		{person, "", "http://x", 21213},
		{person, from, "", 21205},
		{"123", from, "http://x", 21211},
		{"+15005550001", from, "http://x", 21217},
		{"+15005550002", from, "http://x", 21214},
		{"+15005550003", from, "http://x", 21215},
		{"+15005550004", from, "http://x", 21216},
		{person, "+15005550001", "http://x", 21212},
		{person, "+15559990000", "http://x", 21210},
	} {
		resp, body := g.do(t, "POST", account+"/Calls.json", url.Values{"To": {c.to}, "From": {c.from}, "Url": {c.url}})
		requireError(t, resp, body, 400, c.code)
	}
	_, calls := g.Totals()
	require.Zero(t, calls)
}

func TestCreatedCallHasTheDocumentedShape(t *testing.T) {
	g := start(t, twiliosim.Config{})
	for _, source := range []string{"Url", "Twiml", "ApplicationSid"} {
		resp, c := g.do(t, "POST", account+"/Calls.json", url.Values{"To": {"+14158675309"}, "From": {from}, source: {"x"}})
		require.Equal(t, http.StatusCreated, resp.StatusCode)
		require.Len(t, c, 26)
		require.Regexp(t, `^CA[0-9a-f]{32}$`, c["sid"])
		require.Equal(t, "queued", c["status"])
		require.Equal(t, "(415) 867-5309", c["to_formatted"])
		require.Contains(t, c, "queue_time")
		require.Contains(t, c["subresource_uris"], "recordings")
		_, again := g.do(t, "GET", c["uri"].(string), nil)
		require.Equal(t, "completed", again["status"])
	}
}

func TestCallsQueueAtOnePerSecond(t *testing.T) {
	g := start(t, twiliosim.Config{})
	for i := range 3 {
		g.call(t, person, "http://x/"+strconv.Itoa(i))
	}
	calls := g.Calls(person)
	require.Len(t, calls, 3)
	require.Zero(t, calls[0].Queued)
	require.InDelta(t, time.Second, calls[1].Queued, float64(500*time.Millisecond))
	require.InDelta(t, 2*time.Second, calls[2].Queued, float64(500*time.Millisecond))
}

func TestTheCallQueueEndsAfterADay(t *testing.T) {
	g := start(t, twiliosim.Config{CallsPerSecond: 1.0 / (13 * 3600)}) // the third waits 26 hours
	g.call(t, person, "http://x/1")
	g.call(t, person, "http://x/2")
	resp, body := g.do(t, "POST", account+"/Calls.json", url.Values{"To": {person}, "From": {from}, "Url": {"http://x/3"}})
	requireError(t, resp, body, 400, 22005)
	require.Len(t, g.Calls(person), 2)

	g = start(t, twiliosim.Config{CallsPerSecond: -1})
	g.call(t, person, "http://x/1")
	g.call(t, person, "http://x/2")
	require.Zero(t, g.Calls(person)[1].Queued)
}

func TestWrongCredentialsAre20003(t *testing.T) {
	g := start(t, twiliosim.Config{})
	for _, as := range []func(*http.Request){
		func(*http.Request) {},
		func(r *http.Request) { r.SetBasicAuth(twiliosim.AccountSID, "wrong") },
		func(r *http.Request) { r.SetBasicAuth("AC0", twiliosim.AuthToken) },
	} {
		resp, body := g.doAs(t, "GET", account+"/Messages.json", nil, as)
		requireError(t, resp, body, 401, 20003)
		require.NotEmpty(t, resp.Header.Get("WWW-Authenticate"))
	}
}

func TestPathsMatchExactly(t *testing.T) {
	g := start(t, twiliosim.Config{})
	for _, path := range []string{
		"/", account, account + "/Messages", account + "/messages.json", account + "/Messages/", account + "/Messages/SM1",
		account + "/Messages/SM1.json", account + "/Calls/CA1.json", account + "/Calls/a/b.json", account + "//Messages.json",
		"/2010-04-01/Accounts//Messages.json", "/2010-04-01/Accounts/AC1/Messages.json",
	} {
		resp, body := g.do(t, "GET", path, nil)
		requireError(t, resp, body, 404, 20404)
		require.Contains(t, body["message"], path)
	}
	resp, body := g.do(t, "PUT", account+"/Messages.json", nil)
	requireError(t, resp, body, 405, 20004)
}

func TestEveryAnswerCarriesTwiliosHeaders(t *testing.T) {
	g := start(t, twiliosim.Config{Server: fault.Config{Script: fault.Sequence(fault.None(), fault.Status(503))}})
	seen := map[string]bool{}
	for range 2 {
		resp, _ := g.do(t, "GET", account+"/Messages.json", nil)
		require.Regexp(t, `^RQ[0-9a-f]{32}$`, resp.Header.Get("Twilio-Request-Id"))
		require.Equal(t, "1", resp.Header.Get("Twilio-Concurrent-Requests"))
		require.Regexp(t, `^\d+\.\d{3}$`, resp.Header.Get("Twilio-Request-Duration"))
		seen[resp.Header.Get("Twilio-Request-Id")] = true
	}
	require.Len(t, seen, 2)
}

func TestInjectedErrorsHaveTwiliosCodes(t *testing.T) {
	g := start(t, twiliosim.Config{})
	for status, code := range map[int]int{429: 20429, 500: 20500, 502: 20502, 503: 20503, 504: 20504} {
		g.Outage(fault.Status(status))
		resp, body := g.do(t, "POST", account+"/Messages.json", url.Values{"To": {person}, "From": {from}, "Body": {"hi"}})
		requireError(t, resp, body, status, code)
	}
	require.Empty(t, g.Received(person))
}

func TestListIsNewestFirstAndFiltered(t *testing.T) {
	g := start(t, twiliosim.Config{})
	first := g.text(t, person, "one")
	second := g.text(t, person, "two")
	g.text(t, "+15550000000", "three")
	_, list := g.do(t, "GET", account+"/Messages.json?"+url.Values{"To": {person}, "From": {from}}.Encode(), nil)
	require.Equal(t, []string{second, first}, sids(list, "messages"))
	require.EqualValues(t, 0, list["start"])
	require.EqualValues(t, 1, list["end"])
	require.EqualValues(t, 50, list["page_size"])
	require.Nil(t, list["next_page_uri"])
	require.Nil(t, list["previous_page_uri"])
	require.Equal(t, account+"/Messages.json?From=%2B15005550006&Page=0&PageSize=50&To=%2B15558675310", list["first_page_uri"])

	_, list = g.do(t, "GET", account+"/Messages.json?From=%2B1999", nil)
	require.Empty(t, list["messages"])
	require.NotNil(t, list["messages"], "an empty list is [], not null")
}

func TestListFiltersByDate(t *testing.T) {
	g := start(t, twiliosim.Config{CallsPerSecond: -1})
	g.text(t, person, "now")
	g.call(t, person, "http://x")
	minute := func(n int) string { return time.Now().UTC().Add(time.Duration(n) * time.Minute).Format(time.RFC3339) }
	day := func(d int) string { return time.Now().UTC().AddDate(0, 0, d).Format(time.DateOnly) }
	for _, c := range []struct {
		suffix, value string
		want          int
	}{
		{">", minute(-5), 1},
		{">", minute(5), 0},
		{"<", minute(5), 1},
		{"<", minute(-5), 0},
		{">", day(-1), 1},
		{">", day(1), 0},
		{"<", day(1), 1},
		{"<", day(-1), 0},
		{"", day(-2), 0},
	} {
		_, list := g.do(t, "GET", account+"/Messages.json?"+url.Values{"DateSent" + c.suffix: {c.value}}.Encode(), nil)
		require.Len(t, list["messages"], c.want, c)
		_, list = g.do(t, "GET", account+"/Calls.json?"+url.Values{"StartTime" + c.suffix: {c.value}}.Encode(), nil)
		require.Len(t, list["calls"], c.want, c)
	}
	resp, body := g.do(t, "GET", account+"/Messages.json?DateSent=yesterday", nil)
	requireError(t, resp, body, 400, 20001)
}

func TestPagesAreStableWhileTextsArrive(t *testing.T) {
	g := start(t, twiliosim.Config{})
	var want []string
	for i := range 5 {
		want = append([]string{g.text(t, person, strconv.Itoa(i))}, want...)
	}
	var got []string
	next := account + "/Messages.json?PageSize=2"
	for next != "" {
		_, list := g.do(t, "GET", next, nil)
		got = append(got, sids(list, "messages")...)
		next, _ = list["next_page_uri"].(string)
		g.text(t, person, "late")
	}
	require.Equal(t, want, got)
	resp, _ := g.do(t, "GET", account+"/Messages.json?PageSize=1000000000&Page=9223372036854775807", nil)
	require.Equal(t, 200, resp.StatusCode)
}

func sids(list map[string]any, key string) []string {
	var found []string
	for _, item := range list[key].([]any) {
		found = append(found, item.(map[string]any)["sid"].(string))
	}
	return found
}

func TestALostAnswerThatIsSentAgainIsADuplicate(t *testing.T) {
	g := start(t, twiliosim.Config{Server: fault.Config{Script: fault.Sequence(fault.ProcessedStatus(503))}})
	form := url.Values{"To": {person}, "From": {from}, "Body": {"your code is 1"}}
	resp, body := g.do(t, "POST", account+"/Messages.json", form)
	requireError(t, resp, body, 503, 20503)
	require.Len(t, g.Received(person), 1, "the person has it, whatever the answer says")
	require.Empty(t, g.Duplicates())

	second := g.text(t, person, "your code is 1")
	got := g.Received(person)
	require.Len(t, got, 2)
	require.Equal(t, []twiliosim.Duplicate{{
		Kind: "message", To: person, Marker: "your code is 1", SIDs: []string{got[0].SID, second},
	}}, g.Duplicates())
	require.Equal(t, "message|"+person+"|your code is 1", g.Entries()[0].Key)
}

func TestARejectedSendIsNoDuplicate(t *testing.T) {
	g := start(t, twiliosim.Config{Server: fault.Config{Script: fault.Sequence(fault.TooManyRequests())}})
	form := url.Values{"To": {person}, "From": {from}, "Body": {"hi"}}
	resp, body := g.do(t, "POST", account+"/Messages.json", form)
	requireError(t, resp, body, 429, 20429)
	g.text(t, person, "hi")
	require.Len(t, g.Received(person), 1)
	require.Empty(t, g.Duplicates())
}

func TestDuplicateCallsAreToldByToAndUrl(t *testing.T) {
	g := start(t, twiliosim.Config{})
	g.call(t, person, "http://x/1")
	g.call(t, person, "http://x/2")
	g.call(t, "+15550000000", "http://x/1")
	require.Empty(t, g.Duplicates())
	g.call(t, person, "http://x/1")
	found := g.Duplicates()
	require.Len(t, found, 1)
	require.Equal(t, "call", found[0].Kind)
	require.Equal(t, "http://x/1", found[0].Marker)
	require.Len(t, found[0].SIDs, 2)
}

func TestMarkerDecidesWhatIsTheSameText(t *testing.T) {
	g := start(t, twiliosim.Config{Marker: func(body string) string { return strings.Fields(body)[0] }})
	g.text(t, person, "id1 first try")
	g.text(t, person, "id1 second try")
	g.text(t, person, "id2 first try")
	found := g.Duplicates()
	require.Len(t, found, 1)
	require.Equal(t, "id1", found[0].Marker)
}

func TestResetForgets(t *testing.T) {
	g := start(t, twiliosim.Config{})
	before := g.text(t, person, "hi")
	g.Reset()
	messages, calls := g.Totals()
	require.Zero(t, messages+calls)
	require.Empty(t, g.Entries())
	require.NotEqual(t, before, g.text(t, person, "hi"))
	require.Empty(t, g.Duplicates())
}

func TestManyCallersAreCountedExactly(t *testing.T) {
	g := start(t, twiliosim.Config{CallsPerSecond: -1})
	const callers, each = 8, 25
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				req, err := http.NewRequest(http.MethodPost, g.URL()+account+"/Messages.json",
					strings.NewReader(url.Values{"To": {person}, "From": {from}, "Body": {strconv.Itoa(c*each + i)}}.Encode()))
				if err != nil {
					panic(err)
				}
				req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				req.SetBasicAuth(twiliosim.AccountSID, twiliosim.AuthToken)
				if resp, err := g.client.Do(req); err == nil {
					_ = resp.Body.Close()
				}
				g.Duplicates()
				g.Received(person)
			}
		})
	}
	wg.Wait()
	unique := map[string]bool{}
	for _, m := range g.Received(person) {
		unique[m.SID] = true
	}
	require.Len(t, unique, callers*each)
	require.Empty(t, g.Duplicates())
}
