"""`deepfs.build.load`: compile one .pyx in a session, once."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import keyword
import os
import sys
import tempfile
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from ._compile import CORE, Kernels, need_tools

_loaded: dict[Path, ModuleType] = {}  # by the path of its build: a module cannot be loaded twice


def load_kernel(
    source: str | Path, name: str | None = None, cache: str | Path | None = None
) -> ModuleType:
    """Do the work of `deepfs.build.load`."""
    if not isinstance(source, (str, Path)):
        raise TypeError(
            f"build.load takes the path of a .pyx file, or the text of one, got {source!r}"
        )
    need_tools(setuptools="65")  # what venv brings is enough
    if isinstance(source, str) and "\n" in source:
        text, folder = source, None
        if name is None:
            raise ValueError('build.load(text) needs a name for the module: name="swish"')
    else:
        path = Path(source)
        if path.suffix != ".pyx" or not path.is_file():
            raise FileNotFoundError(
                f"build.load takes the path of a .pyx file, or the text of one, got {str(source)!r}"
            )
        text, folder = text_of(path), path.resolve().parent
        name = path.stem if name is None else name
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"build.load needs a name that can be imported, got {name!r}")
    where = cache_folder(cache) / f"{name}-{key_of(name, text, folder)}"
    module = _loaded.get(where)
    if module is None:
        others = sys.modules.get(name)
        if others not in _loaded.values() and (others is not None or is_importable(name)):
            raise ValueError(
                f"build.load cannot name a module {name!r}: another module is imported by that "
                f'name; pass name="my_{name}"'
            )
        if not where.is_dir():
            compile_into(where, name, text, folder)
        module = _loaded[where] = import_from(where, name)
    sys.modules[name] = module  # its functions and classes can be pickled
    return module


def text_of(path: Path) -> str:
    """Return the text of a file."""
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"build.load reads text in UTF-8, and {path} is not: {error}") from None


def is_importable(name: str) -> bool:
    """Return whether Python would find a module or a package by this name."""
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return found is not None and found.origin is not None  # a folder alone has none


def cache_folder(cache: str | Path | None) -> Path:
    """Return the folder of all that was compiled."""
    if cache is not None:
        return Path(cache).resolve()
    own = os.environ.get("DEEPFS_CACHE")
    if own:
        return Path(own).resolve() / "build"
    import pooch  # type: ignore[import-untyped, unused-ignore]

    return Path(pooch.os_cache("deepfs")) / "build"


def key_of(name: str, text: str, folder: Path | None) -> str:
    """Return a name for all that the compiled module depends on."""
    from setuptools import __version__ as of_setuptools

    core = importlib.import_module(CORE)
    digest = hashlib.sha256()
    for part in (
        *(name, text, core.level, of_setuptools, sys.implementation.cache_tag),
        *(os.environ.get("CC", ""), os.environ.get("CFLAGS", "")),
        Kernels("", Path(), [], only=core.level).settings(),
    ):
        digest.update(f"{part}\0".encode())
    # what it may include or cimport
    declared = Path(core.get_include(), CORE)
    for place in [declared, *([folder] if folder else [])]:
        for path in sorted(place.iterdir()):
            if path.suffix in (".pxd", ".pxi", ".h"):
                digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def compile_into(where: Path, name: str, text: str, folder: Path | None) -> None:
    """Compile into a folder beside `where`, and move it there when it is complete."""
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        work = tempfile.TemporaryDirectory(dir=where.parent, prefix=f".{name}-")
    except OSError as error:
        raise OSError(
            error.errno,
            f"build.load cannot write to its cache ({error.strerror}): pass cache=, or set "
            "DEEPFS_CACHE to a folder that can be written",
            str(where.parent),
        ) from error
    with work as made:
        source = Path(made, f"{name}.pyx")
        source.write_text(text, "utf-8")
        result = Path(made, "lib")
        build(source, folder, result)
        with contextlib.suppress(OSError):  # another process was faster
            result.rename(where)
    if not where.is_dir():
        raise OSError(f"build.load could not keep its result as {where}")


def build(source: Path, folder: Path | None, result: Path) -> None:
    """Compile one file; raise RuntimeError with the words of Cython or the compiler."""
    from Cython.Compiler.Errors import CompileError as TranslationError
    from setuptools import Distribution
    from setuptools.errors import BaseError, CCompilerError

    from ._compiler import command

    core = importlib.import_module(CORE)
    kernels = Kernels("", folder or source.parent, [source], source.parent / "c", only=core.level)
    made: Any = command()(Distribution({"name": source.stem, "ext_modules": kernels.extensions()}))
    made.build_lib, made.build_temp = str(result), str(source.parent / "temp")
    made.quiet = True
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            made.ensure_finalized()
            made.run()
    except (BaseError, CCompilerError, TranslationError) as error:
        words = said.getvalue().strip() if isinstance(error, TranslationError) else str(error)
        words = words.replace(str(source.parent), str(folder or "text"))
        raise RuntimeError(f"build.load could not compile {source.name}: {words}") from None


def import_from(where: Path, name: str) -> ModuleType:
    """Import a compiled module by its path."""
    path = next(
        path for suffix in EXTENSION_SUFFIXES if (path := where / f"{name}{suffix}").exists()
    )
    loader = ExtensionFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    try:
        loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)  # or a second try would find half a module
        raise
    return module
