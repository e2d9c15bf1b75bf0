"""``deepfs book``: lay the book's ``common/`` and ``dataset/`` beside a student's chapters."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .._command import printable

MARK = "# Written by deepfs book"
NOTE = f"""{MARK}: the book's names, computed by deepfs. Read docs/book.md of deepfs;
# change what you like, but then remove this note, or the next "deepfs book" writes the file anew.
"""
MODULES = (
    "functions", "gradient", "layers", "multi_layer_net", "multi_layer_net_extend", "optimizer",
    "trainer", "util",
)  # fmt: skip
CHAPTERS = ("ch03", "ch04", "ch05", "ch06", "ch07", "ch08")
FIRST = "ch05/gradient_check.py"  # a script that takes seconds and shows that all is well


def texts(dtype: str) -> dict[str, str]:
    """Return the text of each file, by its path below the folder."""
    files = {
        "common/__init__.py": f'{NOTE}from deepfs.book import set_dtype\n\nset_dtype("{dtype}")\n',
        "dataset/__init__.py": NOTE,
        "dataset/mnist.py": f"{NOTE}import os\n\nfrom deepfs.book.dataset.mnist import *\n"
        "from deepfs.book.dataset.mnist import look_in\n\n"
        "look_in(os.path.dirname(os.path.abspath(__file__)))\n",
    }
    if dtype == "float64":  # the default, which the environment may change
        files["common/__init__.py"] = (
            f"{NOTE}# For float32, twice as fast:\n"
            '# from deepfs.book import set_dtype\n# set_dtype("float32")\n'
        )  # fmt: skip
    for module in MODULES:
        files[f"common/{module}.py"] = f"{NOTE}from deepfs.book.common.{module} import *\n"
    return files


def book(folder: str | Path, dtype: str = "float64") -> list[Path]:
    """Write ``common/`` and ``dataset/`` into a folder that holds chapters; return the files.

    Raises
    ------
    NotADirectoryError
        If there is no such folder.
    ValueError
        If the folder is a chapter itself.
    FileExistsError
        If a file is there that this command has not written; then nothing is written.
    """
    where = Path(folder)
    if not where.is_dir():
        raise NotADirectoryError(f"deepfs book needs a folder that exists, got {str(folder)!r}")
    if where.resolve().name in CHAPTERS:
        raise ValueError(
            f"deepfs book writes beside the chapters, and {str(folder)!r} is one: "
            f"give the folder above, {str(where.resolve().parent)!r}"
        )
    files = {where / name: text for name, text in texts(dtype).items()}
    foreign = [path for path in files if is_foreign(path)]
    if foreign:
        raise FileExistsError(
            f"there are files that deepfs has not written: "
            f"{', '.join(path.relative_to(where).as_posix() for path in foreign)}; nothing "
            f"changed. {_move(where, foreign)}"
        )
    for path, text in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    return list(files)


def is_foreign(path: Path) -> bool:
    """Return whether a file is there that has something in it and not our note."""
    if not path.exists() and not path.is_symlink() and not path.parent.is_file():
        return False
    if not path.is_file() or path.is_symlink():
        return True
    content = path.read_bytes()
    return bool(content.strip()) and not content.startswith(MARK.encode())


def _move(where: Path, foreign: list[Path]) -> str:
    """Return the command that puts files away."""
    lines = []
    if any(path.parent.name == "common" for path in foreign):
        lines.append(_mv(where / "common", where / "common_numpy"))
    for path in foreign:
        if path.parent.name == "dataset":
            lines.append(_mv(path, path.with_name(f"{path.stem}_numpy.py")))
    return f"To keep them under another name: {' && '.join(lines)}"


def _mv(old: Path, new: Path) -> str:
    return f"mv {shlex.quote(str(old))} {shlex.quote(str(new))}"


def where_mnist_is(folder: Path) -> str:
    """Return in words where `load_mnist` will find MNIST."""
    from ..book.dataset.mnist import present

    data = os.environ.get("DEEPFS_DATA")
    if present(folder / "dataset"):
        return f"found in {folder / 'dataset'}"
    if data:
        found = "found in" if present(Path(data) / "mnist") else "must be put into"
        return f"{found} {Path(data) / 'mnist'} (DEEPFS_DATA)"
    return f"downloaded once by the first script, or put its four files into {folder / 'dataset'}"


def add_parser(commands: Any) -> None:
    """Add the command to those of ``deepfs``."""
    text = "Run the scripts of Deep Learning from Scratch at compiled speed."
    parser = commands.add_parser("book", help=text, description=text)
    parser.epilog = (
        "Writes common/ and dataset/ with the book's names beside the chapters ch03 to ch08 of a "
        "folder; no file of yours is overwritten. See docs/book.md."
    )
    parser.add_argument("folder", metavar="FOLDER", help="folder that holds ch03, ch04 ...")
    parser.add_argument("--dtype", choices=("float64", "float32"), default="float64",
                        help="float64 as the book (default), or float32, twice as fast",
                        )  # fmt: skip
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace, given: Sequence[str]) -> None:
    folder = Path(options.folder)
    written = book(folder, options.dtype)
    print(f"{printable(folder)} has, in {options.dtype}:")
    for path in written:
        print(f"  {printable(path.relative_to(folder).as_posix())}")
    print(f"\nMNIST: {printable(where_mnist_is(folder))}")
    chapters = [name for name in CHAPTERS if (folder / name).is_dir()]
    if not chapters:
        print(f"\nnext:  put the book's chapters beside them, {printable(folder / 'ch05')} ...")
        print("       git clone https://github.com/oreilly-japan/deep-learning-from-scratch")
        return
    scripts = [path for path in (folder / FIRST, *sorted((folder / chapters[0]).glob("*.py")))
               if path.is_file()]  # fmt: skip
    script = scripts[0] if scripts else folder / chapters[0] / "SCRIPT.py"
    print(f"\nnext:  cd {printable(script.parent)}")
    print(f"       python {printable(script.name)}")
