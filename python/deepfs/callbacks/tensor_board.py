"""Write the numbers of a training for TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from .._check import whole
from .._warn import warn
from ._base import Callback
from .csv_logger import path_of


@dataclass(eq=False)
class TensorBoard(Callback):
    """Write loss, metrics and learning rate for TensorBoard.

    ``tensorboard --logdir logs`` shows them. It needs tensorboardX: ``pip install
    'deepfs[tensorboard]'``.

    Parameters
    ----------
    log_dir : str or Path
        Folder of the logs, one for each training. As in Keras, it gets the folders ``train`` and
        ``validation``, and curves are called ``epoch_loss``, ``epoch_lr`` and so on.
    histogram_freq : int
        Epochs from one histogram of all parameters to the next; 0 draws none.
    update_freq : "epoch", "batch" or int
        Also write loss and metrics of each step ("batch"), or of every so many steps, as
        ``batch_loss`` and so on.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.
    ImportError
        Before the first step, if tensorboardX is not installed.

    Notes
    -----
    A resumed run begins a new file, which tells TensorBoard to forget what comes after the
    checkpoint in the files before. If a file cannot be written any more, as on a full disk, there
    is a warning and the training goes on without this log.

    References
    ----------
    ``keras.callbacks.TensorBoard``.

    Examples
    --------
    >>> TensorBoard("logs/first", histogram_freq=5)
    TensorBoard(log_dir='logs/first', histogram_freq=5)
    """

    log_dir: str | Path = "logs"
    histogram_freq: int = 0
    update_freq: str | int = "epoch"

    _left_out: ClassVar = True
    rank_0_only: ClassVar = True
    _writers: Any = field(default=None, init=False, repr=False)
    _purge: Any = field(default=None, init=False, repr=False)
    _failed: bool = field(default=False, init=False, repr=False)
    _epochs: int = field(default=0, init=False, repr=False)  # that are written

    def __post_init__(self) -> None:
        self.log_dir = path_of(self.log_dir, "log_dir")
        self.histogram_freq = whole(self.histogram_freq, "histogram_freq", 0)
        if self.update_freq not in ("epoch", "batch"):
            self.update_freq = whole(self.update_freq, 'update_freq must be "epoch", "batch", or')

    def on_train_begin(self, logs: dict[str, float]) -> None:
        writer_class()
        self._writers, self._purge, self._failed, self._epochs = {}, None, False, 0

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        if self.update_freq == "epoch":
            return
        if self.model.steps % (1 if isinstance(self.update_freq, str) else self.update_freq) == 0:
            for name, value in logs.items():
                self._write("train", "add_scalar", f"batch_{name}", value, self.model.steps)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        for name, value in logs.items():
            where = "validation" if name.startswith("val_") else "train"
            self._write(where, "add_scalar", f"epoch_{name.removeprefix('val_')}", value, epoch)
        if "lr" not in logs:
            optimizer, model = self.model.optimizer, self.model
            t = model.steps - model.trainer.state_since
            self._write("train", "add_scalar", "epoch_lr", optimizer.rate(t, model.epochs), epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for name, each in self.model.network.parameters().items():
                self._write("train", "add_histogram", name, each.value.ravel(), epoch)
        for writer in list((self._writers or {}).values()):
            self._try(writer.flush)
        self._epochs = epoch + 1

    def on_train_end(self, logs: dict[str, float]) -> None:
        for writer in (self._writers or {}).values():
            self._try(writer.close)
        self._writers = {}

    def _write(self, where: str, kind: str, name: str, value: Any, step: int) -> None:
        self._try(lambda: getattr(self._writer(where), kind)(name, value, step))

    def _writer(self, where: str) -> Any:
        """Return the writer of a folder, made when it is first needed."""
        if where not in self._writers:
            folder = Path(str(self.log_dir)).expanduser() / where
            self._writers[where] = writer_class()(str(folder), purge_step=self._purge)
        return self._writers[where]

    def _try(self, write: Callable[[], Any]) -> None:
        if self._failed:
            return
        try:
            write()
        except OSError as error:
            self._failed = True
            warn(
                f"TensorBoard cannot write {self.log_dir}: {error}; the training goes on without "
                "this log"
            )

    def state(self) -> dict[str, Any]:
        return {"epochs": self._epochs}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._epochs = state["epochs"]
        self._purge = self._epochs if self.update_freq == "epoch" else self.model.steps + 1


def writer_class() -> Any:
    """Return the class that writes files of events; raise ImportError if it is not installed."""
    try:
        from tensorboardX import SummaryWriter  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise ImportError(
            "TensorBoard needs tensorboardX, which is not installed: pip install "
            "'deepfs[tensorboard]'"
        ) from None
    return SummaryWriter
