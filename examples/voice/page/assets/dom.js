// Small things that every part of the page needs.

export const $ = (id) => document.getElementById(id);

// el makes an element: its properties and attributes, then its children; a string is text and never markup.
export function el(name, attributes, ...children) {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(attributes || {})) {
    if (k.startsWith("on")) e.addEventListener(k.slice(2), v);
    else if (v === true) e.setAttribute(k, "");
    else if (v !== false && v !== undefined && v !== null) e.setAttribute(k, v);
  }
  e.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return e;
}

export const text = (node, s) => { if (node.textContent !== s) node.textContent = s; };

// say is for those who cannot see: politely what goes on, and at once (role=alert) what went wrong. The region is emptied
// first, so that the same sentence twice is heard twice.
export const say = (s) => speak($("say"), s);
export const alarm = (s) => speak($("alarm"), s);
const turn = new WeakMap();
function speak(region, s) {
  region.textContent = "";
  clearTimeout(turn.get(region)?.timer);
  const all = [...(turn.get(region)?.all || []), s]; // what was not spoken yet is not swallowed
  const timer = setTimeout(() => {
    turn.delete(region);
    region.textContent = all.join(" ");
  }, 50);
  turn.set(region, { timer, all });
}

// every calls tick once a second, as long as node is on the page.
const ticking = new Map();
export function every(node, tick) {
  ticking.set(node, tick);
  tick();
}
export const rest = (node) => ticking.delete(node);
setInterval(() => {
  for (const [node, tick] of ticking) {
    if (node.isConnected) tick();
    else ticking.delete(node);
  }
}, 1000);

// until counts down in node: words(left) with the seconds that are left, and done once when there are none.
export function until(node, seconds, words, done) {
  const end = performance.now() + 1000 * seconds;
  every(node, () => {
    const left = Math.max(0, Math.ceil((end - performance.now()) / 1000 - 0.05));
    text(node, words(left));
    if (left > 0) return;
    rest(node);
    done?.();
  });
}

// toast says that something went well. It stays for 12 seconds, and as long as it is pointed at, has the focus, or nobody
// looks at the page; Escape or its button removes it, and the focus goes back to where it came from.
export function toast(s, home) {
  const close = () => {
    const had = t.contains(document.activeElement);
    t.remove();
    if (had) home?.focus();
  };
  const t = el("div", { class: "toast" }, el("p", null, s),
    el("button", { type: "button", class: "plain", "aria-label": "Dismiss: " + s, onclick: close }));
  const over = () => {
    if (!t.isConnected) return;
    if (t.matches(":hover, :focus-within") || document.hidden) setTimeout(over, 12000);
    else close();
  };
  setTimeout(over, 12000);
  $("toasts").append(t);
  while ($("toasts").children.length > 3) $("toasts").firstElementChild.remove();
}
addEventListener("keydown", (e) => {
  if (e.key === "Escape") $("toasts").lastElementChild?.querySelector("button").click();
});
