"""Whether a launcher of MPI, such as ``mpiexec``, started this process."""

from os import environ

# of each process: MPICH and Intel MPI, Open MPI, MVAPICH; any launcher with PMIx
RANK = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "PMIX_RANK")
SIZE = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
BESIDE = ("MPI_LOCALNRANKS", "OMPI_COMM_WORLD_LOCAL_SIZE", "MV2_COMM_WORLD_LOCAL_SIZE")


def number_of(names: tuple[str, ...]) -> int | None:
    """Return what the first of these variables that is set says; None if none is."""
    return next((int(environ[name]) for name in names if environ.get(name, "").isdecimal()), None)


def several() -> bool:
    """Return whether this is one of several processes, as far as the environment tells."""
    return number_of(RANK) is not None and number_of(SIZE) != 1
