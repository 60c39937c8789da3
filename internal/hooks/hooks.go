// Package hooks joins callbacks.
package hooks

// Join returns a function that calls those of fs that are not nil, in order, and nil where there are none. A panic of one
// keeps the later ones from being called.
func Join[E any](fs ...func(E)) func(E) {
	var joined func(E)
	for _, f := range fs {
		switch first := joined; {
		case f == nil:
		case first == nil:
			joined = f
		default:
			joined = func(e E) {
				first(e)
				f(e)
			}
		}
	}
	return joined
}
