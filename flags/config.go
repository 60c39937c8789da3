package flags

import (
	"slices"
	"strconv"
	"strings"

	"github.com/prusik-go/prusik/internal/check"
)

// Config is the configuration of a [Set]. The zero value works.
type Config struct {
	// Variable is the environment variable that names the environment. Empty means "APP_ENV".
	Variable string
	// Environments are the names of further environments beside the four of this package. Any other name, and none,
	// counts as [Production].
	Environments []Environment
	// Prefixes are beginnings of variables that belong to this set alone, such as "VOICE_": a variable that begins with one
	// and is declared nowhere stops the start. A prefix ends in "_". The variables that Kubernetes makes for a Service are left alone.
	Prefixes []string
	// Foreign are variables of others that look like ours: without it, a variable that differs from a declared, unset one by
	// a letter or two stops the start as well.
	Foreign []string
	// Hooks are told what happens.
	Hooks Hooks
}

// Environment is where a program runs.
type Environment string

// The environments that every set knows.
const (
	Development Environment = "development"
	Test        Environment = "test"
	Staging     Environment = "staging"
	// Production is also what an unset or unknown name counts as.
	Production Environment = "production"
)

// effective returns c with its defaults filled in and adds every fault to f.
func (c Config) effective(f *check.Faults) Config {
	if c.Variable == "" {
		c.Variable = "APP_ENV"
	}
	if !variable(c.Variable) {
		f.Add("Variable", strconv.Quote(c.Variable), wantVariable)
	}
	all := []Environment{Development, Test, Staging, Production}
	for i, e := range c.Environments {
		switch {
		case !check.Name(string(e)):
			f.Add("Environments["+strconv.Itoa(i)+"]", strconv.Quote(string(e)), `1 to 64 of letters, digits, ".", "_" and "-"`)
		case slices.Contains(all, e):
			f.Add("Environments["+strconv.Itoa(i)+"]", strconv.Quote(string(e)), "a name that is not known already")
		default:
			all = append(all, e)
		}
	}
	c.Environments = all
	c.Prefixes, c.Foreign = slices.Clone(c.Prefixes), slices.Clone(c.Foreign)
	for i, p := range c.Prefixes {
		if !variable(p) || !strings.HasSuffix(p, "_") {
			f.Add("Prefixes["+strconv.Itoa(i)+"]", strconv.Quote(p), `the beginning of a variable up to an underscore, such as "VOICE_"`)
		}
	}
	return c
}

const wantVariable = "1 to 100 of A to Z, 0 to 9 and _, the first a letter"

// variable reports whether name can be a variable's.
func variable(name string) bool {
	ok := len(name) >= 1 && len(name) <= 100 && 'A' <= name[0] && name[0] <= 'Z'
	for _, c := range []byte(name) {
		ok = ok && (c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z')
	}
	return ok
}
