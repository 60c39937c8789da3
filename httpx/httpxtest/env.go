package httpxtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"iter"
	"net/http"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prusik-go/prusik/errors"
)

const (
	// pause is the unit of the waits that a check makes on purpose.
	pause = 20 * time.Millisecond

	// beat is how often a wait looks.
	beat = 2 * time.Millisecond

	labelKey = "httpxtest"
)

// env is one run of one check. Its methods may be called from several goroutines, but for fatalf, which ends the
// check and belongs on the check's goroutine.
type env struct {
	subject Subject
	proto   int
	ctx     context.Context //nolint:containedctx // the check's life, handed to every request it makes
	over    chan struct{}   // closed when the check is over: whatever stalls on purpose lets go
	label   string
	// patience is the time in which something that need not wait must have happened, and in which connections,
	// goroutines and bodies must have been released. It is long: the machine may be busy, and what hangs does so longer.
	patience time.Duration

	mu       sync.Mutex
	faults   []error
	cleanups []func()
	cleaned  bool
}

// execute runs one check on a goroutine of its own, so that neither a hang nor a panic of the subject reaches the
// caller. The goroutine, and all that it starts, carries a profiler label by which it can be found again.
func execute(ctx context.Context, s Subject, c Check, limit time.Duration) error {
	e := &env{subject: s, proto: c.proto, over: make(chan struct{}), patience: limit * 3 / 10}
	e.label = rand.Text() // not an address: those are used again while what a check left behind still runs
	// What a subject leaks must not be cleaned up by the end of the caller's context while a check looks for it.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	done := make(chan struct{})
	go func() {
		defer close(done)
		pprof.Do(life, pprof.Labels(labelKey, e.label), func(ctx context.Context) {
			defer func() {
				if p := recover(); p != nil {
					e.errorf("panic: %v\n%s", p, debug.Stack())
				}
			}()
			e.ctx = ctx
			c.run(e)
		})
	}()
	e.supervise(ctx, done, limit)
	close(e.over)
	end()
	cleaned := make(chan struct{})
	go func() {
		defer close(cleaned)
		e.cleanup()
	}()
	_ = e.closed(cleaned) // where the subject holds on to something the check has said so, or does not mind
	e.mu.Lock()
	defer e.mu.Unlock()
	return errors.Join(e.faults...)
}

// supervise waits for the end of the check.
func (e *env) supervise(ctx context.Context, done <-chan struct{}, limit time.Duration) {
	for tick := range beats(limit) {
		select {
		case <-done:
			return
		case <-ctx.Done():
			e.errorf("interrupted: %w", context.Cause(ctx))
			return
		case <-tick:
		}
	}
	_, stacks := e.goroutines()
	e.errorf("hung: not done within %v; its goroutines:\n%s", limit, stacks)
}

func (e *env) onCleanup(f func()) {
	e.mu.Lock()
	late := e.cleaned
	if !late {
		e.cleanups = append(e.cleanups, f)
	}
	e.mu.Unlock()
	if late { // the check hung, was given up, and went on: it has nothing more to do
		f()
		runtime.Goexit()
	}
}

func (e *env) cleanup() {
	e.mu.Lock()
	fs := e.cleanups
	e.cleaned = true
	e.mu.Unlock()
	for _, f := range slices.Backward(fs) {
		f()
	}
}

// errorf records a fault and goes on.
func (e *env) errorf(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults = append(e.faults, fmt.Errorf(format, args...))
}

func (e *env) failed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.faults) > 0
}

// fatalf records a fault and ends the check.
func (e *env) fatalf(format string, args ...any) {
	e.errorf(format, args...)
	runtime.Goexit()
}

// wrap builds the subject over base.
func (e *env) wrap(base http.RoundTripper) http.RoundTripper {
	return e.built(e.subject.Wrap(base))
}

func (e *env) refusing(base http.RoundTripper) http.RoundTripper {
	return e.built(e.subject.Refusing(base))
}

func (e *env) built(rt http.RoundTripper, err error) http.RoundTripper {
	if err != nil {
		e.fatalf("the subject could not be built: %w", err)
	}
	if rt == nil {
		e.fatalf("the subject was built as nil, without an error")
	}
	if c, ok := rt.(io.Closer); ok {
		e.onCleanup(func() { _ = c.Close() })
	}
	return rt
}

// result is what a call came to.
type result struct {
	resp  *http.Response
	err   error
	panic any
	body  []byte
	berr  error // of reading the body
	took  time.Duration
}

