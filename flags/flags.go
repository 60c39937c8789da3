package flags

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/internal/check"
)

// Set holds the flags of a program. Make it with [New], declare flags with its methods, read the environment with
// [Set.Load]. It may be used from several goroutines and must not be copied.
type Set struct {
	name string
	cfg  Config // effective

	// state is what Pin takes: the values of all flags at one moment.
	state atomic.Pointer[snapshot]
	hooks atomic.Pointer[Hooks]

	mu       sync.Mutex
	faults   []error // of New and of the declarations
	late     []error // of what was declared since Load
	flags    []*flag
	byName   map[string]*flag
	prefixes []string
	where    place
	watchers []*watcher
	queue    queue
}

// snapshot is immutable. A value is at the flag's place, as a pointer to its type, and so is where it comes from.
type snapshot struct {
	loaded   bool
	values   []any
	settings []*setting
	byName   map[string]*flag // of a loaded one
}

// place is the environment, and how it came to be it.
type place struct {
	env   Environment
	given string // what the variable says
	files []string
}

// New returns an empty set. Its name goes into errors and documents: 1 to 64 letters, digits, ".", "_" or "-".
//
// It returns no error, so that a set and its flags can be package variables: everything that is wrong with name, cfg and
// the declarations is reported by [Set.Load], and until that has succeeded every flag has its default.
func New(name string, cfg Config) *Set {
	f := check.New("flags", name)
	f.Name(name)
	s := &Set{name: name, cfg: cfg.effective(f), byName: map[string]*flag{}}
	s.prefixes = s.cfg.Prefixes
	s.where.env = Production
	s.state.Store(&snapshot{})
	s.hooks.Store(&cfg.Hooks)
	if err := f.Err(); err != nil {
		s.faults = append(s.faults, err)
	}
	return s
}

// Name is the name given to [New].
func (s *Set) Name() string { return s.name }

// Environment is where the program runs, and [Production] before [Set.Load].
func (s *Set) Environment() Environment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.where.env
}

// Lookup returns the flag that is declared under name: a [*Bool], or a [*Flag] of its type. It is nil where there is none.
func (s *Set) Lookup(name string) Declared {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.byName[name]; f != nil {
		return f.cell
	}
	return nil
}

// Own adds to [Config.Prefixes]: for a package that declares flags in a set of its caller's.
func (s *Set) Own(prefix string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.prefixes, prefix) {
		return
	}
	if !variable(prefix) || !strings.HasSuffix(prefix, "_") {
		s.fault("Own", strconv.Quote(prefix), `the beginning of a variable up to an underscore, such as "VOICE_"`)
		return
	}
	s.prefixes = append(s.prefixes, prefix)
}

// Load reads the variables of environ, which is [os.Environ], and in [Development] those of files in the format of .env,
// which may be missing; what environ says wins, and of the files the first that says it. A file cannot name the environment: one
// that is shipped by accident would turn production into development.
//
// The error names everything that is wrong, of the declarations too: a value that is not of its type or out of bounds, a
// variable that nobody declared and that begins with a prefix of the set or looks like a flag misspelled, a flag that has
// to be set or must not be in this environment. Nothing is changed then. A flag whose variable is empty is unset.
//
// Load again to read a changed environment; overrides stay.
func (s *Set) Load(environ []string, files ...string) error {
	s.mu.Lock()
	defer s.unlock()
	f := check.New("flags", s.name)
	where, vars := s.read(environ, files, f)
	next := make([]*setting, len(s.flags))
	for i, fl := range s.flags {
		v, ok := vars[fl.name]
		if !ok || v.text == "" {
			if slices.Contains(fl.required, where.env) {
				f.Add(fl.name, "unset", "a value in "+string(where.env)+": "+where.why(s.cfg.Variable))
			}
			continue
		}
		value, want := fl.parse(v.text)
		if want != "" {
			f.Add(fl.name, fl.quote(v.text)+v.from(), want)
			continue
		}
		next[i] = &setting{value: value, source: v.source, origin: v.origin}
	}
	s.unknown(vars, f)
	if f.Err() == nil {
		s.forbidden(next, where, f)
	}
	if err := errors.Join(append(slices.Clone(s.faults), f.Err())...); err != nil {
		return err
	}
	before := s.state.Load()
	for i, fl := range s.flags {
		fl.env = next[i]
	}
	s.where, s.late = where, nil
	s.publish(true)
	if before.byName != nil { // it was loaded before, whatever has been declared since
		s.tellDifferences(before, ChangeEvent{Cause: Loaded, At: time.Now()}, nil)
	}
	s.queue.push(delivery{watchers: true})
	return nil
}

