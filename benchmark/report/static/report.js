"use strict";
// What all pages share: data that scripts hand over, the address as state, and elements made without any HTML text.

const root = document.body.dataset.root;
const waiting = new Map();
const given = new Map();

/** Called by every file in data/. */
function put(name, value) { given.set(name, value); }

/** A promise of the value of data/<name>.js, which is loaded once. A page in a folder may not fetch, but load scripts. */
function load(name) {
  if (!waiting.has(name)) {
    waiting.set(name, new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `${root}data/${name}.js`;
      script.onload = () => { script.remove(); given.has(name) ? resolve(given.get(name)) : reject(new Error(name)); };
      script.onerror = () => { script.remove(); waiting.delete(name); reject(new Error(`${name} is missing: make the report again`)); };
      document.head.append(script);
    }));
  }
  return waiting.get(name);
}

/** An element; children are elements or texts, never HTML. */
function h(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "rect", "line", "circle", "text", "g", "title"].includes(tag) || (tag === "a" && attributes.svg);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false || key === "svg") continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [property, text] of Object.entries(value)) made.style.setProperty(property, text);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** State of a view in the address, so that every view has a link of its own. */
const state = {
  read: () => Object.fromEntries(new URLSearchParams(location.hash.slice(1))),
  write(changes, step = false) {
    const next = { ...state.read(), ...changes };
    for (const key of Object.keys(next)) if (next[key] === "" || next[key] === null || next[key] === undefined) delete next[key];
    const text = new URLSearchParams(next).toString();
    if (text === location.hash.slice(1)) return;
    const place = `${location.pathname}${location.search}${text ? "#" + text : ""}`;
    history[step ? "pushState" : "replaceState"](null, "", place);
  },
  onChange(react) { addEventListener("hashchange", react); addEventListener("popstate", react); },
};

const show = (value, digits = 1) => (value === null || value === undefined ? "–" : value.toFixed(digits));
const fill = (select, options, chosen) => select.replaceChildren(...options.map(([value, text]) => h("option", { value, selected: value === chosen }, text ?? value)));
/** The rows that a key in an address means: the one of that key, else all of the method of that name. */
function rowsOf(board, key) { const own = board.rows.filter((row) => row.key === key); return own.length ? own : board.rows.filter((row) => row.method === key); }
/** A name that may go on in the next line after each of its dots. */
const broken = (name) => name.split(".").flatMap((part, place) => (place ? [".", h("wbr"), part] : [part]));
function fault(place, error) { place.replaceChildren(h("p", { class: "empty" }, error.message)); }

document.getElementById("theme").addEventListener("click", () => {
  const element = document.documentElement;
  const dark = element.dataset.theme ? element.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  element.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("report-theme", element.dataset.theme); } catch (error) { /* kept for this page alone */ }
  dispatchEvent(new Event("themechange"));
});

(function leaderboard() {
  const table = document.getElementById("board");
  if (!table) return;
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells], rows = [...body.rows];
  const find = document.getElementById("find"), all = document.getElementById("all-columns"), shown = document.getElementById("shown");
  const sights = [...document.querySelectorAll("[data-sight]")];
  const nameOf = (head) => head.dataset.metric || head.textContent.trim();

  function sort(place, order) {
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[place].setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const key = (row) => row.cells[place].dataset.value ?? row.cells[place].textContent.trim();
    [...body.rows].sort((a, b) => {
      // Rows that may not be ranked stay below, and missing values last, whichever way the column is sorted.
      const below = a.classList.contains("unranked") - b.classList.contains("unranked");
      if (below) return below;
      const x = key(a), y = key(b);
      if (x === "" || y === "") return (x === "") - (y === "");
      const difference = Number(x) - Number(y);
      return sign * (Number.isNaN(difference) ? x.localeCompare(y) : difference);
    }).forEach((row) => body.append(row));
  }

  function render() {
    const now = state.read();
    const wanted = (now.sees || "").split(",").filter(Boolean), words = (now.find || "").toLowerCase();
    sights.forEach((chip) => chip.setAttribute("aria-pressed", String(wanted.includes(chip.dataset.sight))));
    let count = 0;
    for (const row of rows) {
      const sees = row.dataset.sees.split(",");
      row.hidden = !(wanted.every((sight) => sees.includes(sight)) && row.dataset.name.toLowerCase().includes(words));
      count += !row.hidden;
    }
    shown.textContent = count === rows.length ? `${count} methods` : `${count} of ${rows.length} methods`;
    if (find.value !== (now.find || "")) find.value = now.find || "";
    table.classList.toggle("all", now.columns === "all" || !all);
    if (all) all.setAttribute("aria-pressed", String(now.columns === "all"));
    if (now.sort) {
      const [name, order] = now.sort.split(":"), place = heads.findIndex((head) => nameOf(head) === name);
      if (place >= 0) sort(place, order === "ascending" ? order : "descending");
    }
  }
  heads.forEach((head, place) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const order = now ? (now === "ascending" ? "descending" : "ascending") : button.dataset.first || "ascending";
      state.write({ sort: `${nameOf(head)}:${order}` });
      sort(place, order);
    });
  });
  sights.forEach((chip) => chip.addEventListener("click", () => {
    const chosen = sights.filter((other) => (other === chip) !== (other.getAttribute("aria-pressed") === "true"));
    state.write({ sees: chosen.map((other) => other.dataset.sight).join(",") });
    render();
  }));
  find.addEventListener("input", () => { state.write({ find: find.value }); render(); });
  if (all) all.addEventListener("click", () => { state.write({ columns: state.read().columns === "all" ? "" : "all" }); render(); });
  state.onChange(render);
  render();
})();
