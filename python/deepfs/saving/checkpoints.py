"""Checkpoints of a training run: a folder with the last two."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._arrays import Array
from .._warn import warn
from ..trainer import Trainer
from .model import arrays_of, describe
from .tensors import CheckpointError, TensorFile, write

MAX_CHECKPOINTS = 2  # one remains while the next is written, and if the last is damaged
NAME = re.compile(r"step-(\d{9,})\.safetensors")  # nine digits: a name that `save` gives


def paths_in(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, the newest last; none if there is no such folder."""
    files = (path for path in folder.glob("step-*") if path.is_file())
    found = [path for path in files if NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.stem[5:]))


class Checkpoints:
    """The checkpoints in a folder, which is made if it does not exist.

    Parameters
    ----------
    folder : str or Path
        Folder of one training run.

    Raises
    ------
    OSError
        If the folder cannot be made, as when a file has this name.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).expanduser().absolute()  # the process may go elsewhere
        self.folder.mkdir(parents=True, exist_ok=True)

    def paths(self) -> list[Path]:
        """Return the files, the newest last."""
        return paths_in(self.folder)

    def remove(self) -> None:
        """Remove all, and the folder if nothing else is in it."""
        for path in self.paths():
            path.unlink()
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def newest(self, resume: bool) -> TensorFile | None:
        """Open the newest undamaged checkpoint; None if there is none at all.

        Raises
        ------
        FileExistsError
            If there are checkpoints, but not to ``resume`` from.
        CheckpointError
            If all are damaged.
        """
        paths = self.paths()
        if paths and not resume:
            raise FileExistsError(
                f"{self.folder} has checkpoints of a run already: resume=True goes on with it; to "
                "start anew, remove them or name another folder"
            )
        for path in reversed(paths):
            try:
                return TensorFile(path)
            except CheckpointError as error:
                if path == paths[0]:
                    raise
                warn(f"{error}; going on from the checkpoint before it")
        return None

    def save(self, trainer: Trainer, run: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        """Write a model and the position of its run; remove all checkpoints but the last two."""
        beside = {f"run/{name}": array for name, array in arrays.items()}
        write(
            self.folder / f"step-{trainer.steps:09d}.safetensors",
            arrays_of(trainer) | beside,
            describe(trainer) | {"run": run},
            lambda: describe(trainer) | {"run": run},
        )
        for path in self.paths()[:-MAX_CHECKPOINTS]:
            with contextlib.suppress(OSError):  # the next one will try again
                path.unlink()
