"use strict";
// Two rows or two runs: differences as bench compare computes them, and the clips whose scores lie furthest apart.

(async function compare() {
  const element = (id) => document.getElementById(id), MOST = 12;
  let board, clips, index;
  try { [board, clips, index] = await Promise.all([load("board"), load("clips"), load("compare")]); } catch (error) { return fault(element("differences"), error); }
  const pairs = new Set(index.pairs);
  const known = new Map();
  for (const row of board.rows) {
    known.set(row.key, { key: row.key, label: row.label, row, run: null });
    for (const run of row.runs) known.set(run.key, { key: run.key, label: `${row.label}, ${run.name}`, row, run });
  }
  const compared = (a, b) => pairs.has(`${a}~${b}`) || pairs.has(`${b}~${a}`);
  const rowsOnly = [...known.values()].filter((one) => !one.run), runs = [...known.values()].filter((one) => one.run && index.pairs.some((pair) => pair.split("~").includes(one.key)));

  function options(select, chosen, partner) {
    const of = (list) => list.map((one) => h("option", { value: one.key, selected: one.key === chosen, disabled: partner !== undefined && one.key !== partner && !compared(one.key, partner) }, one.label));
    select.replaceChildren(h("optgroup", { label: "Methods" }, of(rowsOnly)), ...(runs.length ? [h("optgroup", { label: "Runs" }, of(runs))] : []));
  }
  function bar(one, scale) {
    const x = (value) => 72 + (68 * value) / (scale || 1), svg = h("svg", { viewBox: "0 0 144 16", "aria-hidden": "true", class: one.better ? "sure" : "" });
    svg.append(h("line", { class: "zero", x1: 72, x2: 72, y1: 0, y2: 16 }));
    if (one.low !== null) svg.append(h("line", { class: "range", x1: x(one.low), x2: x(one.high) + 0.01, y1: 8, y2: 8 }));
    if (one.difference !== null) svg.append(h("circle", { class: "dot", cx: x(one.difference), cy: 8, r: 4 }));
    return svg;
  }
  /** A heading: the name, or on a phone the letter that stands at its list above. */
  const side = (letter, one) => [h("span", { class: "long" }, one.label), h("span", { class: "short", "aria-hidden": "true" }, letter)];
  async function render() {
    const now = state.read();
    const ranked = board.rows.filter((row) => row.ranked), usual = (ranked.length > 1 ? ranked : board.rows).map((row) => row.key);
    const asked = (key) => (known.has(key) ? key : rowsOf(board, key)[0]?.key);
    const a = asked(now.a) ?? usual[0];
    const b = asked(now.b) ?? usual.find((key) => key !== a && compared(a, key)) ?? board.rows.map((row) => row.key).find((key) => compared(a, key));
    options(element("a"), a);
    options(element("b"), b, a);
    if (!a || !b || !compared(a, b)) {
      const why = board.rows.length < 2 ? "There is one method only: another run makes a comparison." : `${known.get(a).label} and ${(known.get(b) || {}).label} were not compared here: \`bench compare\` does it for any two runs.`;
      element("notes").replaceChildren();
      element("changed").replaceChildren();
      return fault(element("differences"), new Error(why));
    }
    const [first, second] = [known.get(a), known.get(b)], turned = !pairs.has(`${a}~${b}`);
    const found = await load(`compare/${turned ? `${b}~${a}` : `${a}~${b}`}`);
    // Kept once for both directions: turned around, the difference changes its sign.
    const flip = (value) => (turned && value !== null ? -value : value);
    const lines = found.metrics.map((one) => ({ ...one, difference: flip(one.difference), low: turned ? flip(one.high) : one.low, high: turned ? flip(one.low) : one.high, better: turned ? { a: "b", b: "a", "": "" }[one.better] : one.better, values: turned ? [one.texts[1], one.texts[0]] : one.texts.slice(0, 2), p: one.texts[3], how: one.texts[5] }));
    const scales = new Map();
    for (const one of lines) { const unit = (board.metrics.find((m) => m.id === one.id) || {}).unit; scales.set(unit, Math.max(scales.get(unit) || 0, ...[one.difference, one.low, one.high].map((value) => Math.abs(value ?? 0)))); }
    element("differences").replaceChildren(lines.length ? h("table", { class: "plain compare" }, h("caption", { class: "sr" }, `${first.label} against ${second.label}`),
      h("thead", {}, h("tr", {}, ["metric", side("A", first), side("B", second), "difference", "", "p", "how"].map((text, place) => h("th", { scope: "col", class: place === 0 || place === 6 ? "text" : "" }, text)))),
      h("tbody", {}, lines.map((one) => {
        const fact = board.metrics.find((m) => m.id === one.id) || { digits: 2 }, sign = one.difference > 0 ? "+" : "";
        const interval = one.low === null ? "" : ` [${show(one.low, fact.digits)}, ${show(one.high, fact.digits)}]`;
        return h("tr", {}, h("th", { scope: "row", class: "text" }, h("a", { href: `metrics/${fact.page}.html` }, broken(`${one.id}\u00a0${fact.direction === "down" ? "↓" : "↑"}`))), h("td", { class: one.better === "a" ? "better" : "" }, one.values[0]), h("td", { class: one.better === "b" ? "better" : "" }, one.values[1]), h("td", {}, `${sign}${show(one.difference, fact.digits)}`, h("span", { class: "spread in" }, interval)), h("td", {}, bar(one, scales.get(fact.unit))), h("td", {}, one.p), h("td", { class: "how" }, one.how));
      }))) : h("p", { class: "empty" }, "They have no metric in common."));
    element("notes").replaceChildren(h("li", {}, `Difference is ${first.label} minus ${second.label}, with its 95 % interval; green is better, where chance is ruled out.`), ...found.notes.slice(1).map((note) => h("li", {}, note)));
    await changed(first, second, lines.map((one) => one.id));
  }
  async function changed(first, second, ids) {
    const offered = board.metrics.filter((one) => ids.includes(one.id) && !/^(fid|fd|kid)(\.|$)/.test(one.id));
    const metric = offered.find((one) => one.id === state.read().metric) || offered[0];
    fill(element("metric"), offered.map((one) => [one.id]), metric && metric.id);
    const place = element("changed");
    if (!metric) return place.replaceChildren(h("p", { class: "soft" }, "No metric has scores per clip for both."));
    const of = async (one) => (await load(`${one.run ? "run-scores" : "scores"}/${metric.page}`).catch(() => ({})))[one.key];
    const [ours, theirs] = [await of(first), await of(second)];
    if (!ours || !theirs) return place.replaceChildren(h("p", { class: "soft" }, "One of the two has no scores per clip here."));
    const both = clips.keys.map((_, number) => number).filter((number) => ours[number] !== null && theirs[number] !== null && ours[number] !== theirs[number]).map((number) => [number, ours[number] - theirs[number]]).sort((x, y) => x[1] - y[1]);
    const up = metric.direction !== "down", sides = [[`Better with ${first.label}`, up ? both.filter((one) => one[1] > 0).reverse() : both.filter((one) => one[1] < 0)], [`Better with ${second.label}`, up ? both.filter((one) => one[1] < 0) : both.filter((one) => one[1] > 0).reverse()]];
    place.replaceChildren();
    for (const [title, list] of sides) {
      if (!list.length) continue;
      place.append(h("h3", { class: "side" }, `${title}: ${list.length.toLocaleString("en")} clips${list.length > MOST ? `, the ${MOST} that changed most` : ""}`));
      for (const [number, difference] of list.slice(0, MOST)) place.append(change(number, difference, first, second, metric));
    }
    if (!place.children.length) place.append(h("p", { class: "soft" }, "No clip has different scores."));
  }
  function change(number, difference, first, second, metric) {
    const key = clips.keys[number], methods = [...new Set([first.row.key, second.row.key])].join(",");
    const good = (difference > 0) === (metric.direction !== "down");
    const made = h("article", { class: "change" }, h("div", {}, h("h3", {}, h("a", { href: `gallery.html#${new URLSearchParams({ clip: key, methods, metric: metric.id })}` }, board.labels[clips.labels[number]] ?? clips.names[number])), h("p", {}, clips.names[number]), h("p", { class: `delta${good ? "" : " down"}` }, `${difference > 0 ? "+" : ""}${show(difference, metric.digits)}`)));
    load(`clips/${key}`).then((clip) => {
      const run = (one) => { const own = clip.rows[one.row.key]; return one.run && own ? own.runs.find((other) => other.run === one.key) : null; };
      made.append(truePicture(clip, board), picture(clip, first.row, board, metric.id, run(first)), picture(clip, second.row, board, metric.id, run(second)));
    }).catch((error) => made.append(h("p", {}, error.message)));
    return made;
  }
  element("a").addEventListener("change", (event) => { state.write({ a: event.target.value }); render(); });
  element("b").addEventListener("change", (event) => { state.write({ a: element("a").value, b: event.target.value }); render(); });
  element("swap").addEventListener("click", () => { state.write({ a: element("b").value, b: element("a").value }); render(); });
  element("metric").addEventListener("change", (event) => { state.write({ metric: event.target.value }); render(); });
  state.onChange(render);
  await render();
  document.body.dataset.ready = "1";
})();
