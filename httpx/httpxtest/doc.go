// Package httpxtest checks http.RoundTrippers that wrap others: retriers, breakers, limiters, tracers and whole
// clients. It is to a transport what testing/slogtest is to a log handler.
//
//	func TestTransport(t *testing.T) {
//		httpxtest.Run(t, httpxtest.Subject{
//			Wrap: func(base http.RoundTripper) (http.RoundTripper, error) {
//				return mylib.NewRetrier(base, mylib.Attempts(3), mylib.Backoff(time.Millisecond)), nil
//			},
//			MaxAttempts: 3,
//		})
//	}
//
// A check is a plain function that returns an error ([Check.Run]): a program may run one alone, or list what some
// transport fails without failing itself. The checks come in families, named by prefix: body, retry, responses,
// leaks, context, hostile, concurrency and errors. [Checks] lists them with the rule each one holds. Checks that need
// a network run over HTTP/1.1 and over HTTP/2, and end in /h1 or /h2.
//
// Build the subject with the smallest backoff it allows, a millisecond say, and with limits no check should meet: at
// least 64 concurrent calls, no rate limit, a breaker that stays closed for 64 failures in a row, a retry budget that
// pays for 64 retries. A time limit of its own, total or per attempt, is to be 5 seconds or more.
//
// # Failure
//
// Every check is bounded: one that takes longer than [Timeout] fails, and the error holds the stacks of the
// goroutines it left. A panic on the goroutine of a call is a failure of the check; one on a goroutine of the
// subject's own ends the program, as nothing can catch it. What a subject that hangs has started stays behind.
//
// # Concurrency
//
// Checks share nothing and may run at the same time, and [Run] does run them so; [Subject.Wrap] must therefore be
// safe for concurrent use. Those that measure memory ([Check.Serial]) want to run alone. Use the race detector:
// concurrency/own-response finds most with it.
//
// # Time
//
// A run takes a second or two where all is well. What must be prompt, or come to rest (a connection, a goroutine, a
// body to be closed), has 3 of the 10 seconds of [Timeout]: a failure takes longer than a success. Both are
// counted while the program runs: on a machine that is too busy they stretch.
//
// # Cost
//
// The package needs the standard library and package errors of this module only. The servers listen on the loopback
// interface.
package httpxtest
