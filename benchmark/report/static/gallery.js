"use strict";
// The gallery: clips one below the other, of which only those in view exist; each asks for its own small file.

(async function gallery() {
  const element = (id) => document.getElementById(id);
  const list = element("list"), dialog = element("clip"), place = element("table");
  let board, clips;
  try { [board, clips] = await Promise.all([load("board"), load("clips")]); } catch (error) { return fault(list, error); }
  const chosen = await load("chosen").catch(() => ({}));
  const withImages = board.rows.filter((row) => row.shown);
  const usual = (withImages.length ? withImages : board.rows.filter((row) => row.ranked).slice(0, 8)).map((row) => row.key);
  const numberOf = new Map(clips.keys.map((key, number) => [key, number]));
  const searchable = clips.names.map((name, number) => `${name} ${board.labels[clips.labels[number]] ?? ""}`.toLowerCase());
  const perClip = [];
  for (const metric of board.metrics) if (board.rows.some((row) => row.cells[metric.id].value !== null)) perClip.push(metric);
  let order = [], rows = [], scores = {}, metric, at = -1, table = null, drawn = "";

  fill(element("class"), [["", "all classes"], ...[...new Set(clips.labels)].filter((label) => label >= 0).sort((a, b) => a - b).map((label) => [board.labels[label]])], state.read().class);
  element("method-list").append(...board.rows.map((row) => h("label", {}, h("input", { type: "checkbox", value: row.key }), row.label, row.shown ? null : h("span", { class: "tag" }, "scores only"))));

  async function scoresOf(id) {
    const found = board.metrics.find((one) => one.id === id);
    return found ? load(`scores/${found.page}`).catch(() => null) : null;
  }
  // Distances between sets have no score per clip, and no file: they are not offered.
  const offered = [];
  for (const one of perClip) if (!/^(fid|fd|kid)(\.|$)/.test(one.id)) offered.push(one);
  if (!offered.length && board.metrics.length) offered.push(board.metrics[0]);
  fill(element("metric"), offered.map((one) => [one.id]), state.read().metric);

  const seen = (row, number) => {
    const of = chosen[row.shown];
    if (of && of.classes[number] >= 0) return of.classes[number];
    const right = verdicts && verdicts[row.key] && verdicts[row.key][number];
    return right === null || right === undefined ? null : right >= 50 ? clips.labels[number] : -2;
  };
  let verdicts = null;

  function differs(number) {
    const found = rows.map((row) => seen(row, number)).filter((one) => one !== null);
    if (found.length) return new Set(found).size > 1;
    const values = rows.map((row) => scores[row.key] && scores[row.key][number]).filter((one) => one !== null && one !== undefined);
    return values.length > 1 && Math.max(...values) > Math.min(...values);
  }

  async function refresh() {
    const now = state.read();
    metric = offered.find((one) => one.id === now.metric) || offered[0];
    const wanted = (now.methods || "").split(",").flatMap((key) => rowsOf(board, key).map((row) => row.key));
    const keys = wanted.length ? wanted : usual;
    rows = board.rows.filter((row) => keys.includes(row.key));
    element("find").value = now.q || "";
    element("class").value = board.labels.includes(now.class) ? now.class : "";
    element("metric").value = metric ? metric.id : "";
    element("sort").value = now.sort || "";
    element("differ").checked = now.differ === "1";
    element("differ").parentElement.classList.toggle("on", now.differ === "1");
    element("method-count").textContent = `${rows.length}/${board.rows.length}`;
    for (const box of element("method-list").querySelectorAll("input")) box.checked = keys.includes(box.value);
    for (const button of document.querySelectorAll("[data-view]")) button.setAttribute("aria-pressed", String(button.dataset.view === (now.view || "")));

    scores = (metric && (await scoresOf(metric.id))) || {};
    if (now.differ === "1" && !verdicts) verdicts = (await scoresOf("aic")) || {};
    const words = (now.q || "").toLowerCase().split(/\s+/).filter(Boolean);
    const label = board.labels.indexOf(now.class || "");
    const found = [];
    for (let number = 0; number < clips.keys.length; number++) {
      if (label >= 0 && clips.labels[number] !== label) continue;
      if (!words.every((word) => searchable[number].includes(word))) continue;
      if (now.differ === "1" && !differs(number)) continue;
      found.push(number);
    }
    if (now.sort) {
      const sign = metric.direction === "down" ? -1 : 1, worth = new Map();
      for (const number of found) {
        const values = rows.map((row) => scores[row.key] && scores[row.key][number]).filter((one) => one !== null && one !== undefined);
        const mean = values.length ? values.reduce((a, b) => a + b, 0) / values.length : null;
        worth.set(number, now.sort === "disputed" ? (values.length > 1 ? Math.max(...values) - Math.min(...values) : null) : mean === null ? null : sign * mean);
      }
      const up = now.sort === "worst" ? 1 : -1;
      found.sort((a, b) => (worth.get(a) === null) - (worth.get(b) === null) || up * (worth.get(a) - worth.get(b)) || a - b);
    }
    order = found;
    element("shown").textContent = found.length === clips.keys.length ? `${found.length.toLocaleString("en")} clips` : `${found.length.toLocaleString("en")} of ${clips.keys.length.toLocaleString("en")} clips`;
    const view = JSON.stringify([order, keys, metric && metric.id]);
    if (view !== drawn) { drawn = view; at = -1; relist(); }
    list.hidden = now.view === "table";
    place.hidden = now.view !== "table";
    if (now.view === "table") await showTable();
    now.clip && numberOf.has(now.clip) ? open(now.clip) : close();
  }

  // ---- the list: of thousands of clips only those near the view are in the page
  const alive = new Map();
  let step = 0, scrolled = -1e9;
  function relist() {
    for (const card of alive.values()) card.remove();
    alive.clear();
    sound.stop();
    list.replaceChildren();
    if (!order.length) {
      list.style.height = "";
      list.append(h("p", { class: "nothing" }, clips.keys.length ? "No clip is like that: change what is asked for above." : "No clip has a score yet: bench run makes some."));
      return;
    }
    const probe = list.appendChild(h("article", { class: "clip" }));
    step = probe.offsetHeight + 14;
    probe.remove();
    list.style.height = `${order.length * step}px`;
    visible();
  }
  function visible() {
    if (list.hidden || !order.length || !step) return;
    const top = -list.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor((top - 400) / step)), last = Math.min(order.length - 1, Math.ceil((top + innerHeight + 400) / step));
    for (const [index, card] of alive) if ((index < first || index > last) && !card.contains(document.activeElement)) { card.remove(); alive.delete(index); }
    for (let index = first; index <= last; index++) if (!alive.has(index)) alive.set(index, list.appendChild(card(index)));
  }
  function card(index) {
    const number = order[index], key = clips.keys[number], label = board.labels[clips.labels[number]] ?? "";
    const made = h("article", { class: `clip${index === at ? " at" : ""}`, "aria-posinset": index + 1, "aria-setsize": order.length, "aria-label": `${label}, ${clips.names[number]}`, tabindex: "-1" });
    made.style.top = `${index * step}px`;
    made.dataset.index = index;
    const title = h("h3", {}, h("a", { href: `#${new URLSearchParams({ ...state.read(), clip: key })}`, onclick: (event) => { event.preventDefault(); go(key); } }, label));
    const button = playButton(`${label}, ${clips.names[number]}`), spec = h("div", { class: "spec" });
    button.disabled = true;
    made.append(h("div", { class: "head" }, title, h("p", { class: "id", title: clips.names[number] }, clips.names[number]), h("p", { class: "worth" }), h("div", { class: "sound" }, button, spec)), h("div", { class: "strip", tabindex: "0", role: "group", "aria-label": "Images" }));
    // Who flies past does not look: a card that is gone again at once never asks for its file and its images.
    const wait = performance.now() - scrolled < 200 ? 90 : 0;
    setTimeout(() => { if (made.isConnected || !wait) fillCard(made, key, button, spec); }, wait);
    return made;
  }
  function fillCard(made, key, button, spec) {
    load(`clips/${key}`).then((clip) => {
      if (clip.sound) {
        const line = h("b");
        spec.append(h("img", { src: root + clip.spectrogram, alt: "", loading: "lazy", decoding: "async" }), line);
        button.disabled = false;
        button.addEventListener("click", () => sound.toggle(clip.sound, button, line));
      } else { spec.remove(); button.replaceWith(h("span", { class: "soft id", title: clip["no sound"] || clip.gone || "" }, "no sound here")); }
      const told = (clip.facts || []).join(" · "), worth = made.querySelector(".worth");
      [worth.textContent, worth.title] = [told, told];
      made.querySelector(".strip").append(truePicture(clip, board), ...rows.map((row) => picture(clip, row, board, metric && metric.id)));
    }).catch((error) => made.querySelector(".strip").append(h("p", { class: "soft" }, error.message)));
  }
  function focus(index) {
    if (index < 0 || index >= order.length) return;
    at = index;
    const top = list.getBoundingClientRect().top + scrollY + index * step;
    if (top < scrollY + 130 || top + step > scrollY + innerHeight) scrollTo({ top: top - 150 });
    visible();
    for (const [place, card] of alive) card.classList.toggle("at", place === at);
    alive.get(at).focus({ preventScroll: true });
  }

  // ---- one clip, large
  let wave = null, showing = null;
  function go(key) { state.write({ clip: key }, true); open(key); }
  function close() { if (dialog.open) dialog.close(); }
  dialog.addEventListener("close", () => {
    sound.stop();
    if (wave) { wave.destroy(); wave = null; }
    const index = order.indexOf(numberOf.get(showing));
    showing = null;
    state.write({ clip: "" });
    if (index >= 0 && !list.hidden) focus(index);
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

  function neighbour(by) {
    const index = order.indexOf(numberOf.get(showing)) + by;
    if (index >= 0 && index < order.length) { state.write({ clip: clips.keys[order[index]] }); open(clips.keys[order[index]]); }
  }
  async function open(key) {
    if (showing === key) return;
    showing = key;
    const clip = await load(`clips/${key}`).catch((error) => error);
    if (showing !== key) return;
    sound.stop();
    if (wave) { wave.destroy(); wave = null; }
    if (clip instanceof Error) { fault(dialog, clip); if (!dialog.open) dialog.showModal(); return; }
    const several = rows.some((row) => clip.rows[row.key] && clip.rows[row.key].runs.length > 1);
    const every = several && state.read().seeds === "all";
    const label = board.labels[clip.label] ?? "";
    const facts = [...(clip.labels || []).slice(1).map((other) => `also ${other}`), ...(clip.facts || []), ...(clip.visible ? [`seen by people: ${clip.visible.join(", ") || "nothing"}`] : [])];
    const pictures = rows.flatMap((row) => {
      const own = clip.rows[row.key];
      return every && own && own.runs.length ? own.runs.map((run) => picture(clip, row, board, metric.id, run, true)) : [picture(clip, row, board, metric && metric.id, null, true)];
    });
    const copied = h("button", { type: "button", class: "chip", onclick: async () => {
      // Not every place that a folder is opened from has a clipboard: then the link itself is shown.
      try { await navigator.clipboard.writeText(location.href); copied.textContent = "copied"; } catch (error) { copied.replaceWith(h("input", { type: "text", class: "link", readonly: true, value: location.href, "aria-label": "Link to this clip", onfocus: (event) => event.target.select() })); }
    } }, "copy link");
    dialog.replaceChildren(h("div", { class: "detail" },
      h("header", {}, h("div", {}, h("h2", { id: "clip-title" }, label || clip.name), h("p", { class: "id" }, clip.name), facts.length ? h("ul", { class: "attributes" }, facts.map((fact) => h("li", { class: "tag" }, fact))) : null),
        several ? h("button", { type: "button", class: "chip", "aria-pressed": String(every), onclick: () => { state.write({ seeds: every ? "" : "all" }); showing = null; open(key); } }, "all seeds") : null, copied,
        h("button", { type: "button", class: "icon", "aria-label": "Previous clip", title: "Previous clip", onclick: () => neighbour(-1) }, "←"), h("button", { type: "button", class: "icon", "aria-label": "Next clip", title: "Next clip", onclick: () => neighbour(1) }, "→"),
        h("button", { type: "button", class: "icon", "aria-label": "Close", title: "Close", onclick: () => dialog.close() }, "✕")),
      player(clip, label),
      h("div", { class: "pics" }, truePicture(clip, board), pictures)));
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    const first = dialog.querySelector(".play") || dialog.querySelector("[aria-label='Close']");
    first.focus({ preventScroll: true });
    if (clip.sound) await waveform(clip);
  }
  function player(clip, label) {
    if (!clip.sound) return h("p", { class: "player soft" }, `No sound here: ${clip["no sound"] || clip.gone || "the suite's clips are not on this machine"}`);
    const line = h("b"), button = playButton(label);
    const spec = h("div", { class: "spec", onclick: (event) => { const box = spec.getBoundingClientRect(); seek((event.clientX - box.left) / box.width); } }, h("img", { src: root + clip.spectrogram, alt: "Spectrogram: time from left to right, frequency from bottom to top" }), line);
    const seek = (share) => { if (sound.button !== button) { sound.toggle(clip.sound, button, line); } sound.audio.currentTime = share * clip.seconds; };
    button.addEventListener("click", () => sound.toggle(clip.sound, button, line));
    return h("div", { class: "player" }, button, h("div", { class: "wave", id: "wave" }), spec, h("div", { class: "time" }, h("span", {}, "0 s"), h("span", {}, `${clip.seconds.toFixed(1)} s`)));
  }
  /** The outline, by wavesurfer: it is given the points, so that it need not read the file, which a page in a folder may not. */
  async function waveform(clip) {
    await library("wavesurfer.min.js").catch(() => null);
    const container = document.getElementById("wave");
    if (!container || !window.WaveSurfer || showing === null) return;
    const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const button = dialog.querySelector(".play"), line = dialog.querySelector(".spec b");
    sound.audio.src = root + clip.sound;
    [sound.button, sound.line] = [button, line];
    wave = WaveSurfer.create({ container, height: 56, media: sound.audio, peaks: [clip.peaks.map((one) => one / 100)], duration: clip.seconds, normalize: true, barWidth: 2, barGap: 1, barRadius: 2, waveColor: colour("--range"), progressColor: colour("--accent"), cursorColor: colour("--chance"), cspNonce: "report" });
  }

  // ---- the table: a row a clip, a column a method
  function library(name, style) {
    if (style && !document.querySelector(`link[href$="${style}"]`)) document.head.append(h("link", { rel: "stylesheet", href: `${root}static/vendor/${style}` }));
    return new Promise((resolve, reject) => {
      if (document.querySelector(`script[data-library="${name}"]`)) return resolve();
      document.head.append(h("script", { src: `${root}static/vendor/${name}`, "data-library": name, onload: resolve, onerror: reject }));
    });
  }
  async function showTable() {
    await library("tabulator.min.js", "tabulator_simple.min.css");
    if (!window.Tabulator) return;
    const plainText = (cell) => { const box = document.createElement("span"); box.textContent = cell.getValue(); return box; };
    const value = (cell) => show(cell.getValue(), metric ? metric.digits : 1);
    const heading = (text) => () => { const box = document.createElement("span"); box.textContent = text; return box; };
    const data = order.map((number) => ({ key: clips.keys[number], clip: clips.names[number], label: board.labels[clips.labels[number]] ?? "", ...Object.fromEntries(rows.map((row, index) => [`m${index}`, scores[row.key] ? scores[row.key][number] : null])) }));
    const narrow = innerWidth < 620;
    const columns = [{ title: "class", field: "label", formatter: plainText, width: narrow ? 140 : 190 }, { title: "clip", field: "clip", formatter: plainText, width: 170, visible: !narrow }, ...rows.map((row, index) => ({ title: `m${index}`, titleFormatter: heading(row.label), field: `m${index}`, hozAlign: "right", headerHozAlign: "right", formatter: value, sorter: "number", sorterParams: { alignEmptyValues: "bottom" }, minWidth: 120 }))];
    if (table) table.destroy();
    const frame = h("div");
    place.replaceChildren(h("p", { class: "soft" }, `${metric ? metric.id : ""}: each clip's mean over the runs of a row. Press a row to see its images.`), frame);
    table = new Tabulator(frame, { data, columns, height: "calc(100vh - 15rem)", layout: "fitDataFill", placeholder: "No clip is like that" });
    table.on("rowClick", (_, row) => go(row.getData().key));
  }

  // ---- what people do
  const set = (changes) => { state.write(changes); return refresh(); };
  let later;
  element("find").addEventListener("input", (event) => { clearTimeout(later); later = setTimeout(() => set({ q: event.target.value }), 120); });
  element("class").addEventListener("change", (event) => set({ class: event.target.value }));
  element("metric").addEventListener("change", (event) => set({ metric: event.target.value }));
  element("sort").addEventListener("change", (event) => set({ sort: event.target.value }));
  element("differ").addEventListener("change", (event) => set({ differ: event.target.checked ? "1" : "" }));
  document.querySelectorAll("[data-view]").forEach((button) => button.addEventListener("click", () => set({ view: button.dataset.view })));
  const methods = (keys) => set({ methods: keys.length === usual.length && keys.every((key) => usual.includes(key)) ? "" : keys.join(",") });
  element("method-list").addEventListener("change", () => methods([...element("method-list").querySelectorAll(":checked")].map((box) => box.value)));
  document.querySelectorAll("[data-all]").forEach((button) => button.addEventListener("click", () => methods(button.dataset.all ? board.rows.map((row) => row.key) : board.rows.slice(0, 1).map((row) => row.key))));
  document.addEventListener("click", (event) => { const pop = element("methods"); if (pop.open && !pop.contains(event.target)) pop.open = false; });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input:not([type=checkbox]), select, textarea");
    if (dialog.open) {
      if (event.key === "ArrowRight" || event.key === "j") { event.preventDefault(); neighbour(1); }
      else if (event.key === "ArrowLeft" || event.key === "k") { event.preventDefault(); neighbour(-1); }
      else if (event.key === " " && event.target.tagName !== "BUTTON") { event.preventDefault(); const button = dialog.querySelector(".play"); if (button) button.click(); }
      return;
    }
    if (event.key === "Escape" && element("methods").open) { element("methods").open = false; return; }
    if (typing) { if (event.key === "Escape") event.target.blur(); return; }
    if (event.key === "/") { event.preventDefault(); element("find").focus(); }
    else if (list.hidden) return;
    else if (event.key === "j" || (event.key === "ArrowDown" && list.contains(event.target))) { event.preventDefault(); focus(at + 1); }
    else if (event.key === "k" || (event.key === "ArrowUp" && list.contains(event.target))) { event.preventDefault(); focus(Math.max(0, at - 1)); }
    else if (event.key === "Enter" && at >= 0 && event.target.classList.contains("clip")) go(clips.keys[order[at]]);
    else if (event.key === " " && at >= 0 && event.target.classList.contains("clip")) { event.preventDefault(); const button = alive.get(at).querySelector(".play"); if (button) button.click(); }
  });
  let frame = 0;
  addEventListener("scroll", () => { scrolled = performance.now(); if (!frame) frame = requestAnimationFrame(() => { frame = 0; visible(); }); }, { passive: true });
  addEventListener("resize", () => { relist(); });
  state.onChange(refresh);
  await refresh();
  document.body.dataset.ready = "1";
})();
