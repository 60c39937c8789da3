// A task is the face of one request: its button, its progress, and what came of it.
import { request } from "./api.js";
import { alarm, el, say, text, toast, until } from "./dom.js";
import { sentence } from "./progress.js";
import { after, explain } from "./words.js";

// task shows itself in place. what is as in explain, and has a name for the progress bar ("Sending the text").
export function task(place, what) {
  const words = el("p", { class: "now" });
  const bar = el("div", { class: "bar", role: "progressbar", "aria-label": what.name, "aria-valuemin": "0" });
  const progress = el("div", { class: "progress", hidden: true }, words, bar);
  const outcome = el("div", { class: "outcome", hidden: true });
  place.append(progress, outcome);
  let busy = false;

  // show draws one segment for each attempt, and fills the one that is waited for as the time goes by.
  let wait = 0;
  function show(p) {
    if (!p.tick) wait = p.status === "retrying" ? p.nextRetryInSeconds : 0;
    const s = sentence(p);
    text(words, s);
    bar.setAttribute("aria-valuetext", s);
    if (p.maxAttempts) {
      bar.setAttribute("aria-valuemax", p.maxAttempts);
      bar.setAttribute("aria-valuenow", p.attempt);
    }
    while (bar.children.length < p.maxAttempts) bar.append(el("span"));
    [...bar.children].forEach((segment, i) => {
      const here = i === p.attempt - 1;
      const part = i < p.attempt - 1 ? 1 : here && wait ? 1 - p.nextRetryInSeconds / wait : 0;
      segment.className = i < p.attempt - 1 ? "spent" : here && p.status === "attempt" ? "going" : here ? "next" : "";
      segment.style.setProperty("--part", part);
    });
    if (!p.tick && (p.status === "retrying" || p.attempt > 1)) say(s);
  }

  function begin(button) {
    busy = true;
    button?.setAttribute("aria-disabled", "true"); // not disabled: what has the focus keeps it
    outcome.hidden = true;
    outcome.replaceChildren();
    bar.replaceChildren();
    for (const a of ["aria-valuenow", "aria-valuemax"]) bar.removeAttribute(a);
    bar.setAttribute("aria-valuetext", what.name);
    text(words, what.name + "…");
    progress.hidden = false;
  }

  function end(button) {
    busy = false;
    button?.removeAttribute("aria-disabled");
    progress.hidden = true;
  }

  function fail(r, actions) {
    const e = explain(r, what);
    const quote = e.quote && (r.problem.id || r.id);
    const clock = el("p", { class: "clock" });
    outcome.className = "outcome " + e.tone;
    outcome.replaceChildren(el("p", { class: "title" }, e.title));
    if (e.detail) outcome.append(el("p", null, e.detail));
    if (e.wait) {
      outcome.append(clock);
      until(clock, e.wait, (left) => (left ? e.waiting(left) : e.over), () => say(e.over));
    }
    if (e.unknown && actions?.unknown) outcome.append(actions.unknown());
    if (quote) outcome.append(quotation(quote));
    outcome.hidden = false;
    alarm([what.writes ? "" : what.name + ":", e.title, e.detail, e.wait ? e.waiting(e.wait) : ""].filter(Boolean).join(" "));
  }

  return {
    // run makes the request once, however often it is asked to while one is under way. It returns the result, or null.
    async run(method, path, { body, key, button, actions, done, watched } = {}) {
      if (busy) return null;
      begin(button);
      const r = await request(method, path, { body, key, watched, onProgress: show });
      end(button);
      if (!r.ok) fail(r, actions);
      else if (done) this.tell(done(r), button);
      else if (r.attempts > 1) this.tell({ title: "Read" + after(r.attempts) + ".", quiet: true });
      return r;
    },
    // tell shows, and says, that it went well.
    tell({ title, detail, quiet }, home) {
      outcome.className = "outcome good";
      outcome.replaceChildren(el("p", { class: "title" }, title));
      if (detail) outcome.append(el("p", null, detail));
      outcome.hidden = false;
      if (quiet) say(title);
      else toast(title, home);
    },
    clear() {
      outcome.hidden = true;
      outcome.replaceChildren();
    },
    get busy() { return busy; },
  };
}

// quotation is the correlation id, to quote to support.
function quotation(id) {
  const code = el("code", { id: "reference-" + id }, id);
  const copy = el("button", {
    type: "button", class: "small", "aria-describedby": "reference-" + id,
    onclick: async () => {
      try {
        await navigator.clipboard.writeText(id);
        text(copy, "Copied");
        say("Copied.");
      } catch { // not allowed, or not over https: select it, so that a person can
        getSelection().selectAllChildren(code);
        say("Selected. Copy it with your keyboard.");
      }
    },
  }, "Copy");
  return el("p", { class: "quote" }, "Reference for support: ", code, " ", copy);
}

// field binds a form's input to the place of its error.
export function field(input) {
  const error = document.getElementById(input.id + "-error");
  return {
    input,
    get value() { return input.value.trim(); },
    set(message) {
      text(error, message);
      error.hidden = !message;
      if (message) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    },
  };
}

// check sets what is wrong with each field, and moves the focus to the first that is. errors are [field, message] pairs.
export function check(errors) {
  for (const [f, message] of errors) f.set(message);
  const wrong = errors.filter(([, message]) => message);
  if (!wrong.length) return true;
  alarm(wrong.map(([, message]) => message).join(" "));
  wrong[0][0].input.focus();
  return false;
}
