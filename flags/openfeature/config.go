package openfeature

import (
	"slices"
	"strconv"
	"time"

	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/internal/check"
)

// Config is the configuration of [Follow]. The zero value works.
type Config struct {
	// Flags are the names of the flags that follow. Empty means all that are neither locked nor secret. To name one that is, or one
	// that does not exist, is an error.
	Flags []string
	// Key is what a flag is called at the provider, such as "voice-timeout" for VOICE_TIMEOUT. Nil means as in the set.
	Key func(flag string) string

	// Interval is how often all flags are evaluated where no event says that something has changed: some providers have no events,
	// and a rule may depend on the time. Each wait is up to a tenth shorter or longer, so that the processes of a service do not
	// ask all at once. 0 means 30 s, at which LaunchDarkly's server SDK polls; negative means at events only. 1 s to 24 h.
	Interval time.Duration
	// Timeout is how long the evaluation of all flags may take together, and how long [Follow] waits for the first one. 0 means
	// 10 s, the lower end of what the SDK recommends for providers behind a network. 1 ms to 10 min.
	Timeout time.Duration

	// Hooks are told what happens.
	Hooks Hooks
}

const (
	defaultInterval = 30 * time.Second
	defaultTimeout  = 10 * time.Second
)

// effective returns c with its defaults filled in and adds every fault to f.
func (c Config) effective(l *flags.Listing, f *check.Faults) Config {
	if c.Interval == 0 {
		c.Interval = defaultInterval
	}
	if c.Interval > 0 {
		check.Range(f, "Interval", c.Interval, time.Second, 24*time.Hour)
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	check.Range(f, "Timeout", c.Timeout, time.Millisecond, 10*time.Minute)
	if c.Key == nil {
		c.Key = func(flag string) string { return flag }
	}
	if len(c.Flags) == 0 {
		c.Flags = nil
		for i := range l.Flags {
			if e := &l.Flags[i]; !e.Locked && !e.Secret {
				c.Flags = append(c.Flags, e.Name)
			}
		}
		return c
	}
	for i, name := range c.Flags {
		want := ""
		switch at := place(l, name); {
		case at < 0:
			want = "a flag of the set"
		case l.Flags[at].Locked:
			want = "one that is not locked"
		case l.Flags[at].Secret:
			want = "one that is not secret: a provider's hooks see its values"
		case slices.Index(c.Flags, name) < i:
			want = "each once"
		}
		if want != "" {
			f.Add("Flags["+strconv.Itoa(i)+"]", strconv.Quote(name), want)
		}
	}
	return c
}

// place is where the flag is in l, and stays: flags are only added.
func place(l *flags.Listing, name string) int {
	return slices.IndexFunc(l.Flags, func(e flags.Entry) bool { return e.Name == name })
}
