// Package inbound holds tests of what a server puts around its routes (correlation, errors, ratelimit, idempotency) all together, on
// chi and on net/http's ServeMux, by real requests to a real server. What each of the four does alone is tested beside it.
//
// The order, outermost first, is correlation, errors, ratelimit, idempotency: so a panic and a refusal are answered with the id of
// their request, and what a limiter refuses has no
// key yet.
package inbound
