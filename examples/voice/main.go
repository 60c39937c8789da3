// Command voice is the reference service: texts and calls through Twilio, settings of Vapi, on every package of Prusik.
//
//	go -C examples run ./voice
//
// It needs nothing but Go: without credentials both vendors are simulators in this process, and a page at the address that it prints
// lets you break them. All wiring is in wire.go, all flags in flags.go. Without APP_ENV the rules of production hold; the
// simulators then serve loopback addresses only, so that nobody takes for sent what a simulator has swallowed.
//
//	go -C examples run ./voice -drill
//
// plays an outage from start to recovery instead, and exits with 0 where all it claims was true.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/prusik-go/prusik/examples/voice/drill"
)

// The exit codes, beside those of the drill.
const (
	exitOK = iota
	exitFailed
	exitUsage
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal does not wait
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main with its surroundings as arguments. It returns the exit code.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	var o drill.Options
	flags := flag.NewFlagSet("voice", flag.ContinueOnError)
	flags.SetOutput(stderr)
	play := flags.Bool("drill", false, "play an outage of Twilio, from start to recovery, in about 20 seconds")
	flags.BoolVar(&o.JSON, "json", false, "print the drill's figures as JSON; the timeline goes to standard error")
	flags.Uint64Var(&o.Seed, "seed", 1, "draw the drill's faults from this seed")
	sabotage := flags.String("sabotage", "", "`naked`: take Prusik away from under Twilio in the drill, to see that its claims can fail")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case *sabotage != "" && *sabotage != drill.Sabotage, flags.NArg() > 0:
		_, _ = fmt.Fprintf(stderr, "-sabotage knows %q only, and there are no arguments\n", drill.Sabotage)
		return exitUsage
	case !*play && flags.NFlag() > 0:
		_, _ = fmt.Fprintln(stderr, "-json, -seed and -sabotage are for -drill; what the service does is in its environment: see .env.example")
		return exitUsage
	case *play:
		o.Naked = *sabotage == drill.Sabotage
		return drill.Run(ctx, o, stdout, stderr)
	}
	if err := serve(ctx, environ, stdout, stderr); err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return exitFailed
	}
	return exitOK
}
