"use strict";

// The words of the page: what a state or a decision is called.
const number = new Intl.NumberFormat("en");

// span says a duration as a person would.
function span(seconds) {
  const s = Math.max(0, Math.ceil(seconds));
  if (s === 1) return "1 second";
  if (s < 90) return s + " seconds";
  const m = Math.round(s / 60);
  return m < 90 ? m + " minutes" : Math.round(m / 60) + " hours";
}
function clock(t) {
  return new Date(t).toLocaleTimeString("en-GB");
}

const words = {
  "closed": "Closed", "half-open": "Half-open", "open": "Open", "forced-open": "Forced open", "disabled": "Disabled",
};
const shape = { "closed": "", "half-open": "half", "open": "lifted", "forced-open": "lifted", "disabled": "" };
function tone(b) {
  if (b.state === "disabled") return "off";
  if (b.would_reject) return b.shadow ? "degraded" : "down";
  return b.state === "closed" ? "up" : "degraded";
}

// sentence says what the breaker does with the next call. left is the time to the next probe.
function sentence(b, left) {
  const are = b.shadow ? "would be" : "are";
  const shadow = b.shadow ? " Shadow mode: they pass." : "";
  switch (b.state) {
    case "open":
      if (left <= 0) return "Ready to probe: the next call tries the vendor." + shadow;
      return "Calls " + are + " refused. Next probe in " + span(left) + "." + shadow;
    case "half-open":
      if (b.would_reject) return "A probe is under way, other calls " + are + " refused." + shadow;
      return "Probing: the next call tries the vendor." + shadow;
    case "forced-open":
      return "Calls " + are + " refused by command, until it is reset." + shadow;
    case "disabled":
      return "Calls pass unguarded, and nothing is counted.";
    default:
      if (!b.failures) return "Calls pass.";
      return "Calls pass. " + b.failures + " of the last " + b.calls + " failed.";
  }
}

const commands = {
  force_open: {
    name: "Force open", done: "forced open", when: (b) => b.state !== "forced-open",
    why: "Every call to it is refused at once, until somebody resets it.",
  },
  disable: {
    name: "Disable", done: "disabled", when: (b) => b.state !== "disabled",
    why: "Every call passes and nothing is counted, however the vendor fares, until somebody resets it.",
  },
  reset: {
    name: "Reset", done: "reset", when: () => true,
    why: "It forgets what it has counted and begins anew, closed.",
  },
};

const stops = {
  breaker_open: "by the breaker", rate_limited: "by the limiter", bulkhead_full: "too many calls in flight",
  budget: "the retry budget is empty", deadline: "no time was left", exhausted: "all attempts are used up",
  unsafe_method: "a retry might do it twice", body_not_replayable: "the body cannot be sent twice", permanent: "for good",
};
const reasons = {
  threshold: "too many failures", ready: "its time was over", probe_failed: "the probe failed", recovered: "the probe succeeded",
  mode: "its mode was switched", forced: "by command", disabled: "by command", reset: "by command",
};
const failures = {
  dial: "no connection", dns: "no address", tls: "no TLS connection", timeout: "no answer in time",
  reset: "the connection broke", protocol: "not HTTP", malformed: "an answer that was none",
  transport: "the transport failed", invalid: "the request is not valid",
};
const why = (reason) => failures[reason] || (/^\d+$/.test(reason) ? "status " + reason : (reason || "").replaceAll("_", " "));
const because = (...parts) => { const p = parts.filter(Boolean); return p.length ? ": " + p.join(", ") : ""; };
// told is what a decision was, as a tone, a word and the rest of the sentence.
function told(d) {
  switch (d.what) {
    case "transition": {
      const t = { "open": "down", "forced-open": "down", "closed": "up", "half-open": "degraded", "disabled": "off" }[d.to];
      const host = d.breaker === d.source ? "" : d.breaker.replace(d.source + "/", "") + " ";
      return [t, host + (words[d.to] || d.to), because(d.reason === "ready" ? "probing" : reasons[d.reason], d.wait_seconds && "for " + span(d.wait_seconds))];
    }
    case "refused": return ["", "Refused", because(d.stop === "permanent" ? "by the kill switch" : stops[d.stop])];
    case "limited": return ["degraded", d.to === "would_deny" ? "Would be limited" : "Limited", because(d.to && d.reason ? "by " + d.reason.replace(d.source + "/", "") : why(d.reason), d.wait_seconds && "again in " + span(d.wait_seconds))];
    case "retried": return ["", "Retry", because(why(d.reason))];
    case "failed": return ["degraded", "Failed", because(why(d.reason), stops[d.stop])];
    case "paused": return ["degraded", "Paused", because("the vendor asked for " + span(d.wait_seconds || 0))];
    case "outage": return ["down", "Store down", because({ open: "everything passes", closed: "everything is refused", local: "each process grants its share" }[d.reason])];
    case "recovered": return ["up", "Store answers again", ""];
    case "switched": return ["off", d.flag + " is " + (d.to || "unset"),
      d.reason === "overridden" ? " by " + d.who + because(d.why, d.wait_seconds && "for " + span(d.wait_seconds)) : d.reason === "cleared" ? " again, by " + d.who + because(d.why) : d.reason === "expired" ? " again: an override is over" : ""];
    case "command": return ["off", (commands[d.reason] || { name: d.reason }).name, d.who ? " by " + d.who : ""];
    default: return ["", d.what, ""];
  }
}
function list(names) {
  return names.length < 2 ? names.join("") : names.slice(0, -1).join(", ") + " and " + names.at(-1);
}
