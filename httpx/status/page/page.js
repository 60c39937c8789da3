(() => {
  const $ = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";
  const silence = 15000; // ms without a word: three beats of the server

  // el makes an element: its attributes, then its children; a string is text and never markup.
  function el(name, attributes, ...children) {
    const e = document.createElement(name);
    for (const [k, v] of Object.entries(attributes || {})) {
      if (v === true) e.setAttribute(k, "");
      else if (v !== false && v !== undefined) e.setAttribute(k, v);
    }
    e.append(...children);
    return e;
  }
  const text = (node, s) => { if (node.textContent !== s) node.textContent = s; };
  const cls = (node, s) => { if (node.className !== s) node.className = s; };

  // keyed keeps one child of parent for each item, so that what has the focus stays.
  function keyed(parent, items, key, make, update) {
    const old = new Map([...parent.children].map((c) => [c.dataset.key, c]));
    let at = parent.firstElementChild;
    for (const item of items) {
      const k = key(item);
      let node = old.get(k);
      old.delete(k);
      if (!node) {
        node = make(item);
        node.dataset.key = k;
      }
      if (node === at) at = at.nextElementSibling;
      else parent.insertBefore(node, at);
      update(node, item);
    }
    for (const gone of old.values()) gone.remove();
  }

  const icon = () => {
    const s = document.createElementNS(SVG, "svg");
    s.setAttribute("viewBox", "0 0 24 16");
    s.setAttribute("aria-hidden", "true");
    const part = (name, attributes) => {
      const p = document.createElementNS(SVG, name);
      for (const [k, v] of Object.entries(attributes)) p.setAttribute(k, v);
      s.append(p);
    };
    part("line", { x1: 3, y1: 8, x2: 20, y2: 8 });
    part("circle", { cx: 3, cy: 8, r: 2.6 });
    part("circle", { cx: 21, cy: 8, r: 2.6 });
    return s;
  };
  const pill = () => el("span", { class: "pill" }, icon(), el("span"));
  function setPill(p, b) {
    cls(p, "pill " + tone(b) + " " + shape[b.state]);
    text(p.lastChild, words[b.state] || b.state);
  }

  function gauge(label) {
    const bar = el("div", { class: "bar", role: "meter", "aria-label": label, "aria-valuemin": "0" }, el("div"));
    return el("div", { class: "gauge" }, el("dt", null, label), el("dd", null, el("b"), el("span")), bar);
  }
  function setGauge(g, value, max, main, rest, low) {
    const bar = g.lastChild;
    text(g.children[1].firstChild, main);
    text(g.children[1].lastChild, rest);
    bar.setAttribute("aria-valuenow", String(value));
    bar.setAttribute("aria-valuemax", String(max));
    bar.setAttribute("aria-valuetext", main + rest);
    cls(bar, low ? "bar low" : "bar");
    bar.firstChild.style.setProperty("--part", String(max > 0 ? Math.min(1, value / max) : 0));
  }
  function figures(labels) {
    return el("dl", { class: "figures" }, ...labels.map((l) => el("div", null, el("dt", null, l), el("dd"))));
  }
  function setFigures(dl, values) {
    values.forEach((v, i) => {
      const dd = dl.children[i].lastChild;
      text(dd, number.format(v));
      cls(dd, v ? "" : "zero");
    });
  }

  // until keeps, for each node that counts down, when it is over, on this page's clock.
  const until = new Map();
  const left = (node) => ((until.get(node) || { at: 0 }).at - performance.now()) / 1000;

  function makeBreaker(client, b, many) {
    const p = pill();
    const says = el("p", { class: "says" });
    const row = el("div", { class: "row", hidden: true });
    const node = el("div", { class: "breaker" });
    node.append(many ? el("div", { class: "top" }, el("span", { class: "host" }, b.name.replace(client.name + "/", "")), p) : says);
    if (many) node.append(says);
    for (const [command, c] of Object.entries(commands)) {
      const button = el("button", { type: "button", "aria-label": c.name + " " + b.name, "data-command": command }, c.name);
      button.addEventListener("click", () => ask(command, client.id, b.name));
      row.append(button);
    }
    node.append(row);
    node.pill = p;
    node.says = says;
    node.row = row;
    return node;
  }
  function updateBreaker(node, b, allowed) {
    setPill(node.pill, b);
    until.set(node, { at: performance.now() + 1000 * (b.next_probe_in_seconds || 0), tick: () => text(node.says, sentence(b, left(node))) });
    text(node.says, sentence(b, left(node)));
    node.row.hidden = !allowed;
    for (const button of node.row.children) {
      const idle = !commands[button.dataset.command].when(b);
      if (idle && document.activeElement === button) continue; // the focus would fall off the page
      button.disabled = idle;
    }
  }

  // fill tells what is on the path of a client. It is fetched each time it is looked at, for flags may change it.
  async function fill(details, id) {
    const state = await (await fetch(location.href, { headers: { Accept: "application/json" } })).json();
    const e = (state.clients.find((c) => c.id === id) || {}).explain;
    if (!e) return;
    const list = details.querySelector("ol");
    const stages = e.stages.map((s) => el("li", null, el("b", null, s.policy.replaceAll("_", " ")), el("span", null, s.detail)));
    const w = e.worst_case;
    stages.push(el("li", null, el("b", null, "worst case"), el("span", null,
      w.attempts + (w.attempts === 1 ? " attempt" : " attempts") + "; load ×" + w.load + " on a vendor that is down, ×" + w.load_sustained + " in the long run; " +
      (w.latency_seconds ? "headers after " + span(w.latency_seconds) : "no limit in time"))));
    if (e.flags) stages.push(el("li", null, el("b", null, "changed by"), el("span", null, e.flags.join(", "))));
    list.replaceChildren(...stages);
  }

  function makeClient(c) {
    const heading = el("h3", { id: "client-" + c.id, tabindex: "-1" }, c.id);
    const card = el("article", { class: "card", "aria-labelledby": "client-" + c.id });
    const aside = el("span"); // the one breaker's pill
    const inFlight = gauge("In flight");
    const budget = gauge("Retry budget left");
    const counts = figures(["Calls", "Failed", "Retries", "Refused"]);
    const opened = el("p", { class: "by" });
    const foot = el("div", { class: "foot" }); // the one breaker's commands
    const breakers = el("div");
    const limits = el("ul", { class: "limits", role: "list", "aria-label": "Limits of " + c.id });
    const details = el("details", null, el("summary", null, "What is on the path"), el("ol", { class: "path", role: "list" }));
    details.addEventListener("toggle", () => {
      if (details.open) fill(details, c.id).catch(() => note("The path could not be read.", true));
    });
    card.append(
      el("div", { class: "top" }, el("div", null, heading, el("p", { class: "by" }, c.vendor && c.vendor !== c.name ? c.vendor : "")), aside),
      breakers, el("dl", { class: "gauges" }, inFlight, budget), counts, limits, opened, details, foot);
    Object.assign(card, { aside, foot, breakers, inFlight, budget, counts, limits, opened });
    return card;
  }
  function updateClient(card, c, allowed) {
    cls(card, "card " + c.level);
    const many = c.breakers.length !== 1;
    cls(card.breakers, many ? "many" : "");
    const kind = many ? "many/" : "one/";
    keyed(card.breakers, c.breakers, (b) => kind + b.name, (b) => makeBreaker(c, b, many), (n, b) => updateBreaker(n, b, allowed));
    if (!many) {
      const only = card.breakers.firstElementChild;
      if (card.aside.firstChild !== only.pill) card.aside.replaceChildren(only.pill);
      if (card.foot.firstChild !== only.row) card.foot.replaceChildren(only.row);
    } else {
      card.aside.replaceChildren();
      card.foot.replaceChildren();
    }
    const full = c.bulkhead && c.in_flight >= c.bulkhead;
    setGauge(card.inFlight, c.in_flight, c.bulkhead || c.in_flight || 1, number.format(c.in_flight), c.bulkhead ? " of " + number.format(c.bulkhead) : "", full);
    const has = c.retry_budget_left !== undefined;
    card.budget.hidden = !has;
    if (has) setGauge(card.budget, Math.round(100 * c.retry_budget_left), 100, Math.round(100 * c.retry_budget_left) + " %", "", c.retry_budget_left < 0.25);
    setFigures(card.counts, [c.calls, c.failed, c.retries, c.refused]);
    const last = c.breakers.reduce((t, b) => (b.opened_at && b.opened_at > t ? b.opened_at : t), "");
    let said = c.opens ? "Opened " + (c.opens === 1 ? "once" : number.format(c.opens) + " times") + (last ? ", last at " + clock(last) : "") : "Never opened";
    if (c.breakers_omitted) said += ". " + c.breakers_omitted + " more breakers are not shown";
    text(card.opened, said + ".");
    keyed(card.limits, c.limits || [], (l) => l.name, () => el("li"), (li, l) => {
      until.set(li, { at: performance.now() + 1000 * (l.paused_for_seconds || 0), tick: () => sayLimit(li, l) });
      sayLimit(li, l);
    });
  }
  function sayLimit(li, l) {
    const wait = left(li);
    let s = l.name === "custom" ? "A limiter of the program's own" : "Limit " + l.name + ": " + l.limits;
    if (wait > 0) s += ". The vendor asked for a pause, " + span(wait) + " left";
    else if (l.remaining !== undefined) s += ". The vendor allows " + number.format(l.remaining) + " in the next " + span(l.reset_in_seconds);
    cls(li, wait > 0 ? "hot" : "");
    text(li, s + ".");
  }

  function makeLimiter(l) {
    const card = el("article", { class: "card", "aria-labelledby": "limiter-" + l.id });
    const mark = el("span", { class: "pill" }, el("span"));
    const says = el("p", { class: "says" });
    const counts = figures(["Allowed", "Denied", "Exempt", "Errors"]);
    card.append(el("div", { class: "top" }, el("div", null, el("h3", { id: "limiter-" + l.id }, l.id), el("p", { class: "by" }, l.limits)), mark),
      el("div", { class: "breaker many" }, says), counts);
    Object.assign(card, { mark, says, counts });
    return card;
  }
  function updateLimiter(card, l) {
    let level = "up", word = "Enabled", s = "Counts in this process's memory: " + number.format(l.keys) + (l.keys === 1 ? " key" : " keys") + " held.";
    if (l.store === "shared") s = "Counts are shared, and the store answers.";
    if (l.mode === "shadow") { level = "off"; word = "Shadow"; s += " It refuses nobody: " + number.format(l.would_deny) + " would have been."; }
    if (l.mode === "disabled") { level = "off"; word = "Disabled"; s = "Everything passes."; }
    if (l.store_down) {
      level = l.on_outage === "closed" ? "down" : "degraded";
      word = "Store down";
      s = "The store has not answered since " + clock(l.down_since) + ". " +
        ({ open: "Everything passes, unlimited.", closed: "Everything is refused.", local: "Each process grants its own share." }[l.on_outage] || "");
    }
    if (l.evictions) s += " " + number.format(l.evictions) + " evictions: it holds too few keys.";
    cls(card, "card " + level);
    cls(card.mark, "pill " + level);
    text(card.mark.firstChild, word);
    text(card.says, s);
    setFigures(card.counts, [l.allowed, l.denied, l.exempt, l.errors]);
  }

  function makeDecision() {
    const li = el("li");
    li.append(el("time"), el("span", { class: "who" }), el("span", { class: "what" }, el("b"), el("span"), el("span", { class: "often" })), el("span", { class: "id" }));
    return li;
  }
  function updateDecision(li, d) {
    const [t, word, rest] = told(d);
    text(li.children[0], clock(d.at));
    li.children[0].setAttribute("datetime", d.at);
    text(li.children[1], d.source);
    cls(li.children[2].firstChild, t || "plain");
    text(li.children[2].firstChild, word);
    text(li.children[2].children[1], rest);
    const last = d.count > 1 && clock(d.last) !== clock(d.at) ? ", last at " + clock(d.last) : "";
    text(li.children[2].lastChild, d.count > 1 ? " (" + number.format(d.count) + " times" + last + ")" : "");
    text(li.children[3], d.correlation_id || "");
  }

  // say is heard by who cannot see. Only what changed is said, and at once what changed at once.
  let before = null;
  function announce(state) {
    const now = new Map();
    for (const c of state.clients) for (const b of c.breakers) now.set(c.id + " " + b.name, { c, b, said: b.state + "/" + (b.state === "open" && b.ready_to_probe) });
    const down = new Map(state.limiters.map((l) => [l.id, l.store_down]));
    if (before) {
      const said = [];
      for (const [k, { c, b, said: is }] of now) {
        const was = before.now.get(k);
        if (was !== undefined && was.said !== is) said.push((b.name === c.name ? c.id : b.name) + ": " + (words[b.state] || b.state) + ". " + sentence(b, b.next_probe_in_seconds || 0));
      }
      for (const [id, is] of down) if (before.down.has(id) && before.down.get(id) !== is) said.push("limiter " + id + ": " + (is ? "its store is down." : "its store answers again."));
      if (said.length) text($("say"), said.join(" "));
    } else {
      text($("say"), $("summary").textContent + ".");
    }
    before = { now, down };
  }

  function summarise(state) {
    const of = (level) => state.clients.filter((c) => c.level === level).map((c) => c.id);
    const down = of("down"), degraded = of("degraded");
    const stores = state.limiters.filter((l) => l.store_down).map((l) => l.id);
    let s = "Every vendor is up";
    if (!state.clients.length) s = "Nothing is watched yet";
    else if (down.length) s = down.length > 3 ? down.length + " of " + state.clients.length + " vendors are down" : list(down) + (down.length > 1 ? " are down" : " is down");
    else if (degraded.length) s = degraded.length > 3 ? degraded.length + " vendors need a look" : list(degraded) + (degraded.length > 1 ? " need a look" : " needs a look");
    else if (stores.length) s = "A limiter's store is down";
    text($("summary"), s);
    document.title = (down.length ? "Down: " + list(down) + " · " : "") + "Status";
    const total = state.clients.reduce((n, c) => n + c.calls, 0), flying = state.clients.reduce((n, c) => n + c.in_flight, 0);
    const key = [down, degraded, total, flying].join("/");
    if ($("detail").dataset.key === key || $("detail").contains(document.activeElement)) return;
    $("detail").dataset.key = key;
    const links = (ids) => ids.flatMap((id, i) => [
      i === 0 ? "" : i === ids.length - 1 ? " and " : ", ", el("a", { href: "#client-" + id }, id)]);
    $("detail").replaceChildren();
    if (down.length) $("detail").append("See ", ...links(down), ". ");
    if (degraded.length) $("detail").append(down.length ? "Then look at " : "See ", ...links(degraded), ". ");
    if (state.clients.length) $("detail").append(number.format(total) + (total === 1 ? " call" : " calls") + " since the start, " + number.format(flying) + " in flight.");
  }

  function show(state) {
    summarise(state);
    announce(state);
    $("clients-none").hidden = state.clients.length > 0;
    $("clients-h").hidden = !state.clients.length;
    $("omitted").hidden = !state.omitted;
    text($("omitted"), (state.omitted || 0) + " more are not listed: MaxWatched.");
    keyed($("clients"), state.clients, (c) => c.id, makeClient, (n, c) => updateClient(n, c, state.commands));
    $("limiters-s").hidden = !state.limiters.length;
    keyed($("limiters"), state.limiters, (l) => l.id, makeLimiter, updateLimiter);
    showFlags(state);
    $("recent-none").hidden = state.recent.length > 0;
    const seen = new Map(); // two decisions may be of one moment
    keyed($("recent"), state.recent, (d) => {
      const k = [d.at, d.source, d.what, d.stop, d.reason, d.breaker, d.flag].join(" ");
      seen.set(k, (seen.get(k) || 0) + 1);
      return k + " " + seen.get(k);
    }, makeDecision, updateDecision);
    for (const node of until.keys()) if (!node.isConnected) until.delete(node);
  }

  function note(s, bad) {
    $("note").hidden = false;
    cls($("note"), bad ? "note bad" : "note");
    text($("note"), s);
  }
  const showFlags = switches({ $, el, text, cls, keyed, note, until, left });
  let asked = null;
  function ask(command, client, breaker) {
    asked = { command, client, breaker };
    text($("ask-h"), commands[command].name + " " + breaker + "?");
    text($("ask-p"), commands[command].why);
    text($("ask-yes"), commands[command].name);
    $("ask").showModal();
    $("ask-no").focus();
  }
  $("ask-no").addEventListener("click", () => $("ask").close());
  $("ask-yes").addEventListener("click", async () => {
    const { command, client, breaker } = asked;
    $("ask").close(); // the browser returns the focus to the button that opened it
    try {
      const answer = await fetch(location.href, {
        method: "POST", headers: { "Content-Type": "application/json", Accept: "application/json" },
        body: JSON.stringify({ client, breaker, command }),
      });
      const id = answer.headers.get("X-Correlation-ID");
      const kept = id ? " The audit has it under " + id + "." : "";
      if (answer.ok) note(breaker + " is " + commands[command].done + "." + kept, false);
      else note(breaker + " was not " + commands[command].done + ". " + ((await answer.json()).detail || "") + kept, true);
    } catch {
      note(breaker + " was not " + commands[command].done + ": no answer.", true);
    }
  });

  let heard = 0, misses = 0; // misses: attempts to connect that failed, in a row
  function linked(state, s) {
    cls($("link"), "link " + state);
    text($("link-text"), s);
  }
  function lost(s) {
    if (!$("link").classList.contains("lost")) text($("say"), s + " What is shown may be old.");
    linked("lost", s);
  }
  const stream = () => {
    const source = new EventSource(location.href);
    source.addEventListener("state", (e) => {
      const back = $("link").classList.contains("lost");
      heard = performance.now();
      misses = 0;
      linked("live", "Live");
      show(JSON.parse(e.data));
      if (back) text($("say"), "Connected again. " + $("summary").textContent + ".");
    });
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) { // an answer that was no stream: too many readers, or signed out
        lost("Not connected.");
        setTimeout(stream, 5000);
      } else if (++misses > 1) { // the first is the end of a stream, as there is one every few minutes
        lost("Not connected, trying again.");
      }
    });
  };
  setInterval(() => {
    for (const u of until.values()) if (u.at + 2000 > performance.now()) u.tick();
    if (heard && performance.now() - heard > silence) lost("No word for " + span((performance.now() - heard) / 1000) + ".");
  }, 1000);
  stream();
})();
