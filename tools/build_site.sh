#!/usr/bin/env bash
# Builds the site strictly in a virtual environment of its own, checks it, and tests what it is made of.
#
#     bash tools/build_site.sh [FOLDER OF THE ENVIRONMENT]
#
# deepfs is built into the environment, or installed there from WHEEL=path; a machine without Chromium checks the links only.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_QUIET=1 NO_MKDOCS_2_WARNING=1
unset PYTHONPATH
work=${1:-$(mktemp -d)}
[ $# -gt 0 ] || trap 'rm -rf "$work"' EXIT
python3 -m venv "$work"
"$work/bin/pip" install "${WHEEL:-.}[docs,images]" playwright
"$work/bin/mkdocs" build --quiet --strict
"$work/bin/python" tools/site_check.py build/site
