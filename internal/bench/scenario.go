package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
)

// Scenario is one comparison: what is asked, what the far side does, and how.
type Scenario struct {
	// Name is the column in the table: "GET". Over is "stub", "loopback", "metrics" (the stub again, for Prusik with metrics
	// and without), "breaker", "limiter" or "chi".
	Name, Over string
	// Parallel runs [Workers] goroutines, and not one.
	Parallel bool
	// Reference is the subject that ratios are taken to, Against a second one or "".
	Reference, Against string

	method    string
	body      []byte
	plan      Plan
	guardOpen bool
	failEvery int
	keys      int
}

// String is the path of the scenario: "stub/GET/serial".
func (s Scenario) String() string {
	if s.Parallel {
		return s.Over + "/" + s.Name + "/parallel"
	}
	return s.Over + "/" + s.Name + "/serial"
}

// Workers is how many goroutines call in a parallel scenario.
func (s Scenario) Workers() int {
	if !s.Parallel {
		return 1
	}
	return min(4*runtime.GOMAXPROCS(0), MaxWorkers)
}

// The names of scenarios.
const (
	Get       = "GET"
	PostSmall = "POST 1 KiB"
	PostLarge = "POST 1 MiB"
	Retry     = "503, 503, 200"
	Open      = "open breaker"
	Closed    = "closed breaker"
	// ClosedFailing has one call in 16 fail.
	ClosedFailing = "closed breaker, failures"
	// Scenarios of limiters are named after the number of their keys.
	OneKey   = "1 key"
	SomeKeys = "10,000 keys"
	ManyKeys = "1,000,000 keys"
	// Route is a request to a route with a parameter, MountedRoute to one in a router of its own.
	Route        = "route"
	MountedRoute = "mounted route"
)

// Scenarios returns every scenario, in the order of the table.
func Scenarios() []Scenario {
	small, large := make([]byte, 1<<10), make([]byte, 1<<20)
	var all []Scenario
	for _, over := range []string{"stub", "loopback"} {
		for _, parallel := range []bool{false, true} {
			for _, s := range []Scenario{
				{Name: Get, method: http.MethodGet, Reference: Bare},
				{Name: PostSmall, method: http.MethodPost, body: small, Reference: Bare},
				{Name: PostLarge, method: http.MethodPost, body: large, Reference: Bare},
				{Name: Retry, method: http.MethodGet, plan: RetryTwice, Reference: Loop},
				{Name: Open, method: http.MethodGet, plan: Unavailable, Reference: Bare},
			} {
				if over == "loopback" && s.plan == Unavailable {
					continue // an open breaker never comes that far
				}
				s.Over, s.Parallel, s.Against = over, parallel, HandTimeouts
				all = append(all, s)
			}
		}
	}
	for _, parallel := range []bool{false, true} {
		for _, s := range []Scenario{
			{Name: Get},
			{Name: Retry, plan: RetryTwice},
			{Name: Open, plan: Unavailable},
		} {
			s.Over, s.Parallel, s.Reference, s.method = "metrics", parallel, PrusikSilent, http.MethodGet
			all = append(all, s)
		}
	}
	for _, parallel := range []bool{false, true} {
		for _, s := range []Scenario{
			{Name: Closed},
			{Name: ClosedFailing, failEvery: 16},
			{Name: Open, guardOpen: true},
		} {
			s.Over, s.Parallel, s.Reference = "breaker", parallel, Gobreaker
			all = append(all, s)
		}
	}
	for _, parallel := range []bool{false, true} {
		for _, s := range []Scenario{{Name: OneKey, keys: 1}, {Name: SomeKeys, keys: 10_000}, {Name: ManyKeys, keys: 1_000_000}} {
			s.Over, s.Parallel, s.Reference = "limiter", parallel, Httprate
			all = append(all, s)
		}
	}
	for _, parallel := range []bool{false, true} {
		for _, name := range []string{Route, MountedRoute} {
			all = append(all, Scenario{Name: name, Over: "chi", Parallel: parallel, Reference: BareChi, Against: CommonStack})
		}
	}
	return all
}

// Subject is one contestant set up for one scenario.
type Subject struct {
	Name string
	// Leaks is [Contestant.Leaks], where it matters.
	Leaks bool
	// Op makes n calls as one worker and fails if any call did not go as the scenario wants.
	Op func(worker, n int) error
	// Close checks the number of attempts the far side has seen, and ends it.
	Close func() error

	settle func() error
}

