package vapisim_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/examples/internal/sim/fault"
	"github.com/prusik-go/prusik/examples/internal/sim/vapisim"
)

func TestNewReportsEveryFaultOfItsConfig(t *testing.T) {
	_, err := vapisim.New(vapisim.Config{
		LimitShape: 9, CallDuration: -1, Server: fault.Config{Handler: http.NotFoundHandler()},
	})
	require.ErrorContains(t, err, "Handler")
	require.ErrorContains(t, err, "LimitShape is 9")
	require.ErrorContains(t, err, "CallDuration is -1ns")
	_, err = vapisim.New(vapisim.Config{Server: fault.Config{MaxEntries: -1}})
	require.ErrorContains(t, err, "MaxEntries")
}

func TestCreatedCallIsQueuedAndEchoesItsFields(t *testing.T) {
	g := start(t, vapisim.Config{})
	c := g.place(t, "job-1", person)
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$`, c["id"])
	require.Equal(t, "queued", c["status"])
	require.Equal(t, "outboundPhoneCall", c["type"])
	require.Equal(t, "job-1", c["name"])
	require.Equal(t, vapisim.OrgID, c["orgId"])
	require.Equal(t, map[string]any{"number": person}, c["customer"])
	require.Equal(t, map[string]any{
		"concurrencyBlocked": false, "concurrencyLimit": 10.0, "remainingConcurrentCalls": 9.0,
	}, c["subscriptionLimits"])
	again := g.get(t, "/call/"+c["id"].(string))
	require.Equal(t, "in-progress", again["status"])
	require.NotContains(t, again, "subscriptionLimits")
}

func TestWrongTokenIs401(t *testing.T) {
	g := start(t, vapisim.Config{})
	for _, authorization := range []string{"", "Bearer", "Bearer wrong", "Basic " + vapisim.Token} {
		status, body := g.doAs(t, "POST", "/call", order("a", person), authorization)
		require.Equal(t, 401, status)
		require.Equal(t, map[string]any{"message": "Invalid Key.", "error": "Unauthorized", "statusCode": 401.0}, body)
	}
	require.Zero(t, g.Placed())
}

func TestValidationFaultsAreAList(t *testing.T) {
	g := start(t, vapisim.Config{})
	for body, want := range map[string]string{
		`[]`: "the body must be a JSON object", `null`: "the body must be a JSON object", `{} {}`: "the body must be one JSON object",
		order(strings.Repeat("n", 41), person):            "name must be shorter than or equal to 40 characters",
		`{"name":1}`:                                      "name must be a string",
		order("a", "555"):                                 "customer.number must be a valid phone number in the E.164 format",
		`{"assistantId":"x"}`:                             "assistantId must be a UUID",
		strings.Replace(order("a", person), "00", "x", 1): "assistantId must be a UUID",
	} {
		status, answer := g.do(t, "POST", "/call", body)
		require.Equal(t, 400, status, body)
		require.Equal(t, map[string]any{"message": []any{want}, "error": "Bad Request", "statusCode": 400.0}, answer, body)
	}
	require.Zero(t, g.Placed())
}

func TestMissingResourcesAreAString(t *testing.T) {
	g := start(t, vapisim.Config{})
	other := "00000000-0000-4000-8000-00000000ffff"
	for body, want := range map[string]string{
		`{}`: "assistantId",
		`{"assistantId":"` + vapisim.AssistantID + `"}`:                                                    "phoneNumberId",
		`{"assistantId":"` + vapisim.AssistantID + `","phoneNumberId":"` + vapisim.PhoneNumberID + `"}`:    "customerId",
		strings.Replace(order("a", person), vapisim.AssistantID, other, 1):                                 "Couldn't find assistant " + other,
		strings.Replace(order("a", person), vapisim.PhoneNumberID, other, 1):                               "Couldn't find phone number " + other,
		`{"assistant":{},"phoneNumber":{},"customer":null,"name":null,"customers":null,"customerId":null}`: "customer",
	} {
		status, answer := g.do(t, "POST", "/call", body)
		require.Equal(t, 400, status, body)
		require.Contains(t, answer.(map[string]any)["message"], want)
	}
	require.Zero(t, g.Placed())
}

func TestUnknownRoutesAndIdsAre404(t *testing.T) {
	g := start(t, vapisim.Config{})
	for _, c := range [][2]string{
		{"GET", "/"},
		{"GET", "/calls"},
		{"GET", "/call/"},
		{"GET", "/call/a/b"},
		{"GET", "//call"},
		{"PUT", "/call"},
		{"POST", "/phone-number"},
		{"DELETE", "/phone-number/" + vapisim.PhoneNumberID},
		{"GET", "/call/x"},
		{"PATCH", "/assistant/x"},
		{"DELETE", "/call/x"},
	} {
		status, answer := g.do(t, c[0], c[1], "{}")
		require.Equal(t, 404, status, c)
		require.EqualValues(t, 404, answer.(map[string]any)["statusCode"])
	}
}

func TestConcurrencyLimitInItsFourShapes(t *testing.T) {
	for shape, check := range map[vapisim.LimitShape]func(t *testing.T, g *rig, status int, body map[string]any){
		vapisim.LimitBlocked: func(t *testing.T, _ *rig, status int, body map[string]any) {
			require.Equal(t, 201, status)
			require.Equal(t, "ended", body["status"])
			require.Equal(t, map[string]any{
				"concurrencyBlocked": true, "concurrencyLimit": 2.0, "remainingConcurrentCalls": 0.0,
			}, body["subscriptionLimits"])
		},
		vapisim.LimitBadRequest: func(t *testing.T, _ *rig, status int, body map[string]any) {
			require.Equal(t, 400, status)
			require.Equal(t, map[string]any{"error": "Over Concurrency Limit"}, body)
		},
		vapisim.LimitTooManyRequests: func(t *testing.T, _ *rig, status int, body map[string]any) {
			require.Equal(t, 429, status)
			require.Equal(t, "Rate limit exceeded", body["message"])
		},
		vapisim.LimitEndsLater: func(t *testing.T, g *rig, status int, body map[string]any) {
			require.Equal(t, 201, status)
			require.Equal(t, "queued", body["status"])
			again := g.get(t, "/call/"+body["id"].(string))
			require.Equal(t, "ended", again["status"])
			require.Equal(t, "call.start.error-subscription-concurrency-limit-reached", again["endedReason"])
		},
	} {
		g := start(t, vapisim.Config{ConcurrencyLimit: 2, LimitShape: shape})
		first := g.place(t, "1", person)
		g.place(t, "2", person)
		status, body := g.do(t, "POST", "/call", order("3", person))
		check(t, g, status, body.(map[string]any))
		require.Len(t, g.Calls(person), 2, "the phone must not ring")
		require.False(t, g.Entries()[2].Processed)
		require.Equal(t, 2, g.Active())

		require.True(t, g.EndCall(first["id"].(string)))
		require.False(t, g.EndCall(first["id"].(string)))
		require.Equal(t, "customer-ended-call", g.get(t, "/call/"+first["id"].(string))["endedReason"])
		g.place(t, "3", person)
		require.Len(t, g.Calls(person), 3)
		require.Empty(t, g.Duplicates())
	}
}

func TestLimitCanChangeAtRunTime(t *testing.T) {
	g := start(t, vapisim.Config{ConcurrencyLimit: -1})
	require.EqualValues(t, 999_999, g.place(t, "1", person)["subscriptionLimits"].(map[string]any)["remainingConcurrentCalls"])
	g.SetLimit(0, vapisim.LimitTooManyRequests)
	status, _ := g.do(t, "POST", "/call", order("2", person))
	require.Equal(t, 429, status)
	g.EndCalls()
	require.Zero(t, g.Active())
	g.SetLimit(1, vapisim.LimitBlocked)
	g.place(t, "2", person)
}

func TestCallsEndByThemselvesAfterTheirDuration(t *testing.T) {
	g := start(t, vapisim.Config{ConcurrencyLimit: 1, CallDuration: time.Nanosecond})
	for i := range 3 {
		c := g.place(t, strconv.Itoa(i), person)
		require.Equal(t, "ended", g.get(t, "/call/"+c["id"].(string))["status"])
	}
	require.Zero(t, g.Active())
	require.Len(t, g.Calls(person), 3)
}

func TestDeletingACallEndsItAndDoesNotTakeItBack(t *testing.T) {
	g := start(t, vapisim.Config{})
	c := g.place(t, "1", person)
	path := "/call/" + c["id"].(string)
	status, deleted := g.do(t, "DELETE", path, "")
	require.Equal(t, 200, status)
	require.Equal(t, "ended", deleted.(map[string]any)["status"])
	status, _ = g.do(t, "GET", path, "")
	require.Equal(t, 404, status)
	require.Empty(t, g.list(t, "/call"))
	require.Zero(t, g.Active())
	require.Len(t, g.Calls(person), 1)
}

func TestALostAnswerThatIsSentAgainIsADuplicate(t *testing.T) {
	g := start(t, vapisim.Config{Server: fault.Config{Script: fault.Sequence(fault.ProcessedStatus(500))}})
	status, body := g.do(t, "POST", "/call", order("job-1", person))
	require.Equal(t, 500, status)
	require.EqualValues(t, 500, body.(map[string]any)["statusCode"])
	require.Len(t, g.Calls(person), 1, "the phone rang, whatever the answer says")
	require.Equal(t, "call|job-1|"+person, g.Entries()[0].Key)

	g.place(t, "job-2", person)
	g.place(t, "job-1", "+15550000000")
	require.Empty(t, g.Duplicates(), "another name or another person is another call")
	g.place(t, "job-1", person)
	calls := g.Calls(person)
	require.Len(t, calls, 3)
	require.Equal(t, []vapisim.Duplicate{{Name: "job-1", Customer: person, IDs: []string{calls[0].ID, calls[2].ID}}}, g.Duplicates())
	require.Equal(t, 4, g.Placed())
}

func TestCallsWithoutANameAreNoDuplicates(t *testing.T) {
	g := start(t, vapisim.Config{})
	g.place(t, "", person)
	g.place(t, "", person)
	require.Empty(t, g.Duplicates())
}

func TestABatchCanSucceedInPart(t *testing.T) {
	g := start(t, vapisim.Config{ConcurrencyLimit: 2})
	body := strings.Replace(order("b", person), `"customer":{"number":"`+person+`"}`,
		`"customers":[{"number":"+15550000001"},{"number":"bad"},{"number":"+15550000002"},{"number":"+15550000003"}]`, 1)
	status, answer := g.do(t, "POST", "/call", body)
	require.Equal(t, 201, status)
	batch := answer.(map[string]any)
	require.Len(t, batch["results"], 2)
	errs := batch["errors"].([]any)
	require.Len(t, errs, 2)
	require.Equal(t, map[string]any{"number": "bad"}, errs[0].(map[string]any)["customer"])
	require.Equal(t, "Over Concurrency Limit", errs[1].(map[string]any)["error"])
	require.Equal(t, true, batch["subscriptionLimits"].(map[string]any)["concurrencyBlocked"])
	require.Len(t, g.Calls("+15550000002"), 1)
	require.Empty(t, g.Duplicates())
	require.True(t, g.Entries()[0].Processed)
}

func TestListIsNewestFirstAndFiltered(t *testing.T) {
	g := start(t, vapisim.Config{})
	first := g.place(t, "1", person)["id"].(string)
	second := g.place(t, "2", person)["id"].(string)
	at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	for query, want := range map[string][]string{
		"":                                       {second, first},
		"limit=1":                                {second},
		"limit=0":                                {},
		"id=" + first:                            {first},
		"assistantId=" + vapisim.AssistantID:     {second, first},
		"assistantId=x":                          {},
		"phoneNumberId=" + vapisim.PhoneNumberID: {second, first},
		"createdAtGe=" + at(-time.Hour):          {second, first},
		"createdAtGt=" + at(time.Hour):           {},
		"createdAtLe=" + at(time.Hour):           {second, first},
		"createdAtLt=" + at(-time.Hour):          {},
		"updatedAtGt=" + at(-time.Hour) + "&limit=1": {second},
		"updatedAtGt=" + at(time.Hour):               {},
		"updatedAtLe=" + at(-time.Hour):              {},
	} {
		require.Equal(t, want, g.list(t, "/call?"+query), query)
	}
	for _, query := range []string{"limit=x", "limit=-1", "limit=1001", "limit=NaN", "createdAtGe=" + url.QueryEscape("1 May")} {
		status, _ := g.do(t, "GET", "/call?"+query, "")
		require.Equal(t, 400, status, query)
	}
}

func TestAssistantsAreCreatedChangedAndDeleted(t *testing.T) {
	g := start(t, vapisim.Config{Assistants: []map[string]any{}})
	require.Empty(t, g.list(t, "/assistant"))
	status, created := g.do(t, "POST", "/assistant", `{"id":"mine","name":"A","firstMessage":"Hi","maxDurationSeconds":600}`)
	require.Equal(t, 201, status)
	a := created.(map[string]any)
	require.NotEqual(t, "mine", a["id"])
	path := "/assistant/" + a["id"].(string)
	status, changed := g.do(t, "PATCH", path, `{"name":"B","firstMessage":null}`)
	require.Equal(t, 200, status)
	require.Equal(t, changed, any(g.get(t, path)))
	require.Equal(t, "B", g.get(t, path)["name"])
	require.NotContains(t, g.get(t, path), "firstMessage")
	require.EqualValues(t, 600, g.get(t, path)["maxDurationSeconds"])

	status, body := g.do(t, "PATCH", path, `{"id":"x","name":"C","orgId":"y"}`)
	require.Equal(t, 400, status)
	require.Equal(t, "B", g.get(t, path)["name"], "a change that is refused changes nothing")
	require.Equal(t, []any{"property id should not exist", "property orgId should not exist"}, body.(map[string]any)["message"])
	status, _ = g.do(t, "POST", "/assistant", `{"name":"`+strings.Repeat("n", 41)+`"}`)
	require.Equal(t, 400, status)

	status, _ = g.do(t, "DELETE", path, "")
	require.Equal(t, 200, status)
	require.Empty(t, g.list(t, "/assistant"))
}

func TestOnlyTheNameOfACallCanBeChanged(t *testing.T) {
	g := start(t, vapisim.Config{})
	path := "/call/" + g.place(t, "1", person)["id"].(string)
	status, body := g.do(t, "PATCH", path, `{"name":"new"}`)
	require.Equal(t, 200, status)
	require.Equal(t, "new", body.(map[string]any)["name"])
	status, _ = g.do(t, "PATCH", path, `{"status":"ended"}`)
	require.Equal(t, 400, status)
}

func TestPhoneNumbersCanBeListedAndChanged(t *testing.T) {
	g := start(t, vapisim.Config{PhoneNumbers: []map[string]any{nil, {"provider": "vapi", "number": "+1"}}})
	ids := g.list(t, "/phone-number")
	require.Len(t, ids, 2)
	for _, id := range ids {
		status, _ := g.do(t, "PATCH", "/phone-number/"+id, `{"name":"Night line"}`)
		require.Equal(t, 200, status)
		require.Equal(t, "Night line", g.get(t, "/phone-number/"+id)["name"])
	}
}

func TestResetRestoresTheStart(t *testing.T) {
	g := start(t, vapisim.Config{})
	c := g.place(t, "1", person)
	_, _ = g.do(t, "PATCH", "/assistant/"+vapisim.AssistantID, `{"name":"changed"}`)
	g.Reset()
	require.Empty(t, g.list(t, "/call"))
	require.Zero(t, g.Placed()+g.Active())
	require.Equal(t, "Front desk", g.get(t, "/assistant/"+vapisim.AssistantID)["name"])
	require.NotEqual(t, c["id"], g.place(t, "1", person)["id"])
	require.Empty(t, g.Duplicates())
}

func TestManyCallersAreCountedExactly(t *testing.T) {
	g := start(t, vapisim.Config{ConcurrencyLimit: 50})
	const callers, each = 8, 25
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				req, err := http.NewRequest(http.MethodPost, g.URL()+"/call", strings.NewReader(order(strconv.Itoa(c*each+i), person)))
				if err != nil {
					panic(err)
				}
				req.Header.Set("Authorization", "Bearer "+vapisim.Token)
				if resp, err := g.client.Do(req); err == nil {
					_ = resp.Body.Close()
				}
				g.Duplicates()
				g.Calls(person)
			}
		})
	}
	wg.Wait()
	require.Len(t, g.Calls(person), 50)
	require.Equal(t, 50, g.Active())
	require.Empty(t, g.Duplicates())
}
