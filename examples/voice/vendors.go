package main

import (
	"net/http"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/examples/internal/sim/fault"
	"github.com/prusik-go/prusik/examples/internal/sim/twiliosim"
	"github.com/prusik-go/prusik/examples/internal/sim/vapisim"
)

// vendors are whom the service calls: the real ones, or simulators in this process.
type vendors struct {
	twilioSim *twiliosim.Sim // nil: the real one
	vapiSim   *vapisim.Sim

	twilio struct{ sid, token, from string }
	vapi   struct{ key, url string }
}

func (s *settings) vendors() (v *vendors, err error) {
	v = &vendors{}
	v.twilio.sid, v.twilio.token, v.twilio.from = s.twilioSID.Get(), s.twilioToken.Get(), s.twilioFrom.Get()
	v.vapi.key, v.vapi.url = s.vapiKey.Get(), "https://api.vapi.ai"
	twilio, vapi := s.simulated()
	kept := fault.Config{MaxEntries: 4096} // of the requests it has seen
	if twilio {
		if v.twilioSim, err = twiliosim.New(twiliosim.Config{Server: kept}); err != nil {
			return nil, err
		}
		v.twilio.sid, v.twilio.token, v.twilio.from = twiliosim.AccountSID, twiliosim.AuthToken, "+15005550006"
	}
	if vapi {
		if v.vapiSim, err = vapisim.New(vapisim.Config{Server: kept}); err != nil {
			return nil, errors.Join(err, v.close())
		}
		v.vapi.key, v.vapi.url = vapisim.Token, v.vapiSim.URL()
	}
	return v, nil
}

// base is what the client called name sends with: nil, httpx's own, for a real vendor.
func (v *vendors) base(name string) http.RoundTripper {
	switch {
	case name == "twilio" && v.twilioSim != nil:
		return v.twilioSim.Redirect(v.twilioSim.Transport()) // twilio-go's base URL cannot be set
	case name == "vapi" && v.vapiSim != nil:
		return v.vapiSim.Transport()
	default:
		return nil
	}
}

func (v *vendors) close() error {
	var errs []error
	if v.twilioSim != nil {
		errs = append(errs, v.twilioSim.Close())
	}
	if v.vapiSim != nil {
		errs = append(errs, v.vapiSim.Close())
	}
	return errors.Join(errs...)
}
