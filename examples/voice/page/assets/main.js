import { intent, onAnswer } from "./api.js";
import { $, el, say, text, until } from "./dom.js";
import { check, field, task } from "./task.js";
import { after, stubs } from "./words.js";
import { startVendors } from "./vendors.js";

const phone = /^\+[1-9][0-9]{6,14}$/;
const wrongPhone = (v) => (!v ? "Enter a phone number." : phone.test(v) ? "" : "Enter the number with its country code, such as +15005550006.");

// list is one of a vendor's lists: what is in it, or what to do next.
function list({ place, button, path, of, empty, row, what }) {
  const t = task($(place + "-task"), { writes: false, ...what });
  const rows = $(place);
  let items = [];
  function show(data) {
    items = data[of] || [];
    rows.replaceChildren(...items.slice(0, 5).map((i) => el("li", null, ...row(i))));
    rows.hidden = !items.length;
    $(place + "-none").hidden = items.length > 0;
    text($(place + "-none"), data.guidance || empty);
  }
  const load = async (watched) => {
    t.clear();
    const r = await t.run("GET", path, { button: $(button), watched });
    if (r?.ok) show(r.data);
    return r;
  };
  // add puts one on top that was sent just now: asking for the list would cost the visitor a request of his ten.
  const add = (item) => { if (item && !items.some((i) => i.sid === item.sid)) show({ [of]: [item, ...items] }); };
  $(button).addEventListener("click", async () => {
    const r = await load();
    if (r?.ok && r.attempts === 1) say("Read: " + (r.data[of]?.length || "none") + ".");
  });
  return { load, show, add, of, row };
}

// sender is a form that sends something to a person: once.
function sender({ form, path, one, content, fields, what, outbox, same }) {
  const key = intent();
  const t = task($(form + "-task"), { writes: true, keyed: true, ...what });
  const button = $(form).querySelector("button[type=submit]");

  const send = async (body) => {
    const r = await t.run("POST", path, {
      body, key: key.key(body), button, actions: { unknown: () => unknown(body) },
      done: (r) => {
        key.forget(body);
        const sentence = what.Noun + " " + what.done + " to " + (r.data[one]?.to || body.to);
        return {
          title: (r.replayed ? what.Noun + " was " + what.done + " already, and not a second time" : sentence + after(r.attempts)) + ".",
          detail: r.data[one]?.sid ? what.vendor + " has it as " + r.data[one].sid + "." : "",
        };
      },
    });
    if (!r) return;
    if (r.ok) {
      fields.at(-1).input.value = ""; // the number stays: the next one often goes to it too
      outbox.add(r.data[one]);
    } else if (r.status === 422) { // this key was used for something else: it is no good to us
      key.forget(body);
    } else if (Object.keys(r.problem.fields).length) {
      check(fields.map((f) => [f, r.problem.fields[f.input.name] || ""]));
    }
  };

  // unknown are the means to find out, and to send it again all the same.
  function unknown(body) {
    const found = el("div", { class: "found" });
    const looking = task(found, { ...what, writes: false, name: "Asking " + what.vendor });
    const answer = el("p", { class: "title" });
    const matches = el("ul", { class: "rows" });
    const checkButton = el("button", {
      type: "button", class: "strong",
      onclick: async () => {
        const r = await looking.run("GET", path, { button: checkButton });
        if (!r?.ok) return;
        outbox.show(r.data);
        const hits = (r.data[outbox.of] || []).filter((i) => same(i, body));
        const s = hits.length
          ? what.vendor + " has " + (hits.length === 1 ? "one such " + what.noun : hits.length + " such " + what.noun + "s") + " to " + body.to + ". There is no need to send it again."
          : what.vendor + " has no such " + what.noun + " to " + body.to + ". You can send it again.";
        text(answer, s);
        matches.replaceChildren(...hits.map((i) => el("li", null, ...outbox.row(i))));
        if (!answer.isConnected) found.append(answer, matches);
        say(s);
      },
    }, "Check");
    const warning = el("p", { class: "hint", id: form + "-again-hint" }, what.twice);
    const again = el("button", {
      type: "button", "aria-describedby": form + "-again-hint",
      onclick: () => {
        key.forget(body); // a new intention, and so a new key
        button.focus(); // this button goes away
        send(body);
      },
    }, what.again);
    return el("div", { class: "means" }, el("div", { class: "row" }, checkButton, again), warning, found);
  }

  $(form).addEventListener("submit", (e) => {
    e.preventDefault();
    if (t.busy) return;
    if (check(fields.map((f) => [f, f.wrong(f.value)]))) send(content());
    else t.clear();
  });
  button.addEventListener("click", (e) => { if (e.detail > 1) e.preventDefault(); }); // the second click of a double one
  $(form).addEventListener("keydown", (e) => { if (e.key === "Enter" && e.repeat) e.preventDefault(); }); // a key held down
  for (const f of fields) f.input.addEventListener("input", () => f.set(""));
}

