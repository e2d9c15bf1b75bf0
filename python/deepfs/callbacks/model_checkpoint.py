"""Save the model after each epoch, or the best ones."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import Any, ClassVar

from .._check import flag, number, one_of, shown, whole
from .._names import hint
from ._base import Callback
from ._monitor import MODES, check_monitor, is_better, monitor_name, sign_of
from .csv_logger import path_of


@dataclass(eq=False)
class ModelCheckpoint(Callback):
    """Save the model as a file after each epoch, or those of the best epochs.

    Each file is a whole model, which `deepfs.load` reads. To go on with a run that was stopped,
    give ``checkpoint`` and ``resume`` to `fit`: only those files have its position.

    Parameters
    ----------
    filepath : str or Path
        Name of the file, with fields as for `str.format`: ``{epoch}``, counted from 1,
        ``{val_loss:.3f}`` and other numbers of the epoch; with steps as ``save_freq`` also
        ``{batch}``, the step of the epoch from 1. Folders are made.
    monitor : str
        Name of a number in the logs of an epoch, by which the best is known.
    save_best_only : bool
        Save only after an epoch that is better than all before.
    mode : {"auto", "min", "max"}
        Whether smaller or larger values are better; "auto" as in `EarlyStopping`.
    save_freq : "epoch" or int
        Save after each epoch, or after so many steps, counted over the whole run.
    initial_value_threshold : float, optional
        Save only what is better than this value.
    save_top_k : int, optional
        Keep the files of the ``save_top_k`` best epochs, remove the others; the name and the rule
        are Lightning's. From 2 on, ``filepath`` needs a field that tells epochs apart.

    Attributes
    ----------
    best : float or None
        The best value so far.
    best_model_path : str
        The file of it, or the last file if nothing is monitored; "" before there is one.
    best_k_models : dict of float
        With ``save_top_k``, the files that are kept and their values.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range, or if settings exclude each other. Before
        the first step, if no number has the name ``monitor`` or that of a field.
    OSError
        If a file cannot be written. Earlier files are kept.

    Notes
    -----
    A second `fit` of the same model goes on with the best values, as in Keras; another model starts
    anew. NaN is never among the best.

    References
    ----------
    ``keras.callbacks.ModelCheckpoint``, ``lightning.pytorch.callbacks.ModelCheckpoint``.

    Examples
    --------
    >>> import tempfile
    >>> import deepfs as dfs
    >>> model = dfs.Model(dfs.layers.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD(1.0))
    >>> folder = tempfile.TemporaryDirectory()
    >>> best = ModelCheckpoint(folder.name + "/{epoch:02d}.safetensors", "loss", save_top_k=2)
    >>> history = model.fit(np.eye(4), np.array([0, 1, 0, 1]), epochs=5, verbose=0,
    ...                     callbacks=[best])
    >>> sorted(path[-14:] for path in best.best_k_models)
    ['04.safetensors', '05.safetensors']
    >>> dfs.load(best.best_model_path).steps
    5
    >>> folder.cleanup()
    """

    filepath: str | Path
    monitor: str = "val_loss"
    save_best_only: bool = False
    mode: str = "auto"
    save_freq: str | int = "epoch"
    initial_value_threshold: float | None = None
    save_top_k: int | None = None

    best: float | None = field(default=None, init=False, repr=False)
    best_model_path: str = field(default="", init=False, repr=False)
    best_k_models: dict[str, float] = field(default_factory=dict, init=False, repr=False)

    _left_out: ClassVar = True
    rank_0_only: ClassVar = True
    _keeps_weights: ClassVar = True

    def __post_init__(self) -> None:
        who = type(self).__name__
        self.filepath = path_of(self.filepath, "filepath")
        self.monitor = monitor_name(self.monitor, who)
        self.mode = one_of(self.mode, "mode", MODES)
        self.save_best_only = flag(self.save_best_only, "save_best_only")
        if self.save_freq != "epoch":
            self.save_freq = whole(self.save_freq, 'save_freq, where it is not "epoch",')
        if self.initial_value_threshold is not None:
            self.initial_value_threshold = number(
                self.initial_value_threshold, "initial_value_threshold", "[-inf, inf]"
            )
        if self.save_top_k is not None:
            self.save_top_k = whole(self.save_top_k, "save_top_k")
        fields = fields_of(self.filepath)
        if (self.save_top_k or 1) > 1 and not fields:
            raise ValueError(
                f"save_top_k={self.save_top_k} needs a field in filepath, such as {{epoch}}, got "
                f"{shown(self.filepath)}"
            )
        if self.save_best_only and self.save_top_k is not None:
            raise ValueError("give save_best_only or save_top_k, got both")
        if self._monitors and self.save_freq != "epoch":
            raise ValueError(
                f'{who} compares epochs: give save_freq="epoch", because the loss of one batch '
                f"says little, got {self.save_freq}"
            )

    @property
    def _monitors(self) -> bool:
        """Whether it compares epochs."""
        return (
            self.save_best_only
            or self.save_top_k is not None
            or self.initial_value_threshold is not None
        )

    def check_logs(self, names: Sequence[str]) -> None:
        who, by_step = type(self).__name__, self.save_freq != "epoch"
        if self._monitors:
            check_monitor(who, self.monitor, self.mode, names)
        if by_step:  # the logs of a step
            names = ["batch", *(name for name in names if not name.startswith("val_"))]
        known = ["epoch", *names]
        for name in fields_of(str(self.filepath)):
            if name not in known:
                raise ValueError(
                    f"{who} has the field {{{name}}} in filepath, but there is only "
                    f"{', '.join(known)}{hint(name, known)}"
                )
        self._named(0, 0, dict.fromkeys(names, 0.5))

    def _named(self, epoch: int, batch: int, logs: Mapping[str, float]) -> str:
        """Return the name of the file of an epoch."""
        path = str(self.filepath)
        try:
            return path.format(**{**logs, "epoch": epoch + 1, "batch": batch + 1})
        except (AttributeError, IndexError, LookupError, TypeError, ValueError) as error:
            raise ValueError(f"filepath {shown(path)} cannot be filled in: {error}") from error

    def set_model(self, model: Any) -> None:
        """Set the model that is about to be trained; another model starts anew."""
        if getattr(self, "model", model) is not model:
            self.best, self.best_model_path, self.best_k_models = None, "", {}
        super().set_model(model)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float]) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        if self.save_freq != "epoch" and self.model.steps % int(self.save_freq) == 0:
            self._save(self._named(self._epoch, batch, logs))

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if self.save_freq != "epoch":
            return
        self.check_logs([*logs])
        path = self._named(epoch, 0, logs)
        if not self._monitors:
            self._save(path)
            return
        value, sign = float(logs[self.monitor]), sign_of(self.monitor, self.mode, "")
        if not is_better(value, self.initial_value_threshold, sign):
            return
        best = is_better(value, self.best, sign)
        if self.save_top_k is not None:
            self._among_the_best(path, value, sign, self.save_top_k)
        elif best or not self.save_best_only:
            self._save(path)
        if best:
            self.best, self.best_model_path = value, path

    def _among_the_best(self, path: str, value: float, sign: int, count: int) -> None:
        """Save the model if it is one of the ``count`` best; remove the file that no longer is."""
        kept = dict(self.best_k_models)
        worst = max(kept.values(), key=lambda known: sign * known, default=None)
        if len(kept) >= count and not is_better(value, worst, sign):
            return
        self._save(path)
        kept[path] = value
        while len(kept) > count:  # of equal ones, the first stays
            gone = max(reversed(kept), key=lambda name: sign * kept[name])
            del kept[gone]
            with contextlib.suppress(OSError):
                Path(gone).expanduser().unlink()
        self.best_k_models = kept

    def _save(self, path: str) -> None:
        where = Path(path).expanduser()
        where.parent.mkdir(parents=True, exist_ok=True)
        self.model.save(where)
        if not self._monitors:
            self.best_model_path = path

    def state(self) -> dict[str, Any]:
        kept = [[path, value] for path, value in self.best_k_models.items()]
        state = {"best": self.best, "best_model_path": self.best_model_path, "best_k_models": kept}
        return state | {"epoch": vars(self).get("_epoch", 0)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.best, self.best_model_path = state["best"], state["best_model_path"]
        self.best_k_models = dict(state["best_k_models"])
        self._epoch = state["epoch"]


def fields_of(path: str) -> list[str]:
    """Return the names of the fields of a format string; raise ValueError if it is none."""
    try:
        parsed = [name for _, name, _, _ in Formatter().parse(path) if name is not None]
    except ValueError as error:
        raise ValueError(f"filepath {shown(path)} cannot be filled in: {error}") from None
    return parsed
