"""The single checks of `check_layer`; each raises AssertionError."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from .._arrays import Array
from .._trees import Tree, is_shape, leaves, map_tree
from ..layers import Layer
from ._compare import (
    any_work_on,
    assert_close,
    assert_equal,
    assert_float32,
    assert_same,
    different,
    index_of,
    layouts,
    named,
)
from ._direction import compare_direction
from ._parts import check_state, state_of
from ._run import NAN, OTHER, Run
from ._saved import loaded_again
from .gradient import compare
from .report import ArrayReport


class Subject:
    """A built layer at one input, and the result with which all others are compared."""

    def __init__(self, run: Run, x: Tree, seed: int, entries: int) -> None:
        self.run, self.x, self.seed, self.entries = run, x, seed, entries
        self.layer = run.layer
        self.in_shape = self.layer.in_shape
        self.sound = False  # whether results are equal at equal inputs
        self.arrays: dict[str, ArrayReport] = {}
        self.shapes: list[Any] = [map_tree(lambda a: a.shape, x)]
        self.float32_at_kinks = 0
        self.nothing_moves = False
        self.dy: Tree = None
        self.result: dict[str, Array] = {}

    def start(self) -> None:
        """Draw an output gradient; compute the result with which others are compared."""
        # a stream of its own: dy equal to x would hide a backward that takes one for the other
        x, rng = map_tree(np.copy, self.x), np.random.default_rng([self.seed, 1])
        with any_work_on(1):
            y, _ = self.run.forward(x)
            self.dy = map_tree(lambda a: rng.standard_normal(a.shape), y)
            x, dy = (map_tree(np.copy, tree) for tree in (self.x, self.dy))
            self.result = self.run.both(x, dy, idle=NAN)

    def check_results(self) -> None:
        """Check that the hooks return what they must, of the right shapes and dtype."""
        name = type(self.layer).__name__
        made = self.layer._forward(self.layer.prepare(map_tree(np.copy, self.x)), self.run.training)
        right = isinstance(made, tuple) and len(made) == 2
        assert right, (
            f"{name}._forward must return two things, y and a cache, got {_kind(made)}: "
            "write return y, cache"
        )
        outputs = named(made[0], "y")
        for key, y in outputs.items():
            assert isinstance(y, np.ndarray), (
                f"{name}._forward must return an array and a cache, got {_kind(y)} as {key}"
            )
        n, shapes = len(next(leaves(self.x))), []
        if is_shape(self.in_shape):
            shapes = [self.layer.out_shape(self.in_shape)]  # type: ignore[arg-type]
        for (key, y), shape in zip(outputs.items(), shapes, strict=False):
            assert y.shape == (n, *shape), (
                f"forward gives {key} of shape {y.shape}, and `_out_shape` says {(n, *shape)}"
            )
        self.start()
        gradients = {key for key in self.result if key[0] == "d"}
        points = named(self.x, "x")
        expected = {f"d{key}" for key in points} | {f"d {key}" for key in self.run.parameters}
        assert gradients == expected, (
            f"backward gave {_names(gradients)}, not {_names(expected)}"
            + (": return dx unless need_dx is False" if "dx" in expected - gradients else "")
        )
        for key, array in points.items():
            shape = self.result[f"d{key}"].shape
            assert shape == array.shape, (
                f"the gradient d{key} has shape {shape}, and {key} {array.shape}"
            )
        for key, array in self.result.items():
            assert key.startswith("buffer") or array.dtype == np.float64, (
                f"float64 gave {key} of {array.dtype}"
            )

    def check_arguments(self) -> None:
        """Check that forward leaves x, and backward dy and x, as they are."""
        x, dy = (map_tree(np.copy, tree) for tree in (self.x, self.dy))
        _, cache = self.run.forward(x)
        self._unchanged(x, self.x, "x", "forward")
        self.layer.backward(dy, cache)
        self._unchanged(dy, self.dy, "dy", "backward")
        self._unchanged(x, self.x, "x", "backward")

    @staticmethod
    def _unchanged(given: Tree, kept: Tree, name: str, who: str) -> None:
        wanted = named(kept, name)
        for key, array in named(given, name).items():
            found = different(array, wanted[key])
            at = index_of(found)
            assert not found.any(), (
                f"{who} changed {key}, its argument, at {at} from {wanted[key][at]:.9g} to "
                f"{array[at]:.9g}: write into a new array"
            )

    def check_two_runs(self) -> None:
        """Check that equal runs give equal results, whatever idle memory contains."""
        with any_work_on(1):
            second = self.run.both(self.x, self.dy, idle=OTHER)
        for name, array in self.result.items():
            found = different(array, second[name])
            if not found.any():
                continue
            at = index_of(found)
            idle = np.frombuffer(bytes([OTHER]) * array.itemsize, array.dtype)[0]
            left = np.isnan(array[at]) or abs(second[name][at]) == idle
            why = "memory that nobody wrote" if left else (
                "a race, memory that nobody wrote, or random numbers that do not come from a buffer"
            )  # fmt: skip
            raise AssertionError(
                f"two equal runs differ, {name} at {at} is {array[at]:.9g} and then "
                f"{second[name][at]:.9g}: {why}"
            )

    def check_memory(self) -> None:
        """Check that parameters are where training has put them."""
        parameters = self.layer.parameters()
        for name, (storage, dstorage) in self.run.moved.items():
            now = parameters.get(name)
            for key, before in (("storage", storage), ("dstorage", dstorage)):
                assert getattr(now, key, None) is before, (
                    f"forward or backward put another array in the place of {name}.{key}; the "
                    f"optimizer works on the old one, so {name} would never learn: write into it, "
                    f"{key} += ..."
                )

    def objective(self, _: Array) -> float:
        """Return the number whose gradients are checked: the sum of y times dy."""
        y = self.run.forward(self.x)[0]
        return float(sum(map(_dot, leaves(y), leaves(self.dy))))

    def beside(self, name: str) -> Callable[[Array], Array]:
        """Return the function that computes a gradient at the point where x and parameters are."""
        return lambda _: self.run.both(self.x, self.dy)[f"d{name}"]

    def points(self) -> dict[str, Array]:
        """Return the arrays that have a gradient: inputs, and parameters after a blank."""
        values = {f" {name}": p.value for name, p in self.run.parameters.items()}
        return named(self.x, "x") | values

    def check_gradients(self) -> None:
        """Compare a sample of each gradient with differences, and the rest along a direction."""
        for name, array in self.points().items():
            self.arrays[name.strip()] = compare(
                self.objective, array, self.result[f"d{name}"], name.strip(), self.seed,
                self.entries, self.beside(name),
            )  # fmt: skip
        self.nothing_moves = not any(g.any() for name, g in self.result.items() if name[0] == "d")
        assert not self.nothing_moves or any(a.at_kinks for a in self.arrays.values()), (
            "all gradients are zero: nothing of the layer depends on its input here"
        )
        self.check_direction(self.entries)

    def check_direction(self, entries: int) -> None:
        """Compare the gradients of arrays with more entries along one direction."""
        points = {name: array for name, array in self.points().items() if array.size > entries}
        gradients = {name: self.result[f"d{name}"] for name in points}
        outputs = [self.result[name] for name in named(self.dy, "y")]
        terms = float(
            sum(np.abs(a * b).sum() for a, b in zip(outputs, leaves(self.dy), strict=True))
        )
        compare_direction(self.objective, points, gradients, self.beside, self.seed, terms)

    def check_sums(self) -> None:
        """Check that a second backward adds to the gradients."""
        if not self.run.parameters:
            return
        for name, parameter in self.run.parameters.items():
            parameter.grad = self.result[f"d {name}"]
        self.layer.backward(self.dy, self.run.forward(self.x)[1])
        for name, parameter in self.run.parameters.items():
            twice = 2 * self.result[f"d {name}"]
            assert np.allclose(parameter.grad, twice, rtol=1e-9, atol=1e-12), (
                f"the gradient of {name} is not added up: a second backward must add to dstorage "
                "(+=), not overwrite it"
            )

    def check_layouts(self) -> None:
        """Check that arguments of every memory layout, and read-only ones, give the same bits."""
        given_x, given_dy = (map_tree(np.copy, tree) for tree in (self.x, self.dy))
        for array in (*leaves(given_x), *leaves(given_dy)):
            array.flags.writeable = False
        assert_equal(self.run.both(given_x, given_dy), self.result, "for read-only arrays")
        for array in leaves(self.x):
            for layout, variant in layouts(array):
                other = map_tree(lambda a, b=array, v=variant: v if a is b else a, self.x)
                assert_equal(self.run.both(other, self.dy), self.result, f"for {layout}")

    def check_threads(self, numbers: tuple[int, ...] = (1, 2, 3, 4)) -> None:
        """Check that results do not depend on the number of threads, nor on which is first."""
        for n in numbers:
            with any_work_on(n):
                got = self.run.both(self.x, self.dy)
                for name, array in got.items():
                    found = different(array, self.result[name])
                    if not found.any():
                        continue
                    again = [self.run.both(self.x, self.dy)[name] for _ in range(4)]
                    race = any(different(array, other).any() for other in again)
                    race = race or not np.allclose(array, self.result[name], 1e-6, 1e-9)
                    at = index_of(found)
                    why = f"a race, two threads write {_target(name)}" if race else (
                        "a sum whose order follows the number of threads"
                    )  # fmt: skip
                    raise AssertionError(
                        f"{name} differs with {n} threads: at {at} it is {array[at]:.9g}, not "
                        f"{self.result[name][at]:.9g}: {why}"
                    )

    def check_without_dx(self) -> None:
        """Check that parameters get their gradients where dx is not needed."""
        without = self.run.both(self.x, self.dy, need_dx=False)
        # a layer may compute dx all the same
        for name, wanted in self.result.items():
            if not name.startswith("dx"):
                what = f"{_target(name)} differs where need_dx is False"
                assert_same(without[name], wanted, what)

    def check_float32(self, layer: Layer) -> None:
        """Check that float32 gives float32, close to float64."""
        single = copy.deepcopy(layer)
        vars(single)["dtype"] = None
        single.build(self.in_shape, np.float32)  # type: ignore[arg-type]
        for name, parameter in single.parameters().items():
            parameter.value = self.run.parameters[name].value
        for name, buffer in single.buffers().items():
            buffer[...] = self.run.buffers[name]
        x = map_tree(lambda a: a.astype(np.float32), self.x)
        got = Run(single, self.run.training).both(x, self.dy)
        got = {name: array for name, array in got.items() if not name.startswith("buffer")}
        for name, array in got.items():
            assert array.dtype == np.float32, f"float32 gave {name} of {array.dtype}"
        self.float32_at_kinks = assert_float32(
            got, self.result, 2e-5, lambda shake: self.run.nearby(self.x, self.dy, shake),
            self.seed,
        )  # fmt: skip

    def check_attributes(self) -> None:
        """Check that forward and backward change nothing but gradients and buffers."""
        before = state_of(self.layer)
        self.run.both(map_tree(lambda a: a / 2, self.x), self.dy)
        check_state(before, state_of(self.layer))

    def check_buffers(self) -> None:
        """Check that inference changes no buffer, and training none of a frozen layer."""
        if not self.run.buffers:
            return
        self.run.forward(self.x, training=False)
        for name, buffer in self.layer.buffers().items():
            assert_same(buffer, self.run.buffers[name], f"inference changed the buffer {name}")
        frozen = copy.deepcopy(self.layer)
        frozen.freeze()
        frozen.forward(self.x, training=True)
        for name, buffer in frozen.buffers().items():
            if buffer.dtype.kind == "f":  # random layers go on to count
                what = f"training changed the buffer {name} of a frozen layer, see `Layer.fixed`"
                assert_same(buffer, self.run.buffers[name], what)

    def check_copy(self) -> None:
        """Check that a copy gives the same bits."""
        self._check_same(copy.deepcopy(self.layer), "of a copy")

    def check_pickle(self) -> None:
        """Check that a pickle gives the same bits."""
        self._check_same(pickle.loads(pickle.dumps(self.layer)), "of a pickle")

    def check_saving(self) -> None:
        """Check that a layer that was saved and loaded gives the same bits."""
        self._check_same(loaded_again(self.layer, self.in_shape), "of a layer saved and loaded")

    def _check_same(self, other: Layer, when: str) -> None:
        again = Run(other, self.run.training)
        again.buffers = self.run.buffers
        if self.sound:
            assert_equal(again.both(self.x, self.dy), self.result, when)

    def check_batches(self) -> None:
        """Check a batch of no sample, and that one sample does not depend on the others."""
        none, one = (map_tree(lambda a, n=n: a[:n], self.x) for n in (0, 1))
        y, cache = self.run.forward(none)
        empty = self.layer.backward(map_tree(lambda a: np.zeros(a.shape), y), cache)
        assert empty is not None, "an empty batch gave no dx"
        for name, dx in named(empty, "x").items():
            shape = named(none, "x")[name].shape
            assert dx.shape == shape, f"an empty batch gave d{name} of shape {dx.shape}"
        if not self.sound:
            return
        whole = named(self.run.forward(self.x, training=False)[0], "y")
        for name, y in named(self.run.forward(one, training=False)[0], "y").items():
            what = f"{name} of a batch of one differs in inference:"
            assert_close(y, whole[name][:1], 1e-9, 1e-12, f"{what} {name}")

    def check_large(self, x: Tree) -> None:
        """Check equal runs, threads and gradients at an input of several blocks of work."""
        large = Subject(self.run, x, self.seed, self.entries)
        self.shapes += large.shapes
        try:
            large.start()
            large.check_two_runs()
            large.check_threads((4,))
            large.check_direction(0)
        except AssertionError as error:
            raise AssertionError(f"for x of shape {large.shapes[0]}, {error}") from error


def _dot(a: Array, b: Array) -> Any:
    """Return the sum of products. NumPy starts threads for long arrays, which takes longer."""
    return np.vdot(a, b) if a.size < 8192 else (a * b).sum()


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return f"a {type(value).__name__}"


def _names(keys: set[str]) -> str:
    return ", ".join(sorted(key.replace("d ", "the gradient of ") for key in keys)) or "nothing"


def _target(name: str) -> str:
    return name.replace("d ", "the gradient of ")
