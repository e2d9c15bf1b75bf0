"""Write the numbers of each epoch as a line of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar

from .._check import flag
from ._base import Callback
from ._log_file import LogFile
from .csv_logger import path_of


@dataclass(eq=False)
class JSONLogger(Callback):
    """Write a line per epoch, a JSON object: its number, counted from 0, and its logs.

    Parameters
    ----------
    filename : str or Path
        The file, in UTF-8. Its folder is made.
    append : bool
        Append to the file instead of replacing it.

    Raises
    ------
    TypeError
        If a setting is of the wrong kind.
    OSError
        Before the first step, if the file cannot be written. A disk that becomes full later is a
        warning, as for `CSVLogger`.

    Notes
    -----
    Each line can be read alone (JSON Lines). JSON has no NaN and no infinity: they are ``null``. A
    resumed run has the lines of a run that was never stopped.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> import deepfs as dfs
    >>> model = dfs.Model(dfs.layers.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD(1.0))
    >>> folder = tempfile.TemporaryDirectory()
    >>> log = JSONLogger(folder.name + "/log.jsonl")
    >>> history = model.fit(np.eye(4), np.array([0, 1, 0, 1]), epochs=3, verbose=0, callbacks=[log])
    >>> lines = [json.loads(s) for s in pathlib.Path(log.filename).read_text().splitlines()]
    >>> [line["loss"] for line in lines] == history["loss"], lines[-1]["epoch"]
    (True, 2)
    >>> folder.cleanup()
    """

    filename: str | Path
    append: bool = False

    _left_out: ClassVar = True
    rank_0_only: ClassVar = True
    _file: Any = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.filename = path_of(self.filename)
        self.append = flag(self.append, "append")

    def on_train_begin(self, logs: dict[str, float]) -> None:
        self._file = LogFile(self.filename, self.append)
        self._file.open()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float]) -> None:
        self._file.start()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        numbers = {name: float(value) for name, value in logs.items()}
        known = {name: value if isfinite(value) else None for name, value in numbers.items()}
        self._file.add(json.dumps({"epoch": epoch} | known, allow_nan=False))

    def on_train_end(self, logs: dict[str, float]) -> None:
        self._file.finish()

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = self._file.state()
        return state

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._file.load_state(state)
