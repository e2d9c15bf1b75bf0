"""Run the notebooks of examples/notebooks, one per chapter of the textbook.

    python tools/notebooks.py [--write] [NAME ...]

Each runs in an empty folder, with the deepfs that this Python imports; the first cell that raises
an error ends the run. `--write` keeps the new outputs, pictures reduced to 64 colours.
Needs `pip install nbclient ipykernel matplotlib pillow`.
"""

from __future__ import annotations

import argparse
import base64
import io
import re
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

FOLDER = Path(__file__).parents[1] / "examples" / "notebooks"
PNG = re.compile("iVBORw0KGgo[A-Za-z0-9+/=]+")  # in base64
LIMIT = 600_000  # bytes of all notebooks together


def run(notebook: Any) -> None:
    """Execute all cells; raises `nbclient.exceptions.CellExecutionError`."""
    from nbclient import NotebookClient

    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(
            notebook,
            timeout=120,
            kernel_name="python3",
            resources=resources,
            record_timing=False,
            extra_arguments=["--log-level=40"],  # only errors of the kernel itself
        ).execute()


def smaller(found: re.Match[str]) -> str:
    """Return a PNG in base64 with at most 64 colours."""
    from PIL import Image

    file = io.BytesIO(base64.b64decode(found[0]))
    picture = Image.open(file).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    picture.save(file := io.BytesIO(), "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def tidy(notebook: Any) -> None:
    """Keep of the outputs what a reader sees; drop what differs from machine to machine."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        if printed := [o for o in cell.get("outputs", []) if o.output_type == "stream"]:
            printed[0]["text"] = "".join(part["text"] for part in printed)  # it came in pieces
            cell["outputs"] = [o for o in cell["outputs"] if o not in printed[1:]]
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            for kind in ("text/html", "image/png"):
                if kind in data:
                    output["data"] = {kind: PNG.sub(smaller, data[kind])}


def main() -> None:
    import nbformat
    from nbclient.exceptions import CellExecutionError

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="keep the new outputs")
    parser.add_argument("names", nargs="*", help="stems; default: all")
    options = parser.parse_args()
    paths = sorted(FOLDER.glob("*.ipynb"))
    if unknown := {*options.names} - {path.stem for path in paths}:
        sys.exit(f"no notebook {', '.join(sorted(unknown))} in {FOLDER}")
    for path in paths:
        if options.names and path.stem not in options.names:
            continue
        notebook, start = nbformat.read(path, as_version=4), perf_counter()
        try:
            run(notebook)
        except CellExecutionError as error:
            sys.exit(f"{path.name}: FAILED\n{error}")
        print(f"{path.name}: {perf_counter() - start:.1f} s", flush=True)
        if options.write:
            tidy(notebook)
            nbformat.validate(notebook)
            nbformat.write(notebook, path)
    size = sum(path.stat().st_size for path in paths)
    print(f"{len(paths)} notebooks, {size:,} bytes")
    if size > LIMIT:
        sys.exit(f"the notebooks have more than {LIMIT:,} bytes: fewer or simpler pictures")


if __name__ == "__main__":
    main()
