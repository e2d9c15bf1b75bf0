"""What deepfs runs on: threads, versions, instruction set."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import cnn_core
from cnn_core import threads as _threads

from ._check import whole
from ._version import __version__

winograd = True  # may Conv2D choose Winograd's algorithm by itself? False: direct sums only

EXTRAS = {"images": "PIL"}  # extra of the package: the module that shows it is installed


def set_num_threads(n: int) -> None:
    """Let every kernel use up to ``n`` threads. Results are the same bits for any ``n``.

    Parameters
    ----------
    n : int
        At least 1. The default is ``OMP_NUM_THREADS``, or else the processors this process may use.

    Raises
    ------
    ValueError, TypeError
        If ``n`` is not an int of at least 1.
    RuntimeError
        If this process was forked from one whose kernels ran on several threads, and ``n`` > 1.

    Notes
    -----
    Small kernels run on one thread. So do all for up to 2 seconds where threads mostly wait for one
    another, as beside a program that wants the same processors, and one thread has been measured to
    be 1.5 times faster.
    """
    _threads.set_num_threads(whole(n, "the number of threads", 1, 4096))


def get_num_threads() -> int:
    """Return how many threads a kernel may use."""
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
    """Print versions, instruction-set level, threads and which extras are installed."""
    if _threads.has_openmp():
        openmp = f"on, {get_num_threads()} of {_threads.usable_cpus()} processors"
    else:
        openmp = "OFF: built without it, kernels use one thread"
    rows = {
        "deepfs": __version__,
        "Python": f"{platform.python_version()} ({platform.platform()})",
        **{name: _version(name) for name in ("numpy", "tqdm", "safetensors", "pooch")},
        "instruction set": f"{cnn_core.level} (DEEPFS_ISA chooses a lower one)",
        "OpenMP": openmp,
    }
    for extra, module in EXTRAS.items():
        found = importlib.util.find_spec(module) is not None
        rows[f"extra '{extra}'"] = "yes" if found else f"no: pip install 'deepfs[{extra}]'"
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value}")


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return f"not installed: pip install {name}"
