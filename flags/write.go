package flags

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/prusik-go/prusik/errors"
)

// WriteEnv writes the set as a .env.example: every variable with what it does and its default. Copied to .env it changes
// nothing. Where the set has declarations that are wrong, the error is theirs and nothing is written; so it is with the other writers.
func (s *Set) WriteEnv(w io.Writer) error {
	return s.write(w, func(b *bytes.Buffer, flags []Entry) {
		fmt.Fprintf(b, "# Where the program runs: %s. Unset, and any other name, counts as production.\n", s.environments())
		fmt.Fprintf(b, "# It belongs into the environment itself: in a file it is refused, and only in development is a file read.\n# %s=development\n", s.cfg.Variable)
		for i := range flags {
			e := &flags[i]
			fmt.Fprintf(b, "\n# %s\n# %s\n", e.Doc, sentence(append([]string{e.kind()}, e.rules()...)))
			value := e.Default
			switch {
			case e.Secret || e.Follows != "":
				fmt.Fprintf(b, "# %s=\n", e.Name)
				continue
			case strings.Contains(value, "'"):
				value = doubleQuoted(value)
			case strings.ContainsAny(value, " #\"`\\$"):
				value = "'" + value + "'"
			}
			fmt.Fprintf(b, "%s=%s\n", e.Name, value)
		}
	})
}

// doubleQuoted is a text as parseFile and a shell read it.
func doubleQuoted(text string) string {
	return `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`, `$`, `\$`, "`", "\\`").Replace(text) + `"`
}

// WriteMarkdown writes the set as a table for a README. A flag that is its follower's in all but the name has the follower's
// name in its row, and no further one.
func (s *Set) WriteMarkdown(w io.Writer) error {
	return s.write(w, func(b *bytes.Buffer, flags []Entry) {
		b.WriteString("| variable | default | what it does |\n|---|---|---|\n")
		fmt.Fprintf(b, "| `%s` | `production` | Where the program runs: %s. Any other name counts as production. |\n", s.cfg.Variable, s.environments())
		followers, folded := fold(flags)
		for i := range flags {
			e := &flags[i]
			if folded[e.Name] {
				continue
			}
			value := "unset"
			switch {
			case e.Follows != "":
				value = "`" + e.Follows + "`"
			case e.Default != "":
				value = "`" + e.Default + "`"
			}
			also := ""
			if names := followers[e.Name]; len(names) > 0 {
				also = " It is followed, where they are unset, by `" + strings.Join(names, "`, `") + "`."
			}
			fmt.Fprintf(b, "| `%s` | %s | %s (%s)%s |\n", e.Name, cellText(value), cellText(e.Doc),
				cellText(strings.Join(append([]string{e.kind()}, e.rules()...), "; ")), also)
		}
	})
}

// fold finds the followers that have a flag's rules and no others, and whom nobody follows.
func fold(flags []Entry) (followers map[string][]string, folded map[string]bool) {
	byName, followed := map[string]*Entry{}, map[string]bool{}
	for i := range flags {
		byName[flags[i].Name] = &flags[i]
		followed[flags[i].Follows] = true
	}
	followers, folded = map[string][]string{}, map[string]bool{}
	for i := range flags {
		e := &flags[i]
		of := byName[e.Follows]
		if of == nil || followed[e.Name] {
			continue
		}
		alone := *e
		alone.Follows = of.Follows
		if alone.kind() == of.kind() && slices.Equal(alone.rules(), of.rules()) {
			followers[of.Name] = append(followers[of.Name], e.Name)
			folded[e.Name] = true
		}
	}
	return followers, folded
}

// WriteChecklist writes what has to be set, and what must not be, in each environment, as a list in Markdown to go through at a deployment.
func (s *Set) WriteChecklist(w io.Writer) error {
	return s.write(w, func(b *bytes.Buffer, flags []Entry) {
		for i, env := range s.cfg.Environments {
			if i > 0 {
				b.WriteByte('\n')
			}
			fmt.Fprintf(b, "**%s**\n\n- [ ] `%s=%s`", env, s.cfg.Variable, env)
			if env == Production {
				b.WriteString(", or unset")
			}
			b.WriteByte('\n')
			for i := range flags {
				e := &flags[i]
				switch {
				case slices.Contains(e.RequiredIn, env):
					fmt.Fprintf(b, "- [ ] set `%s`: %s\n", e.Name, e.Doc)
				case slices.Contains(e.NeverIn, env):
					fmt.Fprintf(b, "- [ ] leave `%s` unset%s: the start is refused otherwise. %s\n", e.Name, e.orDefault(), e.Doc)
				}
			}
			for i := range flags {
				if e := &flags[i]; e.RemoveBy != "" {
					fmt.Fprintf(b, "- [ ] `%s` is to be gone by %s\n", e.Name, e.RemoveBy)
				}
			}
		}
	})
}

func (s *Set) write(w io.Writer, render func(*bytes.Buffer, []Entry)) error {
	l := s.List()
	s.mu.Lock()
	faults := slices.Clone(s.faults)
	s.mu.Unlock()
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	var b bytes.Buffer
	render(&b, l.Flags)
	_, err := w.Write(b.Bytes())
	return err
}

func (s *Set) environments() string {
	var names []string
	for _, e := range s.cfg.Environments {
		names = append(names, string(e))
	}
	return strings.Join(names, ", ")
}

// kind says what is accepted.
func (e *Entry) kind() string {
	switch kind(e.Type) {
	case boolKind:
		return "true or false"
	case enumKind:
		return "one of " + strings.Join(e.Choices, ", ")
	case durationKind:
		if e.Unit != "" {
			return e.Unit + ", or a duration such as 1m30s"
		}
		return "a duration such as 30s"
	default:
		return e.Type
	}
}

// rules are what else there is to know of the flag.
func (e *Entry) rules() (rules []string) {
	add := func(yes bool, rule string) {
		if yes {
			rules = append(rules, rule)
		}
	}
	add(e.Min != "", e.Min+" to "+e.Max)
	add(e.Follows != "", "unset: as "+e.Follows)
	add(len(e.RequiredIn) > 0, "required in "+list(e.RequiredIn))
	stays := "never anything but " + e.Default
	if e.Secret || e.Default == "" {
		stays = "never set"
	}
	add(len(e.NeverIn) > 0, stays+" in "+list(e.NeverIn))
	add(e.Secret, "secret")
	add(e.Locked, "not to be overridden at run time")
	add(e.RemoveBy != "", "to be gone by "+e.RemoveBy)
	return rules
}

func (e *Entry) orDefault() string {
	if e.Default == "" || e.Secret {
		return ""
	}
	return " or `" + e.Default + "`"
}

func list(environments []Environment) string {
	var names []string
	for _, e := range environments {
		names = append(names, string(e))
	}
	return strings.Join(names, " and ")
}

// sentence joins parts to one.
func sentence(parts []string) string {
	text := strings.Join(parts, "; ")
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// cellText is text in a cell of a table.
func cellText(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
