"""Configuration: number of threads, versions, instruction set."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import cnn_core
from cnn_core import threads as _threads

from ._check import flag, whole
from ._names import hint
from ._public import public_names as _public_names
from ._version import __version__

winograd = True  # False: Conv2D with algorithm="auto" never uses Winograd's algorithm


class _Config(ModuleType):
    """The class of this module: ``winograd`` is checked, no other name can be assigned."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "winograd":
            value = flag(value, "config.winograd")
        elif name[:2] != "__":
            if name in vars(self):
                raise AttributeError(f"deepfs.config.{name} cannot be assigned")
            raise AttributeError(f"deepfs.config has no setting {name!r}{hint(name, ['winograd'])}")
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Config

EXTRAS = {"images": "PIL"}  # extra of the package: a module that it installs


def set_num_threads(n: int) -> None:
    """Set the number of threads that a kernel may use. Results have the same bits for any number.

    Parameters
    ----------
    n : int
        At least 1. The default is ``OMP_NUM_THREADS``, or else the number of processors that this
        process may use.

    Raises
    ------
    ValueError, TypeError
        If ``n`` is not an int of at least 1.
    RuntimeError
        If ``n`` > 1 and this process was forked: it keeps 1 thread, because OpenMP waits for ever
        in a child if its parent had used it, in deepfs or elsewhere. Start it with "spawn".

    Notes
    -----
    Small kernels run on one thread. If threads mostly wait for each other or lose their processors,
    because another program uses them, and one thread is measured to be 1.5 times faster, all
    kernels run on one thread for about 2 seconds. That holds whoever loaded OpenMP first: PyTorch
    or scikit-learn, say. OpenMP cannot be used in a forked process, see above.

    Examples
    --------
    >>> before = get_num_threads()
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(before)
    """
    _threads.set_num_threads(whole(n, "the number of threads", 1, 4096))


def get_num_threads() -> int:
    """Return the number of threads that a kernel may use."""
    return _threads.get_num_threads()


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Use up to ``n`` threads inside a ``with`` block.

    Examples
    --------
    >>> with threads(1):
    ...     get_num_threads()
    1
    """
    before = get_num_threads()
    set_num_threads(n)
    try:
        yield
    finally:
        set_num_threads(before)


def show_config() -> None:
    """Print versions, instruction set, number of threads and installed extras."""
    import importlib.util
    import platform

    if _threads.has_openmp():
        openmp = f"on, {get_num_threads()} of {_threads.usable_cpus()} processors"
    else:
        openmp = (
            "OFF: built without it, kernels use one thread; install libgomp, or libomp on macOS, "
            "and build deepfs again"
        )
    rows = {
        "deepfs": __version__,
        "Python": f"{platform.python_version()} ({platform.platform()})",
        **{name: _version(name) for name in ("numpy", "tqdm", "safetensors", "pooch")},
        "instruction set": f"{cnn_core.level} (DEEPFS_ISA chooses a lower one)",
        "C interface": f"version {cnn_core.API_VERSION}, for kernels of other packages",
        "OpenMP": openmp,
    }
    libraries = _openmp_libraries()
    if libraries:
        rows["OpenMP libraries"] = ", ".join(libraries)  # those of other packages, too
    for extra, module in EXTRAS.items():
        found = importlib.util.find_spec(module) is not None
        rows[f"extra '{extra}'"] = "yes" if found else f"no: pip install 'deepfs[{extra}]'"
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value}")


def _openmp_libraries() -> list[str]:
    """Return the paths of those in this process, of Linux; elsewhere nothing says so."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
            paths = {line.split(maxsplit=5)[-1].strip() for line in file if "omp" in line}
    except OSError:
        return []
    return sorted(p for p in paths if re.match(r"lib(g|i)?omp\d*\b", p.rpartition("/")[2]))


def _version(name: str) -> str:
    import importlib.metadata  # takes 10 ms, so not at the top

    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return f"not installed: pip install {name}"


def __dir__() -> list[str]:
    return _public_names(globals())
