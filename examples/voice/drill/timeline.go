package drill

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// pen writes lines, in colour where a person looks at a terminal and has not asked for none (no-color.org).
type pen struct {
	w      io.Writer
	colour bool
}

func newPen(w io.Writer) pen {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return pen{w: w}
	}
	info, err := f.Stat()
	return pen{w, err == nil && info.Mode()&os.ModeCharDevice != 0}
}

// ink is a colour of the terminal's own palette, so that it suits a dark and a light one.
type ink string

const (
	plain  ink = ""
	bold   ink = "1"
	red    ink = "1;31"
	green  ink = "1;32"
	yellow ink = "1;33"
	dim    ink = "2"
)

func (p pen) in(c ink, text string) string {
	if !p.colour || c == plain || strings.TrimSpace(text) == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

func (p pen) line(format string, args ...any) { _, _ = fmt.Fprintf(p.w, format+"\n", args...) }

// timeline prints what happens, when, and to whom. Lines that would repeat are said once a stage; how often that was is
// in the stage's last line.
type timeline struct {
	pen   pen
	start time.Time

	mu   sync.Mutex
	said map[string]bool
}

func newTimeline(w io.Writer) *timeline {
	return &timeline{pen: newPen(w), start: time.Now(), said: make(map[string]bool)}
}

// say prints one line. The mark is a word in capitals that names a state, or "".
func (t *timeline) say(vendor string, c ink, mark, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pen.line("%s  %-6s  %s  %s", t.pen.in(dim, fmt.Sprintf("%5.1f s", time.Since(t.start).Seconds())), vendor,
		t.pen.in(c, fmt.Sprintf("%-6s", mark)), fmt.Sprintf(format, args...))
}

// once is say, the first time since the last forget that key comes.
func (t *timeline) once(key, vendor, format string, args ...any) {
	t.mu.Lock()
	first := !t.said[key]
	t.said[key] = true
	t.mu.Unlock()
	if first {
		t.say(vendor, plain, "", format, args...)
	}
}

func (t *timeline) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.said)
}
