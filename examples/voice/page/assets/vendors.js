// Each vendor: its breaker as the service sees it, the ways to break it where it is simulated, and what its people got.
import { onAnswer } from "./api.js";
import { $, alarm, el, rest, say, text, until } from "./dom.js";
import { breaker, count, faults } from "./words.js";

const title = (name) => ({ twilio: "Twilio", vapi: "Vapi" }[name] || name);
const cards = new Map();

function card(name) {
  if (cards.has(name)) return cards.get(name);
  const vendor = title(name);
  const c = {
    vendor, word: el("span", { class: "pill" }), line: el("p", { class: "line" }), got: el("dd"), said: null, fault: null,
    what: el("p", { class: "hint" }), buttons: new Map(),
  };
  c.group = el("div", { class: "faults", role: "group", "aria-label": "Break " + vendor }, Object.entries(faults).map(([fault, [label]]) => {
    const b = el("button", { type: "button", "aria-pressed": "false", onclick: () => play(name, fault) }, label);
    c.buttons.set(fault, b);
    return b;
  }));
  c.outage = el("div", { class: "outage", hidden: true }, el("p", { class: "label", "aria-hidden": "true" }, "Break it"), c.group, c.what);
  c.received = el("dl", { class: "got", hidden: true }, el("dt", null, "What people really received"), c.got);
  c.node = el("article", { class: "card vendor", "aria-labelledby": "vendor-" + name },
    el("div", { class: "top" }, el("h3", { id: "vendor-" + name }, vendor), c.word), c.line, c.received, c.outage);
  cards.set(name, c);
  $("vendors").append(c.node);
  $("vendors-none").hidden = true;
  return c;
}

// show reads a state of /ops/status.
function show(state) {
  for (const client of state.clients || []) {
    const c = card(client.name);
    const b = breaker(client, c.vendor);
    text(c.word, b.word);
    c.word.className = "pill " + b.tone;
    c.node.className = "card vendor " + b.tone;
    const line = (left) => (b.wait && !left ? b.over : b.line(left));
    rest(c.line);
    if (b.wait) until(c.line, b.wait, line, () => say(b.over));
    else text(c.line, line(0));
    const now = b.word + (b.wait ? "/waiting" : "");
    if (c.said !== null && c.said !== now) say(c.vendor + ": " + b.word + ". " + line(b.wait));
    c.said = now;
  }
}

function simulated(vendor) {
  const c = card(vendor.name);
  const words = { messages: "text", calls: "call" };
  const rank = ([k]) => (k in words ? Object.keys(words).indexOf(k) : 9);
  const received = Object.entries(vendor.received || {}).sort((a, b) => rank(a) - rank(b));
  text(c.got, received.map(([k, n]) => (words[k] ? count(n, words[k]) : n + " " + k.replaceAll("_", " "))).join(", ") || "nothing");
  c.received.hidden = false;
  c.outage.hidden = false;
  c.fault = vendor.fault;
  for (const [fault, b] of c.buttons) b.setAttribute("aria-pressed", String(fault === vendor.fault));
  const [, does, hint] = faults[vendor.fault] || [vendor.fault, "", ""];
  text(c.what, does + " " + hint);
}

async function play(name, fault) {
  const c = card(name);
  const sorry = (why) => alarm(c.vendor + " could not be changed. " + why);
  try {
    const answer = await fetch("/demo/vendors/" + name, {
      method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ fault }),
    });
    const data = await answer.json().catch(() => ({}));
    if (!answer.ok) {
      sorry(data.detail || "Try again.");
      text(c.what, c.vendor + " could not be changed. " + (data.detail || "Try again."));
      return;
    }
    simulated(data.vendor || data);
    say(c.vendor + ": " + faults[fault][0] + ". " + c.what.textContent);
  } catch {
    sorry("No answer from this service.");
    text(c.what, c.vendor + " could not be changed: no answer from this service.");
  }
}

// count what the vendors' people received, at most once a second; where there are no simulators there is nothing to ask.
let asking = false, again = false, real = false;
async function refresh() {
  if (real) return;
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  try {
    const answer = await fetch("/demo/vendors", { headers: { Accept: "application/json" } });
    if (answer.ok) {
      for (const v of (await answer.json()).vendors || []) simulated(v);
      text($("people"), "Both vendors are simulated inside this program: nobody is texted or called, whatever you press.");
    } else if (answer.status === 404) {
      real = true;
      text($("people"), "These are the real vendors: what you send reaches people, and costs money.");
      $("people").classList.add("real");
    }
  } catch {
    // the stream of states says that the service is gone
  }
  setTimeout(() => {
    asking = false;
    if (again) {
      again = false;
      refresh();
    }
  }, 1000);
}

// startVendors follows the stream of states, and says when it is lost.
export function startVendors() {
  let source = null, lost = false, misses = 0, heard = performance.now();
  const link = (s, state) => {
    text($("link-text"), s);
    $("link").className = "link " + state;
  };
  function gone() {
    const offline = navigator.onLine === false;
    link(offline ? "You are offline" : "Not connected, trying again", "lost");
    if (!lost) alarm(offline ? "You are offline. What is shown may be old." : "Not connected, trying again. What is shown may be old.");
    lost = true;
  }
  function close() {
    source?.close();
    source = null;
  }
  function open() {
    close();
    const mine = source = new EventSource("/ops/status");
    mine.addEventListener("state", (e) => {
      if (lost) say("Connected again.");
      lost = false;
      misses = 0;
      heard = performance.now();
      link("Live", "live");
      show(JSON.parse(e.data));
      refresh();
    });
    mine.addEventListener("error", () => {
      if (mine !== source) return;
      if (mine.readyState === EventSource.CLOSED) { // an answer that is no stream: the browser does not come back
        gone();
        setTimeout(() => { if (mine === source) open(); }, 5000);
      } else if (++misses > 1 || navigator.onLine === false) { // the first is the end of a stream, as there is one every few minutes
        gone();
      }
    });
  }
  // A page that nobody looks at gives its connection back: a browser has six of them for all its tabs.
  const look = () => (document.hidden ? close() : open());
  document.addEventListener("visibilitychange", look);
  addEventListener("offline", look); // not gone yet: the service may be on this machine
  addEventListener("online", look);
  setInterval(() => { if (source && performance.now() - heard > 15000) gone(); }, 1000); // three beats of the server
  open();
  refresh();
  onAnswer(refresh);
}
