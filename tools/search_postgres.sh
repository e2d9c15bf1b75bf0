#!/usr/bin/env bash
# Install PostgreSQL from the packages of Debian or Ubuntu and run the tests of dfs.search with it:
# several searches share one database, and one of them is killed.
#
#     tools/search_postgres.sh [PYTHON]     # with deepfs[test,search] and psycopg2-binary installed
set -euo pipefail
python=${1:-python}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
    run=$([ "$(id -u)" = 0 ] || echo sudo)
    $run apt-get update -q
    $run apt-get install -q -y --no-install-recommends postgresql
fi
"$python" -m pip install -q 'optuna>=4' psycopg2-binary
"$python" -m pytest -q -rs tests/test_search_processes.py -k machines_share
