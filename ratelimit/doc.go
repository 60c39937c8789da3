// Package ratelimit limits requests by key, and says so in its answers.
package ratelimit
