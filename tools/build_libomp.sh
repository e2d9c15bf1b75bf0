#!/usr/bin/env bash
# Build LLVM's OpenMP library for macOS 12 and later, into a folder. Needs git, cmake and Clang.
#
#     tools/build_libomp.sh /tmp/libomp
#
# The hash of a commit is that of its files: what is built is release 18.1.8, whoever serves it.
set -euo pipefail
target=$1
commit=3b5b5c1ec4a3095ab096dd780e84d7ab81f3d7ff # llvmorg-18.1.8
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git init -q "$work/llvm"
cd "$work/llvm"
git remote add origin https://github.com/llvm/llvm-project
git sparse-checkout set openmp cmake llvm/cmake
git fetch -q --depth 1 --filter=blob:none origin "$commit"
git checkout -q FETCH_HEAD
[ "$(git rev-parse HEAD)" = "$commit" ]
cmake -S openmp -B "$work/build" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_INSTALL_PREFIX="$target" -DCMAKE_INSTALL_NAME_DIR="$target/lib" \
    -DCMAKE_OSX_DEPLOYMENT_TARGET="${MACOSX_DEPLOYMENT_TARGET:-12.0}" \
    -DLIBOMP_INSTALL_ALIASES=OFF -DOPENMP_ENABLE_LIBOMPTARGET=OFF
cmake --build "$work/build" --target install
