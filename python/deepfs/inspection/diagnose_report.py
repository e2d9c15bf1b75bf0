"""What `deepfs.diagnose` returns: findings in words, and a row of numbers per layer."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .._html import preformatted, table_html
from .._table import WIDTH
from .diagnose_watch import NotFinite

HEAD = ("layer", "kind", "mean", "std", "dead", "saturated", "gradient", "update/weight")


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a model or its data.

    Attributes
    ----------
    kind : str
        "not_finite", "frozen", "targets", "outputs", "inputs", "labels", "symmetry", "dead_relu",
        "saturated", "exploding", "vanishing", "initial_loss", "rate_high" or "rate_low".
    severity : {"error", "warning"}
        Of an error, training cannot succeed; of a warning, it probably suffers.
    layer : str
        Name of the layer or layers; "" if it is not of a layer.
    what, cause, remedy : str
        What was measured; the probable cause; what to do.
    """

    kind: str
    severity: str
    layer: str
    what: str
    cause: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.layer}: " if self.layer else ""
        return f"{self.severity}: {where}{self.what}. {self.cause}. {self.remedy}."


@dataclass(frozen=True)
class LayerHealth:
    """The numbers of a layer.

    Attributes
    ----------
    name, kind : str
        Name and class.
    mean, std : float
        Of the outputs, over all samples and entries; NaN if none was finite.
    dead : float or None
        Share of the units of a `ReLU` or `Clip` that are active for no sample: above 0, or between
        the limits; a unit is a feature or a channel. None for other layers.
    saturated : float or None
        Share of the outputs of a `Sigmoid` or `Tanh` where the derivative is below 5 % of the
        largest one. None for other layers.
    output_gradient : float or None
        Root of the mean square of the gradient with respect to the outputs; None if no backward
        pass comes here.
    gradient_norm, weight_norm : float or None
        Norm of the gradients of all parameters, and of the parameters; None without any.
    update_ratio : float or None
        Norm of the update of a step divided by the norm of the parameter: the median over steps of
        the trial, of the largest parameter.
    """

    name: str
    kind: str
    mean: float
    std: float
    dead: float | None = None
    saturated: float | None = None
    output_gradient: float | None = None
    gradient_norm: float | None = None
    weight_norm: float | None = None
    update_ratio: float | None = None


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """Result of `deepfs.diagnose`.

    Attributes
    ----------
    findings : list of Finding
        What is wrong, errors first; empty if nothing was found.
    rows : list of LayerHealth
        In the order of the network; ``diagnosis["relu_1"]`` is one of them.
    samples : int
        Number of samples that were looked at.
    loss : float or None
        Mean loss of their batches, in training mode; None if it could not be computed.
    chance : float or None
        Loss of the best constant outputs, where that is known.
    losses : list of float
        Losses of the steps of the trial.
    first_bad : NotFinite or None
        The first number that is NaN or infinite: layer, pass, index and step.
    """

    findings: list[Finding]
    rows: list[LayerHealth]
    samples: int
    loss: float | None = None
    chance: float | None = None
    losses: list[float] = field(default_factory=list)
    first_bad: NotFinite | None = None

    @property
    def healthy(self) -> bool:
        """True if there are no findings."""
        return not self.findings

    def __getitem__(self, name: str) -> LayerHealth:
        for row in self.rows:
            if row.name == name:
                return row
        names = ", ".join(row.name for row in self.rows)
        raise KeyError(f"the diagnosis has no layer {name!r}: it has {names}")

    def as_dict(self) -> dict[str, Any]:
        """Return everything as dicts, lists and numbers, for instance for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Diagnosis:
        """Return the diagnosis of which `as_dict` returned this."""
        bad = given["first_bad"]
        if bad is not None:
            bad = NotFinite(**bad | {"index": tuple(bad["index"])})
        findings = [Finding(**each) for each in given["findings"]]
        rows = [LayerHealth(**each) for each in given["rows"]]
        return cls(**{**given, "findings": findings, "rows": rows, "first_bad": bad})

    def table(self) -> str:
        """Return the numbers of the layers as a table."""
        rows = [HEAD, *map(cells_of, self.rows)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        widths[0] = min(widths[0], WIDTH - sum(widths[1:]) - 2 * (len(HEAD) - 1))
        lines = []
        for name, kind, *numbers in rows:
            shown = name if len(name) <= widths[0] else f"..{name[2 - widths[0] :]}"
            cells = [f"{cell:>{width}}" for cell, width in zip(numbers, widths[2:], strict=True)]
            lines.append("  ".join([f"{shown:<{widths[0]}}", f"{kind:<{widths[1]}}", *cells]))
        return "\n".join(lines)

    def __repr__(self) -> str:
        lines = [heading(self)]
        lines += [
            textwrap.fill(str(each), WIDTH, subsequent_indent="    ", break_on_hyphens=False)
            for each in self.findings
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        table = table_html(HEAD, [*map(cells_of, self.rows)], texts=2)
        return f"{preformatted(repr(self))}\n{table}"


def heading(diagnosis: Diagnosis) -> str:
    """Return the first line: what was looked at, and how many findings there are."""
    count = len(diagnosis.findings)
    found = f"{count} finding{'' if count == 1 else 's'}" if count else "healthy, no findings"
    text = f"Diagnosis of {len(diagnosis.rows)} layers on {diagnosis.samples:,} samples: {found}"
    if diagnosis.loss is None:
        return text
    if diagnosis.losses:
        steps = f", after {len(diagnosis.losses)} steps of a copy {diagnosis.losses[-1]:.4g}"
    else:
        steps = ""
    return f"{text}; loss {diagnosis.loss:.4g}{steps}"


def cells_of(row: LayerHealth) -> tuple[str, ...]:
    """Return the cells of a row of the table."""
    shares = [
        "-" if share is None else f"{100 * share:.0f} %" for share in (row.dead, row.saturated)
    ]
    ends = ["-" if x is None else f"{x:.2g}" for x in (row.gradient_norm, row.update_ratio)]
    return (row.name, row.kind, f"{row.mean:.3g}", f"{row.std:.3g}", *shares, *ends)
