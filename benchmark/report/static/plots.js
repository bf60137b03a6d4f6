"use strict";
// Plots of one metric: intervals, classes, cost; and losses over the steps of a training.

(async function plots() {
  const element = (id) => document.getElementById(id);
  let board;
  try { board = await load("board"); } catch (error) { return fault(element("intervals"), error); }
  let metric;

  function intervals() {
    const place = element("intervals");
    place.replaceChildren(dots(board, metric, Math.max(320, Math.min(1180, place.clientWidth))));
  }

  function heat() {
    const rows = board.rows.filter((row) => row.classes[metric.id]);
    if (!rows.length) return element("heat").replaceChildren(h("p", { class: "soft" }, "This metric has no value for a single class: it is a distance between whole sets."));
    const all = rows.flatMap((row) => row.classes[metric.id]).filter((one) => one !== null);
    const low = Math.min(...all), high = Math.max(...all);
    const table = h("table", { class: "heat" }, h("caption", { class: "sr" }, `${metric.id} by method and class`),
      h("thead", {}, h("tr", {}, h("td"), board.labels.map((label) => h("th", { scope: "col", title: label }, h("div", {}, label))))),
      h("tbody", {}, rows.map((row) => h("tr", {}, h("th", { scope: "row", class: "text" }, h("a", { href: `methods/${row.key}.html` }, row.label)), row.classes[metric.id].map((value, place) => {
        const share = value === null ? 0 : (value - low) / (high - low || 1), good = metric.direction === "down" ? 1 - share : share;
        const link = h("a", { href: `gallery.html#${new URLSearchParams({ class: board.labels[place], methods: row.key, metric: metric.id, sort: "worst" })}`, title: `${row.label}, ${board.labels[place]}: ${show(value, metric.digits)}` }, value === null ? "–" : show(value, Math.abs(value) >= 99.95 || metric.unit === "%" ? 0 : Math.min(2, metric.digits)));
        // Never so strong that the number on it could not be read, in light or dark.
        if (value !== null) link.style.background = `color-mix(in oklab, var(--accent) ${Math.round(6 + 46 * good)}%, var(--card))`;
        return h("td", {}, link);
      })))));
    element("heat").replaceChildren(table);
  }

  function scatter() {
    const cost = element("cost").value, place = element("scatter");
    const rows = board.rows.filter((row) => row.cost[cost] > 0 && row.cells[metric.id].value !== null);
    if (rows.length < 1) return place.replaceChildren(h("p", { class: "soft" }, "No method has a record of this cost."));
    const width = Math.max(320, Math.min(1180, place.clientWidth)), height = Math.min(430, Math.max(340, width * 0.42)), left = 46, right = 36, bottom = 40;
    const costs = rows.map((row) => Math.log10(row.cost[cost])), values = rows.flatMap((row) => [row.cells[metric.id].value, row.cells[metric.id].low, row.cells[metric.id].high]).filter((one) => one !== null);
    const [x0, x1] = [Math.min(...costs) - 0.06, Math.max(...costs) + 0.12], air = (Math.max(...values) - Math.min(...values)) * 0.08 || 1, [y0, y1] = [Math.min(...values) - air, Math.max(...values) + air];
    const x = (value) => left + ((width - left - right) * (Math.log10(value) - x0)) / (x1 - x0 || 1), y = (value) => height - bottom - ((height - bottom - 12) * (value - y0)) / (y1 - y0);
    const svg = h("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${metric.id} against ${element("cost").selectedOptions[0].textContent}` });
    for (const tick of ticks(y0, y1)) svg.append(h("line", { class: "grid", x1: left, x2: width, y1: y(tick), y2: y(tick) }), h("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, short(tick)));
    const [from, to] = [10 ** x0, 10 ** x1], decades = [];
    for (let power = Math.floor(x0); power <= Math.ceil(x1); power++) for (const one of [1, 2, 5]) if (one * 10 ** power >= from && one * 10 ** power <= to) decades.push(one * 10 ** power);
    const few = decades.length < 3 ? ticks(from, to, width < 500 ? 3 : 6) : decades.length > 8 ? decades.filter((one) => /^1/.test(one.toExponential())) : decades;
    for (const tick of few) svg.append(h("line", { class: "grid", x1: x(tick), x2: x(tick), y1: 8, y2: height - bottom }), h("text", { x: x(tick), y: height - 18, "text-anchor": "middle" }, short(tick)));
    const points = rows.map((row) => [x(row.cost[cost]), y(row.cells[metric.id].value)]), taken = points.map(([px, py]) => [px - 8, py - 8, px + 8, py + 8]);
    const free = (box) => box[0] >= 0 && box[2] <= width && box[1] >= 0 && box[3] <= height - bottom && taken.every((other) => box[2] < other[0] || other[2] < box[0] || box[3] < other[1] || other[3] < box[1]);
    const places = [12, 26, 44].flatMap((beside) => Array.from({ length: 25 }, (_, step) => Math.ceil(step / 2) * (step % 2 ? 13 : -13)).flatMap((down) => [[beside, down], [-beside, down]]));
    places.sort((one, other) => Math.hypot(...one) - Math.hypot(...other));
    rows.forEach((row, index) => {
      const cell = row.cells[metric.id], at = points[index], text = clipped(row.label, 24), wide = text.length * 7;
      const box = (dx, dy) => (dx > 0 ? [at[0] + dx, at[1] + dy - 7, at[0] + dx + wide, at[1] + dy + 6] : [at[0] + dx - wide, at[1] + dy - 7, at[0] + dx, at[1] + dy + 6]);
      // The nearest free place; farther off a line leads to it, and where there is none the title must do.
      const near = places.find(([beside, down]) => free(box(beside, down)));
      const group = linked(row, h("title", {}, `${row.label}: ${cell.text}, ${short(row.cost[cost])}`));
      if (cell.low !== null) group.append(h("line", { class: "whisker", x1: at[0], x2: at[0], y1: y(cell.low), y2: y(cell.high) }));
      if (near) {
        const [dx, dy] = near;
        taken.push(box(dx, dy));
        if (Math.hypot(dx, dy) > 16) group.append(h("line", { class: "leader", x1: at[0], y1: at[1], x2: at[0] + dx - 2 * Math.sign(dx), y2: at[1] + dy }));
        group.append(h("text", { class: "name", x: at[0] + dx, y: at[1] + dy + 4, "text-anchor": dx > 0 ? "start" : "end" }, text));
      }
      group.append(h("circle", { class: "dot", cx: at[0], cy: at[1], r: 6 }));
      svg.append(h("g", { class: kind(row, cell) }, group));
    });
    place.replaceChildren(svg);
  }

  let drawn = [];
  /** A small plot for each method, on a scale of its own: methods minimise different things. */
  async function curves() {
    if (!board.curves.length || !window.uPlot) return;
    const found = await load("curves").catch(() => []), place = element("curves");
    const names = [...new Set(found.flatMap((one) => Object.keys(one.values)))];
    element("figure-field").hidden = names.length < 2;
    if (!element("figure").options.length) fill(element("figure"), names.map((name) => [name]), names.includes("loss") ? "loss" : names[0]);
    const name = element("figure").value, colour = (variable) => getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 }, values: (_, marks) => marks.map(short) };
    drawn.forEach((one) => one.destroy());
    drawn = [];
    place.replaceChildren();
    for (const row of new Set(found.map((one) => one.row))) {
      const own = found.filter((one) => one.row === row && one.values[name]);
      if (!own.length) continue;
      const steps = [...new Set(own.flatMap((one) => one.steps))].sort((a, b) => a - b);
      const lines = own.map((one) => { const by = new Map(one.steps.map((step, index) => [step, one.values[name][index]])); return steps.map((step) => by.get(step) ?? null); });
      const title = (board.rows.find((one) => one.key === row) || own[0]).label;
      const box = place.appendChild(h("figure", {}, h("figcaption", {}, h("a", { href: `methods/${row}.html` }, title), h("span", { class: "soft" }, ` ${own.map((one) => one.name).join(" · ")}`))));
      drawn.push(new uPlot({ width: box.clientWidth, height: 190, legend: { show: false }, scales: { x: { time: false } }, axes: [{ ...axis, size: 30 }, { ...axis, size: 48 }], series: [{ label: "step" }, ...own.map((one, index) => ({ label: one.name, stroke: stress.look(index).stroke, width: 1.8, spanGaps: true, points: { show: false } }))] }, [steps, ...lines], box));
    }
  }

  function draw() {
    metric = board.metrics.find((one) => one.id === state.read().metric) || board.metrics[0];
    if (!metric) return fault(element("intervals"), new Error("No record has a value yet: bench run makes one."));
    element("metric").value = metric.id;
    element("about").replaceChildren(`${metric.title}: ${metric.definition}. ${metric.better} `, h("a", { href: `metrics/${metric.page}.html` }, "More"));
    intervals(); heat(); scatter(); curves(); stress.draw(board, metric); atoms(board);
  }
  element("metric").addEventListener("change", (event) => { state.write({ metric: event.target.value }); draw(); });
  element("cost").addEventListener("change", scatter);
  element("figure").addEventListener("change", curves);
  let later;
  addEventListener("resize", () => { clearTimeout(later); later = setTimeout(draw, 120); });
  addEventListener("themechange", curves);
  state.onChange(draw);
  draw();
  document.body.dataset.ready = "1";
})();
