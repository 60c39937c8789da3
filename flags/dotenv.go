package flags

import (
	"errors"
	"io/fs"
	"strings"
)

// assignment is a line of a file.
type assignment struct {
	name, text string
	line       int
}

type lineFault struct {
	line int
	want string
}

// parseFile reads the lines of a .env file: NAME=value, with or without "export" before it. A value in single quotes stands
// for itself; in double quotes \n and \t are a line's end and a tab, and \", \$, \` and \\ what they are in a shell; without quotes
// it ends at " #" or the end of the line, less the white space around it. Nothing is expanded and nothing spans lines: a value
// that another reader would expand is a fault.
func parseFile(text string) (found []assignment, faults []lineFault) {
	text = strings.TrimPrefix(text, "\ufeff")
	seen := map[string]bool{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		bad := func(want string) { faults = append(faults, lineFault{i + 1, want}) }
		if rest, ok := strings.CutPrefix(line, "export "); ok {
			line = strings.TrimSpace(rest)
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || !identifier(name) {
			bad("NAME=value, without white space around the name")
			continue
		}
		if seen[name] {
			bad("each variable once, and " + name + " is there already")
			continue
		}
		seen[name] = true
		if value, want := unquote(strings.TrimSpace(value)); want != "" {
			bad(want)
		} else {
			found = append(found, assignment{name: name, text: value, line: i + 1})
		}
	}
	return found, faults
}

// identifier reports whether name can be a variable of a shell.
func identifier(name string) bool {
	ok := name != "" && !('0' <= name[0] && name[0] <= '9')
	for _, c := range []byte(name) {
		ok = ok && (c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z')
	}
	return ok
}

func unquote(v string) (value, want string) {
	switch {
	case strings.HasPrefix(v, "'"):
		value, rest, closed := strings.Cut(v[1:], "'")
		if !closed || !comment(rest) {
			return "", "the closing quote, and nothing but a comment behind it"
		}
		return value, ""
	case strings.HasPrefix(v, `"`):
		return unescape(v[1:])
	}
	for i := range len(v) {
		if v[i] == '#' && (i == 0 || v[i-1] == ' ' || v[i-1] == '\t') {
			v = strings.TrimSpace(v[:i])
			break
		}
	}
	if strings.ContainsAny(v, "\"'`\\$") {
		return "", "a value with quotes, backslashes or dollars in single quotes"
	}
	return v, ""
}

// unescape reads what is in double quotes, the first of which is gone.
func unescape(v string) (value, want string) {
	var b strings.Builder
	for i := 0; i < len(v); i++ {
		switch c := v[i]; c {
		case '"':
			if !comment(v[i+1:]) {
				return "", "nothing but a comment behind the closing quote"
			}
			return b.String(), ""
		case '$', '`':
			return "", "a value with dollars in single quotes: nothing is expanded"
		case '\\':
			i++
			if i == len(v) {
				return "", "the closing quote"
			}
			switch v[i] {
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			case '"', '\\', '$', '`':
				b.WriteByte(v[i])
			default:
				return "", "after a backslash one of n, t, \", $, ` and \\"
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", "the closing quote"
}

// comment reports whether nothing but a comment follows a closing quote.
func comment(rest string) bool {
	trimmed := strings.TrimSpace(rest)
	return trimmed == "" || trimmed[0] == '#' && trimmed != rest
}

// reason is the cause of a file's error without its path, which is told already.
func reason(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}
