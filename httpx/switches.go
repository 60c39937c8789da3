package httpx

import (
	"strings"
	"time"

	"github.com/prusik-go/prusik/flags"
)

// Switches are the library's own switches as flags: those of the whole program, or those of one service, which follow the
// program's where they are unset. A service's variable has its name before it: TWILIO_CIRCUIT_BREAKER_THRESHOLD.
type Switches struct {
	// KillSwitch is KILL_SWITCH: every call is refused before anything else. Default false.
	KillSwitch *flags.Bool
	// BreakerEnabled is CIRCUIT_BREAKER_ENABLED: off, the breaker neither counts nor refuses. Default true.
	BreakerEnabled *flags.Bool
	// BreakerForceOpen is CIRCUIT_BREAKER_FORCE_OPEN: every call is refused as if the service were down, also where BreakerEnabled is off;
	// of a breaker in shadow it is only reported. It acts as it is thrown: what a person commands the breaker meanwhile holds, until
	// it is thrown back. Default false.
	BreakerForceOpen *flags.Bool
	// BreakerThreshold is CIRCUIT_BREAKER_THRESHOLD: so many failures in a row open the breaker. Default 3; 1 to 100,000.
	BreakerThreshold *flags.Flag[int]
	// BreakerRecoveryTimeout is CIRCUIT_BREAKER_RECOVERY_TIMEOUT: how long it stays open before a probe. Default 30 s; 1 s to 24 h,
	// a number alone is of seconds.
	BreakerRecoveryTimeout *flags.Flag[time.Duration]
	// RateLimitPerMinute is RATE_LIMIT_PER_MINUTE. For the program it is what one client may ask of our routes: see
	// [LimiterFromFlags]. Default 10; 1 to 1,000,000. For a service it is what we send to it, 0 for no limit but those of
	// its profile: it follows nothing, for they have nothing to do with each other. Default 0.
	RateLimitPerMinute *flags.Flag[int]
	// StubMode is INTEGRATIONS_STUB_MODE: canned data in the place of a service's. Default false, and never on in production. It
	// is for the program to read: see [flags.Bool.Handler].
	StubMode *flags.Bool
}

// DeclareSwitches declares the switches of a service in set, and those of the program; for the service "" those alone. What
// is declared already is used, so that names that differ in no more than case or in "-", "." and "_" have the same switches. A name
// begins with a letter. DeclareSwitches makes the beginnings of their names the set's own, so that a misspelled one stops the start.
// Call it before set.Load.
func DeclareSwitches(set *flags.Set, service string) Switches {
	program := declareSwitches(set, "", Switches{})
	if service == "" {
		return program
	}
	return declareSwitches(set, service, program)
}

func declareSwitches(set *flags.Set, service string, follow Switches) Switches {
	d := declarer{set: set}
	whom := "any service"
	if service != "" {
		d.prefix, whom = prefix(service), service
	}
	set.Own(d.prefix + "CIRCUIT_BREAKER_")
	set.Own(d.prefix + "RATE_LIMIT_")
	limit, low, standard := "How many requests one client may make a minute.", 1, 10
	if service != "" {
		limit, low, standard = "How many requests are sent to "+service+" a minute; 0: as many as its profile allows.", 0, 0
	}
	return Switches{
		KillSwitch: d.bool("KILL_SWITCH", follow.KillSwitch,
			flags.Doc("Refuses every call to "+whom+".")),
		BreakerEnabled: d.bool("CIRCUIT_BREAKER_ENABLED", follow.BreakerEnabled, flags.Default(true),
			flags.Doc("Whether calls to "+whom+" are refused while it is down.")),
		BreakerForceOpen: d.bool("CIRCUIT_BREAKER_FORCE_OPEN", follow.BreakerForceOpen,
			flags.Doc("Refuses calls to "+whom+" as if it were down.")),
		BreakerThreshold: number(&d, "CIRCUIT_BREAKER_THRESHOLD", follow.BreakerThreshold, set.Int, flags.Default(3), flags.Range(1, 100_000),
			flags.Doc("So many failures in a row of "+whom+" open its circuit breaker.")),
		BreakerRecoveryTimeout: number(&d, "CIRCUIT_BREAKER_RECOVERY_TIMEOUT", follow.BreakerRecoveryTimeout, set.Duration,
			flags.Default(30*time.Second), flags.Unit(time.Second), flags.Range(time.Second, 24*time.Hour),
			flags.Doc("How long calls to "+whom+" are refused before one is tried.")),
		RateLimitPerMinute: number(&d, "RATE_LIMIT_PER_MINUTE", nil, set.Int,
			flags.Default(standard), flags.Range(low, 1_000_000), flags.Doc(limit)),
		StubMode: d.bool("INTEGRATIONS_STUB_MODE", follow.StubMode, flags.NeverIn(flags.Production),
			flags.Doc("Serves canned data in the place of "+whom+"'s.")),
	}
}

// prefix is how the variables of a service begin.
func prefix(service string) string {
	return strings.NewReplacer("-", "_", ".", "_").Replace(strings.ToUpper(service)) + "_"
}

// declarer declares what is not declared yet.
type declarer struct {
	set    *flags.Set
	prefix string
}

func (d *declarer) bool(name string, follow *flags.Bool, options ...flags.Option) *flags.Bool {
	name = d.prefix + name
	if known, ok := d.set.Lookup(name).(*flags.Bool); ok {
		return known
	}
	if follow != nil {
		options = append(options, flags.Follows(follow))
	}
	return d.set.Bool(name, options...) // of another type: Load says that it is declared twice
}

func number[T int | time.Duration](
	d *declarer, name string, follow *flags.Flag[T], declare func(string, ...flags.Option) *flags.Flag[T], options ...flags.Option,
) *flags.Flag[T] {
	name = d.prefix + name
	if known, ok := d.set.Lookup(name).(*flags.Flag[T]); ok {
		return known
	}
	if follow != nil {
		options = append(options, flags.Follows(follow))
	}
	return declare(name, options...)
}
