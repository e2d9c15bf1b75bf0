// Python, off the page's thread. Messages in: start, run, and what page.hear of playground.py knows.
const MOST = 50_000; // characters of output of a run: code that prints for ever must not fill the page
const FILES = ["playground.py", "insides.py"];
const plainFetch = self.fetch.bind(self);
let run, hear, printed = 0, loaded = 0, told = 0;

const post = (kind, message = {}) => self.postMessage({ kind, ...message });
const plain = (proxy) => proxy.toJs({ dict_converter: Object.fromEntries });

// A download that failed is told by `start`; Pyodide forgets a promise of it.
self.addEventListener("unhandledrejection", (event) => event.reason?.lost && event.preventDefault());

self.onmessage = async ({ data: { kind, value } }) => {
  if (kind === "start") await start(value).catch(({ message, lost }) => post("failed", { reason: message, lost }));
  else {
    try {
      await (kind === "run" ? runCode(value) : hear?.(kind, value));
    } catch (error) { // not the reader's: those end a run by their traceback
      post("broken", { reason: error.message });
    }
  }
};

async function start({ runtime, wheel, matplotlib }) {
  const began = performance.now(), lost = failures();
  const { loadPyodide, version } = await import(`${runtime}pyodide.mjs`).catch(({ message }) => { throw missing(message); });
  const python = await Promise.race([lost, loadPyodide({
    indexURL: runtime, packages: ["numpy", wheel], stdout: print, stderr: print,
  })]);
  post("starting");
  for (const name of FILES) {
    const text = await (await fetch(new URL(name, import.meta.url))).text();
    python.FS.writeFile(name, text);
  }
  const module = python.pyimport("playground");
  module.connect((kind, message) => post(kind, plain(message)));
  hear = (kind, value) => module.page.hear(kind, value && python.toPy(value));
  run = async (code) => {
    if (matplotlib && code.includes("dfs.lab.")) {
      post("drawing");
      await python.loadPackage("matplotlib", { messageCallback() {}, errorCallback() {} }).catch(() => {});
    }
    return module.run(code);
  };
  self.fetch = plainFetch;
  post("ready", { pyodide: version, seconds: (performance.now() - began) / 1000, ...plain(module.versions()) });
}

function missing(reason) {
  return Object.assign(new Error(reason), { lost: true });
}

/** Count what is loaded, and return a promise that is rejected when a file cannot be. */
function failures() {
  let refuse;
  self.fetch = async (input, options) => {
    const address = String(input.url ?? input);
    try {
      const response = await plainFetch(input, options);
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      const count = new TransformStream({ transform(chunk, out) { tell(chunk.byteLength); out.enqueue(chunk); } });
      return response.body ? new Response(response.body.pipeThrough(count), response) : response;
    } catch (error) {
      const named = missing(`${address}: ${error.message}`);
      refuse(named); // Pyodide itself may wait for ever
      throw named;
    }
  };
  return new Promise((_, reject) => { refuse = reject; });
}

function tell(bytes) {
  loaded += bytes;
  if (performance.now() - told < 100) return;
  told = performance.now();
  post("loading", { bytes: loaded });
}

function print(line) {
  if (printed > MOST) return;
  printed += line.length + 1;
  post("output", printed > MOST ? { cut: true } : { text: `${line}\n` });
}

async function runCode(code) {
  printed = 0;
  const began = performance.now();
  const ended = await run(code);
  post("ended", { seconds: (performance.now() - began) / 1000, ...plain(ended) });
  ended.destroy();
}
