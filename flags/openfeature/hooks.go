package openfeature

import "time"

// Hooks are callbacks of a [Source]; nil ones are skipped. They are called on the Source's goroutine, one at a time: a hook that
// waits holds up what follows, and one that calls [Source.Close] waits for itself. A panic of a hook ends the program.
type Hooks struct {
	// OnCondition is called where the condition of a flag changes, or its code: of an outage once, not at each attempt. A flag
	// begins as [Following].
	OnCondition func(ConditionEvent)
}

// Condition is how a flag stands to its provider.
type Condition string

// The conditions.
const (
	// Following is a flag that has the value that the provider says.
	Following Condition = "following"
	// Failing is a flag that could not be evaluated: it has its last good value.
	Failing Condition = "failing"
	// Refused is a flag whose value by the provider the set does not accept: it has its last good value.
	Refused Condition = "refused"
	// Yielding is a flag that somebody else has overridden: it has that value, whatever the provider says.
	Yielding Condition = "yielding"
)

// ConditionEvent reports that the condition of a flag has changed.
type ConditionEvent struct {
	// Flag is the flag's name, and Provider that of the provider.
	Flag, Provider string
	From, To       Condition
	// Code is OpenFeature's error code of a [Failing] flag, such as "TYPE_MISMATCH" or "GENERAL", and the kind of error of a [Refused]
	// one: "invalid" for a value that is out of bounds or not of the type, "forbidden" by NeverIn.
	Code string
	// Err says more, where To is Failing or Refused. Its text may be the provider's.
	Err error
	At  time.Time
}
