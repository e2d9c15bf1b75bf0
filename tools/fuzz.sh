#!/usr/bin/env bash
# Bad settings and bad arrays to all that is public, 25 times as many as the suite tries.
#   tools/fuzz.sh              as many, about 20 minutes
#   tools/fuzz.sh 10           five times as many
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
DEEPFS_EXAMPLES=${1:-50} python -m pytest -q -o timeout=3600 tests/test_bad_input.py
