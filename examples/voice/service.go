package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
)

// service is what wire makes.
type service struct {
	http.Handler

	router  chi.Router
	vendors *vendors
	leaving atomic.Bool // it takes no new work
	ending  []func()    // end the streams, so that a shutdown does not wait for those who watch
	closing []func() error
}

// close lets go of everything, in the reverse order of its making.
func (s *service) close() error {
	var errs []error
	for _, c := range slices.Backward(s.closing) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// alive says that the process answers.
func (*service) alive(w http.ResponseWriter, _ *http.Request) error {
	return answer(w, http.StatusOK, map[string]string{"status": "ok"})
}

// ready tells a load balancer whether to send more.
func (s *service) ready(w http.ResponseWriter, _ *http.Request) error {
	if s.leaving.Load() {
		return &errors.Error{Kind: errors.Unavailable, Op: "readyz", Public: "Shutting down."}
	}
	return answer(w, http.StatusOK, map[string]string{"status": "ready"})
}

// times are those of the server. No request of ours takes longer than two calls of 35 s, one after the other.
type times struct{ header, read, write, idle, drain time.Duration }

func standard() times {
	return times{header: 5 * time.Second, read: 15 * time.Second, write: 80 * time.Second, idle: 2 * time.Minute, drain: 80 * time.Second}
}

// serve runs the service until ctx ends, and then until its requests have.
func serve(ctx context.Context, environ []string, stdout, stderr io.Writer) error {
	set := declare()
	if err := set.load(environ); err != nil {
		return err
	}
	log := slog.New(correlation.LogHandler(slog.NewJSONHandler(stderr, nil)))
	svc, err := wire(set, log, nil)
	if err != nil {
		return err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", set.addr.Get())
	if err != nil {
		return errors.Join(fmt.Errorf("voice: %w: set VOICE_ADDR to another address", err), svc.close())
	}
	set.announce(stdout, ln.Addr())
	return svc.serve(ctx, ln, log, standard())
}

// serve serves ln until ctx ends: then no new work is taken, streams end, and calls in flight are finished.
func (s *service) serve(ctx context.Context, ln net.Listener, log *slog.Logger, t times) error {
	server := &http.Server{
		Handler: s, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: t.header, ReadTimeout: t.read, WriteTimeout: t.write, IdleTimeout: t.idle,
	}
	for _, end := range s.ending {
		server.RegisterOnShutdown(end)
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(ln) }()
	select {
	case err := <-failed:
		return errors.Join(err, s.close())
	case <-ctx.Done():
	}
	s.leaving.Store(true)
	log.Info("shutting down: calls in flight are finished")
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.drain)
	defer cancel()
	err := server.Shutdown(patience)
	if err != nil {
		err = errors.Join(fmt.Errorf("voice: requests were cut off: %w", err), server.Close())
	}
	if ended := <-failed; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return errors.Join(err, s.close())
}

// announce says where the service is, and what is not real about it.
func (s *settings) announce(out io.Writer, at net.Addr) {
	_, _ = fmt.Fprintf(out, "voice: http://%s\n", at)
	twilio, vapi := s.simulated()
	switch {
	case twilio && vapi && !s.explicit():
		_, _ = fmt.Fprintln(out, "APP_ENV is not set: production rules hold; simulated vendors because no credentials are set: nobody is texted or called.")
	case twilio && vapi:
		_, _ = fmt.Fprintln(out, "Both vendors are simulators: nobody is texted or called.")
	case twilio:
		_, _ = fmt.Fprintln(out, "Twilio is a simulator: nobody is texted or called by it.")
	case vapi:
		_, _ = fmt.Fprintln(out, "Vapi is a simulator: its settings are made up.")
	}
}

// logged writes to the log what went wrong on our side; the rest is in the metrics and in the log of calls.
func logged(log *slog.Logger) errors.Hooks {
	return errors.Hooks{OnError: func(e errors.HandlerEvent) {
		if errors.KindOf(e.Err) == errors.Internal {
			log.ErrorContext(e.Request.Context(), "request failed", "route", e.Request.Pattern, "error", e.Err, "stack", string(e.Stack))
		}
	}}
}

// notAllowed answers 405 with the methods that the path has.
func notAllowed(router chi.Routes) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch} {
			if router.Match(chi.NewRouteContext(), method, r.URL.Path) {
				w.Header().Add("Allow", method)
			}
		}
		_ = errors.WriteProblem(w, r, errors.Problem{
			Title: http.StatusText(http.StatusMethodNotAllowed), Status: http.StatusMethodNotAllowed, Kind: errors.Invalid,
			Detail: "This path has other methods.",
		})
	}
}
