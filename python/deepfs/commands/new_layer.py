"""``deepfs new-layer``: write a small package with a layer, an optimizer or a loss of one's own."""

from __future__ import annotations

import argparse
import importlib.util
import keyword
import re
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from .._command import printable

COMPILED = {
    ".gitignore": "layer-gitignore",
    "setup.py": "layer-setup.py",
    "pyproject.toml": "layer-pyproject.toml",
    "src/new_name/kernel.pyx": "layer-kernel.pyx",
}
MEASURED = {"tests/test_new_name.py": "layer-test.py", "benchmark.py": "layer-benchmark.py"}
FILES = {  # of a package: the template of each
    "layer": COMPILED | MEASURED | {
        "README.md": "layer-README.md",
        "src/new_name/__init__.py": "layer-__init__.py",
        "src/new_name/layer.py": "layer-layer.py",
    },
    "numpy": MEASURED | {
        "README.md": "numpy-README.md",
        "pyproject.toml": "numpy-pyproject.toml",
        "src/new_name/__init__.py": "numpy-__init__.py",
        "src/new_name/layer.py": "numpy-layer.py",
    },
    "optimizer": COMPILED | {
        "README.md": "optimizer-README.md",
        "src/new_name/__init__.py": "optimizer-__init__.py",
        "src/new_name/kernel.pyx": "optimizer-kernel.pyx",
        "src/new_name/optimizer.py": "optimizer-optimizer.py",
        "tests/test_new_name.py": "optimizer-test.py",
        "benchmark.py": "optimizer-benchmark.py",
    },
    "loss": {
        "README.md": "loss-README.md",
        "pyproject.toml": "numpy-pyproject.toml",
        "src/new_name/__init__.py": "loss-__init__.py",
        "src/new_name/loss.py": "loss-loss.py",
        "tests/test_new_name.py": "loss-test.py",
    },
}  # fmt: skip

OF_A_PACKAGE = ("benchmark", "conftest", "setup", "src", "tests")
DEVICES = ("aux", "con", "nul", "prn")
LONGEST = 60  # letters of a package; files are named test_PACKAGE.py


def new_layer(name: str, kind: str = "layer", folder: str | Path = ".") -> Path:
    """Write a package with a class of this name; return its folder.

    Parameters
    ----------
    name : str
        Of the class, such as ``"SoftClip"``; the package is called ``soft_clip``.
    kind : {"layer", "numpy", "optimizer", "loss"}
        A compiled layer; one in NumPy; a compiled optimizer; a loss in NumPy.
    folder : str or Path
        Where the folder of the package is made.

    Raises
    ------
    ValueError
        If the name cannot be that of a class, or deepfs, Python or the package itself has it
        already.
    FileExistsError
        If there is a folder of that name.
    FileNotFoundError
        If there is no ``folder``.

    Examples
    --------
    >>> import tempfile
    >>> where = new_layer("SoftClip", "numpy", tempfile.mkdtemp())
    >>> sorted(path.name for path in where.iterdir())
    ['README.md', 'benchmark.py', 'pyproject.toml', 'src', 'tests']
    """
    package = package_name(name)
    where = Path(folder, package)
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"new-layer needs a folder that exists, got {str(folder)!r}")
    if where.exists() or where.is_symlink():
        raise FileExistsError(f"new-layer makes the folder {where}, which exists: nothing changed")
    check_fits(name, package, kind)
    check_free(name, package)
    texts = {into: filled(source, name, package) for into, source in FILES[kind].items()}
    for into, text in texts.items():
        path = where / into.replace("new_name", package)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return where


def package_name(name: str) -> str:
    """Return the name of the package of a class, ``soft_clip`` of ``SoftClip``."""
    if not (name.isascii() and name.isidentifier()) or name[0] == "_":
        raise ValueError(
            "new-layer needs the name of a class, letters and digits of ASCII that begin with a "
            f"letter, such as SoftClip; got {name!r}"
        )
    if keyword.iskeyword(name):
        raise ValueError(
            f"new-layer needs the name of a class, such as SoftClip; {name!r} is a word of Python"
        )
    if not name[0].isupper():
        better = "".join(word[:1].upper() + word[1:] for word in name.split("_"))
        raise ValueError(
            f"new-layer needs the name of a class, which begins with a capital: {better}; "
            f"got {name!r}"
        )
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub("_+", "_", words).lower().rstrip("_")


