"""The rules of `deepfs.diagnose`: from what is measured to findings in words.

Each rule takes the evidence and yields findings. ``docs/diagnose.md`` has the thresholds with their
sources; a test compares them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from .._arrays import Array
from .diagnose_report import Finding, LayerHealth
from .diagnose_watch import NotFinite

LARGE_INPUT, SMALL_INPUT = 10.0, 1e-3  # root mean square of a feature or channel
DEAD, ALL_DEAD = 0.8, 0.95  # share of the units of a ReLU or Clip
SATURATED = 0.5  # share of the outputs of a sigmoid or tanh
EXPLODING = 1e3  # outputs of a layer over the inputs of the network, by root mean square
VANISHING = 1e-5  # smallest over largest gradient of a layer, relative to its weights
FAR_LOSS = 10.0  # times the loss of chance
DIVERGED = 3.0  # times the loss before the steps
HIGH_RATIO, LOW_RATIO = 0.3, 3e-5  # update over weight, median over layers
SIGMAS = 3.0  # of neighbours with one label above chance


@dataclass
class Evidence:
    """What was measured, for the rules."""

    rows: list[LayerHealth] = field(default_factory=list)
    in_data: NotFinite | None = None
    in_model: NotFinite | None = None
    learns: bool = True
    parameters: int = 0
    mismatch: list[tuple[str, str]] = field(default_factory=list)  # kind and message
    inputs: list[tuple[str, float, int, float]] = field(default_factory=list)
    normalised: bool = False  # the network begins with a normalisation
    neighbours: tuple[float, float, int] | None = None
    loss: float | None = None
    chance: float | None = None
    losses: list[float] = field(default_factory=list)
    diverged: str = ""  # what stopped the trial
    scheduled: bool = False
    inner: frozenset[str] = frozenset()  # layers whose outputs are not those of the network
    ratios: dict[str, float] = field(default_factory=dict)  # by layer
    gradients: list[dict[str, float]] = field(default_factory=list)  # early and late, by layer
    alike: list[set[str]] = field(default_factory=list)  # layers whose units are alike, likewise


def findings_of(e: Evidence) -> list[Finding]:
    """Return the findings, errors first."""
    rules = [not_finite, frozen, mismatches, inputs, labels]
    if e.in_model is None or e.diverged:
        rules += [symmetry, dead, saturated, exploding, vanishing, initial_loss, rate]
    found: list[Finding] = []
    for rule in rules:
        found += rule(e, found)
    return sorted(found, key=lambda each: each.severity != "error")


def kinds(found: list[Finding]) -> set[str]:
    """Return the kinds of findings so far."""
    return {each.kind for each in found}


def error(kind: str, layer: str, what: str, cause: str, remedy: str) -> Finding:
    """Return a finding without whose remedy training cannot succeed."""
    return Finding(kind, "error", layer, what, cause, remedy)


def warning(kind: str, layer: str, what: str, cause: str, remedy: str) -> Finding:
    """Return a finding that probably slows down or spoils the training."""
    return Finding(kind, "warning", layer, what, cause, remedy)


def not_finite(e: Evidence, found: list[Finding]) -> Iterator[Finding]:
    """Find NaN and infinity in data, weights and passes before any step."""
    if e.in_data is not None:
        bad = e.in_data
        yield error(
            "not_finite", "", f"{bad.where}: the first NaN or infinity is at index {bad.index}, in "
            f"sample {bad.index[0]}", "The data has missing or broken values",
            "Remove these samples, or replace the values: np.nan_to_num(x)",
        )  # fmt: skip
    if e.in_model is None or e.diverged:
        return  # the trial diverged: that is a matter of the rate
    bad = e.in_model
    at = f"the first NaN or infinity is at index {bad.index}"
    if bad.pass_name == "weights":
        yield error(
            "not_finite", bad.where, at, "An earlier step diverged, or the weights were set so",
            "Load an earlier checkpoint and train on with a lower rate, or start anew",
        )  # fmt: skip
    else:
        yield error(
            "not_finite", bad.where, f"{at}, in the {bad.pass_name} pass",
            "The inputs or weights are so large that numbers overflow, or a function of your own "
            "divides by 0 or takes the logarithm of 0",
            "Scale the inputs, use smaller initial weights or normalisation; check the function",
        )  # fmt: skip


def frozen(e: Evidence, found: list[Finding]) -> Iterator[Finding]:
    """Find a model of which no step changes anything."""
    if e.learns:
        return
    if e.parameters:
        yield error(
            "frozen", "", "all parameters are frozen, so no step changes anything",
            "Every layer was frozen, or a Group of the optimizer freezes all names",
            "Unfreeze a layer: model.network.unfreeze(), or network.layers[-1].unfreeze()",
        )  # fmt: skip
    else:
        yield error("frozen", "", "the network has no parameters", "No layer of it learns",
                    "Add a Dense or a convolution")  # fmt: skip


def mismatches(e: Evidence, found: list[Finding]) -> Iterator[Finding]:
    """Find outputs or targets that the loss does not mean."""
    for kind, message in e.mismatch:
        yield error(
            kind, "", message, f"Loss, {kind} and network do not fit each other",
            "Choose the loss by the targets, and end the network with what the loss takes: "
            "see docs/training.md",
        )  # fmt: skip


def inputs(e: Evidence, found: list[Finding]) -> Iterator[Finding]:
    """Find inputs that are constant, or far from a scale of 1."""
    for name, rms, number, spread in e.inputs:
        if spread == 0:
            yield error("inputs", "", f"{name} are all the same number", "The data was not read, "
                        "or divided as integers", "Look at some samples: x[:3]")  # fmt: skip
        elif rms > LARGE_INPUT and not e.normalised:
            yield warning(
                "inputs", "", f"{name} have a root mean square of {rms:.3g} in channel or feature "
                f"{number}; networks learn from numbers near 1",
                "The inputs are not scaled, such as pixels from 0 to 255",
                "Divide them, x / np.float32(255), or subtract the mean and divide by the standard "
                "deviation of the training data",
            )  # fmt: skip
        elif rms < SMALL_INPUT and not e.normalised:
            yield warning(
                "inputs", "", f"{name} have a root mean square of {rms:.3g}; networks learn from "
                "numbers near 1", "The inputs were scaled twice, or have a small unit",
                "Divide them by the standard deviation of the training data",
            )  # fmt: skip


def labels(e: Evidence, found: list[Finding]) -> Iterator[Finding]:
    """Find labels that have nothing to do with the inputs."""
    if e.neighbours is None:
        return
    same, chance, n = e.neighbours
    if chance == 1:
        yield error("labels", "", "all samples have the same label", "One class was picked, or "
                    "the data is sorted and cut", "Take samples of all classes")  # fmt: skip
        return
    learned = e.loss is not None and e.chance is not None and e.loss < e.chance / 2
    if not learned and same <= chance + SIGMAS * (chance * (1 - chance) / n) ** 0.5:
        yield warning(
            "labels", "", f"labels seem to have nothing to do with inputs: the nearest neighbour "
            f"of a sample has its label in {100 * same:.0f} % of {n} cases, "
            f"{100 * chance:.0f} % by chance",
            "Inputs and labels were shuffled or sorted apart, or read from different files",
            "Use one permutation for both, x[order], y[order]; look at some samples with their "
            "labels",
        )  # fmt: skip


def symmetry(e: Evidence, found: list[Finding]) -> Iterator[Finding]:
    """Find layers whose units are all the same, and stay so."""
    layers = set.intersection(*e.alike) if e.alike else set()
    if layers and e.learns:
        names = [row.name for row in e.rows if row.name in layers]
        yield error(
            "symmetry", ", ".join(names), "all units have the same weights and the same gradients, "
            "so they stay the same and count as one",
            "The weights were initialised with zeros or another constant",
            'Use a random initializer, such as "he_normal", for weights; zeros suit biases',
        )  # fmt: skip


def dead(e: Evidence, found: list[Finding]) -> Iterator[Finding]:
    """Find ReLUs and Clips most of whose units are never active."""
    if "symmetry" in kinds(found):  # zeros are not active, either
        return
    for row in e.rows:
        if row.dead is None or row.dead <= DEAD:
            continue
        make = error if row.dead >= ALL_DEAD else warning
        yield make(
            "dead_relu", row.name, f"{100 * row.dead:.0f} % of the units are dead: they are active "
            "for no sample, and no gradient passes them",
            "A step with a high rate, or biases, pushed them "
            + ("beyond a limit" if row.kind == "Clip" else "below 0") + " for all inputs",
            "Start anew with a lower rate, biases of 0 and he_normal weights; BatchNorm before "
            "ReLU or a LeakyReLU keeps units alive",
        )  # fmt: skip


def saturated(e: Evidence, found: list[Finding]) -> Iterator[Finding]:
    """Find sigmoids and tanhs in their flat parts."""
    for row in e.rows:
        if row.saturated is None or row.saturated <= SATURATED or row.name not in e.inner:
            continue
        yield warning(
            "saturated", row.name, f"{100 * row.saturated:.0f} % of the outputs are saturated: the "
            "derivative is below 5 % of the largest one",
            "The inputs or the weights of the layer before it are too large",
            "Scale the inputs; use glorot_uniform weights, a BatchNorm before it, or a ReLU",
        )  # fmt: skip


def exploding(e: Evidence, found: list[Finding]) -> Iterator[Finding]:
    """Find outputs that grow from layer to layer."""
    size = max([1.0, *(rms for _, rms, _, _ in e.inputs)])
    for row in e.rows:
        rms = float(np.hypot(row.mean, row.std))
        if rms > EXPLODING * size:
            yield error(
                "exploding", row.name, f"outputs have a root mean square of {rms:.2g}, "
                f"{rms / size:.1g} times that of the inputs",
                "The weights are too large for the depth of the network: each layer multiplies",
                "Use he_normal before ReLU and glorot_uniform elsewhere, BatchNorm, residual "
                "connections, or deepfs.lsuv(network, x)",
            )  # fmt: skip
            return  # the layers after it follow from it


def vanishing(e: Evidence, found: list[Finding]) -> Iterator[Finding]:
    """Find layers that hardly any gradient reaches, before the trial and after it."""
    if not e.gradients or kinds(found) & {"symmetry", "exploding", "not_finite"}:
        return
    if any(each.kind == "dead_relu" and each.severity == "error" for each in found):
        return
    far: list[set[str]] = []
    for by_layer in e.gradients:
        largest = max(by_layer.values(), default=0.0)
        far.append({name for name, size in by_layer.items() if size <= VANISHING * largest})
    names = [row.name for row in e.rows if row.name in set.intersection(*far)]
    first = e.gradients[0]
    if names and max(first.values()) > 0:
        ratio = min(first.values()) / max(first.values())
        yield error(
            "vanishing", ", ".join(names), f"hardly any gradient comes here: the smallest, in "
            f"relation to the weights, is {ratio:.1g} of the largest",
            "Each layer between here and the loss makes the gradient smaller, as sigmoids, tanhs "
            "and small weights do, or a layer passes none",
            "Use ReLU with he_normal weights, BatchNorm, residual connections, or fewer layers",
        )  # fmt: skip


def initial_loss(e: Evidence, found: list[Finding]) -> Iterator[Finding]:
    """Find a loss far above that of chance."""
    if e.loss is None or not e.chance or kinds(found) & {"exploding", "inputs"}:
        return
    if e.loss > FAR_LOSS * e.chance:
        yield warning(
            "initial_loss", "", f"the loss is {e.loss:.3g}; the best constant outputs have "
            f"{e.chance:.3g}",
            "The outputs are too large for their targets: the network is sure of wrong answers",
            "Use smaller weights in the last layer; scale targets of a regression; train with a "
            "lower rate if it was trained",
        )  # fmt: skip


def rate(e: Evidence, found: list[Finding]) -> Iterator[Finding]:
    """Find a rate that makes the loss rise, and one that changes nothing."""
    if e.loss is None or not e.learns:
        return
    ratio = median(e.ratios.values()) if e.ratios else None
    text = f"; update over weight is {ratio:.1g}" if ratio and ratio > 0.01 else ""
    peak = max(smooth(e.losses), default=0.0)
    make, cause = error, "The learning rate is too high"
    remedy = "Divide it by 10, or let model.lr_find(x, y) suggest one; clip_norm=1 bounds steps"
    if "inputs" in kinds(found):  # what follows from them is not the first thing to change
        make, cause = warning, f"{cause} for inputs of this scale"
        remedy = "Scale the inputs first, then look again"
    if e.diverged:
        bad = e.in_model
        first = ""
        if bad is not None:
            first = f"; first in {bad.where}, {bad.pass_name} pass, index {bad.index}"
        what = f"a trial on a copy failed: {e.diverged}{first}{text}"
        yield make("rate_high", "", what, cause, remedy)
    elif peak > DIVERGED * e.loss and peak > 1.5 * (e.chance or 0.0):
        what = f"the loss of a copy rose from {e.loss:.3g} to {peak:.3g} in {len(e.losses)} steps"
        yield make("rate_high", "", what + text, cause, remedy)
    elif ratio is not None and ratio > HIGH_RATIO:
        what = f"a step changes weights by {ratio:.1g} of themselves, where 0.001 is usual"
        yield warning("rate_high", "", what, cause, remedy)
    elif (
        ratio is not None and ratio < LOW_RATIO and not e.scheduled
        and e.loss > 0.5 * (e.chance or 0.0) and not kinds(found) & {"symmetry", "vanishing"}
    ):  # fmt: skip
        yield warning(
            "rate_low", "", f"a step changes weights by {ratio:.1g} of themselves, where 0.001 is "
            f"usual, while the loss is {e.loss:.3g}", "The learning rate is too low",
            "Multiply the rate by 10 to 1000, or let model.lr_find(x, y) suggest one",
        )  # fmt: skip


def smooth(losses: list[float]) -> list[float]:
    """Return the means of three neighbours."""
    if len(losses) < 3:
        return losses
    mean: Array = np.convolve(losses, np.ones(3) / 3, "valid")
    return [float(value) for value in mean]


def thresholds() -> dict[str, float]:
    """Return the thresholds by name, for the page that explains them."""
    return {name: value for name, value in globals().items() if name.isupper()}