const of = (id, wrong) => Object.assign(field($(id)), { wrong });

const state = (s) => el("span", { class: "state" }, s || "");
const texts = list({
  place: "messages", button: "messages-refresh", path: "/api/v1/twilio/messages", of: "messages",
  empty: "No text was sent yet. Write one above and press Send text.",
  row: textRow, what: { name: "Reading the texts", vendor: "Twilio" },
});
function textRow(m) { return [el("span", { class: "who" }, m.to), state(m.status), el("span", { class: "what" }, m.body)]; }

const calls = list({
  place: "calls", button: "calls-refresh", path: "/api/v1/twilio/calls", of: "calls",
  empty: "No call was placed yet. Write what to say above and press Place call.",
  row: callRow, what: { name: "Reading the calls", vendor: "Twilio" },
});
function callRow(c) { return [el("span", { class: "who" }, c.to), state(c.status)]; }

const digits = (s) => String(s || "").replace(/[^0-9+]/g, "");
const textFields = [of("text-to", wrongPhone), of("text-body", (v) => (!v ? "Write a text." : v.length > 1600 ? "A text has at most 1600 characters." : ""))];
sender({
  form: "text", path: "/api/v1/twilio/messages", one: "message", fields: textFields, outbox: texts,
  content: () => ({ to: textFields[0].value, body: textFields[1].value }),
  same: (m, body) => digits(m.to) === digits(body.to) && (m.body === undefined || m.body.trim() === body.body),
  what: {
    name: "Sending the text", noun: "text", Noun: "Text", done: "sent", repeat: "sending", vendor: "Twilio", again: "Send again",
    twice: "If the first one did arrive, this texts them twice.",
  },
});
const callFields = [of("call-to", wrongPhone), of("call-say", (v) => (!v ? "Write what to say." : ""))];
sender({
  form: "call", path: "/api/v1/twilio/calls", one: "call", fields: callFields, outbox: calls,
  content: () => ({ to: callFields[0].value, say: callFields[1].value }),
  same: (c, body) => digits(c.to) === digits(body.to),
  what: {
    name: "Placing the call", noun: "call", Noun: "Call", done: "placed", repeat: "calling", vendor: "Twilio", again: "Call again",
    twice: "If the first one did go through, this rings them twice.",
  },
});

// The assistants of Vapi: each can be changed where it stands.
const settings = {
  task: task($("settings-task"), { name: "Reading the settings", vendor: "Vapi", writes: false }),
  async load(watched) {
    this.task.clear();
    const r = await this.task.run("GET", "/api/v1/vapi/settings", { button: $("settings-refresh"), watched });
    if (!r?.ok) return r;
    const { assistants = [], phone_numbers = [], guidance } = r.data;
    $("settings").replaceChildren(...assistants.map(assistant));
    $("settings").hidden = !assistants.length;
    $("settings-none").hidden = assistants.length > 0;
    text($("settings-none"), (!assistants.length && guidance) || "Vapi has no assistant yet. Create one in Vapi's dashboard, then press Read again.");
    $("numbers").replaceChildren(...phone_numbers.map((n) => el("li", null, el("span", { class: "who" }, n.number), el("span", { class: "what" }, n.name || ""))));
    $("numbers").hidden = !phone_numbers.length;
    $("numbers-none").hidden = phone_numbers.length > 0;
    text($("numbers-none"), (assistants.length && guidance) || "No phone number yet. Buy or import one in Vapi's dashboard.");
    return r;
  },
};
$("settings-refresh").addEventListener("click", async () => {
  const r = await settings.load();
  if (r?.ok && r.attempts === 1) say("Settings read.");
});