def check_free(name: str, package: str) -> None:
    """Raise ValueError if deepfs has a class of this name, or Python a module."""
    from .. import layers, losses, optimizers, regularizers, schedules

    for module in (layers, optimizers, losses, regularizers, schedules):
        for known in dir(module):
            if known.lower() == name.lower() and isinstance(getattr(module, known), type):
                raise ValueError(
                    f"{name} is taken: deepfs has {module.__name__}.{known}. A saved model names "
                    f"classes without their package, so choose another name, such as My{name}"
                )
    if package in sys.stdlib_module_names or keyword.iskeyword(package):
        raise ValueError(
            f"{name} would be in a package {package}, and Python has that word or module itself; "
            f"choose another name, such as My{name}"
        )
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        found = None
    if found is not None and found.origin is not None:  # a folder without __init__.py has none
        raise ValueError(
            f"there is a package {package} already, {found.origin}; choose another name, such as "
            f"My{name}"
        )


def check_fits(name: str, package: str, kind: str) -> None:
    """Raise ValueError if a file of the package, a test or the kernel would take the name."""
    why = ""
    if package in OF_A_PACKAGE:
        why = f"its folder has {package} already"
    elif package in DEVICES:
        why = f"Windows has no folder {package}"
    elif name.startswith("Test"):
        why = "pytest takes such a class for tests"
    elif kind == "optimizer" and f" {package}," in f" {cimported()},":
        why = f"its kernel cimports {package}"
    elif len(package) > LONGEST:
        why = f"its package would have {len(package)} letters, and {LONGEST} is the most"
    if why:
        another = f"My{name}" if len(package) <= LONGEST else "a shorter one"
        raise ValueError(f"new-layer cannot use the name {name[:20]}: {why}; take {another}")


def cimported() -> str:
    """Return the names that the kernel of an optimizer cimports, with commas between."""
    text = filled("optimizer-kernel.pyx", "", "")
    return ", ".join(re.findall(r"^from .* cimport (.*)$", text, re.MULTILINE))


def filled(template: str, name: str, package: str) -> str:
    """Return a template with the names in their places."""
    file = resources.files(__package__).joinpath("templates", f"{template}.txt")
    text = file.read_text("utf-8")
    return text.replace("NewName", name).replace("new_name", package)


def add_parser(commands: Any) -> None:
    """Add the command to those of ``deepfs``."""
    text = "Write a package with a compiled layer of your own, with its tests and a benchmark."
    parser = commands.add_parser("new-layer", help=text, description=text)
    parser.epilog = "See docs/extending.md: from an idea to a tested, timed layer in five minutes."
    parser.add_argument("name", metavar="NAME", help="name of the class, such as SoftClip")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--numpy", dest="kind", action="store_const", const="numpy",
                       help="a layer in NumPy, which needs no compiler")  # fmt: skip
    kinds.add_argument("--optimizer", dest="kind", action="store_const", const="optimizer",
                       help="a compiled optimizer")  # fmt: skip
    kinds.add_argument("--loss", dest="kind", action="store_const", const="loss",
                       help="a loss in NumPy")  # fmt: skip
    parser.add_argument("--out", default=".", metavar="FOLDER",
                        help="folder for that of the package (default: this one)")  # fmt: skip
    parser.set_defaults(run=_run, kind="layer")


def _run(options: argparse.Namespace, given: Sequence[str]) -> None:
    where = new_layer(options.name, options.kind, options.out)
    needs = ' "cython>=3.2"' if options.kind in ("layer", "optimizer") else ""
    print(f"{printable(where)} has:")
    for path in sorted(path for path in where.rglob("*") if path.is_file()):
        print(f"  {printable(path.relative_to(where).as_posix())}")
    print(f"\nnext:  cd {printable(where)}")
    print(f'       pip install "setuptools>=77"{needs} pytest')
    print("       pip install --no-build-isolation -e .")
    print("       pytest")
