// The page: what the reader does goes to the worker, what the worker tells is shown.
import { Curve } from "./curves.js";
import { Pad } from "./draw.js";
import { drawClasses, drawLayers, drawResult } from "./parts.js";
import { say } from "./text.js";
import { drawTiles } from "./tiles.js";

const NETWORKS = ["mini_convnet", "simple_convnet", "mlp", "lenet5", "deep_convnet"];
const PATIENCE = 5000; // milliseconds after which code that does not stop is ended with its worker
const PAUSE = 1000; // milliseconds after which the page says that code does not pause
const OFTEN = 100; // milliseconds between two digits that are sent while one is drawn
const RATE = /(optimizers\.\w+\()([\d.e-]+)/; // the learning rate in the code
// A module of one function with a vector instruction: is it valid here?
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];

const at = (id) => document.getElementById(id);
const read = async (name, kind = "text") => {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name}: HTTP ${response.status}`);
  return response[kind]();
};
const curves = {
  loss: new Curve(at("loss"), { format: (v) => v.toPrecision(2) }),
  accuracy: new Curve(at("accuracy"), { top: 1, format: (v) => `${100 * v} %` }),
};
const pad = new Pad(at("pad"), tryDigit);
const shown = { status: ["starting"], epochs: [], dead: {} };
const codes = {}; // of each choice, with what the reader changed
let lang = language(), phase = "loading", worker, settings, templates, timer, next, step = 0;

const t = (key, values) => say(lang, key, values);
const percent = (share) => (share == null || Number.isNaN(share) ? "–" : `${(100 * share).toFixed(1)}\u00a0%`);

function language() {
  const asked = new URLSearchParams(location.search).get("lang") ?? navigator.language;
  return asked.startsWith("zh") ? "zh" : "en";
}

function send(kind, value) {
  worker?.postMessage({ kind, value });
}

/** Send the digit that is being drawn, or let a test image take its place where there is none. */
function tryDigit(digit) {
  if (!next) setTimeout(() => { send(...next); next = undefined; }, OFTEN);
  next = digit ? ["digit", digit] : ["example", 0];
}

// What the page says.

function status(key, values, bad = false) {
  shown.status = [key, values, bad];
  at("status").textContent = t(key, values);
  at("status").classList.toggle("bad", bad);
}

function speak() {
  document.documentElement.lang = lang === "zh" ? "zh-CN" : "en";
  document.title = t("title");
  for (const each of document.querySelectorAll("[data-text]")) each.textContent = t(each.dataset.text);
  for (const each of document.querySelectorAll("[data-label]")) each.setAttribute("aria-label", t(each.dataset.label));
  for (const each of document.querySelectorAll("[data-lang]")) each.setAttribute("aria-pressed", each.dataset.lang === lang);
  for (const each of document.querySelectorAll("#choice [data-key]")) {
    each[each.tagName === "OPTGROUP" ? "label" : "textContent"] =
      each.dataset.zh ? each.dataset[lang] : t(each.dataset.key);
  }
  at("docs").href = settings?.docs ?? "../";
  for (const kind of ["loss", "accuracy"]) {
    curves[kind].names = [t(`${kind}Axis`), t("steps")];
    curves[kind].draw();
  }
  if (settings?.outside) at("load").textContent = t("consent", settings.outside);
  if (shown.scheduled) showRate(null);
  status(...shown.status);
  about();
  numbers();
  verdict();
  insides();
  result();
  buttons();
}

function about() {
  at("about").textContent = shown.about ? t("about", shown.about) : "";
}

function buttons() {
  const busy = phase === "running" || phase === "paused" || phase === "stopping";
  const lab = at("choice").value.startsWith("lab.");
  at("run").textContent = t(lab ? "runIt" : "train");
  at("run").disabled = at("again").disabled = phase !== "ready";
  at("pause").textContent = t(phase === "paused" ? "go" : "pause");
  at("pause").disabled = phase !== "running" && phase !== "paused";
  at("stop").disabled = !busy || phase === "stopping";
  document.body.dataset.phase = phase; // for tests, and for style
}

function numbers() {
  const last = shown.epochs.at(-1);
  const parts = [t("none")];
  if (step) {
    parts[0] = t("numbers", { epoch: shown.epochs.length + (last?.step === step ? 0 : 1), step,
      loss: curves.loss.value.toFixed(3), accuracy: percent(curves.accuracy.value) });
  }
  if (last) parts.push(t("test", { accuracy: percent(last.accuracy), seconds: last.seconds.toFixed(1) }));
  at("numbers").textContent = parts.join(" ");
  for (const kind of ["loss", "accuracy"]) at(kind).setAttribute("aria-label", `${t(`${kind}Axis`)}. ${parts.join(" ")}`);
}

function verdict() {
  const { classes, error } = shown.insides ?? {};
  if (error) at("verdict").textContent = t("unread", { reason: error });
  else if (!classes) at("verdict").textContent = t("untrained");
  else {
    const best = classes.indexOf(Math.max(...classes));
    at("verdict").textContent = t("predicted", { digit: best, share: percent(classes[best]) });
  }
  drawClasses(at("classes"), classes ?? Array(10).fill(0));
}

function insides() {
  if (!shown.insides) return;
  drawTiles(at("seen"), shown.insides.image);
  drawLayers(at("layers"), shown.insides, shown.dead, t);
}

function result() {
  at("result").hidden = !shown.result;
  if (shown.result) drawResult(at, shown.result, lang, settings.pictures);
}

function output(text, bad = false) {
  at("output").hidden = false;
  const part = document.createElement("span");
  part.textContent = text;
  part.className = bad ? "bad" : "";
  at("output").append(part);
}

// What the worker tells.

const told = {
  loading: ({ bytes }) => {
    at("progress").hidden = false;
    at("progress").value = Math.min(1, bytes / 1e6 / settings.megabytes);
  },
  starting: () => shown.restarted || status("starting"),
  drawing: () => status("drawing"),
  ready: (facts) => {
    phase = "ready";
    at("progress").hidden = true;
    const whole = (performance.now() - began) / 1000;
    shown.about = { ...facts, seconds: whole.toFixed(1) };
    about();
    if (!shown.restarted) status(at("choice").value.startsWith("lab.") ? "readyLab" : "ready");
    buttons();
  },
  failed: ({ reason, lost }) => failed(lost ? "failed" : "unstarted", reason),
  output: ({ text, cut }) => output(cut ? `${t("cut")}\n` : text),
  rate: ({ rate }) => {
    shown.scheduled = rate === null;
    at("rate").disabled = shown.scheduled;
    showRate(rate);
  },
  paused: () => {
    if (phase !== "paused") return;
    clearTimeout(timer);
    status("paused");
  },
  points: ({ points }) => {
    for (let k = 0; k < points.length; k += 3) {
      step = points[k];
      curves.loss.add(step, points[k + 1]);
      curves.accuracy.add(step, points[k + 2]);
    }
    network(true);
    soon();
  },
  epoch: (facts) => {
    shown.epochs.push(facts);
    curves.loss.dots.push([facts.step, facts.loss]);
    if (facts.accuracy != null) curves.accuracy.dots.push([facts.step, facts.accuracy]);
    soon();
  },
  dead: ({ dead }) => {
    shown.dead = dead;
  },
  insides: (found) => {
    shown.insides = found;
    soon();
  },
  broken: ({ reason }) => restart("broken", { reason }),
  result: (found) => {
    shown.result = found;
    result();
  },
  ended: ({ ended, seconds, traceback }) => {
    clearTimeout(timer);
    phase = "ready";
    if (traceback) {
      output(traceback, true);
      at("output").scrollIntoView({ block: "nearest" });
    }
    if (ended === "error") status("wrong", {}, true);
    else status(ended, { seconds: seconds.toFixed(1) });
    at("rate").disabled = false;
    soon();
    buttons();
  },
};

let waiting = false;

/** Draw what has changed, once before the next frame. */
function soon() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    curves.loss.draw();
    curves.accuracy.draw();
    numbers();
    verdict();
    insides();
  });
}

// The worker.

let began = performance.now();

function open() {
  began = performance.now();
  phase = "loading";
  at("load").hidden = true;
  worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  worker.onmessage = ({ data: { kind, ...message } }) => told[kind](message);
  worker.onerror = (event) => {
    event.preventDefault();
    const reason = event.message ?? "worker.js";
    if (phase === "loading") failed("failed", reason);
    else restart("broken", { reason });
  };
  if (!shown.restarted) status("loading", { size: settings.megabytes });
  send("start", { runtime: new URL(settings.runtime, location).href, wheel: new URL(settings.wheel, location).href,
    matplotlib: settings.matplotlib });
  buttons();
}

/** End the worker, and what it may still say. */
function close() {
  clearTimeout(timer);
  if (worker) worker.onmessage = worker.onerror = null;
  worker?.terminate();
}

function restart(key, values) {
  close();
  Object.assign(shown, { insides: undefined, restarted: true });
  at("layers").replaceChildren();
  status(key, values, true);
  verdict();
  open();
}

function failed(key, reason) {
  close();
  phase = "failed";
  at("progress").hidden = true;
  status(key, { reason }, true);
  at("load").hidden = false;
  at("load").textContent = t("retry");
  buttons();
}

// What the reader does.

function start() {
  if (phase !== "ready") return;
  phase = "running";
  for (const curve of Object.values(curves)) curve.clear();
  Object.assign(shown, { epochs: [], dead: {}, result: undefined, restarted: false });
  step = 0;
  at("output").replaceChildren();
  at("output").hidden = true;
  status("running");
  numbers();
  result();
  buttons();
  send("run", at("code").value);
}

function pause() {
  const going = phase === "paused";
  phase = going ? "running" : "paused";
  status(going ? "running" : "paused");
  send(going ? "go" : "pause");
  clearTimeout(timer);
  if (!going) timer = setTimeout(() => status("pausing"), PAUSE);
  buttons();
}

function stop() {
  phase = "stopping";
  status("stopping");
  send("stop");
  clearTimeout(timer);
  timer = setTimeout(() => restart("restarted"), PATIENCE);
  buttons();
}

function showRate(rate) {
  if (rate) at("rate").value = Math.log10(rate);
  at("rate-value").textContent = rate === null ? t("scheduled") : String(Number(rate.toPrecision(2)));
}

function changeRate() {
  const rate = Number((10 ** Number(at("rate").value)).toPrecision(2));
  showRate(rate);
  if (phase === "running" || phase === "paused") send("rate", rate);
  else at("code").value = at("code").value.replace(RATE, `$1${rate}`);
}

function network(yes) {
  for (const each of document.querySelectorAll(".network")) each.hidden = !yes;
}

let chosen;

function choose(anew = false) {
  if (chosen && !anew) codes[chosen] = at("code").value;
  chosen = at("choice").value;
  const lab = chosen.startsWith("lab.");
  if (anew) delete codes[chosen];
  codes[chosen] ??= lab ? templates.experiment.replace("difference_errors", chosen.slice(4))
    : templates.train.replace("mini_convnet", chosen);
  at("code").value = codes[chosen];
  at("code").rows = codes[chosen].split("\n").length;
  const rate = codes[chosen].match(RATE);
  if (rate && phase !== "running" && phase !== "paused") showRate(Number(rate[2]));
  network(!lab);
  if (phase === "ready") status(lab ? "readyLab" : "ready");
  buttons();
}

function option(key, names, value) {
  const made = document.createElement(value ? "option" : "optgroup");
  Object.assign(made.dataset, { key, ...names });
  if (value) made.value = value;
  return made;
}

function fill(groups) {
  const first = option("networks");
  first.append(...NETWORKS.map((name) => option(name, {}, name)));
  at("choice").append(first);
  for (const { title, experiments } of groups) {
    const names = { en: say("en", "lab", { group: title.en }), zh: say("zh", "lab", { group: title.zh }) };
    const group = option("lab", names);
    group.append(...Object.entries(experiments).map(([name, words]) => option("lab", words, `lab.${name}`)));
    at("choice").append(group);
  }
}

function unsupported() {
  if (typeof WebAssembly !== "object" || typeof Worker === "undefined") return "noWasm";
  return WebAssembly.validate(new Uint8Array(SIMD)) ? null : "noSimd";
}

async function main() {
  at("run").onclick = at("again").onclick = start;
  at("load").onclick = () => (settings?.wheel ? open() : location.reload());
  at("pause").onclick = pause;
  at("stop").onclick = stop;
  at("rate").oninput = changeRate;
  at("choice").onchange = () => choose();
  at("restore").onclick = () => choose(true);
  at("clear").onclick = () => pad.clear();
  at("example").onclick = () => { pad.clear(); send("example", 1); };
  at("code").onkeydown = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); start(); }
  };
  for (const each of document.querySelectorAll("[data-lang]")) {
    each.onclick = () => {
      lang = each.dataset.lang;
      history.replaceState(null, "", `?lang=${lang}`);
      speak();
    };
  }
  new ResizeObserver(soon).observe(at("layers"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", soon);
  speak();
  const groups = await read("experiments.json", "json");
  templates = { train: await read("train.py"), experiment: await read("experiment.py") };
  settings = await read("settings.json", "json");
  fill(groups);
  choose();
  speak();
  const lacks = unsupported() ?? (settings.wheel ? null : "noWheel");
  const host = new URL(settings.runtime, location).host;
  if (lacks) {
    phase = "failed";
    status(lacks, {}, true);
  } else if (host !== location.host) {
    settings.outside = { host, size: settings.transfer };
    at("load").textContent = t("consent", settings.outside);
    at("load").hidden = false;
    status("consentHint");
  } else open();
  buttons();
}

main().catch((error) => failed("failed", error.message));
