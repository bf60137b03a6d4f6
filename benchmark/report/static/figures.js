"use strict";
// Parts of figures that several plots share.

/** Round steps for an axis from low to high. */
function ticks(low, high, count = 5) {
  const raw = (high - low) / count || 1, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((one) => one * power >= raw) * power;
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step) found.push(Number(value.toPrecision(12)));
  return found;
}
const short = (value) => (Math.abs(value) >= 1e9 ? `${+(value / 1e9).toPrecision(3)} G` : Math.abs(value) >= 1e6 ? `${+(value / 1e6).toPrecision(3)} M` : Math.abs(value) >= 1e4 ? `${+(value / 1e3).toPrecision(3)} k` : String(+value.toPrecision(3)));
const clipped = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
const kind = (row, cell) => (cell.best ? "best" : row.ranked ? "" : "aside");
const linked = (row, ...inside) => { const made = h("a", { svg: true, href: `methods/${row.key}.html` }); made.append(...inside); return made; };
/** What a cell holds, as text: the value with its interval, or a dash with the reason as title. */
const interval = (cell, digits) => (!cell || cell.value === null ? ["–"] : [show(cell.value, digits), cell.low === null ? null : h("span", { class: "spread in" }, ` [${show(cell.low, digits)}, ${show(cell.high, digits)}]`)]);

/** A metric of every method as dots with intervals, in a figure of a width; `ceiling` is what true frames reach. */
function dots(board, metric, width, ceiling = null) {
  const rows = board.rows.filter((row) => row.cells[metric.id].value !== null);
  // On a phone a name stands above its line, and is whole.
  const above = width < 420, names = above ? 8 : Math.min(230, width * 0.36), line = above ? 40 : 30, first = above ? 32 : 22, height = rows.length * line + 44;
  const points = rows.flatMap((row) => [row.cells[metric.id].value, row.cells[metric.id].low, row.cells[metric.id].high]).concat(metric.chance, ceiling).filter((one) => one !== null);
  let low = Math.min(...points), high = Math.max(...points);
  const air = (high - low) * 0.04 || 1;
  [low, high] = [low - air, high + air];
  const x = (value) => names + ((width - names - 64) * (value - low)) / (high - low);
  const svg = h("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${metric.id} of every method with its 95 % interval; the leaderboard has the numbers` });
  for (const tick of ticks(low, high, width < 500 ? 3 : 7)) svg.append(h("line", { class: "grid", x1: x(tick), x2: x(tick), y1: 6, y2: height - 30 }), h("text", { x: x(tick), y: height - 12, "text-anchor": "middle" }, short(tick)));
  // Between the two lines where both words fit there, else outside of them.
  const apart = ceiling === null || metric.chance === null || Math.abs(x(ceiling) - x(metric.chance)) > 110;
  if (metric.chance !== null) svg.append(h("line", { class: "chance", x1: x(metric.chance), x2: x(metric.chance), y1: 6, y2: height - 30 }), h("text", { class: "chancetext", x: x(metric.chance) + (apart ? 5 : -5), y: height - 34, "text-anchor": apart ? "start" : "end" }, "chance"));
  if (ceiling !== null) svg.append(h("line", { class: "ceiling", x1: x(ceiling), x2: x(ceiling), y1: 6, y2: height - 30 }), h("text", { x: x(ceiling) + (apart ? -5 : 5), y: height - 34, "text-anchor": apart ? "end" : "start" }, "ceiling"));
  rows.forEach((row, index) => {
    const cell = row.cells[metric.id], y = first + index * line;
    const group = linked(row, h("title", {}, `${row.label}: ${cell.text}`), h("text", { class: "name", x: 0, y: above ? y - 13 : y + 4 }, above ? row.label : clipped(row.label, Math.floor(names / 7))));
    if (cell.low !== null) group.append(h("line", { class: "range", x1: x(cell.low), x2: Math.max(x(cell.high), x(cell.low) + 0.01), y1: y, y2: y }));
    group.append(h("circle", { class: "dot", cx: x(cell.value), cy: y, r: 5.5 }), h("text", { class: "value", x: width - 2, y: y + 4, "text-anchor": "end" }, show(cell.value, metric.digits)));
    svg.append(h("g", { class: kind(row, cell) }, group));
  });
  return svg;
}
