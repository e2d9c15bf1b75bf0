"""Print the oldest version of each dependency that pyproject.toml allows, one requirement a line.

    python tools/lowest.py [EXTRA...] > lowest.txt && pip install -r lowest.txt

A name without a lower bound is printed as it is.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path


def oldest(requirement: str) -> str:
    """Return a requirement of the oldest version that it allows."""
    return re.sub(r">=\s*([\w.]+).*", r"==\1", requirement)


def main() -> int:
    """Print the requirements of the package and of the extras named on the command line."""
    pyproject = Path(__file__).parents[1] / "pyproject.toml"
    project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    wanted = list(project["dependencies"])
    for extra in sys.argv[1:]:
        if extra not in project["optional-dependencies"]:
            known = ", ".join(project["optional-dependencies"])
            print(f"lowest.py needs an extra of {known}, got {extra!r}", file=sys.stderr)
            return 2
        wanted += project["optional-dependencies"][extra]
    print(*map(oldest, wanted), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
