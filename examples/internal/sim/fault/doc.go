// Package fault serves a vendor's behaviour over real HTTP on loopback and breaks it on demand.
//
//	s, err := fault.New(fault.Config{
//		Handler: vendor, // any http.Handler
//		Script:  fault.Sequence(fault.ResetAfterRead(true), fault.TooManyRequests()),
//	})
//	if err != nil {
//		return err
//	}
//	defer s.Close()
//	_, err = http.Post(s.URL()+"/messages", "text/plain", strings.NewReader("hi")) // connection reset by peer
//	for _, e := range s.Entries() {
//		fmt.Println(e.Seq, e.Path, e.Fault, e.Processed) // 1 /messages processed_reset_after_read true
//	}
//
// A [Server] asks its [Script] for one [Fault] per request, carries it out, and writes the truth into a ledger of
// [Entry] values: what came in, whether the vendor acted on it, what was answered. The truth is what a client
// cannot know: after a reset or a 503, was the message sent?
//
// # Faults
//
// Each fault says in its comment whether the handler runs. An entry is Processed when the handler ran and
// answered below 400, unless the handler said otherwise with [SetProcessed].
//
// The server reads a request whole and runs the handler to its end before the first byte of an answer leaves, so
// handlers may not stream. A client that goes away while an answer is held back does not undo the processing.
//
// [Server.Outage] puts every request under one fault until [Server.Recover]; [Server.Down] closes the port until
// [Server.Up], so that dialling is refused.
//
// # Failure
//
// New reports every fault of its Config at once. A handler that panics answers 500 with the panic's text.
//
// # Concurrency
//
// Everything may be called from several goroutines, at any time. An entry is complete before its answer, reset or
// close reaches the client, with one exception: a client that gives up by itself must wait for
// [Server.Quiesce] before it reads the ledger. Close returns when every goroutine of the server has ended.
//
// # Time
//
// Waits use timers in real time and end early when the client goes away or the server closes.
//
// # Cost
//
// The ledger keeps the last [Config.MaxEntries] requests and some 250 bytes for each; [Server.Reset] empties it.
package fault