function assistant(a, i) {
  const id = "assistant-" + i;
  const name = el("input", { id: id + "-name", name: "name", autocomplete: "off", value: a.name || "", "aria-describedby": id + "-name-error" });
  const first = el("textarea", { id: id + "-first", name: "first_message", rows: "2", "aria-describedby": id + "-first-error" });
  first.value = a.first_message || "";
  const save = el("button", { type: "submit" }, "Save");
  const place = el("div");
  const form = el("form", { novalidate: true, "aria-label": "Assistant " + (a.name || a.id) },
    el("div", { class: "field" }, el("label", { for: id + "-name" }, "Name"), name, el("p", { class: "error", id: id + "-name-error", hidden: true })),
    el("div", { class: "field" }, el("label", { for: id + "-first" }, "First message"), first, el("p", { class: "error", id: id + "-first-error", hidden: true })),
    el("div", { class: "row" }, save), place);
  const t = task(place, { name: "Saving " + (a.name || "the assistant"), noun: "change", done: "saved", repeat: "saving", vendor: "Vapi", writes: true });
  let fields;
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    if (t.busy) return;
    fields ||= [field(name), field(first)];
    if (!check([[fields[0], fields[0].value ? "" : "Give the assistant a name."], [fields[1], ""]])) return;
    const body = {};
    if (fields[0].value !== a.name) body.name = fields[0].value;
    if (fields[1].value !== a.first_message) body.first_message = fields[1].value;
    if (!Object.keys(body).length) {
      t.tell({ title: "Nothing to save: nothing was changed.", quiet: true });
      return;
    }
    const r = await t.run("PATCH", "/api/v1/vapi/settings/assistants/" + encodeURIComponent(a.id), {
      body, button: save, actions: { unknown: again },
      done: (r) => ({ title: (r.data.assistant?.name || fields[0].value) + " saved" + after(r.attempts) + "." }),
    });
    if (r?.ok) {
      Object.assign(a, body, r.data.assistant);
      form.setAttribute("aria-label", "Assistant " + a.name);
    } else if (r && Object.keys(r.problem.fields).length) {
      check(fields.map((f) => [f, r.problem.fields[f.input.name] || ""]));
    }
  });
  const again = () => el("div", { class: "means row" }, el("button", {
    type: "button", class: "strong",
    onclick: async () => {
      const r = await settings.load();
      if (!r?.ok) return;
      $("settings-refresh").focus(); // this button has gone with the old list
      say("These are the settings as Vapi has them.");
    },
  }, "Check"));
  return el("li", null, form);
}

// Calendar and e-mail: stubs, shown when asked for.
function stub({ place, path, of, row, name, vendor, empty }) {
  const what = { name, vendor, writes: false, disabled: stubs };
  const t = task($(place + "-task"), what);
  $(place + "-show").addEventListener("click", async () => {
    t.clear();
    const r = await t.run("GET", path, { button: $(place + "-show") });
    $(place + "-stub").hidden = !(r?.ok && r.data.stub);
    const items = (r?.ok && r.data[of]) || [];
    $(place).replaceChildren(...items.map((i) => el("li", null, ...row(i))));
    $(place).hidden = !items.length;
    $(place + "-none").hidden = !r?.ok || items.length > 0;
    text($(place + "-none"), r?.data?.guidance || empty);
    if (r?.ok) say(items.length + " shown" + (r.data.stub ? ", made-up data." : "."));
  });
}
const when = (s) => {
  const t = new Date(s);
  return s && !isNaN(t) ? t.toLocaleString("en-GB", { weekday: "short", hour: "2-digit", minute: "2-digit" }) : s || "";
};
stub({
  place: "events", path: "/api/v1/integrations/calendar/google/events", of: "events", name: "Reading the calendar", vendor: "The calendar",
  empty: "No event is in the calendar.",
  row: (e) => [el("span", { class: "who" }, e.summary || e.title || "Untitled"), el("span", { class: "what" }, when(e.start?.dateTime || e.start))],
});
stub({
  place: "mail", path: "/api/v1/integrations/email/messages", of: "messages", name: "Reading the e-mail", vendor: "The e-mail",
  empty: "No e-mail is there.",
  row: (m) => [el("span", { class: "who" }, m.subject || "No subject"), el("span", { class: "what" }, m.from || "")],
});

// The limit, as the answers have it: it is the visitor's own, and tight.
onAnswer((r) => {
  if (!r.limit) return;
  const { left, of: quota, reset } = r.limit;
  $("limit").hidden = false;
  const share = left + (quota ? " of " + quota : "") + " left";
  text($("limit-text"), share);
  const bar = $("limit-bar");
  bar.setAttribute("aria-valuemax", quota || Math.max(left, 1));
  bar.setAttribute("aria-valuenow", left);
  bar.setAttribute("aria-valuetext", share);
  bar.firstElementChild.style.setProperty("--part", quota ? left / quota : 1);
  bar.classList.toggle("low", left < 3);
  if (reset) until($("limit-reset"), reset, (s) => (s ? "more in " + s + " s" : ""));
});

startVendors();
for (const it of [texts, calls, settings]) it.load(false); // a vendor that is slow now does not take the connections of who acts
