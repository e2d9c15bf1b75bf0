"""Look into a wheel: what must be in it, what must not, and how large it is.

    python tools/check_wheel.py [--repaired] dist/deepfs-*.whl

Prints its size; exits 1 with a line per fault. A repaired wheel, as published, must also hold an
OpenMP library, its licence and the list of parts.
"""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

from sbom import openmp_of

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
    "deepfs/lab/derivatives/difference_errors.py",
    "deepfs/lab/gallery.py",
    "deepfs/networks/mnist_0_to_4.safetensors",
)


def faults(path: Path, repaired: bool = False) -> list[str]:
    """Return what is wrong with a wheel."""
    found = []
    if path.stat().st_size > MAX_BYTES:
        found.append(f"{path.stat().st_size:,} bytes are more than {MAX_BYTES:,}")
    if "-cp311-abi3-" not in path.name and "-cp314-cp314t-" not in path.name:
        found.append(f"its tag must be cp311-abi3 or cp314-cp314t, got {path.name}")
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        for name in NEEDED:
            if name not in names:
                found.append(f"{name} is missing")
        compiled = r"cnn_core/_\w+/gemm\.(abi3\.so|cpython-314t-.*\.so|.*pyd)"
        if not any(re.fullmatch(compiled, name) for name in names):
            found.append("there is no compiled gemm for the limited API, nor for cp314t")
        found += of_metadata(wheel, names, repaired)
        for name in names:
            if name.endswith((".c", ".o", ".cpp", ".html", ".pyc")):
                found.append(f"{name} does not belong into a wheel")
            for match in OF_ONE_MACHINE.findall(wheel.read(name)):
                if not name.endswith(".gz"):
                    found.append(f"{name} holds a path of one machine: {match.decode()}")
    return found


def of_metadata(wheel: zipfile.ZipFile, names: list[str], repaired: bool) -> list[str]:
    """Return what is wrong with what the wheel says about itself."""
    found = []
    metadata = wheel.read(next(n for n in names if n.endswith(".dist-info/METADATA"))).decode()
    for url in ("Homepage", "Documentation", "Repository", "Issues", "Changelog"):
        if f"\nProject-URL: {url}, https://" not in metadata:
            found.append(f"its metadata has no URL of its {url}")
    for link in re.findall(r"\]\((?![a-z]+:|#)([^)\s]+)\)", metadata):
        found.append(f"its description links to {link}, which leads nowhere on an index page")
    if repaired:
        libraries = list(filter(None, map(openmp_of, names)))
        if not libraries:
            found.append("it holds no OpenMP library")
        for _, licence, texts in libraries:
            if not re.search(rf"^License-Expression:.*\b{licence}", metadata, re.MULTILINE):
                found.append(f"its License-Expression lacks {licence}")
            for text in texts:
                if not any(name.endswith(f"licenses/{text}") for name in names):
                    found.append(f"it does not hold licenses/{text}")
        if not any(name.endswith(".dist-info/sboms/deepfs.cdx.json") for name in names):
            found.append("it holds no list of its parts: run tools/complete_wheel.py")
    return found


def main() -> int:
    """Check each wheel named on the command line."""
    wrong = 0
    for name in sys.argv[1:]:
        if name == "--repaired":
            continue
        for fault in faults(Path(name), "--repaired" in sys.argv):
            print(f"{name}: {fault}")
            wrong = 1
        print(f"{name}: {Path(name).stat().st_size:,} bytes")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
