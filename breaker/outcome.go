package breaker

import (
	"context"

	"github.com/prusik-go/prusik/errors"
)

// Outcome is what a call says about the health of what it called.
type Outcome uint8

// The outcomes.
const (
	// Success counts for it.
	Success Outcome = iota
	// Failure counts against it.
	Failure
	// Ignored says nothing: the caller gave up, or was at fault, or the call never left. A probe that ends so gives its
	// place to the next.
	Ignored
)

// String returns "success", "failure" or "ignored".
func (o Outcome) String() string {
	switch o {
	case Success:
		return "success"
	case Failure:
		return "failure"
	case Ignored:
		return "ignored"
	default:
		return "unknown"
	}
}

// MarshalText renders [Outcome.String].
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// DefaultClassify is how errors are judged where [Config.Classify] is nil, by [errors.KindOf] and [errors.Kind.Fault]:
//
//   - nil is a success;
//   - the vendor's fault is a failure, and so is [errors.Internal], the kind of every error that nobody has
//     classified, and a bare [context.DeadlineExceeded]: the time was up and the vendor had not answered;
//   - all else is ignored: the caller's cancellation and faults, what our own limits refused (rate_limited,
//     vendor_rate_limited, unavailable, feature_disabled) and [errors.CircuitOpen], another breaker's refusal.
//
// It allocates nothing.
func DefaultClassify(err error) Outcome {
	if err == nil {
		return Success
	}
	kind := errors.KindOf(err)
	switch {
	case kind == errors.CircuitOpen:
		return Ignored
	case kind == errors.Internal, kind.Fault() == errors.FaultVendor:
		return Failure
	case kind == errors.Unavailable && bareDeadline(err):
		return Failure
	default:
		return Ignored
	}
}

// bareDeadline tells a deadline that nobody has classified from a capacity limit of ours: KindOf gives one kind to both.
func bareDeadline(err error) bool {
	if _, classified := errors.AsType[*errors.Error](err); classified {
		return false
	}
	return errors.Is(err, context.DeadlineExceeded)
}

// judge is the outcome of a call with ctx that ended in err. Classify is not asked about the caller's own cancellation:
// it reaches us in many shapes ("use of closed network connection"), and is never the vendor's doing.
func (b *Breaker) judge(ctx context.Context, err error) Outcome {
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return Ignored
	}
	return b.cfg().Classify(err)
}
