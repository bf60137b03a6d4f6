"use strict";
// Images with what is said below them, and the one sound that plays at a time: for the gallery and for comparisons.

const PLAY = "M5 3.2v13.6a.8.8 0 0 0 1.2.7l11-6.8a.8.8 0 0 0 0-1.4l-11-6.8a.8.8 0 0 0-1.2.7z", PAUSE = "M5 3h3.5v14H5zM11.5 3H15v14h-3.5z";

const sound = {
  audio: new Audio(), button: null, line: null,
  /** Play the clip's sound, or pause it if it is this one; `line` moves along. */
  toggle(source, button, line) {
    if (this.button === button && !this.audio.paused) return this.audio.pause();
    if (this.button !== button) {
      this.stop();
      this.audio.src = root + source;
      [this.button, this.line] = [button, line];
    }
    this.audio.play().catch(() => { button.title = "This browser cannot play the file"; });
  },
  stop() { this.audio.pause(); this.mark(); this.button = this.line = null; },
  mark() {
    if (!this.button) return;
    this.button.querySelector("path").setAttribute("d", this.audio.paused ? PLAY : PAUSE);
    this.button.setAttribute("aria-pressed", String(!this.audio.paused));
    if (this.line) {
      this.line.parentElement.classList.toggle("on", !this.audio.paused || this.audio.currentTime > 0);
      this.line.style.left = `${(100 * this.audio.currentTime) / (this.audio.duration || 1)}%`;
    }
  },
};
sound.audio.preload = "none";
for (const event of ["play", "pause", "ended", "timeupdate"]) sound.audio.addEventListener(event, () => sound.mark());
(function follow() { if (!sound.audio.paused) sound.mark(); requestAnimationFrame(follow); })();

function playButton(label) {
  return h("button", { type: "button", class: "play", "aria-label": `Play ${label}`, "aria-pressed": "false" }, h("svg", { viewBox: "0 0 20 20", "aria-hidden": "true" }, h("path", { d: PLAY })));
}

function shot(source, text, fallback) {
  const box = h("div", { class: "shot" });
  if (!source) { box.append(h("span", {}, fallback)); return box; }
  const image = h("img", { src: root + source, alt: text, loading: "lazy", decoding: "async", draggable: "false" });
  image.addEventListener("load", () => image.classList.toggle("small", image.naturalWidth <= 128));
  image.addEventListener("error", () => image.replaceWith(h("span", {}, "this file is gone: make the report again")));
  box.append(image);
  return box;
}

function truePicture(clip, board) {
  const why = clip["no frame"] || clip.gone || "no true frame here";
  return h("figure", { class: "pic true" }, shot(clip.frame, `True frame of ${clip.name}`, why),
    h("figcaption", {}, h("span", { class: "who" }, "true frame"), h("span", { class: "what" }, h("b", {}, board.labels[clip.label] ?? ""))));
}

/** The class that AIC found, or only whether it is right where no more is known. */
function verdict(clip, run, scores, board) {
  const right = scores.aic === undefined ? null : scores.aic >= 50;
  if (run && run.class !== undefined && run.class >= 0) {
    const own = run.class === clip.label;
    return h("span", { class: `verdict ${own ? "right" : "wrong"}`, title: `aic sees: ${board.labels[run.class]}` }, `${own ? "✓" : "✗"} ${board.labels[run.class]}`);
  }
  return right === null ? null : h("span", { class: `verdict ${right ? "right" : "wrong"}`, title: "aic" }, right ? "✓ right class" : "✗ other class");
}

/** A row's image of a clip, its score in `metric` below: of the image shown, or the mean over runs where there is none. */
function picture(clip, row, board, metric, run, full = false) {
  const own = clip.rows[row.key];
  const shown = run || (own && (own.runs.find((one) => one.run === row.shown) || own.runs[0]));
  const scores = shown ? shown.scores : own ? own.mean : {};
  const fact = board.metrics.find((one) => one.id === metric);
  const why = shown && shown.failed ? `failed: ${shown.failed}` : own ? "no image here" : "not in this run";
  const name = row.label + (run ? `, ${(row.runs.find((one) => one.key === run.run) || {}).name}` : "");
  const value = scores[metric] === undefined ? "–" : show(scores[metric], fact ? fact.digits : 1);
  const images = shown ? shown.images : [];
  const figure = h("figure", { class: "pic" }, shot(images[0], `Image by ${name} for ${clip.name}`, why),
    h("figcaption", {}, h("span", { class: "who", title: name }, name),
      h("span", { class: "what" }, h("b", { title: `${metric}${shown ? "" : ", mean over runs"}` }, value)), verdict(clip, shown, scores, board)));
  for (const more of images.slice(1)) figure.insertBefore(shot(more, `Another image by ${name}`, ""), figure.lastChild);
  if (full) {
    const known = board.headline.filter((id) => scores[id] !== undefined);
    figure.lastChild.append(h("table", { class: "scores" }, h("tbody", {}, known.map((id) => h("tr", {}, h("th", { scope: "row", title: id }, id), h("td", {}, show(scores[id], board.metrics.find((one) => one.id === id).digits)))))));
  }
  return figure;
}
