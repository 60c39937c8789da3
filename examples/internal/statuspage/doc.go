// Package statuspage holds one long test: the page of package httpx/status in a real browser, over clients of two
// simulated vendors, of which one goes down and comes back.
//
//	go -C examples test ./internal/statuspage -run . -v
//	PRUSIK_SCREENSHOTS=/tmp/shots go -C examples test ./internal/statuspage // and keep the pictures
//
// It asks the browser for roles, accessible names and live regions, and never for the shape of the document. The commands
// are given by the keyboard alone.
package statuspage
