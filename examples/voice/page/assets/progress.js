// progress.js: what happens to a request while it is under way, such as "Retrying, attempt 2 of 3, next try in 5 s".
//
// One file for any front end: no dependency, no build step. It reads the Server-Sent Events of Prusik's httpx.EventStream.
//
//   import { newID, watch, sentence } from "./progress.js";
//
//   const id = newID();
//   const progress = watch(id, (p) => { label.textContent = sentence(p); });
//   await progress.ready;                               // subscribed, or given up: it never rejects and never hangs
//   const answer = await fetch("/api/v1/twilio/messages", { method: "POST", headers: { "X-Correlation-ID": id }, body });
//   progress.close();                                   // the answer is the last word, not the stream
//
// watch(id, onProgress, options) calls onProgress, in order and once for each event, with
//
//   { status,              "attempt", "retrying", "circuit_open", "rate_limited", "succeeded" or "failed"
//     attempt,             from 1; for "retrying" the attempt that follows; 0 where none was made
//     maxAttempts,
//     nextRetryInSeconds,  whole seconds, or null where there is no wait
//     tick,                true where only the clock has moved: show it, and do not announce it
//     service, reason, httpStatus, delivery, stop }     where the event has them, else undefined
//
// After a "retrying" it calls back each second with nextRetryInSeconds counted down, tick true, until the next event.
// A request may make more than one call to a vendor: "succeeded" and "failed" end a call, and close() ends the watch.
//
// options: url      (id) => address of the stream; default /api/v1/progress/ID
//          patience how long ready waits for the stream, in ms; default 1500. The request is worth more than its progress.
//          tries    how often in a row connecting may fail before it gives up; default 4
//          onLost   called once where it gives up: no more events will come, say so or show a plain spinner
//
// A stream that breaks is taken up where it was, and what was seen is not told twice. Over HTTP/1.1 a browser has six
// connections to a server, for all its tabs: close what is done, and do not watch more than two or three at a time.

// newID is a correlation id. crypto.randomUUID is there on https and on localhost only, hence the other way.
export function newID() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
}

export function watch(id, onProgress, options = {}) {
  const address = options.url ? options.url(id) : "/api/v1/progress/" + encodeURIComponent(id);
  const patience = options.patience ?? 1500;
  const tries = options.tries ?? 4;
  const seen = new Set();
  let source, again, clock, failures = 0, over = false, arrived;
  const ready = new Promise((resolve) => { arrived = resolve; });
  const waited = setTimeout(() => arrived(), patience);

  function stop() {
    over = true;
    source?.close();
    clearTimeout(again);
    clearTimeout(waited);
    clearInterval(clock);
    arrived();
  }

  function fail() {
    if (over) return;
    failures++;
    if (failures >= tries) {
      stop();
      options.onLost?.();
    } else if (source.readyState === EventSource.CLOSED) { // an answer that is no stream: the browser does not come back
      again = setTimeout(connect, 500 * 2 ** failures);
    } // else it does, by itself and with the last id it saw
  }

  function connect() {
    source = new EventSource(address);
    source.addEventListener("open", () => arrived());
    source.addEventListener("error", fail);
    source.addEventListener("message", (e) => {
      failures = 0; // a stream that ends before its first event is no success
      if (e.lastEventId && seen.has(e.lastEventId)) return;
      seen.add(e.lastEventId);
      const p = parse(e.data);
      if (p) tell(p);
    });
  }

  function tell(p) {
    clearInterval(clock);
    onProgress(p);
    if (over || p.status !== "retrying" || !p.nextRetryInSeconds) return;
    const end = performance.now() + 1000 * p.nextRetryInSeconds;
    let shown = p.nextRetryInSeconds;
    clock = setInterval(() => {
      const left = Math.max(0, Math.ceil((end - performance.now()) / 1000));
      if (left === shown) return;
      shown = left;
      if (left === 0) clearInterval(clock);
      onProgress({ ...p, nextRetryInSeconds: left, tick: true });
    }, 200);
  }

  connect();
  return { id, ready, close: stop };
}

// parse reads one event's data; null for what is none.
export function parse(data) {
  let e;
  try {
    e = JSON.parse(data);
  } catch {
    return null;
  }
  if (!e || typeof e.status !== "string") return null;
  const whole = (n) => (Number.isFinite(n) && n >= 0 ? Math.ceil(n) : 0);
  return {
    status: e.status, attempt: whole(e.attempt), maxAttempts: whole(e.max_attempts),
    nextRetryInSeconds: Number.isFinite(e.next_retry_in_seconds) ? whole(e.next_retry_in_seconds) : null,
    tick: false, service: e.service, reason: e.reason, httpStatus: e.http_status, delivery: e.delivery, stop: e.stop,
  };
}

// sentence is a progress in words.
export function sentence(p) {
  const of = "attempt " + p.attempt + " of " + p.maxAttempts;
  const wait = p.nextRetryInSeconds === null ? "" : ", next try in " + p.nextRetryInSeconds + " s";
  switch (p.status) {
    case "attempt": return p.attempt > 1 ? "Trying again, " + of : "Sending, " + of;
    case "retrying": return "Retrying, " + of + (p.nextRetryInSeconds === 0 ? ", next try now" : wait);
    case "circuit_open": return "The circuit is open" + wait;
    case "rate_limited": return "Held back by a limit" + wait;
    case "succeeded": return p.attempt > 1 ? "Done after " + p.attempt + " attempts" : "Done";
    case "failed": return p.attempt > 1 ? "Failed after " + p.attempt + " attempts" : "Failed";
    default: return p.status;
  }
}
