"""Assemble the playground: the page, a wheel of deepfs for WebAssembly, and Pyodide beside it.

    python tools/playground.py OUT --wheel WHEEL --runtime FOLDER   # asks no other server
    python tools/playground.py OUT --wheel WHEEL                    # Pyodide comes from its CDN
    python tools/playground.py build/site/playground --site --wheel WHEEL    # in the built site
    python tools/playground.py --experiments                        # write experiments.json anew

``tools/wasm.sh`` builds the wheel. FOLDER holds Pyodide and NumPy for it: files of a release of
Pyodide. Serve OUT by any web server, for instance ``python -m http.server --directory OUT``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE, PICTURES = ROOT / "docs" / "playground", ROOT / "docs" / "pictures" / "lab"
NEEDED = ("pyodide.mjs", "pyodide.asm.*js", "pyodide.asm.wasm", "python_stdlib.zip")
NEEDED += ("pyodide-lock.json", "numpy-*.whl")


def assemble(out: Path, wheel: Path, runtime: Path | None, site: bool) -> dict[str, Any]:
    """Write the folder to serve; return its settings."""
    out.mkdir(parents=True, exist_ok=True)
    for path in PAGE.iterdir():
        if path.is_file():
            shutil.copy(path, out)
    for old in out.glob("*.whl"):
        old.unlink()
    shutil.copy(wheel, out)
    settings: dict[str, Any] = json.loads((PAGE / "settings.json").read_text("utf-8"))
    settings["wheel"] = wheel.name
    if not site:
        shutil.copytree(PICTURES, out / "pictures", dirs_exist_ok=True)
        settings |= {"pictures": "pictures/", "docs": "https://deepfs.github.io/deepfs/"}
    if runtime is not None:
        copied = copy_runtime(runtime, out / "runtime")
        size = (sum(path.stat().st_size for path in copied) + wheel.stat().st_size) / 1e6
        settings |= {"runtime": "runtime/", "megabytes": round(size, 1)}
        settings["matplotlib"] = copy_package("matplotlib", runtime, out / "runtime")
    (out / "settings.json").write_text(json.dumps(settings) + "\n", "utf-8")
    return settings


def copy_runtime(runtime: Path, to: Path) -> list[Path]:
    """Copy what the page needs of Pyodide."""
    found = {pattern: sorted(runtime.glob(pattern)) for pattern in NEEDED}
    if lacks := [pattern for pattern, paths in found.items() if not paths]:
        raise SystemExit(f"{runtime} lacks {', '.join(lacks)}: a release of Pyodide has them")
    to.mkdir(exist_ok=True)
    return [Path(shutil.copy(path, to)) for paths in found.values() for path in paths]


def copy_package(name: str, runtime: Path, to: Path) -> bool:
    """Copy a package of Pyodide and what it needs, if all of it is there; return whether it is."""
    packages = json.loads((runtime / "pyodide-lock.json").read_text("utf-8"))["packages"]
    wanted, names = [name], set[str]()
    while wanted:
        key = wanted.pop().lower()
        if key not in names:
            names.add(key)
            wanted += packages[key]["depends"] if key in packages else ()
    paths = [runtime / packages[key]["file_name"] for key in names if key in packages]
    if names - {*packages} or not all(path.is_file() for path in paths):
        return False
    for path in paths:
        shutil.copy(path, to)
    return True


def experiments() -> list[dict[str, Any]]:
    """Return the experiments of the lab by group, with their titles."""
    from deepfs import lab

    return [
        {
            "title": dict(zip(("en", "zh"), titles, strict=True)),
            "experiments": {name: dict(lab.find(name).title) for name in lab.groups()[group]},
        }
        for group, titles in lab.GROUPS.items()
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, nargs="?", help="folder to write")
    parser.add_argument("--wheel", type=Path, help="wheel of deepfs for WebAssembly")
    parser.add_argument("--runtime", type=Path, help="folder of Pyodide and NumPy")
    parser.add_argument("--site", action="store_true", help="OUT is playground/ of the built site")
    parser.add_argument("--experiments", action="store_true", help="list those of the lab")
    arguments = parser.parse_args()
    if arguments.experiments:
        text = json.dumps(experiments(), ensure_ascii=False, indent=1)
        (PAGE / "experiments.json").write_text(text + "\n", "utf-8")
        return 0
    if arguments.out is None or arguments.wheel is None:
        parser.error("give OUT and --wheel WHEEL, which tools/wasm.sh builds")
    settings = assemble(arguments.out, arguments.wheel, arguments.runtime, arguments.site)
    print(f"{arguments.out}: deepfs is {settings['wheel']}, Pyodide is {settings['runtime']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
