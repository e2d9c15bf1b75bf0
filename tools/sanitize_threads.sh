#!/usr/bin/env bash
# Run the threaded tests under ThreadSanitizer. Linux, Clang with its libomp and Archer.
#
#     tools/sanitize_threads.sh                     # the files named below: minutes
#     tools/sanitize_threads.sh tests/test_gemm.py  # or what these arguments of pytest name
#
# Works in a temporary copy. libgomp would give false races: ThreadSanitizer does not see its barriers.
# Clang's libomp has Archer, which tells it of them. A planted race must be found first.
#
# Debian 12: apt-get install clang-19 libclang-rt-19-dev libomp-19-dev (the runtime of Clang 14 ends
# Python with a segmentation fault). Exits 1 if the race is missed, another is found, or a test fails.
# PYTHON names another interpreter than python, CLANG another compiler than the newest one; BUILT a
# tree that is built like that already.
set -euo pipefail
python=${PYTHON:-python}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
copy=$(mktemp -d "${TMPDIR:-/tmp}/threads-XXXXXX")
trap 'rm -rf "$copy"' EXIT
fail() { echo "sanitize_threads: FAILED: $1" >&2; exit 1; }
packages="apt-get install clang-19 libclang-rt-19-dev libomp-19-dev"
clang=${CLANG:-$(compgen -c clang | grep -E '^clang(-[0-9]+)?$' | sort -uV | tail -n 1)}
[ -n "$clang" ] || fail "Clang is not installed: $packages"
runtime=$("$clang" -print-file-name=libclang_rt.tsan-x86_64.so)
[ -f "$runtime" ] || fail "$clang has no shared ThreadSanitizer here: $packages"
archer=$(dirname "$(readlink -f "$(command -v "$clang")")")/../lib/libarcher.so
[ -f "$archer" ] || fail "there is no libarcher.so of $clang: $packages"
LD_PRELOAD=$runtime "$python" -c "" || fail "Python does not start under the runtime of $clang: $packages"
tree=${BUILT:-$copy/tree}
if [ -z "${BUILT:-}" ]; then
    mkdir "$tree"
    cp -r setup.py pyproject.toml *.md LICENSE src python tests tools benchmarks docs "$tree"
    find "$tree/src" -name '*.so' -delete
    (cd "$tree" && DEEPFS_NATIVE=1 CC=$clang LDSHARED="$clang -shared" \
        DEEPFS_CFLAGS="-fsanitize=thread -O1 -g -Wno-everything" \
        "$python" setup.py -q build_ext --inplace >"$copy/build.log" 2>&1) ||
        { tail -n 30 "$copy/build.log"; fail "it does not build"; }
fi
mkdir "$copy/reports"
sanitized() { # Archer is loaded as a tool of OpenMP; what Python itself does is not looked at
    LD_PRELOAD=$runtime OMP_TOOL_LIBRARIES=$archer OMP_NUM_THREADS=4 PYTHONMALLOC=malloc \
        TSAN_OPTIONS="allocator_may_return_null=1 ignore_noninstrumented_modules=1 exitcode=66 log_path=$copy/reports/race" \
        "$@"
}
cat >"$copy/planted.c" <<'PROGRAM'
#include <stdio.h>
int main(void)
{
    long sum = 0, right = 0;
#pragma omp parallel for reduction(+ : right)
    for (int i = 0; i < 100000; i++) {
        right += i;
#ifdef RACE
        sum += i;
#endif
    }
    printf("%ld %ld\n", sum, right);
}
PROGRAM
"$clang" -O0 -g -fopenmp -fsanitize=thread "$copy/planted.c" -o "$copy/right"
"$clang" -O0 -g -fopenmp -fsanitize=thread -DRACE "$copy/planted.c" -o "$copy/planted"
one() { OMP_TOOL_LIBRARIES=$archer OMP_NUM_THREADS=4 \
    TSAN_OPTIONS="ignore_noninstrumented_modules=1 exitcode=0" "$1" 2>&1; }
case $(one "$copy/planted") in *"data race"*) ;; *) fail "the planted race was not found" ;; esac
case $(one "$copy/right") in *ThreadSanitizer*) fail "a right program is reported: Archer is not at work" ;; esac
echo "sanitize_threads: the planted race was found, and nothing in the right program"
[ $# -gt 0 ] || set -- tests/test_gemm.py tests/test_conv.py tests/test_memory.py tests/test_dirty_memory.py tests/test_threads.py
cd "$tree"
status=0
# left out: what is said of GNU's OpenMP, of a number of threads that nobody has set, of optimised code
PYTHONPATH=src:python sanitized "$python" -m pytest -q -p no:cacheprovider -o timeout=1800 \
    --deselect tests/test_threads.py::test_waiting_threads_soon_sleep \
    --deselect tests/test_gemm.py::test_register_tiles_are_inlined \
    --deselect tests/test_threads.py::test_default "$@" || status=$?
found=$(cat "$copy"/reports/* 2>/dev/null | grep -c "WARNING: ThreadSanitizer: data race" || true)
[ "$found" = 0 ] || { cat "$copy"/reports/* | head -n 120; fail "$found races"; }
[ $status = 0 ] || { cat "$copy"/reports/* 2>/dev/null | head -n 60; fail "pytest ended with $status"; }
echo "sanitize_threads: no race"
