// Package tracing gives the clients of package httpx OpenTelemetry spans: one per call, and under it one per attempt.
//
//	func main() {
//		slog.SetDefault(slog.New(tracing.LogHandler(slog.NewJSONHandler(os.Stdout, nil))))
//		exporter, err := otlptracehttp.New(context.Background())
//		if err != nil {
//			log.Fatal(err)
//		}
//		provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter))
//		defer provider.Shutdown(context.Background())
//		tracer := tracing.New(tracing.Config{Provider: provider})
//		client, err := tracer.NewClient("twilio", httpx.Config{Profile: profile.Twilio()})
//		if err != nil {
//			log.Fatal(err)
//		}
//		_ = client // a plain *http.Client: hand it to the vendor's SDK
//	}
//
// The call's span is internal and named by service and method ("twilio POST"). It begins before everything the pipeline
// does and ends when the call does, with the response body. Events on it say what happened between the attempts: retrying
// (prusik.attempt, prusik.reason, prusik.wait_seconds), circuit_open, rate_limited and bulkhead_full
// (prusik.retry_after_seconds where it is known). A refused call has no attempt.
//
// An attempt's span is of kind client and named by its method, after the HTTP conventions, version 1.43.0. It begins when
// the attempt is sent and ends with its body, or at its failure: the waits are in no attempt. From the second on it has
// http.request.resend_count, which counts within a call: a redirect is another call, beside the first.
//
// Both have http.request.method, service.peer.name (the client's name), server.address, server.port,
// http.response.status_code, correlation_id and prusik.delivery; the call also prusik.attempts, and prusik.stop where
// it did not go well. Neither has a path, query, header or body, nor the text of an error: url.full, which the
// conventions want on an attempt, is the origin and the word REDACTED.
//
// Each attempt carries the trace in a header of its own copy of the request; the caller's stays as it is. Where no span is
// live in the request's context, the caller's span as package correlation has read it is the parent. For inbound requests
// use OpenTelemetry's otelhttp, outside of correlation's Handler. [TraceOf] gives exemplars to metrics.Config.Trace,
// [LogHandler] puts the live span's ids into the log.
//
// # Failure
//
// A status of 400 or above, a failed attempt, and an answer that the profile takes for a failure are of status Error with
// error.type: the status; for an attempt without one the reason that metrics and events have ("dial", "timeout"); for a
// call that ended in an error its kind ("circuit_open", "vendor_timeout"), with the stop reason as description. A call
// that panics ends its spans with error.type panic. A call whose body nobody reads to its end or closes is never over, and
// its spans are not exported, as its metrics are not counted.
//
// # Concurrency
//
// Everything may be used from several goroutines. A call's span ends on the goroutine that ends the body.
//
// # Time
//
// The clock is the provider's. Nothing waits, and no goroutine is started.
//
// # Cost
//
// The sampler decides on the call, and its attempts follow: a call that is not recorded has no span for its attempts, only
// the trace in their header. That costs 1.8 µs and 16 allocations a call, and a recorded one 11 µs and 43 allocations in two
// spans, besides its export: BenchmarkGET, the median of 100 short runs on 2 shared cores with Go 1.26, where the same call
// without spans takes 3.3 µs and 24.
package tracing
