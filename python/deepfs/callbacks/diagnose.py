"""Diagnose during training: `deepfs.diagnose` every few epochs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from .._check import flag, whole
from ._base import Callback

if TYPE_CHECKING:
    from ..inspection.diagnose_report import Diagnosis


@dataclass(eq=False)
class Diagnose(Callback):
    """Diagnose the model after every few epochs, and print new findings.

    The training itself does not change by a bit: a copy of the model is examined.

    Parameters
    ----------
    x, y : array (n, ...), or tuple or dict of them
        Samples to look at, as `deepfs.diagnose` takes them: some of the training data.
    every : int
        Epochs from one diagnosis to the next, at least 1.
    batch_size, samples, steps : int
        As of `deepfs.diagnose`.
    verbose : bool
        Print findings that the diagnosis before did not have.

    Attributes
    ----------
    reports : dict of Diagnosis
        The diagnoses by epoch, counted from 0. Checkpoints keep them.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range; at the first diagnosis, if the data does
        not fit the network.

    References
    ----------
    `deepfs.diagnose` has them.

    Examples
    --------
    >>> import deepfs as dfs
    >>> dfs.set_seed(0)
    >>> (x, y), _ = dfs.datasets.mnist_mini()
    >>> model = dfs.Model(dfs.networks.mlp(), dfs.losses.CrossEntropy(), dfs.optimizers.SGD(0.1))
    >>> doctor = dfs.callbacks.Diagnose(x, y, every=2, samples=320)
    >>> history = model.fit(x, y, epochs=2, verbose=0, callbacks=[doctor])
    >>> {epoch: report.healthy for epoch, report in doctor.reports.items()}
    {1: True}
    """

    x: Any = field(repr=False)
    y: Any = field(default=None, repr=False)
    every: int = 1
    batch_size: int = 32
    samples: int = 256
    steps: int = 20
    verbose: bool = True

    rank_0_only: ClassVar = True

    reports: dict[int, Diagnosis] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.every, self.steps = whole(self.every, "every"), whole(self.steps, "steps", 0)
        self.batch_size = whole(self.batch_size, "batch_size")
        self.samples = whole(self.samples, "samples")
        self.verbose = flag(self.verbose, "verbose")

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if (epoch + 1) % self.every:
            return
        from ..inspection.diagnose import diagnose

        found = diagnose(
            self.model, self.x, self.y,
            batch_size=self.batch_size, samples=self.samples, steps=self.steps,
        )  # fmt: skip
        last = next(reversed(self.reports.values()), None)
        known = {(f.kind, f.layer) for f in last.findings} if last else set()
        self.reports[epoch] = found
        for finding in found.findings if self.verbose else ():
            if (finding.kind, finding.layer) not in known:
                print(f"epoch {epoch + 1}: {finding}", flush=True)

    def state(self) -> dict[str, Any]:
        return {"reports": [[epoch, each.as_dict()] for epoch, each in self.reports.items()]}

    def load_state(self, state: Mapping[str, Any]) -> None:
        from ..inspection.diagnose_report import Diagnosis

        self.reports = {epoch: Diagnosis.from_dict(each) for epoch, each in state["reports"]}
