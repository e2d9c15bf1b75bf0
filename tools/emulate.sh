#!/usr/bin/env bash
# Try a wheel on processors that this machine does not have, and the kernels with other compilers.
#
#     tools/emulate.sh WHEEL        # Linux on x86-64; a repaired wheel or another one
#
# Under qemu-user the wheel, and one of examples/extension built beside it, must choose the level of each
# processor and train to the bits of that level on this machine, or refuse one that deepfs has no
# kernels for. Then the C of a build in place, if there
# is one, is compiled, not run, by each compiler that is installed: Clang, musl's, GCC for aarch64.
#
# Debian: apt-get install qemu-user clang libomp-dev musl-tools gcc-aarch64-linux-gnu. What is missing is named.
set -euo pipefail
python=${PYTHON:-python3}
wheel=$(readlink -f "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d "${TMPDIR:-/tmp}/emulate-XXXXXX")
trap 'rm -rf "$work"' EXIT
unset DEEPFS_ISA PYTHONPATH
has() { command -v "$1" >/dev/null || { echo "emulate: $1 is not installed: left out"; return 1; }; }
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install -q "$wheel" 'cython>=3.0.12' 'setuptools>=77'
cp -r examples/extension "$work/extension"
rm -rf "$work"/extension/build "$work"/extension/src/deepfs_example/{_v?,_native}
"$work/venv/bin/pip" wheel -q --no-build-isolation --no-deps --wheel-dir "$work" "$work/extension"
"$work/venv/bin/pip" install -q --no-deps "$work"/deepfs_example-*.whl
cat >"$work/train.py" <<'PROGRAM'
import hashlib
import numpy as np
import cnn_core
import deepfs as dfs
import deepfs_example as own
from deepfs import layers as L
x = np.random.default_rng(0).random((20, 3, 12, 12), np.float32)
def trained(act, optimizer, *further):
    net = [L.Conv2D(16, 3), L.BatchNorm(), act, *further, L.MaxPool2D(2), L.Flatten(), L.Dense(10)]
    model = dfs.Model(L.Sequential(net), loss="cross_entropy", optimizer=optimizer, seed=0)
    for _ in range(6):
        model.train_on_batch(x, np.arange(20) % 10)
    weights = b"".join(w.tobytes() for w in model.get_weights().values())
    return hashlib.sha256(weights).hexdigest()[:16]
print(cnn_core.level, trained(L.ReLU(), dfs.optimizers.Adam(1e-3)),
      trained(own.Swish(), own.AdaBelief(1e-3), own.SqueezeExcite(4), own.RReLU()))
PROGRAM
export OMP_NUM_THREADS=2
cd "$work"

if has qemu-x86_64; then
    program=$(readlink -f "$work/venv/bin/python")
    site=$("$work/venv/bin/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))")
    on() { # a processor; NumPy's OpenBLAS takes the older ones for ones with AVX, so it is told
        case $1 in Nehalem | SandyBridge) export OPENBLAS_CORETYPE=NEHALEM ;; *) unset OPENBLAS_CORETYPE ;; esac
        PYTHONPATH=$site qemu-x86_64 -cpu "$1" "$program" train.py 2>&1 | grep -v '^qemu-x86_64: warning' || true
    }
    for pair in Nehalem:v2 SandyBridge:v2 Haswell:v3; do
        processor=${pair%:*} level=${pair#*:}
        wanted=$(DEEPFS_ISA=$level "$work/venv/bin/python" train.py)
        got=$(on "$processor")
        echo "$processor: $got"
        [ "$got" = "$wanted" ] || { echo "emulate: FAILED: $level on this machine: $wanted" >&2; exit 1; }
    done
    got=$(PYTHONPATH=$site qemu-x86_64 -cpu qemu64 "$program" -c "import cnn_core" 2>&1 | tail -n 1 || true)
    echo "qemu64: $got"
    case $got in *"no kernels for this processor"*) ;; *) echo "emulate: FAILED" >&2; exit 1 ;; esac
fi

cd "$OLDPWD"
sources=$(find build/release -path '*/cnn_core/v2/*.c' 2>/dev/null | sort -u || true)
[ -n "$sources" ] || { echo "emulate: no build in place here: no other compiler is tried"; exit 0; }
include=$("$python" -c "import sysconfig; print(sysconfig.get_path('include'))")
compile() { # name, command...
    has "$2" || return 0
    local name=$1 count=0 source
    shift
    for source in $sources; do
        "$@" -O1 -w -fPIC -ffp-contract=fast -DPy_LIMITED_API=0x030B0000 -DCYTHON_LIMITED_API=1 \
            -I"$include" -Isrc/cnn_core -c "$source" -o "$work/object.o" ||
            { echo "emulate: FAILED: $name: $source" >&2; exit 1; }
        count=$((count + 1))
    done
    echo "$name: $count kernels compile"
}
if has clang; then
    if echo '#include <omp.h>' | clang -fopenmp -fsyntax-only -x c - 2>/dev/null; then
        compile "Clang, v3" clang -march=x86-64-v3 -fopenmp
    else
        echo "emulate: libomp-dev is not installed: Clang compiles without OpenMP"
        compile "Clang, v3" clang -march=x86-64-v3
    fi
fi
compile "musl, GCC, v2" musl-gcc -march=x86-64-v2
compile "GCC for aarch64" aarch64-linux-gnu-gcc -fopenmp
