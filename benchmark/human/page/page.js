// The page of a rating study. STUDY (study.js) holds the texts and the sheets; jsPsych (jspsych.js) runs the trials.
// Answers stay in this browser until the rater saves them to a file.
"use strict";

const PAIR = STUDY.question === "pair";
const QUESTION = PAIR ? "Which picture fits the sound better?" : "How relevant is the picture to the sound?";
const ANSWERS = PAIR
  ? ["left", "neither", "right"]
  : ["not at all", "slightly", "partly", "mostly", "exactly"];
const SECONDS = 3; // of a sound, or all of a shorter one, before an answer is taken

// ---- what is kept ---------------------------------------------------------------------------------------------------

let keeps = true; // whether this browser keeps anything

function kept(name) {
  try {
    return JSON.parse(localStorage.getItem(name));
  } catch {
    return null;
  }
}

function keep(name, value) {
  try {
    localStorage.setItem(name, JSON.stringify(value));
  } catch {
    keeps = false;
  }
}

function token() {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const place = `bench-human-${STUDY.study}`;
const browser = kept(`${place}-browser`) || token();
keep(`${place}-browser`, browser);
let state = null; // of the sheet that is being filled in
const save = () => keep(`${place}-${state.sheet}`, state);

// ---- the file -------------------------------------------------------------------------------------------------------

function crc32(text) {
  let crc = ~0;
  for (const byte of new TextEncoder().encode(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (~crc >>> 0).toString(16).padStart(8, "0");
}

// The seal finds a slip of the hand. Whoever reads this can make one, so it proves nothing against intent.
function exported() {
  const lines = state.answers.map((one) => `${one.trial} ${one.item} ${one.answer} ${one.ms}`);
  const sealed = [STUDY.study, state.sheet, state.rater, browser, state.agreed, state.remark, ...lines].join("\n");
  const facts = { format: "bench human answers 1", study: STUDY.study, sheet: state.sheet, rater: state.rater, browser };
  const rest = { agreed: state.agreed, remark: state.remark, answers: state.answers, seal: crc32(sealed) };
  return JSON.stringify({ ...facts, ...rest }, null, 1) + "\n";
}

function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([exported()], { type: "application/json" }));
  link.download = `ratings-${STUDY.study.slice(0, 8)}-sheet${state.sheet}.json`;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// ---- building blocks ------------------------------------------------------------------------------------------------

// An element with attributes (functions are listeners) and children; texts are texts, never markup.
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

const heading = (text) => make("h1", { tabindex: "-1" }, text);

// A jsPsych plugin whose trial is a function: it gets the element to fill, and calls `done(data)`.
class Screen {
  static info = {
    name: "screen",
    version: "1.0.0",
    parameters: { show: { type: jsPsychModule.ParameterType.FUNCTION } },
    data: {},
  };
  constructor(jsPsych) {
    this.jsPsych = jsPsych;
  }
  trial(element, trial) {
    let clean = () => {};
    const done = () => {
      clean();
      element.replaceChildren();
      this.jsPsych.finishTrial({});
    };
    clean = trial.show(element, done) || clean;
    window.scrollTo(0, 0);
    element.querySelector("h1")?.focus();
  }
}

// ---- the screens ----------------------------------------------------------------------------------------------------

function welcome(element, done) {
  const wanted = new URLSearchParams(location.search).get("sheet") || "";
  const number = make("input", { type: "text", inputmode: "numeric", id: "sheet", value: wanted, autocomplete: "off", "aria-describedby": "wrong" });
  const agree = make("input", { type: "checkbox", id: "agree" });
  const wrong = make("p", { class: "alert", id: "wrong", role: "alert" });
  const start = (event) => {
    event.preventDefault();
    const sheet = Number(number.value.trim());
    if (!(Number.isInteger(sheet) && sheet >= 1 && sheet <= STUDY.sheets.length)) {
      wrong.textContent = `Your number is a whole number from 1 to ${STUDY.sheets.length}: it was given to you with this page.`;
      return number.focus();
    }
    if (!agree.checked) {
      wrong.textContent = "Please read the text above, and tick the box if you agree.";
      return agree.focus();
    }
    state = kept(`${place}-${sheet}`) || { sheet, rater: token(), agreed: new Date().toISOString(), remark: "", answers: [] };
    save();
    done();
  };
  element.append(
    make("main", {},
      heading("Sounds and pictures"),
      make("div", { class: "card" }, ...STUDY.consent.map((text) => make("p", {}, text))),
      make("form", { class: "card", submit: start, novalidate: true },
        make("label", { for: "sheet" }, "Your number"),
        number,
        make("label", { class: "tick", for: "agree" }, agree, make("span", {}, "I have read this, I am of age, and I agree to take part.")),
        wrong,
        make("div", { class: "row" }, make("button", { class: "main" }, "Begin or continue")))));
}

function instructions(element, done) {
  const scale = PAIR
    ? [make("li", {}, "Choose the picture that fits the sound better, or “neither” if you cannot say.")]
    : ANSWERS.map((text, place) => make("li", {}, `${place + 1}: ${text}`));
  element.append(
    make("main", {},
      heading("What to do"),
      make("div", { class: "card" },
        make("p", {}, `You hear a sound and see ${PAIR ? "two pictures" : "a picture"} that a computer made for it. The question is always: ${QUESTION}`),
        make("ul", {}, ...scale),
        make("p", {}, "Judge what is shown, not how beautiful or how sharp it is. Play the sound as often as you like; use headphones if you have some. There is no right or wrong answer, except where a trial asks you to choose a certain one."),
        make("p", {}, `Keys: ${PAIR ? "1, 2, 3" : "1 to 5"} to answer, space or P to play the sound.`),
        make("p", {}, "You may close the page at any time: opened again in the same browser, with the same number, it goes on where you stopped.")),
      make("div", { class: "row" }, make("button", { class: "main", click: done }, "Start"))));
}

function rating(sheet, index) {
  return (element, done) => {
    const trial = sheet[index];
    const began = performance.now();
    const wrong = make("p", { class: "alert", role: "alert" });
    const hint = make("p", { class: "quiet", id: "hint" }, "Please play the sound first.");
    const skip = make("button", { hidden: true, click: () => answer(null) }, "Go on without an answer");
    const sound = make("audio", { controls: true, preload: "auto", src: `media/${trial.sound}`, "aria-label": "The sound" });
    const buttons = ANSWERS.map((text, place) =>
      make("button", { disabled: true, "aria-describedby": "hint", click: () => answer(place + 1) }, make("b", {}, String(place + 1)), make("span", {}, text)));
    let over = false;

    function answer(value) {
      if (over) return;
      over = true;
      state.answers.push({ trial: index, item: trial.item, answer: value, ms: Math.round(performance.now() - began) });
      save();
      done();
    }
    function heard() {
      hint.textContent = PAIR ? "Answer with a button, or the keys 1 to 3." : "Answer with a button, or the keys 1 to 5.";
      for (const button of buttons) button.disabled = false;
    }
    function broken(what) {
      wrong.textContent = `${what} cannot be ${what === "The sound" ? "played" : "shown"} in this browser. Please tell the person who gave you this page.`;
      skip.hidden = false;
    }
    function play() {
      if (sound.paused) sound.play().catch(() => {});
      else sound.pause();
    }
    function key(event) {
      if (event.altKey || event.ctrlKey || event.metaKey || event.repeat) return;
      const place = Number(event.key) - 1;
      if (buttons[place] && event.key.trim()) {
        if (!buttons[place].disabled) answer(place + 1);
      } else if (event.key === "p" || event.key === "P" || (event.key === " " && !event.target.closest("button, audio, input"))) {
        event.preventDefault();
        play();
      }
    }
    sound.addEventListener("ended", heard);
    sound.addEventListener("timeupdate", () => sound.currentTime >= SECONDS && heard());
    sound.addEventListener("error", () => broken("The sound"));
    document.addEventListener("keydown", key);
    const pictures = trial.images.map((name, place) =>
      make("img", { src: `media/${name}`, alt: PAIR ? `Picture at the ${["left", "right"][place]}` : "The picture", error: () => broken("A picture") }));
    const question = trial.ask ? `To show that you are reading: please choose ${trial.ask} (${ANSWERS[trial.ask - 1]}).` : QUESTION;
    element.append(
      make("main", { class: PAIR ? "wide" : "" },
        make("div", { class: "progress" }, make("progress", { max: sheet.length, value: index, "aria-label": "Progress" }), `${index + 1} of ${sheet.length}`),
        heading(question),
        sound,
        make("div", { class: PAIR ? "pictures two" : "pictures" }, ...pictures),
        make("div", { class: PAIR ? "answers three" : "answers", role: "group", "aria-label": question }, ...buttons),
        hint,
        wrong,
        skip,
        make("p", { class: "quiet" }, keeps ? "Your answers are kept in this browser. " : "This browser keeps nothing: do not close the page before you have saved your answers. ",
          make("a", { href: "#", click: (event) => { event.preventDefault(); download(); } }, "Stop here and save what there is"))));
    sound.play().catch(() => {}); // not before the first click on the page
    return () => {
      document.removeEventListener("keydown", key);
      sound.pause();
    };
  };
}

function goodbye(element) {
  const text = make("textarea", { rows: 3, id: "remark", input: () => { state.remark = text.value; save(); } });
  text.value = state.remark;
  const shown = make("textarea", { rows: 6, readonly: true, hidden: true, "aria-label": "Your answers" });
  const show = () => { shown.value = exported(); shown.hidden = false; shown.select(); };
  element.append(
    make("main", {},
      heading("Thank you: that was all"),
      make("div", { class: "card" },
        make("label", { for: "remark" }, "Anything that we should know? (optional; no names, please)"),
        text),
      make("div", { class: "card" },
        make("p", {}, "Now save your answers to a file, and send that file to the person who gave you this page."),
        make("div", { class: "row" },
          make("button", { class: "main", id: "save", click: download }, "Save my answers"),
          make("button", { click: show }, "Show them as text")),
        shown)));
}

// ---- the course of events -------------------------------------------------------------------------------------------

const jsPsych = jsPsychModule.initJsPsych({ display_element: "stage" });
const screen = (show) => ({ type: Screen, show });

async function run() {
  await jsPsych.run([screen(welcome)]);
  const sheet = STUDY.sheets[state.sheet - 1];
  const rest = sheet.map((_, index) => screen(rating(sheet, index))).slice(state.answers.length);
  await jsPsych.run([...(state.answers.length ? [] : [screen(instructions)]), ...rest, screen(goodbye)]);
}

run();
