package main

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/examples/internal/sim/fault"
)

// demo lets a visitor break the simulators. It knows no real vendor: there is nothing to break then.
type demo struct {
	vendors *vendors

	mu     sync.Mutex
	faults map[string]string // by vendor
}

// vendorState is what the page shows of a simulator.
type vendorState struct {
	Name     string         `json:"name"`
	Fault    string         `json:"fault"`
	Received map[string]int `json:"received"` // by people: the truth, which no client can know
}

// script is what a fault's name stands for.
func script(name string) (s fault.Script, known bool) {
	switch name {
	case "none":
		return nil, true
	case "down":
		return fault.Always(fault.Status(http.StatusServiceUnavailable)), true
	case "slow":
		return fault.Always(fault.Latency(3 * time.Second)), true
	case "flaky":
		var n atomic.Uint64
		return fault.ScriptFunc(func(*http.Request) fault.Fault {
			if n.Add(1)%2 == 0 {
				return fault.None()
			}
			return fault.Status(http.StatusServiceUnavailable)
		}), true
	case "busy":
		return fault.Always(fault.TooManyRequestsAfter(5 * time.Second)), true
	case "lost_answer": // it is carried out, and nobody hears of it
		return fault.Always(fault.ResetAfterRead(true)), true
	default:
		return nil, false
	}
}

// states are those of the simulators there are.
func (d *demo) states() []vendorState {
	var all []vendorState
	add := func(name string, received map[string]int) {
		s := vendorState{Name: name, Fault: d.faults[name], Received: received}
		if s.Fault == "" {
			s.Fault = "none"
		}
		all = append(all, s)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if sim := d.vendors.twilioSim; sim != nil {
		messages, calls := sim.Totals()
		add("twilio", map[string]int{"messages": messages, "calls": calls})
	}
	if sim := d.vendors.vapiSim; sim != nil {
		add("vapi", map[string]int{"messages": 0, "calls": sim.Placed()})
	}
	return all
}

func (d *demo) list(w http.ResponseWriter, _ *http.Request) error {
	all := d.states()
	if len(all) == 0 {
		return errors.NotFound
	}
	return answer(w, http.StatusOK, map[string]any{"vendors": all})
}

func (d *demo) breakVendor(w http.ResponseWriter, r *http.Request) error {
	var want struct {
		Fault string `json:"fault"`
	}
	if err := read(w, r, &want); err != nil {
		return err
	}
	how, known := script(want.Fault)
	if !known {
		return invalid("fault", "Choose one of none, down, slow, flaky, busy and lost_answer.")
	}
	name := chi.URLParam(r, "vendor")
	switch sims := d.vendors; {
	case name == "twilio" && sims.twilioSim != nil:
		sims.twilioSim.SetScript(how)
	case name == "vapi" && sims.vapiSim != nil:
		sims.vapiSim.SetScript(how)
	default:
		return errors.NotFound
	}
	d.mu.Lock()
	d.faults[name] = want.Fault
	d.mu.Unlock()
	for _, s := range d.states() {
		if s.Name == name {
			return answer(w, http.StatusOK, s)
		}
	}
	return errors.NotFound
}
