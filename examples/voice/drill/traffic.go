package drill

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	vapi "github.com/VapiAI/server-sdk-go"
	openapi "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/examples/internal/sim/vapisim"
	"github.com/prusik-go/prusik/httpx"
)

// record is one request the program made and what came of it. It belongs to one goroutine until it is in the drill's book.
type record struct {
	drill    *drill
	vendor   string // twilio or vapi
	what     string // "text", "call" or "read"
	key      string // tells what a person gets from all else they get; "" for a read
	stage    stageID
	attempts int
	retries  []string // their reasons
	took     time.Duration
	err      error

	announced httpx.Event // the retry that is to follow
}

// The vendors, as they are printed.
const (
	twilio = "Twilio"
	vapiAI = "Vapi"
)

// delivery is what the program was told of the request.
func (r *record) delivery() errors.Delivery { return errors.DeliveryOf(r.err) }

// refused says whether the breaker turned the request away before anything was sent.
func (r *record) refused() bool {
	return r.attempts == 0 && errors.StopOf(r.err) == errors.StopBreakerOpen
}

// unknown says whether the program was told that a person may have been reached.
func (r *record) unknown() bool { return r.err != nil && r.key != "" && r.delivery() == errors.Unknown }

// observe is called by the client at each step of the request. A retry counts once it is sent: the breaker, or the
// caller's deadline, may come in between.
func (r *record) observe(e httpx.Event) {
	switch e.Status {
	case httpx.StatusAttempt:
		r.attempts++
		if e.Attempt > 1 {
			r.retries = append(r.retries, r.announced.Reason)
			r.drill.tellRetry(r, r.announced)
		}
	case httpx.StatusRetrying:
		r.announced = e
	default: // how it ended is in the error the caller gets
	}
}

type recordKey struct{}

func recordOf(ctx context.Context) *record { return ctx.Value(recordKey{}).(*record) } //nolint:errcheck // do has put it there

// do makes one request, and enters it in the book.
func (d *drill) do(ctx context.Context, rec record, id string, call func(context.Context) error) {
	rec.drill, rec.stage = d, stageID(d.stage.Load())
	ctx = httpx.WithObserver(context.WithValue(ctx, recordKey{}, &rec), rec.observe)
	began := time.Now()
	rec.err = call(correlation.WithID(ctx, id))
	rec.took = time.Since(began)
	d.enter(&rec)
}

// traffic is the program: some workers for each vendor, each with one request at a time.
type traffic struct {
	stop    chan struct{}
	workers sync.WaitGroup
	numbers []string      // of the people
	newest  atomic.Value  // the SID of a text that can be read
	pace    time.Duration // the pause of a worker between two requests
}

const fromNumber = "+15005550006"

func (d *drill) startTraffic(ctx context.Context) {
	d.traffic = traffic{stop: make(chan struct{}), pace: d.plan.pace}
	for i := range d.plan.texters {
		d.worker(ctx, "text", i, d.sendText)
	}
	for i := range d.plan.callers {
		d.worker(ctx, "call", i, d.placeCall)
	}
	for i := range d.plan.readers {
		d.worker(ctx, "read", i, d.readTexts)
	}
	d.worker(ctx, "vapi-call", 0, d.placeVapiCall)
	d.worker(ctx, "vapi-read", 0, d.listAssistants)
}

// worker repeats job, with a number of its own to call and the name of each request, until the traffic ends. The workers
// begin one after another, so that they do not march in step.
func (d *drill) worker(ctx context.Context, name string, i int, job func(ctx context.Context, to, id string)) {
	t := &d.traffic
	to := fmt.Sprintf("+1555867%04d", len(t.numbers))
	t.numbers = append(t.numbers, to)
	offset := t.pace * time.Duration(len(t.numbers)) / 10
	t.workers.Go(func() {
		pause := time.NewTimer(offset)
		defer pause.Stop()
		for n := 1; ; n++ {
			select {
			case <-t.stop:
				return
			case <-ctx.Done():
				return
			case <-pause.C:
			}
			job(ctx, to, fmt.Sprintf("%s-%d-%d", name, i+1, n))
			pause.Reset(t.pace)
		}
	})
}

// end stops the traffic. The requests under way come to their end.
func (t *traffic) end() {
	close(t.stop)
	t.workers.Wait()
}

func (d *drill) sendText(ctx context.Context, to, id string) {
	body := "Your appointment is confirmed. Reference " + id
	d.do(ctx, record{vendor: twilio, what: "text", key: textKey(to, body)}, id, func(ctx context.Context) error {
		_, err := d.rig.twilio.Do(ctx, func(api *openapi.ApiService) error {
			m, err := api.CreateMessage((&openapi.CreateMessageParams{}).SetTo(to).SetFrom(fromNumber).SetBody(body))
			if err == nil {
				d.traffic.newest.Store(*m.Sid)
			}
			return err
		})
		return err
	})
}

func (d *drill) placeCall(ctx context.Context, to, id string) {
	twiml := "https://voice.example/answer?ref=" + id
	d.do(ctx, record{vendor: twilio, what: "call", key: callKey(to, twiml)}, id, func(ctx context.Context) error {
		_, err := d.rig.twilio.Do(ctx, func(api *openapi.ApiService) error {
			_, err := api.CreateCall((&openapi.CreateCallParams{}).SetTo(to).SetFrom(fromNumber).SetUrl(twiml))
			return err
		})
		return err
	})
}

// readTexts reads the newest text, or the list of them while there is none.
func (d *drill) readTexts(ctx context.Context, _, id string) {
	sid, _ := d.traffic.newest.Load().(string)
	d.do(ctx, record{vendor: twilio, what: "read"}, id, func(ctx context.Context) error {
		_, err := d.rig.twilio.Do(ctx, func(api *openapi.ApiService) error {
			if sid == "" {
				_, err := api.PageMessage((&openapi.ListMessageParams{}).SetPageSize(20), "", "")
				return err
			}
			_, err := api.FetchMessage(sid, nil)
			return err
		})
		return err
	})
}

var errNotPlaced = errors.New("Vapi's answer names no call")

func (d *drill) placeVapiCall(ctx context.Context, to, id string) {
	d.do(ctx, record{vendor: vapiAI, what: "call", key: vapiKey(to, id)}, id, func(ctx context.Context) error {
		created, err := d.rig.vapi.Calls.Create(ctx, &vapi.CreateCallDto{
			Name: &id, AssistantId: new(vapisim.AssistantID), PhoneNumberId: new(vapisim.PhoneNumberID),
			Customer: &vapi.CreateCustomerDto{Number: &to},
		})
		if err == nil && created.GetCall().GetId() == "" {
			return errNotPlaced
		}
		return err
	})
}

func (d *drill) listAssistants(ctx context.Context, _, id string) {
	d.do(ctx, record{vendor: vapiAI, what: "read"}, id, func(ctx context.Context) error {
		_, err := d.rig.vapi.Assistants.List(ctx, &vapi.AssistantsListRequest{})
		return err
	})
}
