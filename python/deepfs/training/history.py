"""History: the logs of a training run."""

from __future__ import annotations

import csv
import io
from collections.abc import ItemsView, Iterator, KeysView
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from .._names import hint
from ..inspection.curves import history_html, in_words


@dataclass(repr=False)
class History:
    """Loss and metrics of each epoch of `Model.fit`.

    Attributes
    ----------
    history : dict of list of float
        A list per name, with a number per epoch, as in Keras: ``loss`` and metrics, means over the
        batches as they were trained, and with validation data ``val_loss`` and so on. The last
        entry of an interrupted run covers the part of the epoch that was done.
    interrupted : bool
        True if Ctrl-C ended the run.

    Examples
    --------
    >>> import deepfs as dfs
    >>> model = dfs.Model(dfs.layers.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    >>> history = model.fit(np.eye(4), np.array([0, 1, 0, 1]), epochs=3, verbose=0)
    >>> len(history["loss"])
    3
    >>> history.to_csv().splitlines()[0]
    'epoch,loss,accuracy'
    """

    history: dict[str, list[float]] = field(default_factory=dict)
    interrupted: bool = False

    def add(self, logs: dict[str, float]) -> None:
        """Append the logs of an epoch."""
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def __repr__(self) -> str:
        return in_words(self.history, self.interrupted)

    def _repr_html_(self) -> str:
        return history_html(self.history)

    def __getitem__(self, name: str) -> list[float]:
        if name not in self.history:
            known = list(self.history)
            way = hint(str(name), known) or f": it has {', '.join(known) or 'no epochs'}"
            raise KeyError(f"the history has no {name!r}{way}")
        return self.history[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.history)

    def __contains__(self, name: object) -> bool:
        return name in self.history

    def keys(self) -> KeysView[str]:
        """Return the names, as of a dict; so ``dict(history)`` is one."""
        return self.history.keys()

    def items(self) -> ItemsView[str, list[float]]:
        """Return names and lists, as of a dict."""
        return self.history.items()

    def to_csv(self, path: str | Path | None = None) -> str | None:
        """Write a row per epoch, counted from 0, as `deepfs.callbacks.CSVLogger` does.

        Parameters
        ----------
        path : str or Path, optional
            The file. Without it, the text is returned, as pandas does it.

        Returns
        -------
        str or None
            The text, if there is no ``path``. An epoch that lacks a number, as one that Ctrl-C
            ended lacks those of the validation, has an empty cell.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["epoch", *self.history])
        for epoch in range(self._epochs()):
            writer.writerow(
                [epoch, *(repr(float(v[epoch])) if epoch < len(v) else "" for v in self._lists())]
            )
        if path is None:
            return text.getvalue()
        Path(path).expanduser().write_text(text.getvalue(), "utf-8", newline="")
        return None

    def to_frame(self) -> Any:
        """Return a DataFrame of pandas: a row per epoch, counted from 0, a column per number.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise ImportError(
                "History.to_frame needs pandas, which is not installed: pip install pandas"
            ) from None
        rows = range(self._epochs())
        columns = {name: pd.Series(v, rows[: len(v)], float) for name, v in self.history.items()}
        return pd.DataFrame(columns, index=pd.Index(rows, name="epoch"))

    def plot(self, ax: Any = None) -> Any:
        """Draw the curves by `deepfs.plots.history`.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default in a new figure.

        Returns
        -------
        matplotlib.axes.Axes
            What `deepfs.plots.history` returns.

        Raises
        ------
        ImportError
            If Matplotlib is not installed.
        """
        # by its name: plots are drawn of what is made here, and may import it
        return import_module("deepfs.plots").history(self, ax)

    def _epochs(self) -> int:
        return max(map(len, self._lists()), default=0)

    def _lists(self) -> list[list[float]]:
        return list(self.history.values())
