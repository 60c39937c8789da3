// switches shows the flags, and changes them. It is given the page's tools and returns what shows a state.
function switches({ $, el, text, cls, keyed, note, until, left }) {
  // origin says where a value comes from.
  function origin(f, wait) {
    switch (f.source) {
      case "override": return "Set by " + f.author + " at " + clock(f.since) + ": " + f.reason + ". " + (f.until ? span(wait) + " left." : "Until it is cleared.");
      case "environment": return "Set by the environment.";
      case "file": return "Set in " + f.origin + ".";
      case "flag": return "As " + f.origin + ".";
      default: return "The default.";
    }
  }

  function make(set, f) {
    const row = el("li");
    const name = el("code", null, f.name), value = el("b"), says = el("span", { class: "by" });
    const act = (command, label) => {
      const b = el("button", { type: "button", "aria-label": label + " " + f.name }, label);
      b.addEventListener("click", () => ask(command, set, row.flag));
      return b;
    };
    const buttons = el("div", { class: "row" }, act("override", "Change"), act("clear", "Clear"));
    row.append(el("div", { class: "switch" }, name, value), el("span", { class: "by" }, f.doc), says, buttons);
    Object.assign(row, { shown: value, says, buttons }); // an li has a value of its own
    return row;
  }
  function update(row, f, allowed) {
    row.flag = f;
    const over = f.source === "override";
    cls(row, over ? "over" : "");
    text(row.shown, f.value === "" ? "unset" : f.value);
    const tick = () => text(row.says, (f.locked ? "Locked. " : "") + origin(f, left(row)));
    until.set(row, { at: f.until ? performance.now() + Date.parse(f.until) - now : 0, tick });
    tick();
    row.buttons.hidden = !allowed || f.locked;
    const clear = row.buttons.lastChild;
    if (over || document.activeElement !== clear) clear.hidden = !over; // the focus would fall off the page
  }

  let asked = null, now = 0;
  function ask(command, set, f) {
    asked = { command, set, flag: f.name };
    const change = command === "override";
    text($("flag-h"), (change ? "Change " : "Clear ") + f.name + "?");
    text($("flag-p"), change ? "It takes effect at once, in this process only, and is written down with your name." : "The value is again what the deployment says.");
    for (const id of ["flag-value-l", "flag-for-l"]) $(id).hidden = !change;
    const options = f.type === "bool" ? ["true", "false"] : f.choices || [];
    $("flag-values").replaceChildren(...options.map((o) => el("option", { value: o })));
    $("flag-value").value = change && !f.value.startsWith("(") ? f.value : "";
    $("flag-value").required = change;
    $("flag-reason").value = "";
    fault("");
    $("flag").showModal();
    (change ? $("flag-value") : $("flag-reason")).focus();
  }
  const fault = (s) => text($("flag-fault"), s);
  $("flag-no").addEventListener("click", () => $("flag").close());
  $("flag-form").addEventListener("submit", async (e) => {
    e.preventDefault();
    const change = asked.command === "override";
    const order = { set: asked.set, flag: asked.flag, command: asked.command, reason: $("flag-reason").value.trim() };
    if (change) Object.assign(order, { value: $("flag-value").value, for_seconds: Number($("flag-for").value) });
    try {
      const answer = await fetch(location.href, {
        method: "POST", headers: { "Content-Type": "application/json", Accept: "application/json" }, body: JSON.stringify(order),
      });
      if (!answer.ok) return fault((await answer.json()).detail || "It was refused.");
      $("flag").close(); // the browser returns the focus to the button that opened it
      const id = answer.headers.get("X-Correlation-ID");
      note(order.flag + (change ? " is " + (await answer.json()).value : " is cleared") + "." + (id ? " The audit has it under " + id + "." : ""), false);
    } catch {
      fault("There was no answer. It may have been carried out: look before you try again.");
    }
  });

  // show lists the overrides where they are seen, and all the rest behind a click.
  return function show(state) {
    now = Date.parse(state.at);
    const sets = state.flags || [];
    $("flags-s").hidden = !sets.length;
    if (!sets.length) return;
    text($("flags-by"), sets.map((s) => s.set + " runs in " + s.environment + (s.assumed ? ", which nobody has said: it is what counts where nothing is known" : "")).join("; ") + ".");
    const all = sets.flatMap((s) => s.flags.map((f) => ({ set: s.set, f })));
    const over = all.filter(({ f }) => f.source === "override"), rest = all.filter(({ f }) => f.source !== "override");
    for (const [id, list] of [["flags-over", over], ["flags-rest", rest]]) {
      keyed($(id), list, (x) => x.set + "/" + x.f.name, (x) => make(x.set, x.f), (row, x) => update(row, x.f, state.commands));
    }
    $("flags-none").hidden = over.length > 0;
    text($("flags-count"), (over.length ? "The other " : "All ") + rest.length);
  };
}
