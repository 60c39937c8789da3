package profile

import (
	"bytes"
	"encoding/json"
	"strings"
)

// The bodies here come from outside: any bytes, and cut off at Config.MaxErrorBody. So they are walked up to
// what is asked for and no further, and a fault behind that, or a wrong type beside it, does no harm.

// find returns the JSON value at a path of object members, and nil where there is none. Of members with the
// same name it takes the first.
func find(body []byte, path ...string) json.RawMessage {
	dec := json.NewDecoder(bytes.NewReader(body))
	for _, name := range path {
		if !enter(dec, name) {
			return nil
		}
	}
	return value(dec)
}

// list returns the values of the list at a path, up to the first that is broken, and ten at most.
func list(body []byte, path ...string) []json.RawMessage {
	dec := json.NewDecoder(bytes.NewReader(body))
	for _, name := range path {
		if !enter(dec, name) {
			return nil
		}
	}
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return nil
	}
	var l []json.RawMessage
	for len(l) < 10 && dec.More() {
		var v json.RawMessage
		if dec.Decode(&v) != nil {
			break
		}
		l = append(l, v)
	}
	return l
}

// enter opens the object that comes next and goes to the value of its member name, if that is among the first 256.
func enter(dec *json.Decoder, name string) bool {
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return false
	}
	for n := 0; n < 256 && dec.More(); n++ {
		key, err := dec.Token()
		if err != nil {
			return false
		}
		if key == name {
			return true
		}
		var skipped json.RawMessage
		if dec.Decode(&skipped) != nil {
			return false
		}
	}
	return false
}

// value reads the member value that comes next. One that ends with the body is not taken: of a number,
// nobody could tell that it is whole.
func value(dec *json.Decoder) json.RawMessage {
	var v json.RawMessage
	if dec.Decode(&v) != nil {
		return nil
	}
	if _, err := dec.Token(); err != nil {
		return nil
	}
	return v
}

// text renders a string as itself and a number as it is written. Anything else is empty.
func text(v json.RawMessage) string {
	if len(v) == 0 {
		return ""
	}
	switch c := v[0]; {
	case c == '"':
		var s string
		if json.Unmarshal(v, &s) != nil {
			return ""
		}
		return s
	case c == '-' || '0' <= c && c <= '9':
		return string(v)
	default:
		return ""
	}
}

// texts is text that also renders a list, its texts joined by "; ".
func texts(v json.RawMessage) string {
	if len(v) == 0 || v[0] != '[' {
		return text(v)
	}
	var parts []string
	for _, e := range list(v) {
		if s := text(e); s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, "; ")
}

// says reports whether s contains phrase, which is in lower case, in any case.
func says(s, phrase string) bool { return strings.Contains(strings.ToLower(s), phrase) }
