"""History: the logs of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field

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
        return self.history[name]
