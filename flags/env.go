package flags

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/prusik-go/prusik/internal/check"
)

// Source is where a value comes from.
type Source string

// The sources, from the weakest to the strongest.
const (
	FromDefault     Source = "default"
	FromFlag        Source = "flag" // the one it follows: see [Follows]
	FromFile        Source = "file"
	FromEnvironment Source = "environment"
	FromOverride    Source = "override"
)

// given is a variable as it was found.
type given struct {
	text   string
	source Source
	origin string // file and line
}

func (g *given) from() string {
	if g.origin == "" {
		return ""
	}
	return " in " + g.origin
}

// read finds out where the program runs and which variables there are.
func (s *Set) read(environ, files []string, f *check.Faults) (place, map[string]given) {
	vars := make(map[string]given, len(environ))
	for _, e := range environ {
		if name, text, ok := strings.Cut(e, "="); ok {
			if _, twice := vars[name]; !twice { // os.Getenv too returns the first
				vars[name] = given{text: text, source: FromEnvironment}
			}
		}
	}
	where := place{env: Production, given: vars[s.cfg.Variable].text}
	if e := Environment(where.given); slices.Contains(s.cfg.Environments, e) {
		where.env = e
	}
	if where.env != Development {
		return where, vars
	}
	for _, path := range files {
		raw, err := os.ReadFile(path) //nolint:gosec // the caller's own files
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			f.Add("the file", path, "one that can be read, or none: "+reason(err))
			continue
		}
		where.files = append(where.files, path)
		parsed, faults := parseFile(string(raw))
		for _, fault := range faults {
			f.Add(path+":"+strconv.Itoa(fault.line), "unreadable", fault.want)
		}
		for _, v := range parsed {
			origin := path + ":" + strconv.Itoa(v.line)
			if v.name == s.cfg.Variable {
				f.Add(origin, s.cfg.Variable, "it in the environment itself: a file that is shipped by accident would turn production into development")
				continue
			}
			if old, known := vars[v.name]; !known || old.text == "" {
				vars[v.name] = given{text: v.text, source: FromFile, origin: origin}
			}
		}
	}
	return where, vars
}

// unknown reports variables that are nobody's. Their values are not told: they may be secrets. mu is held.
func (s *Set) unknown(vars map[string]given, f *check.Faults) {
	var all, unset []string
	for _, fl := range s.flags {
		all = append(all, fl.name)
		if vars[fl.name].text == "" {
			unset = append(unset, fl.name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if s.byName[name] != nil || name == s.cfg.Variable || slices.Contains(s.cfg.Foreign, name) {
			continue
		}
		v := vars[name]
		if kubernetes(name, v.text) {
			continue
		}
		if owner := s.owner(name); owner != "" {
			f.Add(name, "set"+v.from(), "a flag that is declared, as it begins with "+owner+didYouMean(nearest(name, all)))
		} else if meant := misspelled(name, unset); meant != "" {
			f.Add(name, "set"+v.from(), "it declared, or named in Config.Foreign, as it looks like a flag that is not set"+didYouMean(meant))
		}
	}
}

// kubernetes knows the variables that it puts into every container for each Service of the namespace, such as
// VOICE_SERVICE_HOST and VOICE_PORT_80_TCP for one that is called voice
// (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables): nobody has set them.
func kubernetes(name, text string) bool {
	switch {
	case strings.HasSuffix(name, "_SERVICE_HOST"), strings.HasSuffix(name, "_SERVICE_PORT"), strings.Contains(name, "_SERVICE_PORT_"):
		return true
	case strings.HasSuffix(name, "_PORT"):
		return strings.Contains(text, "://")
	default:
		_, port, ok := strings.Cut(name, "_PORT_")
		return ok && (strings.Contains(port, "_TCP") || strings.Contains(port, "_UDP") || strings.Contains(port, "_SCTP"))
	}
}

// owner is the prefix of the set that name begins with.
func (s *Set) owner(name string) string {
	for _, p := range s.prefixes {
		if strings.HasPrefix(name, p) {
			return p
		}
	}
	return ""
}

// misspelled is the flag that name is within a slip of the finger of, or two where it is long.
func misspelled(name string, flags []string) string {
	slips := 1
	switch {
	case len(name) < 6:
		return ""
	case len(name) >= 12:
		slips = 2
	}
	if meant := nearest(name, flags); meant != "" && distance(strings.ToLower(name), strings.ToLower(meant), slips+1) <= slips {
		return meant
	}
	return ""
}
