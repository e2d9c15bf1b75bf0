"""End the training without an error when a loss is NaN."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from .._warn import warn
from ._base import Callback


@dataclass(eq=False)
class TerminateOnNaN(Callback):
    """End the training when a loss is not finite, with a warning instead of an error.

    Without it, `fit` raises FloatingPointError. With it, `fit` returns the history, and scripts go
    on. In both cases the step that gave NaN or infinity is not taken, so the weights are finite;
    Keras takes it. A loss of the validation that is not finite ends the training after its epoch.

    References
    ----------
    ``keras.callbacks.TerminateOnNaN``.

    Examples
    --------
    >>> import warnings
    >>> import deepfs as dfs
    >>> model = dfs.Model(dfs.layers.Dense(1), "mean_squared_error", dfs.optimizers.SGD(1e9))
    >>> x = np.linspace(-1, 1, 8, dtype=np.float32)[:, None]
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     history = model.fit(x, 3 * x, epochs=99, verbose=0, callbacks=[TerminateOnNaN()])
    >>> len(history["loss"]) < 99, bool(np.isfinite(model.predict(x)).all())
    (True, True)
    """

    def end(self, error: FloatingPointError) -> None:
        """End the training because of what a step has raised; `fit` calls it."""
        warn(f"the training ends: {error}", RuntimeWarning)
        self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        for name, value in logs.items():
            if (name == "loss" or name.endswith("_loss")) and not isfinite(value):
                self.end(FloatingPointError(f"{name} of epoch {epoch + 1} is {value}"))
                return
