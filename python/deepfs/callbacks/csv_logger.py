"""Write the numbers of each epoch as a row of a CSV file."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from .._check import flag, shown
from .._warn import warn
from ._base import Callback
from ._log_file import LogFile


@dataclass(eq=False)
class CSVLogger(Callback):
    """Write a row per epoch: its number, counted from 0, and the numbers of its logs.

    Parameters
    ----------
    filename : str or Path
        The file, in UTF-8. Its folder is made.
    separator : str
        One character between the cells.
    append : bool
        Append to the file, whose columns stay, instead of replacing it.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind. Before the first step, if the file to append to has other
        columns.
    OSError
        Before the first step, if the file cannot be written. A disk that becomes full later is a
        warning: the training goes on, and the rows follow as soon as there is room.

    Notes
    -----
    Numbers are written with all digits, as Python shows them. A resumed run has the rows of a run
    that was never stopped: none twice, none missing. An epoch that Ctrl-C ended has no row. The
    columns are those of the first epoch; a number that comes later is left out, with a warning. Put
    callbacks that add numbers to the logs before this one.

    References
    ----------
    ``keras.callbacks.CSVLogger``.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import deepfs as dfs
    >>> model = dfs.Model(dfs.layers.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD(1.0))
    >>> folder = tempfile.TemporaryDirectory()
    >>> log = CSVLogger(folder.name + "/log.csv")
    >>> history = model.fit(np.eye(4), np.array([0, 1, 0, 1]), epochs=3, verbose=0, callbacks=[log])
    >>> rows = pathlib.Path(log.filename).read_text().splitlines()
    >>> rows[0], len(rows)
    ('epoch,loss,accuracy', 4)
    >>> folder.cleanup()
    """

    filename: str | Path
    separator: str = ","
    append: bool = False

    _left_out: ClassVar = True
    rank_0_only: ClassVar = True
    _file: Any = field(default=None, init=False, repr=False)
    _columns: Sequence[str] = field(default=(), init=False, repr=False)

    def __post_init__(self) -> None:
        self.filename = path_of(self.filename)
        if not isinstance(self.separator, str) or len(self.separator) != 1:
            raise ValueError(f"separator must be one character, got {shown(self.separator)}")
        self.append = flag(self.append, "append")

    def check_logs(self, names: Sequence[str]) -> None:
        if not self.append:
            return
        columns = self._columns_in(LogFile(self.filename, True).open())
        if missing := [name for name in names if columns and name not in columns]:
            raise ValueError(
                f"CSVLogger cannot append {', '.join(missing)} to {self.filename}, whose columns "
                f"are {', '.join(columns)}: give another file"
            )

    def _columns_in(self, content: str) -> list[str]:
        """Return the columns of a file."""
        first = content.partition("\n")[0]
        return next(iter(csv.reader([first], delimiter=self.separator)), []) if first else []

    def on_train_begin(self, logs: dict[str, float]) -> None:
        self._file = LogFile(self.filename, self.append)
        self._columns = self._columns_in(self._file.open())

    def on_epoch_begin(self, epoch: int, logs: dict[str, float]) -> None:
        self._file.start()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if not self._columns:
            self._columns = ["epoch", *logs]
            self._file.add(self._row(self._columns))
        if new := [name for name in logs if name not in self._columns]:
            warn(
                f"CSVLogger has no column for {', '.join(new)}, which the first epoch did not have"
            )
        values = {"epoch": epoch} | logs
        self._file.add(self._row(values.get(name, "") for name in self._columns))

    def _row(self, cells: Iterable[Any]) -> str:
        text = io.StringIO()
        row = [repr(float(cell)) if isinstance(cell, float) else cell for cell in cells]
        csv.writer(text, delimiter=self.separator, lineterminator="").writerow(row)
        return text.getvalue()

    def on_train_end(self, logs: dict[str, float]) -> None:
        self._file.finish()

    def state(self) -> dict[str, Any]:
        return self._file.state() | {"columns": list(self._columns)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._columns = list(state["columns"])
        self._file.load_state(state)


def path_of(filename: Any, name: str = "filename") -> str:
    """Return the name of a file as text; raise TypeError if it is none."""
    path = os.fspath(filename) if isinstance(filename, os.PathLike) else filename
    if not isinstance(path, str) or not path:
        raise TypeError(f"{name} must be a str or Path, got {shown(filename)}")
    return path
