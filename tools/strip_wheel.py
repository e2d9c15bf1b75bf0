"""Take the names of Cython's own functions out of the modules of a wheel for Linux.

    python tools/strip_wheel.py FOLDER_OR_WHEEL...      # before auditwheel

The names of the kernels stay, for profilers such as perf; so do unwind tables and all that is
exported. That is 3 % of the wheel. It comes before `auditwheel repair`, since strip may break
modules that patchelf has changed. Needs ``strip`` of binutils.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from rewrite_wheel import contents, rewrite

KERNELS = ("__pyx_f*", "__pyx_pw_*", "*_omp_fn*")  # functions of C, of Python, parallel regions


def stripped(module: bytes) -> bytes:
    """Return a module of machine code without the names of other local functions and data."""
    with tempfile.NamedTemporaryFile(suffix=".so") as file:
        file.write(module)
        file.flush()
        kept = [word for name in KERNELS for word in ("--keep-symbol", name)]
        subprocess.run(["strip", "--strip-unneeded", "--wildcard", *kept, file.name], check=True)
        return Path(file.name).read_bytes()


def main() -> int:
    """Strip each wheel named on the command line, or in a folder named there."""
    wheels = [w for name in sys.argv[1:] for w in sorted(Path(name).glob("*.whl")) or [Path(name)]]
    if not wheels:
        print("strip_wheel.py needs a wheel or a folder of wheels")
        return 2
    for wheel in wheels:
        before = wheel.stat().st_size
        files = contents(wheel)
        modules = [n for n, data in files.items() if n.endswith(".so") and data[:4] == b"\x7fELF"]
        rewrite(wheel, {name: stripped(files[name]) for name in modules})
        print(f"{wheel.name}: {before:,} to {wheel.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
