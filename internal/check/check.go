// Package check collects every fault of a configuration, so that New can report all of them at once.
package check

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
)

// Faults collects faults. The zero value is not usable; see [New].
type Faults struct {
	where string
	errs  []error
}

// New returns an empty collection; where is the package and the object's name: `breaker "twilio"`.
func New(pkg, name string) *Faults {
	return &Faults{where: fmt.Sprintf("%s %q", pkg, name)}
}

// Add records that field has value, where want describes what is accepted.
func (f *Faults) Add(field string, value any, want string) {
	f.errs = append(f.errs, fmt.Errorf("%s: %s = %v: want %s", f.where, field, value, want))
}

// Err returns all faults joined, or nil.
func (f *Faults) Err() error { return errors.Join(f.errs...) }

// Range records a fault unless lo <= value <= hi.
func Range[T cmp.Ordered](f *Faults, field string, value, lo, hi T) {
	if !(lo <= value && value <= hi) { // written so that NaN is a fault
		f.Add(field, value, fmt.Sprintf("%v to %v", lo, hi))
	}
}

// Name records a fault unless name can be a label of metrics, logs and headers: 1 to 64 letters, digits, '.',
// '_' or '-'.
func (f *Faults) Name(name string) {
	if !Name(name) {
		f.Add("name", fmt.Sprintf("%q", name), `1 to 64 of letters, digits, ".", "_" and "-"`)
	}
}

// Name is what [Faults.Name] checks.
func Name(name string) bool {
	ok := len(name) >= 1 && len(name) <= 64
	for _, c := range []byte(name) {
		ok = ok && (c == '.' || c == '_' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z')
	}
	return ok
}

// Header records a fault unless name can be the name of a header field (RFC 9110, section 5.6.2).
func (f *Faults) Header(field, name string) {
	ok := name != ""
	for _, c := range []byte(name) {
		ok = ok && (strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z')
	}
	if !ok {
		f.Add(field, fmt.Sprintf("%q", name), "the name of a header field")
	}
}
