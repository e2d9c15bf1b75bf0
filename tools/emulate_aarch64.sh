#!/usr/bin/env bash
# Build the kernels for aarch64 and run tests on them, on an x86-64 machine with Debian 12.
#
#     tools/emulate_aarch64.sh                                # some test files, about 11 minutes
#     tools/emulate_aarch64.sh tests/test_gemm.py -k float32  # or what these arguments of pytest name
#
# Debian's Python for aarch64 is unpacked, not installed, and runs under qemu-user; GCC for aarch64
# runs at full speed. The build runs a program with OpenMP that it has compiled, so the kernel must know
# that qemu runs those of aarch64 (binfmt_misc; needs root, and is registered here if it is not).
#
# Debian: apt-get install qemu-user qemu-user-binfmt gcc-aarch64-linux-gnu. TREE names a tree that has
# been built like that already. Exits with the status of pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d "${TMPDIR:-/tmp}/aarch64-XXXXXX")
trap 'rm -rf "$work"' EXIT
fail() { echo "emulate_aarch64: FAILED: $1" >&2; exit 1; }
for program in qemu-aarch64 aarch64-linux-gnu-gcc; do
    command -v $program >/dev/null ||
        fail "$program is not installed: apt-get install qemu-user qemu-user-binfmt gcc-aarch64-linux-gnu"
done

known=$(dpkg --print-foreign-architectures | grep -x arm64 || true)
[ -n "$known" ] || { dpkg --add-architecture arm64 && apt-get update -q=2; }
mkdir "$work/packages" "$work/root"
packages="python3.11 python3.11-minimal libpython3.11 libpython3.11-dev libpython3.11-minimal
    libpython3.11-stdlib libc6 libgcc-s1 libgomp1 libstdc++6 zlib1g libexpat1 libffi8 libssl3 libbz2-1.0
    liblzma5 libsqlite3-0 libuuid1 libcrypt1 libncursesw6 libtinfo6"
(cd "$work/packages" && apt-get download -q=2 $(printf '%s:arm64 ' $packages) 2>/dev/null) ||
    fail "Debian's packages for arm64 cannot be had"
[ -n "$known" ] || dpkg --remove-architecture arm64
for package in "$work"/packages/*.deb; do dpkg -x "$package" "$work/root"; done
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --target "$work/site" --only-binary=:all: --python-version 3.11 \
    --implementation cp --abi cp311 --abi abi3 --platform manylinux_2_28_aarch64 \
    --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 \
    numpy tqdm safetensors pooch pytest pytest-timeout hypothesis pillow cython setuptools

formats=/proc/sys/fs/binfmt_misc
[ -e $formats/register ] || mount -t binfmt_misc binfmt_misc $formats
[ -e $formats/qemu-aarch64 ] || cat /usr/lib/binfmt.d/qemu-aarch64.conf >$formats/register
export QEMU_LD_PREFIX=$work/root PYTHONPATH=$work/site
python=$work/root/usr/bin/python3.11
[ "$("$python" -c "import platform; print(platform.machine())")" = aarch64 ] || fail "qemu does not run Python"

tree=${TREE:-$work/tree}
if [ -z "${TREE:-}" ]; then
    mkdir "$tree"
    cp -r setup.py pyproject.toml *.md LICENSE src python tests tools benchmarks docs examples "$tree"
    find "$tree/src" -name '*.so' -delete
    include=$work/root/usr/include
    (cd "$tree" && CC=aarch64-linux-gnu-gcc LDSHARED="aarch64-linux-gnu-gcc -shared" \
        CFLAGS="-I$include -I$include/python3.11" "$python" setup.py -q build_ext --inplace) ||
        fail "it does not build"
fi
cd "$tree"
export PYTHONPATH=$work/site:$tree/src:$tree/python OMP_NUM_THREADS=2
"$python" -c "import deepfs; deepfs.show_config()"
[ $# -gt 0 ] || set -- tests/test_layers.py tests/test_losses.py tests/test_optimizers.py \
    tests/test_gemm.py tests/test_conv.py tests/test_pool.py tests/test_denormals.py tests/test_huge_numbers.py
"$python" -m pytest -q -p no:cacheprovider -o timeout=1200 "$@"
