"use strict";
// What methods make of changed clips: a curve over each dose, marks for what has none; and what they hear, by attribute.

const panelWidth = (place) => Math.max(280, Math.min(460, place.clientWidth));

const stress = {
  hues: ["#5b50e6", "#e0703c", "#159a73", "#c2418c", "#2f8fd0", "#a0851b", "#7d6be0", "#4d7f3a"],
  names: { snr: "White noise: dB below the sound", mix: "A second source: dB below the sound", cut: "Cut: share of the sound that is left" },
  /** The n-th method's colour and dashes: beyond the hues, lines differ in their dashes. */
  look(number) { const dash = [undefined, "7 4", "2 3"][Math.floor(number / this.hues.length) % 3]; return { stroke: this.hues[number % this.hues.length], "stroke-dasharray": dash }; },
  found: null,

  async draw(board, metric) {
    const place = document.getElementById("stress-plots");
    if (!place) return;
    try { this.found ??= await load("stress"); } catch (error) { return fault(place, error); }
    const own = this.found.rows.map((row, number) => ({ ...row, number })).filter((row) => row.cells[metric.id]);
    const hidden = new Set((state.read().unstressed || "").split(",").filter(Boolean));
    const rows = own.filter((row) => !hidden.has(String(row.number)));
    this.chips(own, hidden, () => this.draw(board, metric));
    const table = document.getElementById("stress-table");
    if (!own.length) { table.replaceChildren(); return place.replaceChildren(h("p", { class: "soft" }, `No record of changed clips has ${metric.id}.`)); }
    const conditions = this.found.conditions.map((one, at) => ({ ...one, at }));
    const values = own.flatMap((row) => row.cells[metric.id]).filter((cell) => cell && cell.value !== null).flatMap((cell) => [cell.value, cell.low, cell.high]).concat(metric.chance).filter((one) => one !== null);
    const air = (Math.max(...values) - Math.min(...values)) * 0.06 || 1, range = [Math.min(...values) - air, Math.max(...values) + air];
    const doses = [...new Set(conditions.filter((one) => one.curve).map((one) => one.kind))].map((name) => [name, conditions.filter((one) => one.kind === name)]);
    const curves = doses.filter(([, list]) => list.length > 1), lone = doses.filter(([, list]) => list.length === 1).flatMap(([, list]) => list);
    const marks = [...lone, ...conditions.filter((one) => one.at && !one.curve)];
    const panels = curves.map(([name, list]) => this.panel(this.names[name] ?? name, [conditions[0], ...list], rows, metric, range, true));
    if (marks.length) panels.push(this.panel("Other changes", [conditions[0], ...marks], rows, metric, range, false));
    place.replaceChildren(...panels);
    table.replaceChildren(this.table(conditions, own, metric));
  },

  chips(rows, hidden, again) {
    const toggle = (number) => { hidden.has(number) ? hidden.delete(number) : hidden.add(number); state.write({ unstressed: [...hidden].join(",") }); again(); };
    const focused = document.activeElement && document.activeElement.dataset.stress;
    const buttons = rows.map((row) => h("button", { type: "button", class: "chip", "data-stress": row.number, "aria-pressed": String(!hidden.has(String(row.number))), onclick: () => toggle(String(row.number)) }, h("svg", { viewBox: "0 0 22 8", width: 22, height: 8, "aria-hidden": "true" }, h("line", { x1: 0, x2: 22, y1: 4, y2: 4, "stroke-width": 3, ...this.look(row.number) })), row.label));
    document.getElementById("stress-methods").replaceChildren(...buttons);
    const same = buttons.find((button) => button.dataset.stress === focused);
    if (same) same.focus();
  },

  /** One figure: the unchanged clips on the left, then each condition; a line where the conditions are doses of one thing. */
  panel(title, conditions, rows, metric, [low, high], curve) {
    const width = panelWidth(document.getElementById("stress-plots")), height = curve ? 250 : 286, left = 46, right = 10, bottom = curve ? 34 : 70;
    const slot = (width - left - right) / conditions.length, x = (index, number) => left + slot * (index + 0.5) + (curve ? 0 : Math.min(9, (slot * 0.7) / rows.length) * (number - (rows.length - 1) / 2));
    const y = (value) => height - bottom - ((height - bottom - 10) * (value - low)) / (high - low);
    const svg = h("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${metric.id}: ${title}; the table below has the numbers` });
    for (const tick of ticks(low, high, 4)) svg.append(h("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }), h("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, short(tick)));
    conditions.forEach((one, index) => {
      const text = one.at === 0 ? "as it is" : curve ? String(one.value).replace("-", "−") : one.name, px = x(index, (rows.length - 1) / 2);
      svg.append(curve ? h("text", { x: px, y: height - 14, "text-anchor": "middle" }, text) : h("text", { x: px, y: height - bottom + 16, "text-anchor": "end", transform: `rotate(-35 ${px} ${height - bottom + 16})` }, text));
    });
    svg.append(h("line", { class: "grid", x1: left + slot, x2: left + slot, y1: 6, y2: height - bottom }));
    if (metric.chance !== null) svg.append(h("line", { class: "chance", x1: left, x2: width - right, y1: y(metric.chance), y2: y(metric.chance) }), h("text", { class: "chancetext", x: width - right, y: y(metric.chance) - 5, "text-anchor": "end" }, "chance"));
    rows.forEach((row, number) => {
      const look = this.look(row.number), points = conditions.map((one, index) => ({ one, index, cell: row.cells[metric.id][one.at] })).filter(({ cell }) => cell && cell.value !== null);
      const group = h("g", { class: "series" }), line = points.filter(({ index }) => index > 0);
      const banded = line.filter(({ cell }) => cell.low !== null);
      if (curve && banded.length > 1) group.append(h("path", { d: `M${banded.map(({ index, cell }) => `${x(index)} ${y(cell.high)}`).join("L")}L${banded.reverse().map(({ index, cell }) => `${x(index)} ${y(cell.low)}`).join("L")}Z`, fill: look.stroke, "fill-opacity": 0.13 }));
      if (curve && line.length > 1) group.append(h("path", { d: `M${line.map(({ index, cell }) => `${x(index)} ${y(cell.value)}`).join("L")}`, fill: "none", "stroke-width": 2, ...look }));
      for (const { one, index, cell } of points) {
        const at = x(index, number), flat = !curve || index === 0;
        const mark = h("g", {}, h("title", {}, `${row.label}, ${one.name}: ${cell.text}`));
        if (flat && cell.low !== null) mark.append(h("line", { x1: at, x2: at, y1: y(cell.low), y2: y(cell.high), stroke: look.stroke, "stroke-width": 2, "stroke-opacity": 0.45 }));
        mark.append(flat && index > 0 ? h("rect", { x: at - 5, y: y(cell.value) - 1.5, width: 10, height: 3, fill: look.stroke }) : h("circle", { cx: at, cy: y(cell.value), r: 4, fill: index ? look.stroke : "var(--card)", stroke: look.stroke, "stroke-width": 2 }));
        group.append(mark);
      }
      svg.append(group);
    });
    return h("figure", {}, h("figcaption", {}, title), svg);
  },

  table(conditions, rows, metric) {
    const line = (one) => h("tr", {}, h("th", { scope: "row", class: "text", title: one.about }, one.name, h("span", { class: "spread" }, one.about)), rows.map((row) => {
      const cell = row.cells[metric.id][one.at], seeds = row.seeds[one.at];
      return h("td", { title: !cell ? "no record" : cell.value === null ? cell.reason : seeds.length ? `seed ${seeds.join(", ")}` : null }, interval(cell, metric.digits));
    }));
    return h("table", { class: "plain" }, h("caption", { class: "sr" }, `${metric.id} under stress: value and 95 % interval by condition and method`),
      h("thead", {}, h("tr", {}, h("th", { scope: "col", class: "text" }, "condition"), rows.map((row) => h("th", { scope: "col" }, row.page ? h("a", { href: `methods/${row.page}.html` }, row.label) : row.label)))),
      h("tbody", {}, conditions.map(line)));
  },
};

/** What is heard of each attribute that some record has. */
function atoms(board) {
  const place = document.getElementById("atom-plots");
  if (!place) return;
  const metrics = board.metrics.filter((one) => one.family === "hears"), rows = board.rows.filter((row) => metrics.some((one) => row.cells[one.id].value !== null));
  const ceiling = (one) => board.ceilings[one.id] ?? null;
  place.replaceChildren(...metrics.map((one) => h("figure", {}, h("figcaption", {}, h("a", { href: `metrics/${one.page}.html` }, one.id)), dots(board, one, panelWidth(place), ceiling(one)))));
  const bound = (name, value) => h("tr", {}, h("th", { scope: "row", class: "text soft" }, name), metrics.map((one) => h("td", { class: "soft" }, show(value(one), one.digits))));
  document.getElementById("atoms-table").replaceChildren(h("table", { class: "plain" }, h("caption", { class: "sr" }, "What is heard: value and 95 % interval by method and attribute"),
    h("thead", {}, h("tr", {}, h("th", { scope: "col", class: "text" }, "method"), metrics.map((one) => h("th", { scope: "col" }, one.id)))),
    h("tbody", {}, bound("ceiling", ceiling), rows.map((row) => h("tr", {}, h("th", { scope: "row", class: "text" }, h("a", { href: `methods/${row.key}.html` }, row.label)), metrics.map((one) => h("td", { title: row.cells[one.id].reason || null }, interval(row.cells[one.id], one.digits))))), bound("chance", (one) => one.chance))));
}
