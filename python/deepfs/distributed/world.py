"""World: the processes that train together, and how they exchange numbers."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import numpy as np

from .._arrays import Array

T = TypeVar("T")

# what a rank may say whenever all exchange something
STOP, INTERRUPTED, FAILED, GOES_ON, ENDED = 1, 2, 4, 8, 16


class World:
    """The processes that one ``mpiexec`` started, and what they exchange.

    Every exchange begins with `agree`: a sum of bits. A rank that has failed says so in the next
    one, whichever that is for the others, so that all raise its error and none waits for ever.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm or None
        The processes; None: this one alone.
    """

    def __init__(self, comm: Any = None) -> None:
        self.given, self._own = comm, None
        self.rank = 0 if comm is None else int(comm.Get_rank())
        self.size = 1 if comm is None else int(comm.Get_size())
        self.error: BaseException | None = None  # the last one that all ranks know
        self.mine = False  # whether this rank is to tell of it
        self.busy = False  # within an exchange, which the others cannot leave

    @property
    def comm(self) -> Any:
        """The processes, apart from the messages that a program sends itself."""
        if self._own is None:
            self._own = self.given.Dup()
        return self._own

    def agree(self, bits: int) -> int:
        """Return the bits that any rank gives.

        Raises
        ------
        Exception
            That of another rank which has failed, with a note that says which.
        """
        if self.size == 1:
            return bits
        found = self._any(bits)
        if found & FAILED:
            errors = self._gather(None)
            number = next(at for at, error in enumerate(errors) if error is not None)
            self.error, self.mine = errors[number], False
            self.error.add_note(f"raised on rank {number} of {self.size}")
            raise self.error
        return found

    def share(self, value: T) -> list[T]:
        """Return the values of all ranks, in their order; raises as `agree`."""
        if self.size == 1:
            return [value]
        self.agree(0)
        return self._gather(value)

    def fail(self, error: Exception) -> None:
        """Let the other ranks raise an error of this one, if they do not know it."""
        if self.size == 1 or error is self.error:
            return
        if self.busy:
            self.end(error)
        self.error, self.mine = error, True
        self._any(FAILED)
        errors = self._gather(portable(error))
        first = next(each for each in errors if each is not None)
        self.mine = errors.index(first) == self.rank or str(first) != str(error)

    def refuse(self, error: Exception) -> NoReturn:
        """Raise an error that all ranks have found at once."""
        self.error, self.mine = error, self.rank == 0
        raise error

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Let the other ranks raise the errors of a ``with`` block; after Ctrl-C, end them."""
        try:
            yield
        except Exception as error:
            self.fail(error)
            raise
        except BaseException as error:
            if self.size > 1:
                self.end(error)
            raise

    def end(self, error: BaseException) -> None:
        """End all ranks, which cannot be told of an error in another way."""
        kind = type(error).__name__
        text = f"{kind}: {error}" if str(error) else kind
        print(f"deepfs: rank {self.rank} has failed, so all ranks end: {text}",
              file=sys.__stderr__, flush=True)  # fmt: skip
        self.given.Abort(130 if isinstance(error, KeyboardInterrupt) else 1)

    def _any(self, bits: int) -> int:
        from mpi4py import MPI

        found = np.array([bits], np.int64)
        self.busy = True
        self.comm.Allreduce(MPI.IN_PLACE, found, MPI.BOR)
        self.busy = False
        return int(found[0])

    def _gather(self, value: Any) -> list[Any]:
        self.busy = True
        found: list[Any] = self.comm.allgather(value)
        self.busy = False
        return found

    def deal(self, whole: Array, counts: list[int], pieces: Array) -> None:
        """Send each rank its piece of an array; write theirs of this rank to rows of ``pieces``."""
        self.busy = True
        self.comm.Alltoallv([whole, counts], [pieces, [pieces.shape[1]] * self.size])
        self.busy = False

    def collect(self, piece: Array, counts: list[int], whole: Array) -> None:
        """Write the pieces of all ranks to an array, one after the other."""
        self.busy = True
        self.comm.Allgatherv(piece, [whole, counts])
        self.busy = False

    def of_first(self, value: Any) -> Any:
        """Return the value that rank 0 has."""
        return self.share(value if self.rank == 0 else None)[0]


ONE = World()  # a process alone


def portable(error: Exception) -> Exception:
    """Return an error that another process can raise: its own, or one in its words."""
    try:
        same = pickle.loads(pickle.dumps(error))
        if type(same) is type(error) and str(same) == str(error):
            return error
    except Exception:  # whatever an error of the user's own raises
        pass
    return RuntimeError(f"{type(error).__name__}: {error}")
