"""How a `Graph` runs: the order of its calls, what is fused, how gradients meet.

Values are numbered as in `_symbolic.wired`. A layer that can add an array to its output, and whose
output only an `Add` takes, runs where the `Add` stands and does its work. A `ReLU` is done by the
layer before it. In backward, the gradients of a value with several users are added in the reverse
order of the calls; a layer that can adds the sum so far to its own, or applies the gradient of the
`ReLU` that made the value. The bits are those of separate passes, see `_fusion`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from .._trees import Tree, leaves
from ._base import Layer
from ._fusion import PLAIN, Epilogue
from ._parameter import Parameter
from ._several import Several
from .activation import ReLU
from .merge import Add

RELU, DRELU = Epilogue(relu=True), Epilogue(drelu=True)
FIRST, SUM, FUSED = range(3)  # how a gradient meets the sum so far
SUM_DRELU = 3  # as SUM, and 0 where the value, the output of a ReLU, is not above 0


class Called(NamedTuple):
    """A call of a layer: numbers of the values that it takes and returns."""

    part: Layer
    inputs: Tree
    outputs: list[int]


class Link(NamedTuple):
    """A forward pass of a layer."""

    call: int  # whose cache it returns; -1: two values are added, by no layer
    part: Layer
    end: Epilogue
    relu: int  # the call of a ReLU, it or one that it does, that keeps its output; -1: none


class Run(NamedTuple):
    """A chain of forward passes, whose values between them no other takes."""

    inputs: Tree
    several: bool  # inputs or outputs are trees; then it is one pass
    residual: int  # the value that the first adds to its output; -1: none
    links: list[Link]
    output: int  # the first of its values
    width: int  # the number of its values
    dead: tuple[int, ...]  # values that nothing after it needs


class BackLink(NamedTuple):
    """A backward pass of a layer."""

    call: int
    part: Layer
    relu: bool  # a ReLU, whose cache is its output
    needed: bool  # whether a gradient of an input is needed
    end: Epilogue


class Back(NamedTuple):
    """A chain of backward passes, and where the gradient goes."""

    links: list[BackLink]  # none: the gradient of the output is that of each input, as of a sum
    several: bool  # inputs or outputs are trees; then it is one pass
    outputs: list[int]
    inputs: list[tuple[int, int, int]]  # value, how, and the ReLU's call; value -1: not needed
    residual: bool  # the last pass adds the sum so far itself


class Plan(NamedTuple):
    """How a Graph runs. Valid while the structure has this version."""

    version: int
    forward: list[Run]
    spare: int  # number of values besides the inputs
    wiring: Wiring
    learned: list[tuple[Parameter, ...]]  # parameters of each call
    known: dict[tuple[tuple[bool, ...], bool], list[Back]]

    def backward(self, need_dx: bool) -> list[Back]:
        """Return the steps of the backward pass, with or without the gradient of the inputs."""
        learns = tuple([not all(p._frozen for p in own) for own in self.learned])
        steps = self.known.get((learns, need_dx))
        if steps is None:
            steps = self.known[learns, need_dx] = self.wiring.backward(learns, need_dx)
        return steps


class Wiring:
    """The calls of a graph, and who uses their values."""

    def __init__(self, calls: Sequence[Called], inputs: int, outputs: Sequence[int]) -> None:
        self.calls, self.inputs, self.outputs = calls, inputs, outputs
        self.producer = {v: i for i, call in enumerate(calls) for v in call.outputs}
        self.uses = Counter([*outputs, *(v for call in calls for v in leaves(call.inputs))])
        self.user = {v: call.part for call in calls for v in leaves(call.inputs)}  # the last
        self.relu_after: dict[int, int] = {}  # of a call: that of the ReLU that it does
        for i, call in enumerate(calls):
            before = self._sole(call.inputs) if isinstance(call.part, ReLU) else -1
            if before >= 0 and "relu" in calls[before].part.fuses_forward:
                self.relu_after[before] = i
        self.moved: dict[int, list[int]] = {}  # of an Add: the calls that run in its place
        self.sums: dict[int, list[tuple[int, int, int]]] = {}  # of it: call, value, added value
        absorbed: set[int] = set()
        for i, call in enumerate(calls):
            if isinstance(call.part, Add) and (sums := self._sums(i, call, absorbed)):
                self.sums[i] = sums
                self.moved[i] = [c for c, _, _ in sums if c >= 0]
                absorbed.update(self.moved[i])
        self.order: list[int] = []  # of the forward pass
        for i in range(len(calls)):
            if i not in absorbed:
                self.order += [*self.moved.get(i, ()), i]

    def _sole(self, value: int) -> int:
        """Return the call that makes a value with one user; -1 if it is none of one output."""
        i = self.producer.get(value, -1)
        return i if self.uses[value] == 1 and i >= 0 and len(self.calls[i].outputs) == 1 else -1

    def _sums(self, i: int, call: Called, absorbed: set[int]) -> list[tuple[int, int, int]]:
        """Return the additions of an Add, in order, if a layer can do one of them."""
        values = list(leaves(call.inputs))
        able = []
        for value in values:
            before = self._sole(value)
            fuses = self.calls[before].part.fuses_forward if before >= 0 else frozenset()
            able.append(before if "residual" in fuses and before not in absorbed else -1)
        sums, so_far = [], values[0]
        for j, value in enumerate(values[1:], 1):
            pair = [(able[j], value, so_far)]
            if j == 1:
                pair.append((able[0], so_far, value))
            ends = j == len(values) - 1 and i in self.relu_after
            pair = [p for p in pair if p[0] >= 0 and (not ends or self._does_relu(p[0]))]
            sums.append(max(pair, default=(-1, value, so_far)))
            so_far = -1  # the sum
        return sums if any(c >= 0 for c, _, _ in sums) else []

    def _drelu_above(self, value: int) -> bool:
        """Return whether the one user of the output of a ReLU computes the ReLU's gradient."""
        user = self.user.get(value)
        return self.uses[value] == 1 and user is not None and "drelu" in user.fuses_backward

    def _does_relu(self, i: int) -> bool:
        return "relu" in self.calls[i].part.fuses_forward

    def forward(self) -> list[Run]:
        """Return the runs of the forward pass."""
        runs: list[Run] = []
        self.spare = self.inputs + sum(len(call.outputs) for call in self.calls)
        apart = {*self.relu_after.values(), *(c for calls in self.moved.values() for c in calls)}
        for i in self.order:
            if i in apart:
                continue
            part, inputs, outputs = self.calls[i]
            relu = self.relu_after.get(i, -1)
            final = outputs[0] if relu < 0 else self.calls[relu].outputs[0]
            kept = i if isinstance(part, ReLU) else relu
            if relu >= 0 and self._drelu_above(final):
                kept = -1
            link = Link(i, part, PLAIN if relu < 0 else RELU, kept)
            if i in self.sums:
                runs += self._additions(link, self.sums[i], final)
            else:
                several = isinstance(part, Several)
                runs.append(Run(inputs, several, -1, [link], final, len(outputs), ()))
        self.spare -= self.inputs
        return with_dead(chained(runs, self.outputs), self.outputs)

    def _additions(self, link: Link, sums: list[tuple[int, int, int]], final: int) -> list[Run]:
        """Return the runs of an `Add` that layers before it do in part."""
        runs, so_far = [], -1
        for call, value, other in sums:
            other = so_far if other < 0 else other
            so_far = self.spare
            self.spare += 1
            part, inputs = link.part, value
            if call >= 0:
                part, inputs, _ = self.calls[call]
            by = Link(call, part, PLAIN, -1)
            runs.append(Run(inputs, False, other, [by], so_far, 1, ()))
        last = runs[-1].links[0]._replace(end=link.end, relu=link.relu)
        runs[-1] = runs[-1]._replace(links=[last], output=final)
        return runs

    def backward(self, learns: Sequence[bool], need_dx: bool) -> list[Back]:
        """Return the steps of the backward pass."""
        needs = dict.fromkeys(range(self.inputs), need_dx)
        runs = []
        for i, call in enumerate(self.calls):
            below = any(needs[v] for v in leaves(call.inputs))
            needs |= dict.fromkeys(call.outputs, below or learns[i])
            if below or learns[i]:
                runs.append(i)
        total = Counter(v for v in self.outputs if needs[v])
        for i in runs:
            total.update(v for v in leaves(self.calls[i].inputs) if needs[v])
        so_far = Counter(v for v in self.outputs if needs[v])
        passed: set[int] = set()  # calls of ReLUs whose gradient a layer above them has applied
        place: dict[int, int] = {}  # where the gradient of a value lies, if not at its number
        result: list[Back] = []
        for i in reversed(runs):
            part, inputs, outputs = self.calls[i]
            passes = isinstance(part, Add) or i in passed
            several = isinstance(part, Several)
            fuses = frozenset() if several or passes else part.fuses_backward
            meets, end, residual = [], PLAIN, False
            for v in leaves(inputs):
                so_far[v] += 1
                if not needs[v]:
                    meets.append((-1, FIRST, -1))
                    continue
                relu = self.producer.get(v, -1)
                if so_far[v] < total[v] or relu < 0 or not isinstance(self.calls[relu].part, ReLU):
                    relu = -1
                how, drelu = self._meeting(so_far[v], relu, fuses)
                if drelu:
                    passed.add(relu)
                    end = DRELU if how in (FIRST, FUSED) else end
                residual = residual or how == FUSED
                meets.append((place.get(v, v), how, relu))
            outputs = [place.get(v, v) for v in outputs]
            if i in passed and total[inputs] == 1 and inputs >= self.inputs:
                place[inputs] = outputs[0]  # nothing to do: one gradient for both values
                continue
            needed = any(v >= 0 for v, _, _ in meets)
            links = [] if passes else [BackLink(i, part, isinstance(part, ReLU), needed, end)]
            result.append(Back(links, several and not passes, outputs, meets, residual))
        return chained_back(result)

    def _meeting(self, number: int, relu: int, fuses: frozenset[str]) -> tuple[int, bool]:
        """Return how the ``number``th gradient of a value meets the others.

        ``relu`` is the call of the ReLU that made the value, if this gradient is its last. Also
        return whether the ReLU's gradient is then applied.
        """
        if number == 1:
            return FIRST, relu >= 0 and "drelu" in fuses
        if relu >= 0:
            return (FUSED, True) if fuses >= {"residual", "drelu"} else (SUM_DRELU, True)
        return (FUSED if "residual" in fuses else SUM), False


