// One request to the service, its progress while it is under way, and what came of it.
import { newID, watch } from "./progress.js";

// Over HTTP/1.1 a browser has six connections to a server, and a watched request takes two. Two at a time are watched; what
// comes on top is not held up, it goes without its progress.
let free = 2;

// listeners hear of every answer: the limit that is left, and that a vendor may have received something.
const listeners = [];
export const onAnswer = (listener) => listeners.push(listener);

// request never rejects. It returns
//   { ok, status, data, attempts, replayed, problem, id, limit }   where there was an answer
//   { ok: false, network: true, offline, problem, id }              where there was none
export async function request(method, path, { body, key, onProgress, watched = true } = {}) {
  watched &&= free > 0;
  if (watched) free--;
  const id = newID();
  const progress = watched ? watch(id, onProgress || (() => {})) : null;
  try {
    await progress?.ready; // subscribed before the request goes out: no attempt is missed
    const headers = { Accept: "application/json", "X-Correlation-ID": id };
    if (body) headers["Content-Type"] = "application/json";
    if (key) headers["Idempotency-Key"] = '"' + key + '"';
    const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
    const data = await answer.json().catch(() => ({}));
    const result = {
      ok: answer.ok, status: answer.status, data, attempts: data.attempts || 1,
      replayed: answer.headers.get("Idempotency-Replayed") === "true",
      id: answer.headers.get("X-Correlation-ID") || id, problem: answer.ok ? null : problem(answer, data), limit: limit(answer.headers),
    };
    for (const l of listeners) l(result);
    return result;
  } catch {
    const result = { ok: false, network: true, offline: navigator.onLine === false, problem: { fields: {} }, id };
    for (const l of listeners) l(result);
    return result;
  } finally {
    progress?.close();
    if (watched) free++;
  }
}

// problem reads an RFC 9457 document, whatever is missing in it.
function problem(answer, d) {
  const header = Number(answer.headers.get("Retry-After"));
  return {
    kind: d.kind || (answer.status === 429 ? "rate_limited" : "internal"), detail: d.detail || "", delivery: d.delivery,
    wait: d.retry_after || (header > 0 ? header : 0), attempts: d.retry?.attempt || 0, fields: d.fields || {},
    id: d.correlation_id,
  };
}

// limit reads RateLimit and RateLimit-Policy: of several limits the one of which least is left.
function limit(headers) {
  const quota = new Map();
  for (const [, name, q] of (headers.get("RateLimit-Policy") || "").matchAll(/"([^"]*)"[^,]*?;q=(\d+)/g)) quota.set(name, Number(q));
  let least = null;
  for (const [, name, r, reset] of (headers.get("RateLimit") || "").matchAll(/"([^"]*)"[^,]*?;r=(\d+)(?:[^,]*?;t=(\d+))?/g)) {
    if (!least || Number(r) < least.left) least = { name, left: Number(r), of: quota.get(name), reset: Number(reset || 0) };
  }
  return least;
}

// intent keeps one Idempotency-Key for one intention, however often its button is pressed. A content keeps its key until
// it was done, or a person deliberately asks for it again.
export function intent() {
  const keys = new Map();
  return {
    key(content) {
      const of = JSON.stringify(content);
      if (!keys.has(of)) keys.set(of, newID());
      return keys.get(of);
    },
    forget(content) { keys.delete(JSON.stringify(content)); },
  };
}