func (r result) String() string {
	switch {
	case r.panic != nil:
		return fmt.Sprintf("a panic: %v", r.panic)
	case r.err != nil:
		return fmt.Sprintf("the error %q", r.err)
	case r.resp == nil:
		return "neither a response nor an error"
	case r.berr != nil:
		return fmt.Sprintf("status %d with the body %s and then the error %q", r.resp.StatusCode, excerpt(r.body), r.berr)
	default:
		return fmt.Sprintf("status %d with the body %s", r.resp.StatusCode, excerpt(r.body))
	}
}

// status is the response's, 0 where there is none.
func (r result) status() int {
	if r.resp == nil {
		return 0
	}
	return r.resp.StatusCode
}

// send makes the call, leaving the body to the caller. A panic is kept as a value.
func (e *env) send(rt http.RoundTripper, req *http.Request) (res result) {
	start := time.Now()
	defer func() {
		res.took = time.Since(start)
		if p := recover(); p != nil {
			res.panic = p
		}
	}()
	res.resp, res.err = rt.RoundTrip(req) //nolint:bodyclose // the caller does
	return res
}

// call makes the call and reads and closes the body.
func (e *env) call(rt http.RoundTripper, req *http.Request) result {
	res := e.send(rt, req)
	if res.panic == nil && res.resp != nil && res.resp.Body != nil {
		res.body, res.berr = io.ReadAll(res.resp.Body)
		_ = res.resp.Body.Close()
	}
	return res
}

// beats yields until d is over. It counts the ticks that are delivered, not the time that has passed: on a
// machine too busy to run this goroutine the subject does not get to run either, and is given longer.
func beats(d time.Duration) iter.Seq[<-chan time.Time] {
	return func(yield func(<-chan time.Time) bool) {
		tick := time.NewTicker(beat)
		defer tick.Stop()
		for range d / beat {
			if !yield(tick.C) {
				return
			}
		}
	}
}

// prompt runs f on a goroutine of its own, and reports whether it returned in time.
func (e *env) prompt(f func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	return e.closed(done)
}

// closed reports whether c was closed in time.
func (e *env) closed(c <-chan struct{}) bool {
	for tick := range beats(e.patience) {
		select {
		case <-c:
			return true
		case <-tick:
		}
	}
	return false
}

// later makes the call on a goroutine of its own.
func (e *env) later(rt http.RoundTripper, req *http.Request) <-chan result {
	c := make(chan result, 1)
	go func() { c <- e.call(rt, req) }()
	return c
}

// await waits for the result of later, and ends the check where it does not come in time.
func (e *env) await(c <-chan result, what string) result {
	for tick := range beats(e.patience) {
		select {
		case res := <-c:
			return res
		case <-tick:
		}
	}
	_, stacks := e.goroutines()
	e.fatalf("%s: the call did not return within %v; goroutines:\n%s", what, e.patience, stacks)
	return result{}
}

// eventually polls cond until it holds, ever more rarely. It gives up when the patience is over, and much sooner where
// the check has failed already: then it is not worth the wait for each further path.
func (e *env) eventually(cond func() bool) bool {
	d := e.patience
	if e.failed() {
		d /= 20
	}
	skip, next := 0, 0
	for tick := range beats(d) {
		if next--; next < 0 {
			if cond() {
				return true
			}
			skip = min(2*skip+1, 16)
			next = skip
		}
		<-tick
	}
	return cond()
}

// unlabelled runs f where goroutines that it starts do not count as the subject's.
func unlabelled(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		pprof.SetGoroutineLabels(context.Background())
		f()
	}()
	<-done
}

// goroutines counts the goroutines that the check has started, itself included, with their stacks.
func (e *env) goroutines() (int, string) {
	var profile bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&profile, 1) // a bytes.Buffer takes everything
	var (
		n      int
		stacks strings.Builder
		mark   = fmt.Sprintf("%q:%q", labelKey, e.label)
	)
	_, blocks, _ := strings.Cut(profile.String(), "\n") // the first line is a title
	for block := range strings.SplitSeq(blocks, "\n\n") {
		_, labels, ok := strings.Cut(block, "\n# labels: ")
		if !ok {
			continue
		}
		labels, _, _ = strings.Cut(labels, "\n")
		if !strings.Contains(labels, mark) {
			continue
		}
		same := 1
		_, _ = fmt.Sscanf(block, "%d @", &same) // "2 @ 0x4446f1 0x482ddd ...": two of this stack
		n += same
		stacks.WriteString(block)
		stacks.WriteString("\n\n")
	}
	return n, stacks.String()
}

// excerpt renders what was read, shortened.
func excerpt(b []byte) string {
	if len(b) > 60 {
		return fmt.Sprintf("%q... (%d bytes)", b[:60], len(b))
	}
	return fmt.Sprintf("%q", b)
}