def chained(runs: list[Run], outputs: Sequence[int]) -> list[Run]:
    """Return the runs with each joined to the one before it, if it alone takes what that makes."""
    uses = Counter([*outputs, *(v for run in runs for v in reads_of(run))])
    result: list[Run] = []
    for run in runs:
        last = result[-1] if result else None
        flows = last is not None and last.output == run.inputs and last.width == 1
        if last is None or not flows or run.residual >= 0 or uses[last.output] > 1 or run.several:
            result.append(run)
        else:
            result[-1] = last._replace(links=last.links + run.links, output=run.output)
    return result


def with_dead(runs: list[Run], outputs: Sequence[int]) -> list[Run]:
    """Return the runs with the values that each is the last to need."""
    needed = set(outputs)
    result: list[Run] = []
    for run in reversed(runs):
        touched = {*reads_of(run), *range(run.output, run.output + run.width)}
        result.append(run._replace(dead=tuple(sorted(touched - needed))))
        needed |= touched
    return result[::-1]


def reads_of(run: Run) -> list[int]:
    """Return the values that a run takes."""
    return [*leaves(run.inputs), *([run.residual] if run.residual >= 0 else [])]


def chained_back(steps: list[Back]) -> list[Back]:
    """Return the steps with each joined to the one before it, if the gradient just flows on."""
    result: list[Back] = []
    for step in steps:
        last = result[-1] if result else None
        flows = last is not None and last.links and not (last.several or last.residual)
        meets = last.inputs[0] if last is not None else (-1, FIRST, -1)
        flows = flows and meets[1] == FIRST and step.outputs == [meets[0]]
        if last is not None and flows and step.links and not step.several:
            result[-1] = step._replace(links=last.links + step.links, outputs=last.outputs)
        else:
            result.append(step)
    return result


def plan_of(version: int, wiring: Wiring) -> Plan:
    """Return the plan of a graph."""
    learned = [tuple(call.part.parameters().values()) for call in wiring.calls]
    return Plan(version, wiring.forward(), wiring.spare, wiring, learned, {})
