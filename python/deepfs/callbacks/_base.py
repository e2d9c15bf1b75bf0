"""What a callback is: Keras's hooks, and a state that a checkpoint keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._settings import ExplainedSettings

if TYPE_CHECKING:
    from ..model import Model


class Callback(ExplainedSettings):
    """Something to do at certain moments of `deepfs.Model.fit`. Override what you need.

    Attributes
    ----------
    model : Model
        That is trained, from before the first hook on. ``model.stop_training = True`` ends the
        training after the batch.

    Notes
    -----
    The hooks have Keras's names and arguments: ``epoch`` and ``batch`` count from 0, a batch is
    one step of the optimizer, ``logs`` is what has been measured. What a callback adds to the logs
    of an epoch is kept in the history. ``on_test_begin`` and ``on_test_end`` stand around the
    validation after an epoch.

    A resumed run calls ``on_train_begin``, then `load_state`, and goes on where it was:
    ``on_epoch_begin`` is not called again for an epoch that had begun. So a callback whose
    attributes move overrides `state` and `load_state`.

    References
    ----------
    ``keras.callbacks.Callback``.

    Examples
    --------
    >>> class StopAt(Callback):
    ...     def __init__(self, accuracy):
    ...         self.accuracy = accuracy
    ...
    ...     def on_epoch_end(self, epoch, logs):
    ...         if logs["accuracy"] >= self.accuracy:
    ...             self.model.stop_training = True
    """

    model: Model

    def set_model(self, model: Model) -> None:
        """Take note of the model that is about to be trained."""
        self.model = model

    def on_train_begin(self, logs: dict[str, float]) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: dict[str, float]) -> None:
        """After the last epoch, with its logs; also after Ctrl-C."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, float]) -> None:
        """Before the first step of an epoch."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """After an epoch and its validation, with the means over it."""

    def on_train_batch_begin(self, batch: int, logs: dict[str, float]) -> None:
        """Before a step."""

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """After a step, with what was measured on its batch."""

    def on_test_begin(self, logs: dict[str, float]) -> None:
        """Before the validation after an epoch."""

    def on_test_end(self, logs: dict[str, float]) -> None:
        """After it, with what it measured; also if it failed, without logs."""

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must keep: numbers, text, None, lists of them, and arrays."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
