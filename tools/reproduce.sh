#!/usr/bin/env bash
# Build the sdist and the wheel twice, in two folders, and compare them byte for byte.
#
#     tools/reproduce.sh [FOLDER]     # keeps the first pair in FOLDER: two compilations
#
# The second pair is built from the first one's sdist, at another path and under another umask, as
# somebody would who only has what was published. PYTHON names an interpreter with the package `build`.
set -euo pipefail
python=${PYTHON:-python}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d "${TMPDIR:-/tmp}/reproduce-XXXXXX")
trap 'rm -rf "$work"' EXIT
kept=${1:-$work/first}
mkdir -p "$kept" "$work/second"
unset SOURCE_DATE_EPOCH

"$python" -m build -q --sdist --outdir "$kept" .
unpack() { # the sdist, into a folder; prints where it lies
    mkdir -p "$1" && tar xf "$kept"/deepfs-*.tar.gz -C "$1" && echo "$1"/deepfs-*
}
"$python" -m build -q --wheel --outdir "$kept" "$(unpack "$work/a")"
(
    umask 077
    sleep 2 # zip files count time in steps of two seconds
    again=$(unpack "$work/another/place")
    "$python" -m build -q --outdir "$work/second" --sdist "$again"
    "$python" -m build -q --outdir "$work/second" --wheel "$again"
)
sha256sum "$kept"/deepfs-* "$work"/second/deepfs-*
for file in "$kept"/deepfs-*; do
    cmp "$file" "$work/second/$(basename "$file")" ||
        { echo "reproduce: FAILED: $(basename "$file") differs" >&2; exit 1; }
done
echo "reproduce: the sdist and the wheel are the same bytes when built again"
