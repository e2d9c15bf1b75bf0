"""Which build of the kernels is loaded, of this package and of others that extend it."""

import json
import os

from cnn_core import _cpu

API_VERSION = 1  # of what other packages cimport: docs/c_api.md says when it changes
REBUILD = "pip install --no-build-isolation -e . (in its source folder)"  # another package
STAMP = "_deepfs.json"  # in the folder of another package: what it was built for, by deepfs.build


def choose_level(folder: str, package: str) -> str:
    """Return the level to load: the one asked for, or the best of those built in a folder."""
    runs = _cpu.levels()
    built = [k for k in ["native", *runs] if os.path.isdir(os.path.join(folder, f"_{k}"))]
    asked = os.environ.get("DEEPFS_ISA")
    if not built:
        can = ", ".join(runs) or "x86-64-v1"
        way = "" if package == "cnn_core" else f"; rebuild it: {REBUILD}"
        raise ImportError(f"{package} has no kernels for this processor (it runs {can}){way}")
    if asked and asked not in built:
        whose = "" if package == "cnn_core" else f" for {package}"
        raise ImportError(
            f"DEEPFS_ISA must be one of {', '.join(built)} on this machine{whose}, got {asked!r}"
        )
    return asked or built[0]


def extend_path(path: list[str]) -> str:
    """Put the folder of kernels for this processor first on the path of another package.

    For packages that were built by `deepfs.build`: their ``__init__.py`` calls it with its own
    ``__path__`` before it imports a kernel.

    Parameters
    ----------
    path : list of str
        ``__path__`` of the package; it is changed.

    Returns
    -------
    str
        The level, such as ``"v3"``: ``DEEPFS_ISA``, or the best of those that the package was
        built for and this processor runs.

    Raises
    ------
    ImportError
        If the package was not built, or for another `API_VERSION`, or has no kernels for this
        processor.

    Examples
    --------
    In ``levelled/__init__.py``::

        import cnn_core
        cnn_core.extend_path(__path__)
    """
    folder = next((f for f in path if os.path.isfile(os.path.join(f, STAMP))), None)
    package = os.path.basename(folder or path[-1])
    if folder is None:
        raise ImportError(f"{package} has no kernels in {path[-1]}; build it: {REBUILD}")
    path_of_stamp = os.path.join(folder, STAMP)
    try:
        with open(path_of_stamp, encoding="utf-8") as file:
            stamp = json.load(file)
        api, cython = stamp["api"], stamp["cython"]
    except (ValueError, KeyError, TypeError) as error:
        raise ImportError(f"{path_of_stamp} is damaged ({error}); rebuild it: {REBUILD}") from error
    for what, theirs, ours in (
        ("version {} of cnn_core's C interface", api, API_VERSION),
        ("a cnn_core by Cython {}", cython or _cpu.cython(), _cpu.cython()),
    ):
        if theirs != ours:
            raise ImportError(
                f"{package} was built for {what.format(theirs)}, and this is "
                f"{what.format(ours)}; rebuild it: {REBUILD}"
            )
    level = choose_level(folder, package)
    if (chosen := os.path.join(folder, f"_{level}")) not in path:
        path.insert(0, chosen)
    return level
