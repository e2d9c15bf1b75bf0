"""Callback, the base class: Keras's hooks, and a state that checkpoints keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from .._settings import ExplainedSettings

if TYPE_CHECKING:
    from ..model import Model


class Callback(ExplainedSettings):
    """Base class of callbacks: override the hooks you need and pass it to `deepfs.Model.fit`.

    Attributes
    ----------
    model : Model
        The model that is trained, set before the first hook is called. ``model.stop_training =
        True`` ends the training after the current step.
    rank_0_only : bool
        Whether its hooks run on rank 0 only, under ``mpiexec``: True in a class that writes files
        or prints. All others run on all ranks, see ``docs/distributed.md``.

    Notes
    -----
    The hooks have Keras's names and arguments: ``epoch`` and ``batch`` count from 0, a batch is one
    step of the optimizer, and ``logs`` holds numbers by name. Numbers that a callback adds to the
    logs of an epoch are kept in the history. ``on_test_begin`` and ``on_test_end`` are called
    before and after the validation of an epoch. `fit` looks at all hooks before the first step: a
    misspelt one, or one that takes other arguments, is refused.

    A resumed run calls ``on_train_begin``, then `load_state`, and continues at its position:
    ``on_epoch_begin`` is not called again for an epoch that had begun. So a callback whose
    attributes change during training must define `state` and `load_state`.

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
    rank_0_only: ClassVar[bool] = False

    _instead: ClassVar = {"stop_training": "set self.model.stop_training"}
    _adds: ClassVar[tuple[str, ...]] = ()  # names that it adds to the logs of an epoch
    _sets_rate: ClassVar = False  # whether it sets the learning rate of the optimizer
    _keeps_weights: ClassVar = False  # whether it takes the weights for those that were measured
    _left_out: ClassVar = False  # whether `fit(fast_dev_run=True)` leaves it out

    def set_model(self, model: Model) -> None:
        """Set the model that is about to be trained."""
        vars(self)["model"] = model  # an assignment would be taken for a slip of a setting `mode`

    def check_logs(self, names: Sequence[str]) -> None:
        """Raise ValueError if the callback needs a number that the logs of an epoch will not have.

        It is asked before the first step, unless another callback may add numbers to the logs.
        """

    def on_train_begin(self, logs: dict[str, float]) -> None:
        """Run before the first epoch."""

    def on_train_end(self, logs: dict[str, float]) -> None:
        """Run after the last epoch, with its logs; also after Ctrl-C."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, float]) -> None:
        """Run before the first step of an epoch."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Run after an epoch and its validation, with the means over the epoch."""

    def on_train_batch_begin(self, batch: int, logs: dict[str, float]) -> None:
        """Run before a step."""

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """Run after a step, with loss and metrics of its batch."""

    def on_test_begin(self, logs: dict[str, float]) -> None:
        """Run before the validation of an epoch."""

    def on_test_end(self, logs: dict[str, float]) -> None:
        """Run after the validation, with its logs; with empty logs if it failed."""

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint: numbers, text, None, lists of them, and arrays."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` returned."""
