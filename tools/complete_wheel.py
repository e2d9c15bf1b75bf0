"""After a wheel was repaired: add the licences of the libraries it got, and its list of parts.

    python tools/complete_wheel.py FOLDER_OR_WHEEL...

``auditwheel``, ``delocate`` and ``delvewheel`` copy an OpenMP library into the wheel, and so the
duty to hand on its licence. This adds the text, names it in the metadata's License-Expression, and
writes `sbom.py`'s list beside what auditwheel may have written. A second run changes nothing.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from rewrite_wheel import contents, name_of, rewrite
from sbom import bill, openmp_of

LICENSES = Path(__file__).parents[1] / "licenses"


def complete(path: Path) -> list[str]:
    """Complete one wheel; return the licences that were added."""
    files = contents(path)
    described = name_of(files, "METADATA")
    metadata = files[described].decode()
    folder = described.rsplit("/", 1)[0]
    changes, added = {}, []
    for library in filter(None, map(openmp_of, files)):
        _, licence, texts = library
        if licence in metadata:
            continue
        added.append(licence)
        header, _, rest = metadata.partition("\n\n")
        header = re.sub(r"^(License-Expression: .*)$", rf"\1 AND {licence}", header, flags=re.M)
        for text in texts:
            header += f"\nLicense-File: licenses/{text}"
            changes[f"{folder}/licenses/licenses/{text}"] = (LICENSES / text).read_bytes()
        metadata = f"{header}\n\n{rest}"
    changes[described] = metadata.encode()
    rewrite(path, changes)
    rewrite(path, {f"{folder}/sboms/deepfs.cdx.json": bill(path)})
    return added


def main() -> int:
    """Complete each wheel named on the command line, or in a folder named there."""
    wheels = [w for name in sys.argv[1:] for w in sorted(Path(name).glob("*.whl")) or [Path(name)]]
    if not wheels:
        print("complete_wheel.py needs a wheel or a folder of wheels")
        return 2
    for wheel in wheels:
        print(f"{wheel.name}: {', '.join(complete(wheel)) or 'no licence to add'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
