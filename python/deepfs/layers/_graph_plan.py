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


class Step(NamedTuple):
    """A step of the forward pass."""

    call: int  # whose cache it returns; -1: two values are added, by no layer
    part: Layer
    inputs: Tree
    several: bool  # inputs or outputs are trees
    output: int  # the first of its values
    end: Epilogue
    residual: int  # the value that it adds to its output; -1: none
    done: int  # the call of the ReLU that it does; -1: none
    dead: tuple[int, ...]  # values that nothing after it needs


class Back(NamedTuple):
    """A step of the backward pass."""

    call: int
    part: Layer | None  # None: the gradient of the output is that of each input, as of a sum
    several: bool
    outputs: list[int]
    needed: bool  # whether a gradient of an input is needed
    inputs: list[tuple[int, int, int]]  # value, how, and the ReLU's call; value -1: not needed
    end: Epilogue
    residual: bool  # it adds the sum so far itself


class Plan(NamedTuple):
    """How a Graph runs. Valid while the structure has this version."""

    version: int
    steps: list[Step]
    backward: tuple[list[Back], list[Back]]  # without and with the gradient of the inputs
    done: frozenset[int]  # calls of ReLUs that the layers before them do
    spare: int  # number of values besides the inputs


class Wiring:
    """The calls of a graph, and who uses their values."""

    def __init__(self, calls: Sequence[Called], inputs: int, outputs: Sequence[int]) -> None:
        self.calls, self.inputs, self.outputs = calls, inputs, outputs
        self.producer = {v: i for i, call in enumerate(calls) for v in call.outputs}
        self.uses = Counter([*outputs, *(v for call in calls for v in leaves(call.inputs))])
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
        self.order: list[int] = []  # of execution
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

    def _does_relu(self, i: int) -> bool:
        return "relu" in self.calls[i].part.fuses_forward

    def steps(self) -> list[Step]:
        """Return the steps of the forward pass."""
        steps: list[Step] = []
        done = set(self.relu_after.values())
        values = self.inputs + sum(len(call.outputs) for call in self.calls)
        spare = values
        moved = {c for calls in self.moved.values() for c in calls}
        for i in self.order:
            part, inputs, (output, *_) = self.calls[i]
            if i in done or i in moved:
                continue
            relu = self.relu_after.get(i, -1)
            end, final = PLAIN, output
            if relu >= 0:
                end, (final,) = RELU, self.calls[relu].outputs
            if i not in self.sums:
                several = isinstance(part, Several)
                steps.append(Step(i, part, inputs, several, final, end, -1, relu, ()))
                continue
            last = len(self.sums[i]) - 1
            for j, (call, value, other) in enumerate(self.sums[i]):
                other = other if other >= 0 else spare - 1
                place, ends, does = (final, end, relu) if j == last else (spare, PLAIN, -1)
                spare += j < last
                if call < 0:
                    steps.append(Step(-1, part, value, False, place, ends, other, does, ()))
                else:
                    by, takes, _ = self.calls[call]
                    steps.append(Step(call, by, takes, False, place, ends, other, does, ()))
        self.spare = spare - self.inputs
        return self._with_dead(steps)

    def _with_dead(self, steps: list[Step]) -> list[Step]:
        seen, result = {*self.outputs}, []
        for step in reversed(steps):
            reads = {*leaves(step.inputs), *([step.residual] if step.residual >= 0 else [])}
            written = range(step.output, step.output + self._width(step))
            dead = (reads | {*written}) - seen
            seen |= reads
            result.append(step._replace(dead=tuple(sorted(dead))))
        return result[::-1]

    def _width(self, step: Step) -> int:
        return len(self.calls[step.call].outputs) if step.several else 1

    def backward(self, learns: Sequence[bool], need_dx: bool) -> list[Back]:
        """Return the steps of the backward pass."""
        needs = dict.fromkeys(range(self.inputs), need_dx)
        runs = []
        for i in self.order:
            call = self.calls[i]
            below = any(needs[v] for v in leaves(call.inputs))
            needs |= dict.fromkeys(call.outputs, below or learns[i])
            if below or learns[i]:
                runs.append(i)
        total = Counter(v for v in self.outputs if needs[v])
        for i in runs:
            total.update(v for v in leaves(self.calls[i].inputs) if needs[v])
        so_far = Counter(v for v in self.outputs if needs[v])
        passed: set[int] = set()  # calls of ReLUs whose gradient a layer above them has applied
        result = []
        for i in reversed(runs):
            part, inputs, outputs = self.calls[i]
            passes = isinstance(part, Add) or i in passed
            several = isinstance(part, Several)
            meets, end, residual = [], PLAIN, False
            fuses = frozenset() if several or passes else part.fuses_backward
            for v in leaves(inputs):
                so_far[v] += 1
                if not needs[v]:
                    meets.append((-1, FIRST, -1))
                    continue
                relu = self.producer.get(v, -1)
                if relu < 0 or so_far[v] < total[v] or not isinstance(self.calls[relu].part, ReLU):
                    relu = -1
                how, drelu = self._meeting(so_far[v], relu, fuses)
                if drelu:
                    passed.add(relu)
                    end = DRELU if how in (FIRST, FUSED) else end
                residual = residual or how == FUSED
                meets.append((v, how, relu))
            needed = any(v >= 0 for v, _, _ in meets)
            by = None if passes else part
            result.append(Back(i, by, several, outputs, needed, meets, end, residual))
        return result

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


def plan_of(version: int, wiring: Wiring) -> Plan:
    """Return the plan of a graph."""
    learns = [any(not p.frozen for p in call.part.parameters().values()) for call in wiring.calls]
    return Plan(
        version,
        wiring.steps(),
        (wiring.backward(learns, False), wiring.backward(learns, True)),
        frozenset(wiring.relu_after.values()),
        wiring.spare,
    )
