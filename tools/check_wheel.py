"""Look into a wheel: what must be in it, what must not, and how large it is.

    python tools/check_wheel.py dist/deepfs-*.whl

Prints its size; exits 1 with a line per fault.
"""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

MAX_BYTES = 5_000_000  # bytes, of the wheel with the libraries that repairing puts into it
# where one machine keeps its things; system folders such as /usr/lib are everybody's
OF_ONE_MACHINE = re.compile(rb"(?<![\w.:/-])/(?:home|root|Users|tmp|work|build|opt|mnt)/[\w.-]+")
NEEDED = (
    "cnn_core/gemm.pxd",
    "cnn_core/gemm.pyi",
    "cnn_core/gemm.pyx",
    "cnn_core/simd.h",
    "cnn_core/py.typed",
    "deepfs/py.typed",
    "deepfs/datasets/data/README.md",
    "deepfs/datasets/data/train-images-idx3-ubyte.gz",
    "deepfs/networks/mnist_0_to_4.safetensors",
)


def faults(path: Path) -> list[str]:
    """Return what is wrong with a wheel."""
    found = []
    if path.stat().st_size > MAX_BYTES:
        found.append(f"{path.stat().st_size:,} bytes are more than {MAX_BYTES:,}")
    if "-cp311-abi3-" not in path.name:
        found.append(f"its tag must be cp311-abi3, got {path.name}")
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        for name in NEEDED:
            if name not in names:
                found.append(f"{name} is missing")
        if not any(re.fullmatch(r"cnn_core/_\w+/gemm\.abi3\.so|.*gemm\.pyd", n) for n in names):
            found.append("there is no compiled gemm for the limited API")
        for name in names:
            if name.endswith((".c", ".o", ".cpp", ".html", ".pyc")):
                found.append(f"{name} does not belong into a wheel")
            for match in OF_ONE_MACHINE.findall(wheel.read(name)):
                if not name.endswith(".gz"):
                    found.append(f"{name} holds a path of one machine: {match.decode()}")
    return found


def main() -> int:
    """Check each wheel named on the command line."""
    wrong = 0
    for name in sys.argv[1:]:
        for fault in faults(Path(name)):
            print(f"{name}: {fault}")
            wrong = 1
        print(f"{name}: {Path(name).stat().st_size:,} bytes")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
