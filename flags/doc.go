// Package flags declares the switches of a program once, reads them strictly, and is safe where nothing is said.
//
//	var (
//		set      = flags.New("voice", flags.Config{Prefixes: []string{"VOICE_"}})
//		stubMode = set.Bool("INTEGRATIONS_STUB_MODE", flags.NeverIn(flags.Production),
//			flags.Doc("Serves canned e-mail and calendar data."))
//		timeout = set.Duration("VOICE_TIMEOUT", flags.Default(5*time.Second), flags.Unit(time.Second),
//			flags.Range(time.Second, time.Minute), flags.Doc("How long a caller waits for an answer."))
//	)
//
//	func main() {
//		if err := set.Load(os.Environ(), ".env"); err != nil {
//			log.Fatal(err) // everything that is wrong, at once
//		}
//		calendar := stubMode.Handler(flags.Gate{Detail: "Stub mode disabled"})(events) // 403 while it is off
//		http.Handle("GET /events", set.Handler(calendar))
//		log.Fatal(http.ListenAndServe(":8080", nil))
//	}
//
// Read a flag with [Flag.Get], or in a request with [Flag.In], which does not change its mind while the request is
// served. What counts is, in this order, an override at run time ([Set.Override]), the environment, in [Development] the .env
// file, the flag that it follows ([Follows]), the default. [Set.List] says which it is.
//
// Where the program runs is what APP_ENV says ([Config.Variable]); unset or unknown, it is [Production]. A flag with
// [NeverIn] keeps its default there, at the start and at run time.
//
// The documents are made of the declarations: [Set.WriteEnv] writes .env.example, [Set.WriteMarkdown] the table of a README,
// [Set.WriteChecklist] what to look at when deploying; package flagstest fails where they have drifted.
//
// # Failure
//
// [Set.Load] fails for a value that could be meant otherwise than it would be read. Of a bool, where FEATURE is declared:
//
//	FEATURE=true, True, 1     on
//	FEATURE=false, FALSE, 0   off
//	FEATURE=, or unset        the default
//	FEATURE=yes, on           error: want true or false: did you mean true?
//	FEATURE=flase             error: want true or false: did you mean false?
//	FEATURE="true "           error: want true or false, without white space around it
//	FEATRUE=true              error: looks like a flag that is not set: did you mean FEATURE?
//
// The last one where FEATURE is not set, or where the set owns the prefix. A mistake in a declaration is an error of Load
// as well. Until Load has succeeded every flag has its default, a gate answers 500, and overrides are refused. A refused
// override changes nothing, of several together too. No secret is in an error, an event or a document.
//
// # Concurrency
//
// Everything may be used from several goroutines. Declare flags before Load.
//
// # Time
//
// An override with [Change.For] ends by a timer, on the monotonic clock; the flags have no other goroutine or timer.
//
// # Cost
//
// [Flag.Get] is an atomic load and allocates nothing: under 1 ns, serial and parallel; [Flag.In] is a look into the context besides, and
// [Set.Handler] two allocations a request. Measured on 2 shared cores. A change copies the values of the set.
package flags
