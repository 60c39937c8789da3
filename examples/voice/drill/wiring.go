package drill

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"time"

	vapiclient "github.com/VapiAI/server-sdk-go/client"
	"github.com/VapiAI/server-sdk-go/option"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/examples/internal/sim/fault"
	"github.com/prusik-go/prusik/examples/internal/sim/twiliosim"
	"github.com/prusik-go/prusik/examples/internal/sim/vapisim"
	"github.com/prusik-go/prusik/examples/twilioctx"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/profile"
)

// rig is both vendors, and both official SDKs before them.
type rig struct {
	twilioSim *twiliosim.Sim
	vapiSim   *vapisim.Sim

	twilioHTTP, vapiHTTP *http.Client
	twilio               *twilioctx.Client
	vapi                 *vapiclient.Client
}

// wire starts the simulators and wires the SDKs to them. The config of Twilio's client is that of a production service
// with its times cut short, so that the drill is.
func wire(p plan, onTransition func(breaker.TransitionEvent)) (*rig, error) {
	r := &rig{}
	var err error
	if r.twilioSim, err = twiliosim.New(twiliosim.Config{CallsPerSecond: -1}); err != nil {
		return nil, err
	}
	if r.vapiSim, err = vapisim.New(vapisim.Config{
		CallDuration: 100 * time.Millisecond,
		Server:       fault.Config{Script: fault.Always(fault.Latency(p.latency))},
	}); err != nil {
		return nil, errors.Join(err, r.close())
	}

	twilio := profile.Twilio()
	twilio.Rates = nil // this account has been granted more than one new call a second
	r.twilioHTTP, err = httpx.NewClient("twilio", httpx.Config{
		Profile:        twilio,
		Base:           r.twilioSim.Redirect(r.twilioSim.Transport()),
		AttemptTimeout: 2 * time.Second,
		TotalTimeout:   10 * time.Second,
		BackoffBase:    p.backoff,
		BackoffMax:     4 * p.backoff,
		Breaker: breaker.Config{
			Failures: 10, Window: 20, OpenFor: p.openFor, MaxOpenFor: 2 * p.openFor,
			Hooks: breaker.Hooks{OnTransition: onTransition},
		},
	})
	if err == nil && p.naked {
		r.twilioHTTP = &http.Client{Transport: &naive{r.twilioSim.Redirect(r.twilioSim.Transport())}}
	}
	if err == nil {
		r.twilio, err = twilioctx.New(r.twilioHTTP, twiliosim.AccountSID, twiliosim.AuthToken)
	}
	if err == nil {
		r.vapiHTTP, err = httpx.NewClient("vapi", httpx.Config{Profile: profile.Vapi(), Base: r.vapiSim.Transport()})
	}
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	// One attempt: what is safe to repeat, the client underneath repeats. See examples/vapi.
	r.vapi = vapiclient.NewClient(option.WithBaseURL(r.vapiSim.URL()), option.WithToken(vapisim.Token),
		option.WithHTTPClient(r.vapiHTTP), option.WithMaxAttempts(1))
	return r, nil
}

func (r *rig) close() error {
	var errs []error
	if r.twilioSim != nil {
		errs = append(errs, r.twilioSim.Close())
	}
	if r.vapiSim != nil {
		errs = append(errs, r.vapiSim.Close())
	}
	return errors.Join(errs...)
}

// quiesce waits until neither vendor is busy: then their books are complete.
func (r *rig) quiesce(ctx context.Context) error {
	if err := r.twilioSim.Quiesce(ctx); err != nil {
		return err
	}
	return r.vapiSim.Quiesce(ctx)
}

// letGo closes a client's idle connections, and returns how many its vendor still sees after at most patience. It is for
// when no request is under way.
func letGo(ctx context.Context, c *http.Client, vendor *fault.Server, patience time.Duration) int {
	c.CloseIdleConnections()
	open := 0
	eventually(ctx, patience, func() bool {
		open = vendor.OpenConns()
		return open == 0
	})
	return open
}

// goroutinesOver is how many goroutines there are more than before, after at most patience.
func goroutinesOver(ctx context.Context, before int, patience time.Duration) int {
	eventually(ctx, patience, func() bool { return runtime.NumGoroutine() <= before })
	return max(runtime.NumGoroutine()-before, 0)
}

// eventually waits until what holds, for at most patience, and says whether it does.
func eventually(ctx context.Context, patience time.Duration, what func() bool) bool {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !what() {
		select {
		case <-again.C:
		case <-timeout.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}
