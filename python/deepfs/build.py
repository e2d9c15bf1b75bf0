"""Build kernels of your own the way those of deepfs are built; its own ``setup.py`` uses this file.

A package of kernels has a ``setup.py`` of three lines, here for ``src/levelled/*.pyx``::

    from deepfs import build
    from setuptools import setup
    setup(**build.setup_arguments("levelled", "src/levelled"))

a line in its ``pyproject.toml``::

    [build-system]
    requires = ["setuptools>=77", "cython>=3.0.12", "deepfs"]

and two in its ``src/levelled/__init__.py``, so that ``from levelled import swish`` finds the build
for this processor, and refuses one for another C interface of `cnn_core`::

    import cnn_core
    cnn_core.extend_path(__path__)

Each ``.pyx`` is compiled for each instruction-set level, as the kernels of deepfs are, with their
compiler flags and directives: one wheel runs at the speed of each processor. A file whose first
line begins with ``# compiled once`` has one build for all. `load` compiles one ``.pyx`` in a
session, without a package.

No package but `cnn_core` links OpenMP: `cnn_core.threads.parallel` shares out work to the threads
of deepfs. See ``docs/c_api.md`` for what may be cimported. Variables of the environment, for both:

==================  ===============================================================================
variable            effect
==================  ===============================================================================
``DEEPFS_NATIVE``   ``1``: one build, for exactly this processor, instead of one per level
``DEEPFS_DEBUG``    ``1``: bounds checks in the kernels, no optimisation, debug information
``DEEPFS_CFLAGS``   further compiler and linker flags (sanitizers, say)
``DEEPFS_CACHE``    folder of what `load` has compiled (and of downloads)
``PYODIDE``         ``1``, as pyodide-build sets it: one build, for WebAssembly with simd128
==================  ===============================================================================

This module needs setuptools and Cython, and imports them, NumPy and the kernels only when one of
its functions is called.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from ._compile import CORE, OLDEST_CYTHON, OLDEST_CYTHON_OF_CORE, Kernels, need_tools

__all__ = ["extensions", "load", "setup_arguments"]


def __dir__() -> list[str]:
    return sorted(__all__)


def extensions(package: str, folder: str | Path) -> list[Any]:
    """Return what is to be compiled: an extension for each ``.pyx`` of a folder and each level.

    Nothing is compiled before the command ``build_ext`` of `setup_arguments` runs.

    Parameters
    ----------
    package : str
        Name of the package that the modules belong to, such as ``"levelled"``.
    folder : str or Path
        Its source folder, from that of ``setup.py``, such as ``"src/levelled"``. Other files of C
        and Cython in it (``.h``, ``.pxd``) are found by those that include or cimport them.

    Returns
    -------
    list of setuptools.Extension
        For ``setup(ext_modules=...)``.

    Raises
    ------
    ImportError
        If setuptools or Cython is missing or too old.
    FileNotFoundError
        If there is no ``.pyx`` in the folder.
    ValueError
        If the package or a ``.pyx`` has a name that cannot be imported.

    Examples
    --------
    >>> from deepfs import build
    >>> build.extensions("levelled", "src/nothing")
    Traceback (most recent call last):
        ...
    FileNotFoundError: deepfs.build found no .pyx file in src/nothing
    """
    where = Path(folder)
    found = sorted(where.glob("*.pyx"))
    if not found:
        raise FileNotFoundError(f"deepfs.build found no .pyx file in {where.as_posix()}")
    for name in (*package.split("."), *(path.stem for path in found)):
        if not name.isidentifier():
            raise ValueError(f"deepfs.build needs names that can be imported, got {name!r}")
    need_tools(OLDEST_CYTHON_OF_CORE if package == CORE else OLDEST_CYTHON)
    return Kernels(package, where, found).extensions()


def setup_arguments(package: str, folder: str | Path) -> dict[str, Any]:
    """Return the arguments of ``setup`` for a package with kernels.

    The rest of the package is described by its ``pyproject.toml``.

    Parameters
    ----------
    package : str
        Name of the package, such as ``"levelled"``.
    folder : str or Path
        Its source folder, such as ``"src/levelled"``.

    Returns
    -------
    dict
        ``ext_modules`` by `extensions`, the command that compiles them as ``cmdclass``, and as
        ``options`` the tag of a wheel that runs on each later Python, where there are such.

    Raises
    ------
    ImportError, FileNotFoundError, ValueError
        As for `extensions`.

    Examples
    --------
    The ``setup.py`` of a package; more may be added to the arguments, which are a dict::

        from deepfs import build
        from setuptools import setup
        setup(**build.setup_arguments("levelled", "src/levelled"))
    """
    from ._compiler import command

    made = extensions(package, folder)
    arguments: dict[str, Any] = {"ext_modules": made, "cmdclass": {"build_ext": command()}}
    if made[0].py_limited_api:
        arguments["options"] = {"bdist_wheel": {"py_limited_api": "cp311"}}
    return arguments


def load(
    source: str | Path, name: str | None = None, cache: str | Path | None = None
) -> ModuleType:
    """Compile a ``.pyx`` and import it; a second time, it comes from a cache at once.

    For notebooks and first attempts: what `setup_arguments` builds, for the level in use alone. A
    file that has changed is compiled again, and is then a new module beside the old one.

    Parameters
    ----------
    source : str or Path
        Path of the file, or the text of one: a string with a line break.
    name : str, optional
        Name of the module; by default the stem of the path. A text needs one.
    cache : str or Path, optional
        Folder of compiled modules; by default ``build`` in ``$DEEPFS_CACHE``, or in the user's
        cache.

    Returns
    -------
    module

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If the source is neither a path nor text.
    ValueError
        If the name cannot be imported, or another module has it; if a file is not UTF-8.
    ImportError
        If setuptools or Cython is missing or too old.
    OSError
        If it must be compiled, and the cache cannot be written.
    RuntimeError
        If there is no C compiler, or the file does not compile: with the compiler's own words.

    Examples
    --------
    In a notebook; the second line takes some seconds the first time::

        from deepfs import build
        swish = build.load("swish.pyx")
    """
    from ._load_kernel import load_kernel

    return load_kernel(source, name, cache)