// Err is nil once [Set.Load] has succeeded and nothing has been declared since, as what is declared later was never read.
func (s *Set) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err()
}

func (s *Set) err() error {
	if !s.state.Load().loaded {
		if err := errors.Join(slices.Concat(s.faults, s.late)...); err != nil {
			return err
		}
		f := check.New("flags", s.name)
		f.Add("the set", "not loaded", "a Load that succeeds before its flags are used")
		return f.Err()
	}
	return nil
}

// fault records one of a declaration. mu is held.
func (s *Set) fault(field string, value any, want string) {
	f := check.New("flags", s.name)
	f.Add(field, value, want)
	s.faults = append(s.faults, f.Err())
}

// publish makes what the layers say the present values. mu is held.
func (s *Set) publish(loaded bool) {
	next := &snapshot{loaded: loaded, values: make([]any, len(s.flags)), settings: make([]*setting, len(s.flags)), byName: s.state.Load().byName}
	if loaded && len(next.byName) != len(s.byName) {
		next.byName = maps.Clone(s.byName)
	}
	for i, fl := range s.flags {
		next.settings[i] = fl.effective()
		next.values[i] = fl.cell.set(next.settings[i].value)
	}
	s.state.Store(next)
}

// forbidden finds what may not be where the environment says next. mu is held.
func (s *Set) forbidden(next []*setting, where place, f *check.Faults) {
	before := make([]*setting, len(s.flags))
	for i, fl := range s.flags {
		before[i], fl.env = fl.env, next[i]
	}
	for _, fl := range s.flags {
		o, want := fl.worst(where.env)
		switch {
		case want == "":
		case want != never:
			f.Add(fl.name, fl.show(o.value), want+", also where it follows "+o.of.name)
		case o.of != fl && slices.Contains(o.of.never, where.env): // one thing is wrong, and is said of the flag that is followed
		case o.over:
			f.Add(fl.name, fl.show(o.value), fl.rest()+" in "+string(where.env)+": clear the override of "+o.of.name)
		default:
			f.Add(fl.name, fl.show(o.value), fl.rest()+" in "+string(where.env)+", "+where.why(s.cfg.Variable)+
				": set "+s.cfg.Variable+"=development where this is no "+string(where.env)+", or unset "+o.of.name)
		}
	}
	for i, fl := range s.flags {
		fl.env = before[i]
	}
}

// why says how the environment came to be what it is.
func (p *place) why(variable string) string {
	switch {
	case p.given == "":
		return "and " + variable + " is not set, which counts as production"
	case p.given != string(p.env):
		return "and " + variable + " = " + quote(p.given) + " is no environment, which counts as production"
	default:
		return "which is what " + variable + " says"
	}
}

// Pin returns a context in which [Flag.In] reads the values of now, whatever changes later: one request sees one set of
// values. A context that is pinned already stays as it is.
func (s *Set) Pin(ctx context.Context) context.Context {
	if ctx.Value(s) != nil {
		return ctx
	}
	return context.WithValue(ctx, s, s.state.Load())
}

// pinned is the snapshot of ctx, or the present one.
func (s *Set) pinned(ctx context.Context) *snapshot {
	if p, ok := ctx.Value(s).(*snapshot); ok {
		return p
	}
	return s.state.Load()
}
