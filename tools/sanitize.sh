#!/usr/bin/env bash
# Run the tests under AddressSanitizer and UndefinedBehaviorSanitizer. Linux, GCC.
#
#     tools/sanitize.sh                               # all of them: half an hour
#     tools/sanitize.sh tests/test_pool.py -k ceil    # or what these arguments of pytest name
#
# Works in a temporary copy of the tree, built with both sanitizers and Cython's bounds checks. There
# the blocks of `memory` have exactly the size asked for and are never used again, so that one
# number too far is seen. A copy of the kernel `add` with two planted faults is built with it, and
# must be found out first: else silence would mean nothing.
#
# Exits 1 if a planted fault is missed, a sanitizer reports anything, or a test fails. PYTHON names
# another interpreter than python.
set -euo pipefail

python=${PYTHON:-python}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
copy=$(mktemp -d "${TMPDIR:-/tmp}/sanitize-XXXXXX")
trap 'rm -rf "$copy"' EXIT
tar c --exclude=./.git --exclude=./build . | tar x -C "$copy"
cd "$copy"
find src -name '*.so' -delete

fail() {
    echo "sanitize: FAILED: $1" >&2
    exit 1
}

# The copy of a kernel: it reads a number behind its input, and multiplies n by the largest integer.
sed -e 's/y\[i\] = a\[i\] + b\[i\]/y[i] = a[i + 1] + b[i]/' \
    -e 's/<double> n \* sizeof(real)/<double> (n * <dim> 0x7fffffffffffffff) * sizeof(real)/' \
    src/cnn_core/add.pyx > src/cnn_core/planted.pyx
[ "$(diff src/cnn_core/add.pyx src/cnn_core/planted.pyx | grep -c '^>')" = 2 ] ||
    fail "add.pyx has changed: the faults cannot be planted"
# Blocks of exact size, which go back at once. None is a part of another: see SMALL in large_buffers.h.
header=src/cnn_core/aligned_memory.h
sed -i -e 's/self.size = rounded(max(1, self.length))/self.size = max(1, self.length)/' \
    -e 's/max_idle = 1 << 30/max_idle = 0/' src/cnn_core/memory.pyx
sed -i -e 's/ && defined(MADV_HUGEPAGE)/ \&\& 0/' -e 's|(bytes + 64) / 64 \* 64)|bytes)|' $header
[ "$(grep -c 'self.size = max(1, self.length)\|max_idle = 0' src/cnn_core/memory.pyx)" = 2 ] &&
    [ "$(grep -c '__) && 0\|alignment, bytes)' $header)" = 2 ] ||
    fail "memory.pyx or $header has changed: blocks cannot be made exact"

# Python compiles with -fwrapv, which would define the overflows that are looked for.
flags="-fsanitize=address,undefined,float-cast-overflow -O1 -g -fno-omit-frame-pointer -fno-wrapv"
echo "sanitize: building with $flags"
DEEPFS_NATIVE=1 DEEPFS_DEBUG=1 DEEPFS_CFLAGS=$flags \
    "$python" setup.py -q build_ext --inplace > build.log 2>&1 || {
    tail -n 30 build.log
    fail "it does not build"
}

# Reports go to files: those of processes that a test starts, whose output it keeps, too.
reports=$copy/reports
mkdir "$reports"
sanitized() {
    LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
        ASAN_OPTIONS="detect_leaks=0,detect_odr_violation=0,allocator_may_return_null=1,log_path=$reports/address" \
        UBSAN_OPTIONS="print_stacktrace=1,log_path=$reports/undefined" \
        PYTHONPATH=$copy/src:$copy/python PYTHONMALLOC=malloc "$python" "$@"
}
reported() { cat "$reports"/* "$copy/output" 2> /dev/null | grep -E "$1" || true; }

call="import numpy as np; from cnn_core import planted; a = np.ones(1000)"
sanitized -c "$call; planted.add(a, a, np.empty(1000), True)" > output 2>&1 || true
[ -n "$(reported 'planted.*runtime error: signed integer overflow')" ] ||
    fail "the planted overflow was not found"
sanitized -c "$call; planted.add(a, a, np.empty(1000))" > output 2>&1 || true
[ -n "$(reported 'ERROR: AddressSanitizer: heap-buffer-overflow')" ] ||
    fail "the planted read out of bounds was not found"
rm -f "$reports"/* src/cnn_core/planted.* src/cnn_core/*/planted.*
echo "sanitize: both planted faults were found"

# Left out: what asks how much memory is idle or has its usual size, what holds for optimised code
# only, a test that wants nothing on stderr but what OpenMP prints, and one that starts PostgreSQL,
# which the preloaded sanitizer never lets end.
status=0
sanitized -m pytest -q -s -p no:cacheprovider -o timeout=1800 \
    --ignore tests/test_memory.py --ignore tests/test_dirty_memory.py \
    --deselect tests/test_checkpoint.py::test_memory_is_that_of_the_inputs_and_of_one_body \
    --deselect tests/test_plan.py::test_activations_are_what_training_takes_from_the_store \
    --deselect 'tests/test_docs_blocks.py::test_blocks_run[docs/plan.md]' \
    --deselect 'tests/test_layer_faults.py::test_the_fault_is_named[Tail(3, 4099)]' \
    --deselect tests/test_gemm.py::test_register_tiles_are_inlined \
    --deselect tests/test_threads.py::test_waiting_threads_soon_sleep \
    --deselect tests/test_search_processes.py::test_calls_on_several_machines_share_a_database \
    "${@:-tests}" 2>&1 |
    tee output || status=$?
found=$(reported 'runtime error|ERROR: AddressSanitizer' | sort | uniq -c)
[ -z "$found" ] || {
    echo "$found"
    fail "the sanitizers report the above"
}
[ $status = 0 ] || fail "pytest ended with $status"
echo "sanitize: nothing found in $(grep -Eo '[0-9]+ passed' output) tests; both planted faults were found"
