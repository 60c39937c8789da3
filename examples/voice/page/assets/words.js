// The words of the page: what an answer means for the person who asked.

// span says a time as a person would.
export function span(seconds) {
  const s = Math.max(0, Math.ceil(seconds));
  if (s === 1) return "1 second";
  if (s < 90) return s + " seconds";
  const m = Math.round(s / 60);
  return m < 90 ? m + " minutes" : Math.round(m / 60) + " hours";
}

export const count = (n, one) => n + " " + one + (n === 1 ? "" : "s");

// after says what it took, where it took more than one attempt.
export const after = (attempts) => (attempts > 1 ? " after " + attempts + " attempts" : "");

// explain turns a failed result into
//   { tone, title, detail, wait, waiting(left), over, unknown, quote }
// what is { noun: "text", done: "sent", vendor: "Twilio", writes: true, keyed: true, again: "Send again" }. waiting says the
// countdown, over that it has ended, unknown that it may have been done, and quote that the id is worth quoting.
export function explain(r, what) {
  const vendor = what.vendor || "The service";
  const nothing = what.writes ? " Nothing was " + what.done + "." : "";
  if (r.network) {
    const safe = what.keyed
      ? " It is safe to try again: this " + what.noun + " has a key, and is not " + what.done + " twice."
      : what.writes ? " It may have been " + what.done + ": check, or try again." : " Try again.";
    return r.offline
      ? { tone: "warn", title: "You are offline.", detail: "What you have typed is kept. Try again when you are connected." }
      : { tone: "bad", title: "No answer from this service.", detail: safe.trim(), quote: true };
  }
  const p = r.problem;
  const tried = p.attempts > 1 ? " It was tried " + p.attempts + " times." : "";
  const out = { tone: "bad", wait: p.wait, waiting: (left) => "You can try again in " + span(left) + ".", over: "You can try again now.", quote: r.status >= 500 };
  if (maybe(r, what)) {
    return {
      ...out, tone: "warn", unknown: true, wait: 0, quote: true,
      title: "Unknown: it may have been " + what.done + ". Check before " + what.repeat + " again.",
      detail: vendor + " may have carried it out: its answer was lost, or was an error. So it was not " + what.done + " a second time.",
    };
  }
  switch (p.kind) {
    case "rate_limited":
      return { ...out, tone: "warn", title: "That was one request too many.", detail: "Each visitor has a limit, and you have reached yours." + nothing };
    case "circuit_open":
      return {
        ...out, title: vendor + " is down, so it is not being asked.", over: "The next try goes to " + vendor + ".",
        detail: "The circuit is open: after several failures calls are refused at once instead of making you wait." + nothing,
        waiting: (left) => "Next probe in " + span(left) + ". You may try at any time.",
      };
    case "vendor_rate_limited":
      return { ...out, tone: "warn", title: vendor + " is busy and asks us to slow down.", detail: nothing.trim() + tried };
    case "vendor_bad_response":
    case "vendor_timeout":
      return {
        ...out, detail: (nothing + tried).trim() || "You can try again.",
        title: vendor + (p.kind === "vendor_timeout" ? " did not answer in time." : " did not answer properly."),
      };
    case "feature_disabled":
      return { ...out, tone: "info", title: p.detail || "This is switched off.", detail: what.disabled || "An operator can switch it on.", quote: false };
    case "conflict":
      return { ...out, tone: "warn", title: "The first one is still under way.", detail: p.detail };
    case "unavailable":
      return { ...out, title: "This service is busy.", detail: (p.detail || "") + nothing };
    case "internal":
      return { ...out, title: "Something went wrong on our side.", detail: p.delivery === "not_sent" ? nothing.trim() : "" };
    default:
      return { ...out, title: p.detail || "That was refused.", detail: p.delivery === "rejected" && what.vendor ? vendor + " refused it." + nothing : nothing.trim() };
  }
}

// maybe reports whether it may have been done although the answer is a failure. Where nothing is said, the careful answer
// is yes: after a request that writes, a vendor's failure without a word on delivery is unknown.
function maybe(r, what) {
  if (!what.writes) return false;
  if (r.problem.delivery) return r.problem.delivery === "unknown" || r.problem.delivery === "delivered";
  return ["vendor_bad_response", "vendor_timeout", "internal", "canceled"].includes(r.problem.kind) && r.status >= 499;
}

export const stubs = "These routes serve made-up data for development, and must not by accident do so in production. " +
  "An operator turns them on by starting the service with APP_ENV=development and INTEGRATIONS_STUB_MODE=true.";

// breaker says in plain words what happens to the next call, as { word, tone, line(left), wait, over }.
export function breaker(client, vendor) {
  const b = client.breakers?.[0];
  const paused = Math.max(0, ...(client.limits || []).map((l) => l.paused_for_seconds || 0));
  if (!b) return { word: "Unguarded", tone: "off", line: () => "Nothing guards calls to " + vendor + "." };
  switch (b.state) {
    case "open":
      if (!b.next_probe_in_seconds) return { word: "Ready to probe", tone: "degraded", line: () => "Your next call tries " + vendor + " again." };
      return {
        word: "Circuit open", tone: "down", wait: b.next_probe_in_seconds, over: "Your next call tries " + vendor + " again.",
        line: (left) => vendor + " fails, so calls are refused at once. Next probe in " + span(left) + ".",
      };
    case "half-open":
      return { word: "Probing", tone: "degraded", line: () => "One call is finding out whether " + vendor + " is back." };
    case "forced-open":
      return { word: "Stopped by hand", tone: "down", line: () => "The circuit is held open: an operator has stopped all calls to " + vendor + "." };
    case "disabled":
      return { word: "Unguarded", tone: "off", line: () => "The breaker is disabled: calls go through, and failures are not counted." };
    default:
      if (paused > 0) {
        return {
          word: "Paused", tone: "degraded", wait: paused, over: "Calls go through.",
          line: (left) => vendor + " asked for a pause: " + span(left) + " left.",
        };
      }
      if (b.failures > 0) return { word: "Having trouble", tone: "degraded", line: () => "The circuit is closed: calls go through. " + b.failures + " of the last " + b.calls + " failed." };
      return { word: "Working", tone: "up", line: () => "The circuit is closed: calls go through." };
  }
}

// The ways to break a simulated vendor: the name, what it does then, and what a visitor may try.
export const faults = {
  none: ["Healthy", "It answers as it should.", "Break it, and see what this page makes of it."],
  down: ["Down", "It answers 503 to everything.", "Ask for its list a few times: the circuit opens, and you no longer wait."],
  slow: ["Slow", "It answers, but late.", "Ask for its list: a slow answer is cut off and asked for again."],
  flaky: ["Flaky", "Every second request fails with 503.", "Ask for its list: it is tried again while you watch. A text never is."],
  busy: ["Busy", "It answers 429: come back later.", "A request that it refused was not carried out, so it may be sent again."],
  lost_answer: ["Lost answer", "It does what it is asked, and the answer is lost on the way.", "Send a text: it is sent once, and you are told that nobody can know. Then check."],
};
