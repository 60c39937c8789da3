package status

import (
	"encoding/json"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"time"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/internal/newid"
)

const (
	correlationHeader = correlation.Header
	maxCommand        = 4 << 10 // bytes of a command: some names, a value and a reason
	malformed         = "The command is not the JSON it should be."
)

type order struct {
	Client  string  `json:"client"`
	Breaker string  `json:"breaker"`
	Command Command `json:"command"`

	Set        string  `json:"set"`
	Flag       string  `json:"flag"`
	Value      string  `json:"value"`
	Reason     string  `json:"reason"`
	ForSeconds float64 `json:"for_seconds"`
}

// serveCommand answers a POST, and has it audited however it ends.
func (s *Status) serveCommand(w http.ResponseWriter, r *http.Request) {
	e := CommandEvent{At: time.Now(), CorrelationID: idOf(w, r)}
	w.Header().Set(correlationHeader, e.CorrelationID)
	result, err := s.command(w, r, &e)
	e.Err = err
	s.audit(r, &e)
	if err != nil {
		_ = errors.Write(w, r, err)
		return
	}
	writeJSON(w, r, result)
}

// command checks where the request comes from, then who sends it, and only then reads it. What it returns is what has been
// commanded, as it is then.
func (s *Status) command(w http.ResponseWriter, r *http.Request, e *CommandEvent) (any, error) {
	if err := s.cfg.CrossOrigin.Check(r); err != nil {
		return nil, &errors.Error{Kind: errors.Forbidden, Op: "command", Err: err, Public: "Commands are taken from this site only."}
	}
	who, err := s.cfg.Guard(r)
	if err != nil {
		if known, ok := errors.AsType[*errors.Error](err); ok {
			return nil, known
		}
		return nil, &errors.Error{Kind: errors.Forbidden, Op: "command", Err: err}
	}
	e.Who = who
	o, err := read(w, r)
	if err != nil {
		return nil, err
	}
	if o.Flag != "" {
		return s.flagCommand(&o, e)
	}
	b, err := s.breaker(o.Client, o.Breaker)
	if err != nil {
		return nil, err
	}
	e.Client, e.Breaker, e.Command = o.Client, b.Name(), o.Command
	e.From = b.State()
	if !o.Command.do(b) {
		e.Command, e.To = "", e.From
		return nil, invalid("The commands are force_open, disable and reset.")
	}
	e.To = b.State()
	return breakerState(b), nil
}

// read takes JSON only: no form of another site's can send that without being asked first.
func read(w http.ResponseWriter, r *http.Request) (o order, err error) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return o, invalid("Send the command as application/json.")
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxCommand))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil {
		return o, invalid(malformed) // the decoder's text quotes what was sent
	}
	if _, err := d.Token(); err != io.EOF {
		return o, invalid(malformed)
	}
	return o, nil
}

func invalid(public string) error {
	return &errors.Error{Kind: errors.Invalid, Op: "command", Public: public, Err: errors.New(public)}
}

// idOf is the id the correlation middleware gave to the request. What the request itself says is not to be trusted.
func idOf(w http.ResponseWriter, r *http.Request) string {
	if id, ok := correlation.ID(r.Context()); ok {
		return id
	}
	if id := w.Header().Get(correlationHeader); correlation.Valid(id) {
		return id
	}
	return newid.At(time.Now())
}

func (s *Status) audit(r *http.Request, e *CommandEvent) {
	attrs := []slog.Attr{
		slog.String("correlation_id", e.CorrelationID), slog.String("who", e.Who), slog.String("command", string(e.Command)),
	}
	message := "breaker command"
	if e.Flag != "" {
		message = "flag command"
		attrs = append(attrs, slog.String("set", e.Set), slog.String("flag", e.Flag), slog.String("reason", e.Reason))
	} else {
		attrs = append(attrs, slog.String("client", e.Client), slog.String("breaker", e.Breaker))
	}
	switch {
	case e.Err == nil && e.Flag == "":
		attrs = append(attrs, slog.String("from", e.From.String()), slog.String("to", e.To.String()))
		s.recordCommand(e)
	case e.Err != nil:
		message += " refused"
		attrs = append(attrs, slog.Any("error", e.Err))
	}
	s.cfg.Logger.LogAttrs(r.Context(), slog.LevelWarn, message, attrs...)
	if h := s.cfg.Hooks.OnCommand; h != nil {
		h(*e)
	}
}

func (s *Status) recordCommand(e *CommandEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.clients {
		if w.id == e.Client {
			w.src.recent.add(Decision{
				Source: w.src.name, What: Commanded, Breaker: e.Breaker, From: e.From.String(), To: e.To.String(),
				Reason: string(e.Command), CorrelationID: e.CorrelationID, Who: e.Who,
			})
			return
		}
	}
}
