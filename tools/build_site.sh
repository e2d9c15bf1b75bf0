#!/usr/bin/env bash
# Builds the site strictly in a virtual environment of its own, checks it, and tests what it is made of.
#
#     bash tools/build_site.sh [FOLDER OF THE ENVIRONMENT]
#
# deepfs is built into the environment, or installed there from WHEEL=path; a machine without Chromium checks the links only.
# With WASM_WHEEL=path, which tools/wasm.sh builds, the playground runs; without it the page says what lacks.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_QUIET=1 NO_MKDOCS_2_WARNING=1
unset PYTHONPATH
work=${1:-$(mktemp -d)}
[ $# -gt 0 ] || trap 'rm -rf "$work"' EXIT
python3 -m venv "$work"
"$work/bin/pip" install "${WHEEL:-.}[docs,images]" playwright
"$work/bin/mkdocs" build --quiet --strict
if [ -n "${WASM_WHEEL:-}" ]; then
    "$work/bin/python" tools/playground.py build/site/playground --site --wheel "$WASM_WHEEL"
fi
"$work/bin/python" tools/site_check.py build/site