// Subjects sets up every contestant that can run the scenario.
func (s Scenario) Subjects() ([]*Subject, error) {
	var all []*Subject
	if s.Over == "breaker" {
		for _, g := range Guards() {
			subject, err := guard(g, s.guardOpen, s.failEvery)
			if err != nil {
				return nil, err
			}
			all = append(all, subject)
		}
		return all, nil
	}
	contestants := Contestants()
	switch s.Over {
	case "limiter":
		return subjects(Limiters(s.keys), "/", peers(s.keys))
	case "chi":
		return subjects(Stacks(s.Name == MountedRoute), stackPath, peers(stackPeers))
	case "metrics":
		contestants = metricsContestants()
	}
	for _, c := range contestants {
		bare := c.Name == Bare
		if s.plan == RetryTwice && !c.Retries || s.plan != RetryTwice && c.RetriesOnly ||
			s.plan == Unavailable && !c.Breaks && !bare {
			continue
		}
		subject, err := s.subject(c)
		if err != nil {
			return nil, fmt.Errorf("bench: %s: %s: %w", s, c.Name, err)
		}
		all = append(all, subject)
	}
	return all, nil
}

func subjects(all []Served, path string, peers []string) ([]*Subject, error) {
	made := make([]*Subject, len(all))
	for i, s := range all {
		var err error
		if made[i], err = s.subject(path, peers); err != nil {
			return nil, err
		}
	}
	return made, nil
}

func (s Scenario) subject(c Contestant) (*Subject, error) {
	plan := s.plan
	if plan == Unavailable && c.Name == Bare {
		plan = Refuse
	}
	there := newStub(plan)
	if s.Over == "loopback" {
		there = newLoopback(plan)
	}
	do, err := c.New(there.base)
	if err != nil {
		there.close()
		return nil, err
	}
	e := &environment{do: do, method: s.method, body: s.body, fails: plan == Unavailable || plan == Refuse}
	for i := range e.workers {
		e.workers[i].url = there.origin + "/" + strconv.Itoa(i)
	}
	if plan == Unavailable {
		if err := open(there, do); err != nil {
			there.close()
			return nil, err
		}
	}
	trained := there.attempts.total()
	return &Subject{
		Name:  c.Name,
		Leaks: c.Leaks && s.Over == "loopback" && s.plan == RetryTwice,
		Op:    e.run,
		Close: func() error {
			there.close()
			return e.check(c.Name, plan, there.attempts.total()-trained)
		},
		settle: func() error {
			if !there.trim() {
				return nil
			}
			return e.run(0, 1)
		},
	}, nil
}

// open calls a client whose far side is down until it no longer asks the far side.
func open(there far, do Do) error {
	for range 10 * tripAfter {
		before := there.attempts.total()
		resp, err := do(context.Background(), http.MethodGet, there.origin+"/0", nil)
		if err == nil {
			drop(resp)
		}
		if there.attempts.total() == before {
			return nil
		}
	}
	return errors.New("the breaker does not open")
}

// environment is a client with its far side and what its workers reuse.
type environment struct {
	do      Do
	method  string
	body    []byte
	fails   bool
	workers [MaxWorkers]struct {
		url    string
		calls  int64
		answer [512]byte
	}
}

func (e *environment) run(worker, n int) error {
	w := &e.workers[worker]
	for range n {
		w.calls++
		if err := e.call(w.url, w.answer[:]); err != nil {
			return err
		}
	}
	return nil
}

func (e *environment) call(url string, answer []byte) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	resp, err := e.do(ctx, e.method, url, e.body)
	if e.fails {
		if err == nil {
			drop(resp)
			return fmt.Errorf("an error was due, not a %d", resp.StatusCode)
		}
		return nil
	}
	if err != nil {
		return err
	}
	for err == nil {
		_, err = resp.Body.Read(answer)
	}
	if !errors.Is(err, io.EOF) {
		return errors.Join(err, resp.Body.Close())
	}
	if resp.StatusCode != http.StatusOK {
		return errors.Join(fmt.Errorf("a 200 was due, not a %d", resp.StatusCode), resp.Body.Close())
	}
	return resp.Body.Close()
}

// check compares the attempts that arrived with those that were due.
func (e *environment) check(name string, plan Plan, arrived int64) error {
	var calls int64
	for i := range e.workers {
		calls += e.workers[i].calls
	}
	due := calls
	switch plan {
	case Succeed, Refuse:
	case RetryTwice:
		due = 3 * calls
	case Unavailable:
		due = 0
	}
	if arrived != due {
		return fmt.Errorf("bench: %s: %d calls made %d attempts, not %d", name, calls, arrived, due)
	}
	return nil
}
