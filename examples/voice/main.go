// Command voice is the reference service. Its drill shows what Prusik does on a bad day:
//
//	go -C examples run ./voice -drill
//
// Both vendors are simulators in this process; nobody is texted or called. The drill exits with 0 where all it claims
// was true, and with 1 where not. "-sabotage naked" is the proof that the claims can fail: it takes Prusik away from
// under Twilio and puts a client there that repeats whatever failed, as many do. Then people are texted twice.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

const offer = "voice -drill plays a vendor's outage from start to recovery against simulators and shows, in about " +
	"20 seconds,\nwhat Prusik does about it."

// The exit codes.
const (
	exitOK = iota
	exitFailed
	exitUsage
	exitInterrupted = 130 // as a shell has it for SIGINT
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr, standard())
	stop()
	os.Exit(code)
}

// run is main with its surroundings as arguments. It returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, p plan) int {
	flags := flag.NewFlagSet("voice", flag.ContinueOnError)
	flags.SetOutput(stderr)
	drill := flags.Bool("drill", false, "play an outage of Twilio, from start to recovery")
	asJSON := flags.Bool("json", false, "print the final figures as JSON; the timeline goes to standard error")
	flags.Uint64Var(&p.seed, "seed", 1, "draw the faults from this seed")
	sabotage := flags.String("sabotage", "", "`naked`: take Prusik away from under Twilio, to see that the claims can fail")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case !*drill:
		_, _ = fmt.Fprintln(stderr, offer)
		return exitUsage
	case *sabotage != "" && *sabotage != sabotageNaked, flags.NArg() > 0:
		_, _ = fmt.Fprintf(stderr, "-sabotage knows %q only, and there are no arguments\n", sabotageNaked)
		return exitUsage
	}
	p.naked = *sabotage == sabotageNaked

	out := stdout
	if *asJSON {
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
	if *asJSON {
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
