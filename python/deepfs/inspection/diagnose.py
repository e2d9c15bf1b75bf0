"""`deepfs.diagnose`: what is wrong with a model or its data, in words.

A copy of the model runs, so the model itself cannot change. First all samples go forward and
backward, and each layer is watched (`diagnose_watch.py`); then the copy takes some steps as `fit`
would. The rules of `diagnose_findings.py` read what was measured.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np

from .._arrays import Array, ignore_overflow
from .._check import whole
from .._trees import Tree, leaves, map_tree
from ..data.batches import Batch, DataSet, unprepared
from ..data.containers import as_data
from ..data.facts import check_same_names
from ..data.loader import as_loader
from ..layers import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, Parameter
from ..layers._container import Container, walk
from ..losses import Combined
from ..losses._ends import KEEPING, last_layers
from ..schedules import Schedule
from ..trainer import Trainer
from .diagnose_data import agreement, all_finite, chance_loss, finite_samples, scale_of
from .diagnose_findings import Evidence, findings_of
from .diagnose_report import Diagnosis, LayerHealth
from .diagnose_watch import LayerWatch, Watch, output_range, squares_of, watch_layers
from .trial import copy_of

UNIT_AXIS = {"Dense": 1, "DropConnect": 1, "Conv2D": 0, "Conv1D": 0}  # of the weight
NORMS = (BatchNorm, GroupNorm, InstanceNorm, LayerNorm)


def diagnose(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    batch_size: int = 32,
    samples: int = 1024,
    steps: int = 20,
) -> Diagnosis:
    """Find out why a model does not learn: findings in words, with cause and remedy.

    A copy of the model runs and takes steps, so the model does not change, nor do the random
    numbers that follow; the network is not even built.

    Parameters
    ----------
    model : Model
        Trained or not.
    x, y : array (n, ...), or tuple or dict of them
        Inputs and targets, as `Model.fit` takes them; better those of the training. ``x`` may be a
        data set such as `deepfs.data.Loader`, without ``y``; it is not augmented.
    batch_size : int
        Samples per step, as they will be in `fit`: the loss of larger batches varies less.
    samples : int
        Largest number of samples that are looked at, at equal distances in the data. NaN is looked
        for in all of them if the data is in memory.
    steps : int
        Number of steps of the trial, at least 0. Their rate is that of the optimizer now.

    Returns
    -------
    Diagnosis
        ``findings`` and ``rows``, a row per layer; print it for the findings, and ``table()`` for
        the rows.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of range, or the inputs do not fit the network.
        Wrong targets are a finding.

    Notes
    -----
    Thresholds, their sources, and what the findings mean: ``docs/diagnose.md``.

    References
    ----------
    Stanford CS231n, "Neural networks part 3: babysitting the learning process"; LeCun et al.,
    "Efficient BackProp", 1998; Glorot and Bengio, "Understanding the difficulty of training deep
    feedforward neural networks", 2010.

    Examples
    --------
    >>> import deepfs as dfs
    >>> dfs.set_seed(0)
    >>> (x, y), _ = dfs.datasets.mnist_mini()
    >>> net = dfs.networks.mlp((32,))
    >>> model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD(0.1))
    >>> diagnose(model, x, y, samples=320).healthy
    True
    >>> [finding.kind for finding in diagnose(model, 255 * x, y, samples=320).findings]
    ['inputs', 'rate_high']
    """
    trainer = getattr(model, "trainer", None)
    if not isinstance(trainer, Trainer):
        raise TypeError(f"diagnose takes a deepfs.Model, got {model!r:.80}")
    batch_size, samples = whole(batch_size, "batch_size"), whole(samples, "samples")
    steps = whole(steps, "steps", 0)
    watch, data = Watch(), data_of(trainer, x, y)
    preprocess = trainer.facts.preprocess or getattr(data, "preprocess", None)
    data = unprepared(data)
    in_data = all_finite(data, watch)
    numbers = np.unique(np.linspace(0, data.samples - 1, min(samples, data.samples)).astype(int))
    batch = data.take(numbers)
    if in_data is not None:
        good = finite_samples(batch)
        batch, numbers = DataSet(*batch).take(good), numbers[good]
    if len(numbers) == 0:
        return Diagnosis(findings_of(Evidence(in_data=in_data)), [], 0, first_bad=in_data)
    if preprocess is not None:
        batch = preprocessed(batch, preprocess)
    with copy_of(trainer) as copied, ignore_overflow():
        copied.build(batch.x)
        examination = Examination(copied, batch, numbers, batch_size, watch)
        examination.e.in_data = in_data
        return examination.run(steps)


def data_of(trainer: Trainer, x: Any, y: Any) -> DataSet:
    """Return inputs and targets as a data set; targets may be wrong, and numbers not finite."""
    x = as_loader(x) or x
    if isinstance(x, DataSet):
        check_same_names(trainer.facts.class_names, x)
        return x
    if y is None:
        raise TypeError("diagnose needs targets beside the inputs, got y=None")
    network, loss = trainer.network, trainer.loss
    x = as_data(x, "inputs", form_of(getattr(network, "inputs", None)))
    y = as_data(y, "targets", form_of(loss.losses) if isinstance(loss, Combined) else None)
    counts = [len(leaf) if leaf.ndim else 0 for leaf in (*leaves(x), *leaves(y))]
    if len({*counts}) > 1 or counts[0] == 0:
        raise ValueError(f"diagnose needs a target for each input, at least 1, got {counts}")
    return DataSet(x, y)


def form_of(tree: Any) -> Tree:
    """Return the tree that inputs or targets must be, or None for one array."""
    if isinstance(tree, list):
        return tuple(tree)
    return tree if isinstance(tree, (tuple, dict)) else None


def preprocessed(batch: Batch, preprocess: Any) -> Batch:
    """Return a batch as `fit` would see it, with a copy of a preprocessing that is fitted to it."""
    if not preprocess.fitted:
        preprocess = copy.deepcopy(preprocess)
        preprocess.fit(lambda: iter([batch.x]))
    return Batch(preprocess(batch.x), batch.y, batch.weight)


class Examination:
    """The measurements on a copy of a built model."""

    def __init__(
        self, trainer: Trainer, batch: Batch, numbers: Array, batch_size: int, watch: Watch
    ) -> None:
        self.trainer, self.batch, self.numbers = trainer, batch, numbers
        self.watch, self.e = watch, Evidence()
        self.arena = trainer.prepare()
        plan = trainer._planned(self.arena)
        frozen = {span.name for span in plan.frozen}
        self.frozen = {id(p) for n, p in trainer.network.parameters().items() if n in frozen}
        self.e.learns = len(frozen) < len(self.arena.spans)
        self.e.parameters = self.arena.values.size
        self.e.scheduled = isinstance(trainer.optimizer.lr, Schedule)
        self.layers = watch_layers(trainer.network, watch)
        self.norms = {
            id(each): float(np.hypot.reduce([0.0, *(norm(p.value) for p in parameters_of(each))]))
            for each in self.layers
        }
        size = len(numbers)
        self.pieces = [
            np.arange(start, min(start + batch_size, size)) for start in range(0, size, batch_size)
        ]
        if len(self.pieces) > 1 and len(self.pieces[-1]) < batch_size:
            del self.pieces[-1]  # a small one has another loss, and some layers refuse it
        self.order = np.random.default_rng(0).permutation(size)  # data may be sorted

    def run(self, steps: int) -> Diagnosis:
        """Measure, take steps, and return what was found."""
        e = self.e
        self._look_at_weights()
        self._look_at_data()
        gradients: dict[int, float] = {}
        if not e.mismatch:
            gradients = self._run_all()
        if not (self.watch.first or e.mismatch):
            self._trial(steps)
        e.in_model = self.watch.first
        e.rows = [self._row(each, gradients) for each in self.layers]
        return Diagnosis(
            findings_of(e), e.rows, len(self.numbers), e.loss, e.chance, e.losses,
            e.in_data or e.in_model,
        )  # fmt: skip

    def _look_at_data(self) -> None:
        network, loss, e = self.trainer.network, self.trainer.loss, self.e
        x, y = self.batch.x, self.batch.y
        shape = map_tree(lambda leaf: tuple(leaf.shape[1:]), x)
        network.check_training(map_tree(lambda leaf: (len(self.pieces[0]), *leaf.shape[1:]), x))
        named = x.items() if isinstance(x, dict) else enumerate(leaves(x))
        for name, leaf in named:
            what = f"inputs[{name!r}]" if isinstance(x, (dict, tuple)) else "inputs"
            if leaf.size:
                e.inputs.append((what, *scale_of(leaf)))
        kinds = [
            layer for _, layer, _ in walk(network, "", shape)
            if not isinstance(layer, Container) and type(layer).__name__ not in KEEPING
        ]  # fmt: skip
        e.normalised = bool(kinds) and isinstance(kinds[0], NORMS)
        e.inner = frozenset(each.name for each in self.layers) - self._ends()
        for message in messages(lambda: loss.output_kind.check(loss, network)):
            e.mismatch.append(("outputs", message))
        zeros = map_tree(lambda out: np.zeros_like(out), network(self._piece(self.pieces[0]).x))
        try:
            part = self._piece(self.pieces[0])
            loss.check_targets(zeros, part.y, part.weight)
            for piece in self.pieces[1:]:
                part = self._piece(piece)
                loss.check_targets(zeros, part.y, part.weight)
        except (TypeError, ValueError, IndexError) as error:
            e.mismatch.append(("targets", str(error)))
            return
        e.mismatch += [("targets", text) for text in self._out_of_reach()]
        e.neighbours = agreement(x, y)
        e.chance = chance_loss(loss, zeros, y)

    def _ends(self) -> set[str]:
        """Return the names of the layers whose outputs are those of the network."""
        ends = {id(layer) for layer in last_layers(self.trainer.network)}
        if not ends:  # nothing is certain: the last one at least
            return {self.layers[-1].name}
        return {each.name for each in self.layers if id(each.layer) in ends}

    def _out_of_reach(self) -> Iterator[str]:
        """Yield what targets the last layer can never give."""
        y, kind = self.batch.y, self.trainer.loss.output_kind.name
        layers = last_layers(self.trainer.network)
        ends = {(type(layer).__name__, *output_range(layer)) for layer in layers}
        if kind != "numbers" or len(ends) != 1 or not isinstance(y, np.ndarray):
            return
        end, low, high = ends.pop()
        if y.min() < low or y.max() > high:
            yield (
                f"targets are from {y.min():.3g} to {y.max():.3g}, but the network ends with "
                f"{end}, whose outputs are from {low:g} to {high:g}"
            )

    def _look_at_weights(self) -> None:
        network = self.trainer.network
        arrays = {name: p.value for name, p in network.parameters().items()} | network.buffers()
        for name, array in arrays.items():
            if array.dtype.kind == "f":
                self.watch.look(name, "weights", array, by_sample=False)

    def _piece(self, piece: Array) -> Batch:
        """Return a batch of shuffled samples."""
        picked = self.order[piece]
        self.watch.numbers = self.numbers[picked]
        return DataSet(*self.batch).take(picked)

    def _run_all(self) -> dict[int, float]:
        """Run all batches forward and backward; return the gradient norm of each layer."""
        losses, squares = [], dict.fromkeys((id(each) for each in self.layers), 0.0)
        total = np.zeros_like(self.arena.grads)
        buffers = [(buffer, buffer.copy()) for buffer in self.trainer.network.buffers().values()]
        for piece in self.pieces:
            losses.append(self._gradients(self._piece(piece)))
            for each in self.layers:
                squares[id(each)] += sum(norm(p.grad) ** 2 for p in parameters_of(each))
            total += self.arena.grads
            for buffer, before in buffers:
                buffer[...] = before
        self.arena.grads[...] = total / len(self.pieces)
        self._note_gradients()
        self.e.loss = float(np.mean(losses))
        return {key: float(np.sqrt(s / len(self.pieces))) for key, s in squares.items()}

    def _gradients(self, batch: Batch) -> float:
        """Leave the gradients of a batch in the arena; return its loss."""
        trainer = self.trainer
        self.arena.grads.fill(0)
        with trainer.holding():
            outputs, cache = trainer.network.forward(batch.x, training=self.e.learns)
            value, kept = trainer.loss.forward(outputs, batch.y, batch.weight)
            self.watch.look(type(trainer.loss).__name__, "loss", np.array(value), False)
            if self.e.learns:
                trainer.network.backward(trainer.loss.backward(kept, 1.0), cache, need_dx=False)
        for each in self.layers:
            for parameter in parameters_of(each):
                self.watch.look(each.name, "backward", parameter.grad, False)
        return float(value)

    def _note_gradients(self) -> None:
        """Note gradients relative to weights, and which layers have units that are all alike."""
        by_layer, alike = {}, set()
        for each, parameter in self._weights():
            size = norm(parameter.value)
            if size:
                by_layer[each.name] = norm(parameter.grad) / size
            axis = UNIT_AXIS.get(type(each.layer).__name__)
            if axis is not None and all(
                same_along(array, axis) for array in (parameter.value, parameter.grad)
            ):
                alike.add(each.name)
        self.e.gradients.append(by_layer)
        self.e.alike.append(alike)

    def _weights(self) -> Iterator[tuple[LayerWatch, Parameter]]:
        """Yield the layers that learn, and the largest parameter of each with several axes."""
        for each in self.layers:
            own = [
                p for p in parameters_of(each)
                if p.value.ndim > 1 and id(p) not in self.frozen
            ]  # fmt: skip
            if own:
                yield each, max(own, key=lambda p: p.storage.size)

    def _trial(self, steps: int) -> None:
        """Take steps as `fit` would; note losses and ratios of updates to weights."""
        e, trainer = self.e, self.trainer
        for each in self.layers:
            each.noting = False
        ratios: dict[str, list[float]] = {each.name: [] for each, _ in self._weights()}
        for step in range(steps):
            self.watch.step = step
            batch = self._piece(self.pieces[step % len(self.pieces)])
            before = [(each, p, p.value.copy()) for each, p in self._weights()]
            try:
                e.losses.append(trainer.step([batch])["loss"])
            except FloatingPointError as error:
                e.diverged = str(error)
                self.watch.look(type(trainer.loss).__name__, "loss", np.array(np.nan), False)
                return
            if not np.isfinite(self.arena.values).all():
                e.diverged = f"the update of step {step + 1} is not finite"
                for name, values in self.arena.split(self.arena.values).items():
                    self.watch.look(name, "update", values, by_sample=False)
                if self.watch.first and self.watch.first.step == 0:
                    self.watch.first = replace(self.watch.first, step=1)
                return
            for each, parameter, old in before:
                if norm(old):
                    ratios[each.name].append(norm(parameter.value - old) / norm(old))
        e.ratios = {name: median(values) for name, values in ratios.items() if values}
        if steps and e.learns:
            self.watch.step = steps
            self._gradients(self._piece(self.pieces[0]))
            self._note_gradients()

    def _row(self, each: LayerWatch, gradients: dict[int, float]) -> LayerHealth:
        """Return the numbers of a layer."""
        backward = each.gradients > 0
        rms = float(np.sqrt(each.gradient_squares / each.gradients)) if backward else None
        own = parameters_of(each)
        return LayerHealth(
            each.name, type(each.layer).__name__, each.mean, each.std, each.dead,
            each.saturated_share, rms,
            gradients.get(id(each)) if own else None,
            self.norms[id(each)] if own else None, self.e.ratios.get(each.name),
        )  # fmt: skip


def parameters_of(each: LayerWatch) -> list[Parameter]:
    """Return the parameters of a layer itself; a container has none."""
    return list(getattr(each.layer, "learned", {}).values())


def norm(array: Array) -> float:
    """Return the Euclidean norm, of numbers that float32 cannot square, too."""
    flat = np.asarray(array, np.float64).ravel()
    return float(np.sqrt(squares_of(flat)))


def same_along(array: Array, axis: int) -> bool:
    """Return whether an array repeats along an axis of at least two, but for rounding."""
    if array.shape[axis] < 2:
        return False
    size = float(np.abs(array).max())
    return float(np.ptp(array, axis=axis).max()) <= 1e-5 * size


def messages(check: Callable[[], None]) -> list[str]:
    """Return what a check says, as an error or as warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            check()
        except (TypeError, ValueError) as error:
            return [str(error)]
    return [str(each.message) for each in caught]
