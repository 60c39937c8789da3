package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
)

type object = map[string]any

var description = sync.OnceValue(func() object {
	var doc object
	if err := json.Unmarshal(openAPIDocument, &doc); err != nil {
		panic(err)
	}
	return doc
})

// at is the member of v by names, one in the other; nil where there is none.
func at(v any, names ...string) any {
	for _, name := range names {
		o, _ := resolve(v).(object)
		v = o[name]
	}
	return resolve(v)
}

// resolve follows a $ref of the document.
func resolve(v any) any {
	o, _ := v.(object)
	name, ok := o["$ref"].(string)
	if !ok {
		return v
	}
	found := any(description())
	for part := range strings.SplitSeq(strings.TrimPrefix(name, "#/"), "/") {
		o, _ := found.(object)
		if found = o[part]; found == nil {
			panic("nothing at " + name)
		}
	}
	return resolve(found)
}

// described says what is wrong with an answer by the description: its status, its type, and of JSON its members.
func described(method, path string, r reply) error {
	path, _, _ = strings.Cut(path, "?")
	for template, operations := range description()["paths"].(object) {
		if !regexp.MustCompile("^" + regexp.MustCompile(`\\\{[^}]*\}`).ReplaceAllString(regexp.QuoteMeta(template), "[^/]+") + "$").MatchString(path) {
			continue
		}
		operation := at(operations, strings.ToLower(method))
		if operation == nil {
			continue
		}
		response := at(operation, "responses", strconv.Itoa(r.status))
		if response == nil {
			return fmt.Errorf("%s %s has no %d", method, template, r.status)
		}
		if r.header.Get("X-Correlation-Id") == "" {
			return fmt.Errorf("%s %s: no correlation id", method, template)
		}
		kinds, _ := at(response, "content").(object)
		if len(kinds) == 0 && len(r.body) == 0 {
			return nil
		}
		kind, _, err := mime.ParseMediaType(r.header.Get("Content-Type"))
		if err != nil {
			return err
		}
		media, ok := kinds[kind]
		if !ok {
			media, ok = kinds["*/*"]
		}
		if !ok {
			return fmt.Errorf("%s %s: %d is not described as %s", method, template, r.status, kind)
		}
		if !strings.HasSuffix(kind, "json") {
			return nil
		}
		var body any
		if err := json.Unmarshal(r.body, &body); err != nil {
			return err
		}
		return valid(at(media, "schema"), body, "the body")
	}
	return fmt.Errorf("%s %s is not described", method, path)
}

// valid holds v against the few words of JSON Schema that the document uses.
func valid(schema, v any, where string) error {
	s, _ := resolve(schema).(object)
	if one, ok := s["enum"].([]any); ok && !slices.Contains(one, v) {
		return fmt.Errorf("%s is %v, want one of %v", where, v, one)
	}
	types, _ := s["type"].([]any)
	if name, ok := s["type"].(string); ok {
		types = []any{name}
	}
	if len(types) > 0 && !slices.ContainsFunc(types, func(name any) bool { return isOf(name, v) }) {
		return fmt.Errorf("%s is %v, want %v", where, v, types)
	}
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			if err := valid(s["items"], item, fmt.Sprintf("%s[%d]", where, i)); err != nil {
				return err
			}
		}
	case object:
		required, _ := s["required"].([]any)
		for _, name := range required {
			if _, ok := v[name.(string)]; !ok {
				return fmt.Errorf("%s has no %v", where, name)
			}
		}
		properties, _ := s["properties"].(object)
		for name, member := range v {
			property, known := properties[name]
			if !known && s["additionalProperties"] == false {
				return fmt.Errorf("%s has %s, which is not described", where, name)
			}
			if err := valid(property, member, where+"."+name); known && err != nil {
				return err
			}
		}
	}
	return nil
}

func isOf(name, v any) bool {
	n, number := v.(float64)
	switch name {
	case "null":
		return v == nil
	case "integer":
		return number && n == float64(int64(n))
	default:
		return name == map[string]string{"string": "string", "bool": "boolean", "map[string]interface {}": "object", "[]interface {}": "array"}[fmt.Sprintf("%T", v)]
	}
}

// Every route is described, every description has its route, and the parameters of a path are the same.
func TestTheDescriptionIsOfTheseRoutes(t *testing.T) {
	g := start(t)
	var have, want []string
	require.NoError(t, chi.Walk(g.router, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		have = append(have, method+" "+strings.Replace(route, "*", "{file}", 1))
		return nil
	}))
	ids := map[any]bool{}
	for path, operations := range description()["paths"].(object) {
		for method, operation := range operations.(object) {
			want = append(want, strings.ToUpper(method)+" "+path)
			require.False(t, ids[at(operation, "operationId")], "each id once")
			ids[at(operation, "operationId")] = true
			var inPath, named []string
			for _, m := range regexp.MustCompile(`\{(.*?)\}`).FindAllStringSubmatch(path, -1) {
				inPath = append(inPath, m[1])
			}
			parameters, _ := at(operation, "parameters").([]any)
			for _, p := range parameters {
				if at(p, "in") == "path" {
					named = append(named, at(p, "name").(string))
				}
			}
			require.ElementsMatch(t, inPath, named, path)
			for status, response := range at(operation, "responses").(object) {
				if status >= "400" {
					require.NotNil(t, at(response, "content", errors.ContentType), "%s %s: a failure is a problem", path, status)
				}
			}
		}
	}
	require.ElementsMatch(t, want, have)
	require.NotEmpty(t, have)

	var kinds []any
	for _, k := range errors.Kinds() {
		kinds = append(kinds, string(k))
	}
	require.ElementsMatch(t, kinds, at(description(), "components", "schemas", "Problem", "properties", "kind", "enum"))
	served := g.send(t, "GET /openapi.json", "").object(t, http.StatusOK)
	require.Equal(t, "3.1.1", served["openapi"])
	require.Equal(t, slices.Sorted(maps.Keys(description())), slices.Sorted(maps.Keys(served)))
}

// The check can fail.
func TestWhatIsNotDescribedIsFound(t *testing.T) {
	ok := http.Header{"Content-Type": {"application/json"}, "X-Correlation-Id": {"a"}}
	for body, want := range map[string]string{
		`{"message":{"sid":"SM1","to":"1","body":"x","status":"queued"},"attempts":1}`:                                   "has no correlation_id",
		`{"message":{"sid":"SM1","to":"1","body":"x"},"attempts":1,"correlation_id":"a"}`:                                "has no status",
		`{"message":{"sid":1,"to":"1","body":"x","status":"queued"},"attempts":1,"correlation_id":"a"}`:                  "sid is 1, want [string]",
		`{"message":{"sid":"SM1","to":"1","body":"x","status":"queued"},"attempts":1.5,"correlation_id":"a"}`:            "want [integer]",
		`{"message":{"sid":"SM1","to":"1","body":"x","status":"queued"},"attempts":1,"correlation_id":"a","secret":"x"}`: "secret, which is not described",
	} {
		require.ErrorContains(t, described("POST", "/api/v1/twilio/messages", reply{201, ok, []byte(body)}), want)
	}
	require.ErrorContains(t, described("POST", "/api/v1/twilio/messages", reply{418, ok, nil}), "has no 418")
	require.ErrorContains(t, described("PUT", "/api/v1/twilio/messages", reply{200, ok, nil}), "is not described")
}
