"""Data-parallel training on MPI: several processes share each batch of `Model.fit`.

Start a script, or ``deepfs train``, with ``mpiexec -n 4``; see ``docs/distributed.md``. It needs
mpi4py: ``pip install deepfs[distributed]``, and an MPI library such as that of ``pip install
mpich``.
"""

from .._public import public_names as _public_names
from .launch import alone, rank, size

__all__ = ["alone", "rank", "size"]


def __dir__() -> list[str]:
    return _public_names(globals())
