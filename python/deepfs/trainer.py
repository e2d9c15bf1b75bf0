"""Trainer: a training step of network, loss and optimizer, and all arrays that it changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ._arrays import Array, FixedDict
from ._names import hint
from ._parts import CHECKS, Metric, Metrics, check_kinds, check_meaning, named_metrics
from ._trees import Tree, leaves, map_tree
from .augment import Views
from .data.batches import Batch, DataSet, ended
from .data.facts import DataFacts
from .distributed.rounds import rounds
from .distributed.shards import Buffers, Cut, GradientSum, Part, Shard, Shards
from .distributed.sync import in_step
from .distributed.world import ONE, World
from .layers import Layer
from .layers._container import Container, walk
from .layers._parameter import HELD, Parameter, gradients, structure
from .layers.sequential import use_once
from .losses import Combined, Loss
from .losses._output_kinds import end_layers
from .means import Means, averages, check_alike, factor_of, of_batch, share_of
from .optimizers import Arena, Optimizer
from .optimizers._plan import Plan
from .random import Streams, using
from .schedules import Schedule
from .schedules._base import restart_for

OF_SHARDS = ("_shard_buffers", "_sums")  # attributes that a copy does not have
PER_STEP = ("penalty", "gradient_norm")  # numbers that a step has one of


class Trainer:
    """Network, loss, optimizer and metrics, and all arrays that a training step changes.

    Attributes
    ----------
    steps : int
        Steps taken by the optimizer.
    epochs : int
        Whole epochs since the optimizer's state was made, for schedules by epoch.
    arena : Arena or None
        Parameters and gradients; None before the network is built. Use `prepare` to get it.
    state : dict of array
        State of the optimizer: arrays in the layout of the arena.
    state_since : int
        Value of ``steps`` when that state was made.
    stop_training : bool
        True asks a running `fit` to end after the current step.
    """

    def __init__(
        self,
        network: Layer,
        loss: Loss,
        optimizer: Optimizer,
        metrics: Mapping[str, Metric],
        check_finite: bool = False,
        report_penalty: bool = False,
        seed: int | None = None,
    ) -> None:
        self.streams = None if seed is None else Streams(seed)
        self.network, self.loss, self.optimizer = network, loss, optimizer
        self.metrics, self.auto_metrics = Metrics(metrics), False
        self.check_finite, self.report_penalty = check_finite, report_penalty
        self.steps = self.epochs = self.state_since = 0
        self.stop_training = False
        self.facts = DataFacts()
        self._key = object()  # tells schedules whose they are
        self.arena: Arena | None = None
        self.state: dict[str, Array] = {}
        self._state_owner: Optimizer | None = None
        self._state_version = 0
        self._plan: Plan | None = None
        self._plan_frozen: frozenset[str] = frozenset()
        self._buffers: list[Array] = []
        self._buffer_names: tuple[str, ...] = ()
        self._shard_buffers: Buffers | None = None
        self._sums: GradientSum | None = None
        self._held: list[Layer] = []  # layers with buffers that a `Group` freezes
        self._held_parameters: list[Parameter] = []  # that a `Group` freezes
        self._seen: tuple[object, ...] = ()  # network, optimizer and version these belong to
        self._ends: list[Layer] | None = None  # that made the outputs when these were checked
        self._cleared = -1  # version of the gradients when the last step zeroed them

    if not TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None:
            if "_cleared" in vars(self):  # the constructor is done
                if name not in vars(self):
                    raise AttributeError(f"Trainer has no attribute {name!r}{hint(name, CHECKS)}")
                if name in CHECKS:
                    value = self._checked(name, value)
            object.__setattr__(self, name, value)

    def _checked(self, name: str, value: Any) -> Any:
        """Return a new value of a part; raise an error if it does not fit the rest."""
        auto = isinstance(value, str) and value == "auto" and name == "metrics"
        value = CHECKS[name](self.loss.output_kind.metrics if auto else value, name)
        if name in ("network", "loss", "metrics"):
            parts = {key: getattr(self, key) for key in ("network", "loss", "metrics")}
            parts[name] = value
            if name == "loss" and self.auto_metrics:
                parts["metrics"] = named_metrics(value.output_kind.metrics)
            check_meaning(**parts)
            ends = end_layers(parts["loss"], parts["network"])
            vars(self).update(metrics=parts["metrics"], _ends=ends)
        if name == "metrics":
            vars(self)["auto_metrics"] = auto
        return value

    def check_ends(self) -> None:
        """Check what the outputs mean, if other layers make them than at the last check."""
        ends = end_layers(self.loss, self.network)
        if self._ends is None or [*map(id, ends)] != [*map(id, self._ends)]:
            vars(self)["_seen"] = ()  # should this raise, the next step checks again
            check_meaning(self.network, self.loss, self.metrics)
            vars(self)["_ends"] = ends

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for a copy, whose arrays lie elsewhere, without what refers to them."""
        return vars(self) | {"_seen": (), "_cleared": -1, "_plan": None} | dict.fromkeys(OF_SHARDS)

    def build(self, x: Tree) -> None:
        """Build the network for inputs, with random numbers of the model's own seed, if any."""
        if self.network.built_dtype is None:
            with using(self.streams):
                self.network.prepare(map_tree(lambda leaf: leaf[:1], x))

    def prepare(self) -> Arena:
        """Return the arena of the built network; make a new one if the parameters have moved.

        The optimizer starts with a new state if the parameters are not those of the last step, for
        instance after a layer was exchanged; if it is another optimizer; or if its rule has
        changed.
        """
        seen = self.network, self.optimizer, structure.number
        if self.arena is not None and self._seen == seen:
            return self.arena
        parameters = self.network.parameters()
        if self.arena is None or not self.arena.holds(parameters):
            if self.arena is not None and not self.arena.has(parameters):
                self._state_owner = None
            self.arena, self._cleared = Arena(parameters), -1
        version = self.optimizer.state_version
        if self._state_owner is not self.optimizer or self._state_version != version:
            self.state = FixedDict(self.optimizer.init(self.arena.values))
            self._state_owner, self._state_version = self.optimizer, version
            self.state_since = self.steps
            self.epochs = 0
            if isinstance(self.optimizer.lr, Schedule):
                restart_for(self.optimizer.lr, self._key)
        buffers = self.network.buffers()
        self._buffers, self._buffer_names = list(buffers.values()), tuple(buffers)
        self._plan = self._shard_buffers = None
        self._seen = self.network, self.optimizer, structure.number
        return self.arena

    def step(
        self,
        batches: Sequence[Any],
        means: Means | None = None,
        shards: Shards | None = None,
    ) -> dict[str, float]:
        """Take one step on one or more batches, as if they were one; zero the gradients.

        Parameters
        ----------
        batches : sequence of Batch, or of Cut with ``shards``
            Inputs, targets, and sample weights or None.
        means : Means, optional
            Those of an epoch, to which loss and metrics are added.
        shards : Shards, optional
            How the batches are cut. The step is that of all shards of all ranks.

        Returns
        -------
        dict of float
            ``loss`` and metrics of the batches, before the step.

        Raises
        ------
        FloatingPointError
            If the loss is not finite, or, with ``check_finite``, a gradient. After any error,
            parameters and buffers are those of the step before; after a signal, those of it or of
            this step, as ``steps`` says.
        """
        if self.loss.reduction == "none":  # since the loss was set
            check_kinds(self.loss, "loss")
        if self.network.built_dtype is None:
            self.build(batches[0].x)
        seen, arena = self._seen, self.prepare()
        if self._seen is not seen:
            self.check_ends()
        plan = self._planned(arena)
        learns = not plan.frozen or len(plan.frozen) < len(arena.spans)
        if self._cleared != gradients.number:
            arena.grads.fill(0)
        buffers = [(buffer, buffer.copy()) for buffer in self._buffers]
        done: list[int] = []
        several, total = len(batches) > 1 or shards is not None, 0.0
        own = Means(self.loss, self.metrics) if several else means
        try:
            if self._held or self._held_parameters:
                self._hold(True)
            if shards is not None:
                total = self._add_shards(batches, shards, learns, arena.grads, own, means)
            for batch in batches if shards is None else ():
                outputs, cache = self.network.forward(batch.x, training=learns)
                value, loss_cache = self.loss.forward(outputs, batch.y, batch.weight)
                self._check_loss(value, batch)
                if own is None:
                    more = of_batch(self.loss, self.metrics, loss_cache, outputs, batch.y)
                else:
                    more = own.add(loss_cache, outputs, batch.y)
                logs = {"loss": value} | more
                share = 1.0
                if several and own is not None:  # gradients of sums, divided at the end
                    share = share_of(self.loss, loss_cache, own, total, len(batch))
                    total += share
                    if means is not None:
                        means.add(loss_cache, outputs, batch.y)
                if learns:
                    dy = self.loss.backward(loss_cache, share)
                    if self.network._once:
                        use_once(cache)
                    self.network.backward(dy, cache, need_dx=False)
            if several and own is not None:
                logs = own.values()
                if total and averages(self.loss):
                    np.multiply(arena.grads, 1 / total, out=arena.grads)
            if self.check_finite:
                self._check_gradients(arena)
            if self.report_penalty:
                logs["penalty"] = plan.penalty(arena.values)
            t = self.steps + 1 - self.state_since
            norm_before = self.optimizer.step(
                arena.values, arena.grads, self.state, t, plan, self.epochs, True, done
            )
            self._count(t)
        except BaseException:
            if done:  # a signal came after the step
                self._count(t)
            for buffer, before in () if done else buffers:
                buffer[...] = before
            raise
        finally:
            if self._held or self._held_parameters:
                self._hold(False)
        if norm_before is not None:
            logs["gradient_norm"] = norm_before
        if means is not None:
            means.add_step({name: logs[name] for name in PER_STEP if name in logs})
        return logs

    def _add_shards(
        self,
        cuts: Sequence[Cut],
        shards: Shards,
        learns: bool,
        grads: Array,
        own: Means | None,
        means: Means | None,
    ) -> float:
        """Add up the gradients of all shards in their order, and what is measured.

        Returns the sum of their shares, which divides the gradients.
        """
        if self._shard_buffers is None:
            self._shard_buffers = Buffers(self.network, self._buffers)
        if self._sums is None or self._sums.grads is not grads or self._sums.shards is not shards:
            self._sums = GradientSum(shards, grads)
        buffers, sums, total = self._shard_buffers, self._sums, 0.0
        sums.begin()
        for cut in cuts:
            buffers.begin()
            mine: list[Shard] = []
            with shards.world.guard():
                if shards.sync and cut.parts:
                    grads.fill(0)
                    tasks = [
                        partial(self._shard, part, learns, buffers, sums) for part in cut.parts
                    ]
                    mine = in_step(shards.world, self.network, tasks, [grads, *self._buffers])
                for part in () if shards.sync else cut.parts:
                    grads.fill(0)
                    mine.append(self._shard(part, learns, buffers, sums))
            found = shards.share(cut, mine)
            for shard in found:
                for each in (own, means):
                    if each is not None:
                        each.add_totals(shard.sums, shard.divisors, shard.outputs, shard.targets)
                if own is not None and isinstance(self.loss, Combined) and averages(self.loss):
                    check_alike(self.loss, shard.divisors, own, total, shard.samples)
                total += shard.share
            buffers.end([(shard.samples, shard.buffers) for shard in found])
            sums.exchange(len(found))
        sums.finish()
        return total

    def _shard(self, part: Part, learns: bool, buffers: Buffers, sums: GradientSum) -> Shard:
        """Run one shard forward and backward; return what all ranks must know of it."""
        batch = part.batch
        buffers.enter(part.shard)
        outputs, cache = self.network.forward(batch.x, training=learns)
        value, loss_cache = self.loss.forward(outputs, batch.y, batch.weight)
        self._check_loss(value, batch, part.first)
        share = factor_of(self.loss, loss_cache, len(batch))
        if learns:
            dy = self.loss.backward(loss_cache, share)
            if self.network._once:
                use_once(cache)
            self.network.backward(dy, cache, need_dx=False)
        sums.put(part.shard)
        totals = self.loss.totals(loss_cache)
        return Shard(len(batch), share, *totals, outputs, batch.y, buffers.leave())

    def _count(self, t: int) -> None:
        """Note that a step is taken and has cleared the gradients."""
        attributes = vars(self)  # past `__setattr__`, which takes as long as a small kernel
        attributes["steps"], attributes["_cleared"] = self.state_since + t, gradients.number

    def _planned(self, arena: Arena) -> Plan:
        """Return the optimizer's plan; note which layers with buffers its groups freeze."""
        known = self._plan
        frozen = self._plan_frozen if known is not None else self._frozen_names()
        plan = self.optimizer.plan(arena.spans, known, frozen, self._buffer_names)
        if plan is not known:
            self._plan, self._plan_frozen = plan, frozen
            names = {span.name for span in plan.frozen}
            parameters = self.network.parameters()
            self._held_parameters = [parameters[name] for name in names - frozen]
            self._held = [
                layer
                for name, layer, _ in walk(self.network, "", self.network.in_shape or ())
                if not isinstance(layer, Container) and self._frozen_by_groups(name, layer, names)
            ]
        return plan

    def _hold(self, held: bool) -> None:
        """Let the layers that a `Group` freezes know it; other models may train them."""
        for layer in self._held:
            vars(layer)["held"] = held
        for parameter in self._held_parameters:
            parameter._frozen = HELD if held else False

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Let them know it inside a ``with`` block."""
        if self.network.built_dtype is not None:
            self._planned(self.prepare())
        self._hold(True)
        try:
            yield
        finally:
            self._hold(False)

    def _frozen_names(self) -> frozenset[str]:
        """Return the names of the parameters of frozen layers."""
        parameters = self.network.parameters()
        return frozenset(name for name, parameter in parameters.items() if parameter.frozen)

    def _frozen_by_groups(self, name: str, layer: Layer, frozen: set[str]) -> bool:
        """Return whether groups freeze all parameters of a layer; if it has none, a buffer."""
        if not layer.buffers():
            return False
        own = {f"{name}.{key}".lstrip(".") for key in layer.parameters()}
        if own:
            return own <= frozen
        return any(self._frozen_buffer(f"{name}.{key}".lstrip(".")) for key in layer.buffers())

    def _frozen_buffer(self, name: str) -> bool:
        """Return what the last of the groups that match a buffer and give ``frozen`` says."""
        groups = [g for g in self.optimizer.groups if g.frozen is not None and g.matches(name)]
        return bool(groups) and bool(groups[-1].frozen)

    def _check_loss(self, value: float, batch: Batch, first: int = 0) -> None:
        if math.isfinite(value):
            return
        for what, tree in (("inputs", batch.x), ("targets", batch.y)):
            for leaf in leaves(tree):
                good = np.isfinite(leaf).reshape(len(leaf), -1).all(axis=1)
                if not good.all():
                    raise FloatingPointError(
                        f"the loss at step {self.steps + 1} is {value}: the {what} have NaN or "
                        f"infinity in sample {first + int(good.argmin())} of the batch; "
                        "the weights are those of the step before"
                    )
        raise FloatingPointError(
            f"the loss at step {self.steps + 1} is {value}: the learning rate may be too "
            "large; the weights are those of the step before"
        )

    def _check_gradients(self, arena: Arena) -> None:
        if np.isfinite(arena.grads).all():
            return
        for name, grad in arena.split(arena.grads).items():
            if not np.isfinite(grad).all():
                raise FloatingPointError(
                    f"the gradient of {name} at step {self.steps + 1} is not finite; "
                    "the weights are those of the step before"
                )

    def evaluate(
        self,
        data: DataSet,
        batch_size: int,
        stopped: Callable[[], bool] = lambda: False,
        views: Views | None = None,
        world: World = ONE,
    ) -> dict[str, float]:
        """Return loss and metrics over a data set, in inference mode.

        ``stopped`` is asked before each batch: if it returns True, the rest is left out. With
        ``views``, outputs are the mean over views of the images. All ranks of a ``world`` call it,
        and share the work.
        """
        check_kinds(self.loss, "loss")
        self.check_ends()
        means = Means(self.loss, self.metrics)

        def measure(batch: Batch) -> tuple[Array, Array, Tree, Tree]:
            outputs = self.network(batch.x) if views is None else views(self.network, batch.x)
            cache = self.loss.forward(outputs, batch.y, batch.weight)[1]
            return *self.loss.totals(cache), outputs, batch.y

        if world.size > 1:
            for found in rounds(world, data, batch_size, stopped, measure):
                means.add_totals(*found)
            return means.values()
        with ended(data.parts(batch_size)) as parts:
            for batch in parts:
                if stopped():
                    break
                means.add_totals(*measure(batch))
        return means.values()

    def end_epoch(self, logs: Mapping[str, float]) -> None:
        """Count an epoch: schedules by epoch move on, and `schedules.Plateau` sees the logs."""
        self.optimizer.check_logs(logs)
        vars(self)["epochs"] = self.epochs + 1
        self.optimizer.observe(logs)
