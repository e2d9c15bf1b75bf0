"""Which processes train together: those that one ``mpiexec`` started."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from types import TracebackType
from typing import Any, NoReturn, ParamSpec, TypeVar

from .._launched import BESIDE, RANK, SIZE, number_of, several
from ..config import get_num_threads, set_num_threads
from .world import ONE, World

P = ParamSpec("P")
T = TypeVar("T")

_alone = 0  # `with alone()` blocks that this process is in


@cache
def started() -> bool:
    """Return whether a launcher of MPI started this process; a child of it does not take part."""
    return several() and multiprocessing.parent_process() is None


@cache
def _mpi() -> Any:
    """Return the module of MPI, which starts MPI when it is first imported."""
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ImportError(
            "a training under mpiexec needs mpi4py: pip install deepfs[distributed]",
            name="mpi4py",
        ) from error
    wanted, found = number_of(SIZE), MPI.COMM_WORLD.Get_size()
    if wanted not in (None, found):
        raise RuntimeError(
            f"the launcher started {wanted} processes, and mpi4py finds {found}: it is of another "
            f"MPI, start them with the mpiexec of {MPI.Get_library_version().split()[0]}"
        )
    return MPI


@cache
def _world() -> World:
    found = _mpi().COMM_WORLD
    return World(found) if found.Get_size() > 1 else ONE


def world() -> World:
    """Return the processes that train together with this one."""
    return _world() if started() and not _alone else ONE


def rank() -> int:
    """Return the number of this process among those that train together, from 0.

    Returns
    -------
    int
        0 without ``mpiexec``. Rank 0 is the one that prints and writes files.

    Raises
    ------
    ImportError
        If ``mpiexec`` started this process, and mpi4py is not installed.

    Examples
    --------
    >>> import deepfs as dfs
    >>> dfs.distributed.rank()
    0
    """
    return int(_mpi().COMM_WORLD.Get_rank()) if started() and not _alone else 0


def size() -> int:
    """Return how many processes train together.

    Returns
    -------
    int
        1 without ``mpiexec``; 4 after ``mpiexec -n 4``.

    Raises
    ------
    ImportError
        If ``mpiexec`` started this process, and mpi4py is not installed.

    Examples
    --------
    >>> import deepfs as dfs
    >>> dfs.distributed.size()
    1
    """
    return int(_mpi().COMM_WORLD.Get_size()) if started() and not _alone else 1


@contextmanager
def alone() -> Iterator[None]:
    """Train without the other processes inside a ``with`` block, as if each had no other.

    For a search, say, in which each process of an ``mpiexec`` trains models of its own.

    Examples
    --------
    >>> import deepfs as dfs
    >>> with dfs.distributed.alone():
    ...     print(dfs.distributed.size())
    1
    """
    global _alone
    _alone += 1
    try:
        yield
    finally:
        _alone -= 1


def together(function: Callable[P, T]) -> Callable[P, T]:
    """Let an error of one rank be raised on all, which would wait for it; rank 0 warns for all."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        group = world()
        if not group.rank:
            with group.guard():
                return function(*args, **kwargs)
        with group.guard(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **kwargs)

    return call


def _ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """End all ranks after an error that nobody caught: MPI would wait for this one for ever."""
    if not told_by_another(error):
        sys.__excepthook__(kind, error, trace)
    if not _started_mpi() or _world().error is not error:  # the others do not know it
        end_all(130 if kind is KeyboardInterrupt else 1)


def _started_mpi() -> bool:
    return "mpi4py.MPI" in sys.modules and bool(_mpi().Is_initialized())


def end_all(status: int) -> NoReturn:
    """End the processes of all ranks."""
    print(
        f"deepfs: rank {number_of(RANK)} has failed, so all ranks end",
        file=sys.__stderr__,
        flush=True,
    )
    if _started_mpi():
        _mpi().COMM_WORLD.Abort(status)
    # Others may wait for this rank in MPI_Init. A launcher ends all after a signal, and not, if it
    # is MPICH's, after the exit status of a process that has not started MPI.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
    os._exit(status)


def told_by_another(error: BaseException) -> bool:
    """Return whether another rank is the one to print an error."""
    group = _world() if _started_mpi() else ONE
    return group.error is error and not group.mine


def watch() -> None:
    """Prepare a process for others beside it: it has its share of the processors.

    And if it ends by an error that nobody catches, all ranks end.
    """
    if not started():
        return
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _ended
    beside = number_of(BESIDE) or 1
    every = os.cpu_count() or 1
    if get_num_threads() == every and "OMP_NUM_THREADS" not in os.environ:  # not bound to some
        set_num_threads(max(1, every // beside))
