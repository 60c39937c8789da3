// Package page is the page of the reference service: plain HTML, CSS and ES modules, embedded, with no build step and
// nothing from another host.
//
//	r := chi.NewRouter()
//	r.Handle("/", page.Handler())
//	r.Handle("/assets/*", page.Handler())
//
// It talks to the service's API at /api/v1, reads each vendor's breaker from /ops/status and the simulators' counts from
// /demo/vendors. What is under way it knows from the Server-Sent Events of an httpx.EventStream at
// /api/v1/progress/{correlation_id}, by assets/progress.js: one file that any front end may copy.
//
// # Failure
//
// A problem document (RFC 9457) becomes a sentence that says what is known and what to do. Its member "fields", an object
// of a sentence by the name of a form's field, is shown at the field. One intention has one Idempotency-Key, however often
// its button is pressed; where delivery is unknown, only a person's "Send again" makes a new one.
//
// # Concurrency
//
// The handler holds no state but the files, and is safe for concurrent use.
//
// # Time
//
// The page counts down by its own monotonic clock, from seconds that the service names: a wrong clock changes nothing.
//
// # Cost
//
// The files are 63 KiB in all, read once from memory, and answered with 304 where the browser has them.
package page
