// Package drill shows what Prusik does on a bad day: it plays an outage of Twilio, from start to recovery, against
// simulators in this process. It has no part in serving.
package drill

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
)

// The exit codes.
const (
	exitOK = iota
	exitFailed
	exitInterrupted = 130 // as a shell has it for SIGINT
)

// Sabotage is the one there is: Prusik is taken away from under Twilio.
const Sabotage = "naked"

// Options say how the drill is played.
type Options struct {
	Seed uint64 // of the faults
	JSON bool   // the figures as JSON; the timeline goes to standard error
	// Naked puts a client in Prusik's place that repeats whatever failed, to see that the claims can fail.
	Naked bool
}

// Run plays the drill and returns the exit code: 0 where all it claims was true.
func Run(ctx context.Context, o Options, stdout, stderr io.Writer) int {
	return run(ctx, o, stdout, stderr, standard())
}

func run(ctx context.Context, o Options, stdout, stderr io.Writer, p plan) int {
	p.seed, p.naked = o.Seed, o.Naked
	out := stdout
	if o.JSON {
		out = stderr
	}
	r, err := runDrill(ctx, p, newTimeline(out))
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "the drill was not finished:", err)
		if ctx.Err() != nil {
			return exitInterrupted
		}
		return exitFailed
	}
	if o.JSON {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		_ = encoder.Encode(r)
	} else {
		r.print(newPen(stdout))
	}
	if !r.OK {
		return exitFailed
	}
	return exitOK
}
