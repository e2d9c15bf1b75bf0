#!/bin/sh
# Build examples/extension beside an installed deepfs, and run its tests at each level.
#
#     tools/extension.sh python3      # of an environment with deepfs, Cython, setuptools and pytest
#
# The levels are those that this processor runs. It fails if a module links OpenMP: the threads of
# an extension are those of cnn_core, see docs/extending.md.
set -eu
python=$1
example=$(cd "$(dirname "$0")/../examples/extension" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp -r "$example/." "$folder"
rm -rf "$folder/build" "$folder"/src/deepfs_example/_v? "$folder/src/deepfs_example/_native"
cd "$folder"
"$python" -m pip wheel -q --no-build-isolation --no-deps --wheel-dir wheels .
"$python" -m pip install -q --no-deps --force-reinstall wheels/*.whl
"$python" - wheels/*.whl <<'LIST'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    linked = [n for n in wheel.namelist() if n.endswith(".so") and b"libgomp" in wheel.read(n)]
if linked:
    sys.exit(f"extension.sh: modules of the extension link OpenMP: {linked}")
LIST
for level in $("$python" -c "from cnn_core import _cpu; print(*_cpu.levels())"); do
    DEEPFS_ISA=$level "$python" -m pytest -q -W error -p no:cacheprovider --rootdir tests tests
    echo "passed at level $level: $(basename wheels/*.whl)"
done
