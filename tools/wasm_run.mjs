// Run a Python program in Pyodide, in node, with wheels: docs/browser.md.
//
//     node tools/wasm_run.mjs PYODIDE WHEELS PROGRAM [ARGUMENT...]
//
// PYODIDE: its folder. WHEELS: a folder; all wheels in it are unpacked. PROGRAM: a file, or -m MODULE. The
// program runs in the current folder.
import { readFileSync, readdirSync } from "node:fs";
import { resolve } from "node:path";

const SITE = "/lib/python3.12/site-packages";
const [pyodide, wheels, ...words] = process.argv.slice(2);
const { loadPyodide } = await import(resolve(pyodide, "pyodide.mjs"));
const python = await loadPyodide({ indexURL: resolve(pyodide) });
await python.loadPackage(["numpy", "packaging", "pygments"], { messageCallback() {} });
for (const name of readdirSync(wheels).filter((each) => each.endsWith(".whl"))) {
  const content = new Uint8Array(readFileSync(resolve(wheels, name)));
  python.unpackArchive(content, "wheel", { extractDir: SITE });
}
python.FS.mkdir("/here");
python.FS.mount(python.FS.filesystems.NODEFS, { root: process.cwd() }, "/here");
python.globals.set("words", python.toPy(words));
process.exitCode = await python.runPythonAsync(`
import importlib, os, runpy, sys, traceback
importlib.invalidate_caches()
os.chdir("/here")
code = 0
try:
    if words[0] == "-m":
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(words)
        sys.path.insert(0, os.path.dirname(os.path.abspath(words[0])))
        runpy.run_path(words[0], run_name="__main__")
except SystemExit as end:
    code = end.code if isinstance(end.code, int) else int(end.code is not None)
except BaseException:  # node would print all of Pyodide's source with it
    traceback.print_exc()
    code = 1
sys.stdout.flush()
code
`);
