#!/usr/bin/env bash
# Build a site of JupyterLite with the notebooks of examples/notebooks: docs/browser.md.
#
#     tools/jupyterlite.sh OUT WHEEL [PYODIDE [PYTHON]]
#
# OUT: a new folder; WHEEL: deepfs for Pyodide, by tools/wasm.sh, which also unpacks PYODIDE, a Pyodide
# 0.27; PYTHON: makes the virtual environment. Needs pip. Readers ask no other server.
set -euo pipefail
wheel=$(realpath "$2")
runtime=$(realpath "${3:-${DEEPFS_WASM:-${XDG_CACHE_HOME:-$HOME/.cache}/deepfs-wasm}/pyodide}")
out=$(realpath -m "$1")
[ ! -e "$out" ] || { echo "tools/jupyterlite.sh: $out exists; name a new folder, or remove it" >&2; exit 1; }
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Versions whose Pyodide is 0.27; 0.7 of the kernel takes 0.29
"${4:-python3}" -m venv "$work/env"
"$work/env/bin/pip" install -q jupyterlite-core==0.6.4 jupyterlite-pyodide-kernel==0.6.1 jupyter-server
"$work/env/bin/pip" download -q --no-deps -d "$work/wheels" comm==0.2.3 tqdm==4.67.1
cp "$wheel" "$work/wheels"

# The runtime, with the packages that the notebooks and the kernel need and no others. `import deepfs` in a
# cell loads the wheel: the kernel looks up what a cell imports in the lock file.
"$work/env/bin/python" - "$work" "$runtime" <<'LOCK'
import hashlib, json, shutil, sys
from pathlib import Path
work, runtime = map(Path, sys.argv[1:])
pyodide = work / "lite" / "static" / "pyodide"
pyodide.mkdir(parents=True)
lock = json.loads((runtime / "pyodide-lock.json").read_text())
needs = {"deepfs": ["numpy", "matplotlib", "tqdm"]}  # dfs.plots imports Matplotlib; no cell does
for wheel in (work / "wheels").iterdir():
    name, version = wheel.name.split("-")[:2]
    lock["packages"][name] = {
        "name": name, "version": version, "file_name": wheel.name, "install_dir": "site",
        "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(), "package_type": "package",
        "imports": [name], "depends": needs.get(name, []), "unvendored_tests": False,
    }
kept, asked = {}, ["deepfs", "comm", "ssl", "sqlite3", "jedi", "ipython", "micropip"]
while asked:
    name = asked.pop()
    if name not in kept:
        kept[name] = lock["packages"][name]
        asked += [depends.replace("_", "-") for depends in kept[name]["depends"]]
        folder = work / "wheels" if name in ("deepfs", "comm", "tqdm") else runtime
        shutil.copy(folder / kept[name]["file_name"], pyodide)
lock["packages"] = kept
(pyodide / "pyodide-lock.json").write_text(json.dumps(lock))
for name in ("pyodide.js", "pyodide.mjs", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip"):
    shutil.copy(runtime / name, pyodide)
settings = {"@jupyterlite/pyodide-kernel-extension:kernel": {"disablePyPIFallback": True}}
(work / "lite" / "jupyter-lite.json").write_text(json.dumps({
    "jupyter-lite-schema-version": 0,
    "jupyter-config-data": {"appName": "deepfs", "litePluginSettings": settings},
}))
LOCK

# Links to pages of the documentation lead to the site. The build keeps its state in the current folder.
mkdir "$work/contents"
for notebook in examples/notebooks/*.ipynb; do
    sed -E 's#\.\./\.\./docs/([a-z0-9_/]+)\.md#https://deepfs.github.io/deepfs/\1/#g' "$notebook" \
        >"$work/contents/$(basename "$notebook")"
done
cd "$work"
env/bin/jupyter lite build --lite-dir lite --contents contents --apps lab --output-dir "$out" \
    --no-sourcemaps --no-unused-shared-packages >build.log 2>&1 || { cat build.log >&2; exit 1; }
grep -q '"pyodideUrl": "./static/' "$out/jupyter-lite.json"
du -sh "$out"
