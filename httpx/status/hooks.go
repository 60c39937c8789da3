package status

import (
	"time"

	"github.com/prusik-go/prusik/breaker"
)

// Hooks are callbacks of a [Status]; nil ones are skipped. They are called on the goroutine of the request, before it is
// answered, under no lock and by several at the same time.
type Hooks struct {
	// OnCommand is called for every command, also for one that was refused.
	OnCommand func(CommandEvent)
}

// CommandEvent reports a command: the audit record.
type CommandEvent struct {
	// At is when it was decided.
	At time.Time
	// Who is what [Config.Guard] said of who asks; empty where it refused, or was not asked.
	Who string
	// CorrelationID is the request's: the correlation middleware's or, without one, an id made for it. The answer carries it.
	CorrelationID string
	// Command, Client and Breaker say what was asked for; empty where the request was refused before it was read.
	Command Command
	Client  string
	Breaker string
	// From and To are the states before and after. Both are the state as it is where nothing was done.
	From, To breaker.State
	// Set, Flag and Reason are of a command to a flag, as [flags.Change]: its hooks tell the values. Flag is "other" where there is
	// no such flag.
	Set, Flag, Reason string
	// Err is why the command was refused, or nil where it was carried out.
	Err error
}

// Command is something that can be done to a breaker or a flag.
type Command string

// The commands; the last two are a flag's.
const (
	ForceOpen Command = "force_open" // refuse every call: [breaker.Breaker.ForceOpen]
	Disable   Command = "disable"    // let every call through, and count nothing: [breaker.Breaker.Disable]
	Reset     Command = "reset"      // begin anew, closed: [breaker.Breaker.Reset]
	Override  Command = "override"   // set it, for a time or until it is cleared: [flags.Set.Override]
	Clear     Command = "clear"      // take that back: [flags.Set.Clear]
)

// do carries c out, and reports whether there is such a command.
func (c Command) do(b *breaker.Breaker) bool {
	switch c {
	case ForceOpen:
		b.ForceOpen()
	case Disable:
		b.Disable()
	case Reset:
		b.Reset()
	default:
		return false
	}
	return true
}
