package httpxtest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prusik-go/prusik/errors"
)

// Timeout bounds one check. On a machine that is too busy to run it the check is given longer.
const Timeout = 10 * time.Second

// ErrSkipped is matched by the error of a check of something the subject does not claim.
var ErrSkipped = errors.New("httpxtest: skipped")

// Subject is a transport under test, and what it says of itself. What it does not claim is not checked.
type Subject struct {
	// Wrap builds the transport over base. It is called at least once per check, so that no state is carried from one
	// to the next, from several goroutines. A transport that is an io.Closer is closed when its check is over.
	Wrap func(base http.RoundTripper) (http.RoundTripper, error)

	// Refusing builds the transport over base in a state in which it refuses every call by itself: an open breaker, a
	// kill switch, an empty limiter. Nil: it never refuses.
	Refusing func(base http.RoundTripper) (http.RoundTripper, error)

	// MaxAttempts is the most it sends one request. Zero and one mean that it does not retry. With more, it says that
	// it retries GET, HEAD, OPTIONS, PUT and DELETE on 503 and on a connection that broke.
	MaxAttempts int

	// ReplaysUpTo is the size in bytes up to which it buffers a request body without GetBody, so as to send it again.
	// Zero: it does not, such a request is sent once.
	ReplaysUpTo int64

	// RetriesKeyed says that it retries a POST that carries an Idempotency-Key header.
	RetriesKeyed bool

	// ClosesErrorBodies says that a caller who never closes the body of a response of status 400 and above leaks
	// nothing. Such bodies are then expected to arrive whole up to 32 KiB only.
	ClosesErrorBodies bool

	// KeepsCause says that the error of a canceled call matches [context.Cause] of its context.
	KeepsCause bool

	// ChecksBase says that it never hands on a malformed answer of base (neither response nor error, both, no body, no
	// header): the caller gets either a whole response or an error.
	ChecksBase bool

	// PrusikErrors says that every error is an [*errors.Error] with kind, delivery and stop reason, by the rules of
	// package httpx.
	PrusikErrors bool
}

func (s Subject) attempts() int { return max(s.MaxAttempts, 1) }

// Check is one rule, and the way to find out whether a subject keeps it.
type Check struct {
	// Name is "family/rule", or "family/rule/h1" and "family/rule/h2" where both protocols are tried.
	Name string
	// Doc is the rule, in a sentence.
	Doc string
	// Serial says that the check measures something of the whole process and wants to run alone.
	Serial bool

	claim claim
	proto int
	run   func(*env)
}

// claim is what a subject has to say of itself for a check to apply. Empty: nothing.
type claim string

const (
	retries      claim = "MaxAttempts above 1"
	refuses      claim = "Refusing"
	replays      claim = "ReplaysUpTo, and MaxAttempts above 1"
	retriesKeyed claim = "RetriesKeyed, and MaxAttempts above 1"
	closesErrors claim = "ClosesErrorBodies"
	keepsCause   claim = "KeepsCause"
	checksBase   claim = "ChecksBase"
	prusik       claim = "PrusikErrors"
	prusikRetry  claim = "PrusikErrors, and MaxAttempts above 1"
	prusikRefuse claim = "PrusikErrors and Refusing"
)

func (c claim) made(s Subject) bool {
	retry := s.MaxAttempts > 1
	switch c {
	case retries:
		return retry
	case refuses:
		return s.Refusing != nil
	case replays:
		return retry && s.ReplaysUpTo > 0
	case retriesKeyed:
		return retry && s.RetriesKeyed
	case closesErrors:
		return s.ClosesErrorBodies
	case keepsCause:
		return s.KeepsCause
	case checksBase:
		return s.ChecksBase
	case prusik:
		return s.PrusikErrors
	case prusikRetry:
		return s.PrusikErrors && retry
	case prusikRefuse:
		return s.PrusikErrors && s.Refusing != nil
	default:
		return true
	}
}

// Applies reports whether s makes the claim that the check is about.
func (c Check) Applies(s Subject) bool { return c.claim.made(s) }

// Run checks s. It returns nil where s keeps the rule, an error that matches [ErrSkipped] where the check does not
// apply, and otherwise an error that says what was wrong. It returns within [Timeout] and a few seconds to clean up, or when ctx is done, with an error then too.
func (c Check) Run(ctx context.Context, s Subject) error {
	return c.within(ctx, s, Timeout)
}

func (c Check) within(ctx context.Context, s Subject, limit time.Duration) error {
	switch {
	case c.run == nil:
		return fmt.Errorf("httpxtest: %q is not a check of Checks()", c.Name)
	case s.Wrap == nil:
		return fmt.Errorf("%s: Subject.Wrap is nil", c.Name)
	case !c.Applies(s):
		return fmt.Errorf("%w: %s: the subject does not claim %s", ErrSkipped, c.Name, c.claim)
	}
	if err := execute(ctx, s, c, limit); err != nil {
		return fmt.Errorf("%s: %s\n%w", c.Name, c.Doc, err)
	}
	return nil
}

// Run runs all checks that apply to s, each as a subtest. Serial ones come first, the others run in parallel.
func Run(t *testing.T, s Subject) {
	t.Helper()
	for _, c := range Checks() {
		t.Run(c.Name, func(t *testing.T) {
			if !c.Serial {
				t.Parallel()
			}
			switch err := c.Run(t.Context(), s); {
			case errors.Is(err, ErrSkipped):
				t.Skip(err)
			case err != nil:
				t.Error(err)
			}
		})
	}
}

// Checks lists all checks, by family.
func Checks() []Check {
	var all []Check
	for _, family := range [][]Check{
		bodyChecks(), retryChecks(), responseChecks(), leakChecks(), contextChecks(), hostileChecks(), errorChecks(),
	} {
		all = append(all, family...)
	}
	return all
}

// overBoth makes two checks of one: over HTTP/1.1 and over HTTP/2.
func overBoth(c Check) []Check {
	h1, h2 := c, c
	h1.Name, h1.proto = c.Name+"/h1", 1
	h2.Name, h2.proto = c.Name+"/h2", 2
	return []Check{h1, h2}
}

// family prefixes names; a check marked both runs over both protocols.
func family(name string, checks ...[]Check) []Check {
	all := slices.Concat(checks...)
	for i := range all {
		all[i].Name = name + "/" + all[i].Name
		all[i].Doc = strings.TrimSuffix(all[i].Doc, ".") + "."
		if all[i].proto == 0 {
			all[i].proto = 1
		}
	}
	return all
}

func check(name, doc string, c claim, run func(*env)) []Check {
	return []Check{{Name: name, Doc: doc, claim: c, run: run}}
}

func both(name, doc string, c claim, run func(*env)) []Check {
	return overBoth(Check{Name: name, Doc: doc, claim: c, run: run})
}
