"""What a wheel holds that others made: a list of it as CycloneDX JSON.

    python tools/sbom.py dist/deepfs-*.whl

Prints the list for one wheel. Versions are read from the compiled files, so the list says
what is built in, not what was meant to be. `complete_wheel.py` puts it into wheels (PEP 770).
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import sys
import uuid
from pathlib import Path
from typing import Any

from rewrite_wheel import contents, epoch, name_of

GPL = "GPL-3.0-or-later WITH GCC-exception-3.1"
LLVM = "Apache-2.0 WITH LLVM-exception"
OPENMP = {  # name of a library's file: what it is
    r"libgomp": ("libgomp", GPL, ("GPL-3.0.txt", "GCC-exception-3.1.txt")),
    r"libi?omp": ("libomp", LLVM, ("LLVM.txt",)),
}


def openmp_of(name: str) -> tuple[str, str, tuple[str, ...]] | None:
    """Return the name, the licence and the licence's files of a bundled library, if it is one."""
    file = name.rsplit("/", 1)[-1]
    if not re.search(r"\.(so|dylib|dll)\b", file):
        return None
    return next((what for pattern, what in OPENMP.items() if re.match(pattern, file)), None)


def entry(name: str, version: str, licence: str, **more: Any) -> dict[str, Any]:
    """Return one component."""
    kind = "data" if "data" in more else "library"
    made = {"type": kind, "bom-ref": name, "name": name, "version": version}
    return made | {"licenses": [{"expression": licence}]} | more


def components(files: dict[str, bytes]) -> list[dict[str, Any]]:
    """Return what others made."""
    found = []
    code = b"".join(data for name, data in files.items() if "_cyutility" in name)
    cython = re.search(rb"_cython_(\d+)_(\d+)_(\d+)", code)
    if cython:
        version = ".".join(number.decode() for number in cython.groups())
        found.append(
            entry("Cython", version, "Apache-2.0", purl=f"pkg:pypi/cython@{version}")
            | {"description": "its helper functions are in each kernel"}
        )
    for name, data in sorted(files.items()):
        library = openmp_of(name)
        if library:
            gcc = re.search(rb"GCC: \([^)]*\) ([\d.]+)", data)
            version = gcc[1].decode() if gcc and library[0] == "libgomp" else "unknown"
            digest = {"alg": "SHA-256", "content": hashlib.sha256(data).hexdigest()}
            found.append(entry(library[0], version, library[1], hashes=[digest]))
    digits = [n for n in files if n.startswith("deepfs/datasets/data/") and n.endswith(".gz")]
    if digits:
        data = [{"type": "dataset", "name": "MNIST, a subset"}]
        found.append(entry("MNIST", "1998", "CC-BY-SA-3.0", data=data))
    return found


def bill(path: Path) -> bytes:
    """Return the list of one wheel; the same wheel has the same list."""
    files = contents(path)
    metadata = files[name_of(files, "METADATA")].decode()
    name, version, licence = (
        re.search(rf"^{field}: (.+)$", metadata, re.MULTILINE)[1]  # type: ignore[index]
        for field in ("Name", "Version", "License-Expression")
    )
    own = entry(name, version, licence, purl=f"pkg:pypi/{name}@{version}")
    parts = components(files)
    moment = datetime.datetime.fromtimestamp(epoch(), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    digest = hashlib.sha256(json.dumps([path.name, parts]).encode()).hexdigest()
    made = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}",
        "version": 1,
        "metadata": {"timestamp": moment, "component": own},
        "components": parts,
        "dependencies": [{"ref": name, "dependsOn": [part["bom-ref"] for part in parts]}],
    }
    return json.dumps(made, indent=2).encode() + b"\n"


if __name__ == "__main__":
    sys.stdout.write(bill(Path(sys.argv[1])).decode())
