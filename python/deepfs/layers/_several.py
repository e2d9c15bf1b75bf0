"""Several: the base class of layers that take or return several arrays, see ``deepfs/_trees.py``.

It does for a tuple or dict of arrays what `Layer` does for one. Wherever `Layer` says a shape, a
tree of shapes stands here: a tuple or dict like that of the arrays.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from .._arrays import Array, Shape, dtype_of
from .._check import array
from .._trees import Tree, leaves, map_shapes, map_tree
from . import _base, _parameter
from ._base import Layer
from ._symbolic import shape_of


class Several(Layer):
    """A layer whose input, output or both may be a tree of arrays."""

    _one: ClassVar[bool] = False  # whether the input is one array

    @abstractmethod
    def _matched(self, tree: Tree) -> Tree:
        """Return inputs, or their shapes, as the tree that the layer takes.

        Raises
        ------
        ValueError
            If they are not as many as it takes, or have other names.
        """

    def prepare(self, x: Tree) -> Tree:
        """Return inputs as arrays of the layer's dtype; build the layer if it is new."""
        dtype = self.built_dtype
        if self._one and type(x) is np.ndarray and x.dtype is dtype and x.ndim > 0:
            return x  # the fast path of a graph with one input
        x = self._matched(x)
        if dtype is None or not all(
            type(leaf) is np.ndarray and leaf.dtype is dtype and leaf.ndim > 0 for leaf in leaves(x)
        ):
            x = self._converted(x)
        lengths = [len(leaf) for leaf in leaves(x)]
        if min(lengths) < max(lengths):
            raise ValueError(f"{self.label} takes inputs of equally many samples, got {lengths}")
        return x

    def _converted(self, x: Tree) -> Tree:
        """Return the same, of data that may need a conversion."""
        x = map_tree(lambda leaf: array(leaf, self.label), x)
        dtypes = [dtype_of(leaf, self.label) for leaf in leaves(x)]
        if any(leaf.ndim == 0 for leaf in leaves(x)):
            raise ValueError(f"{self.label} takes a batch, got a single number")
        if self.built_dtype is None:
            with _base._building:
                if self.built_dtype is None:
                    self.build(sample_shapes(x), np.result_type(*dtypes))
        return map_tree(lambda leaf: leaf.astype(self.built_dtype, copy=False), x)

    def forward(self, x: Tree, training: bool = False) -> tuple[Tree, Any]:
        x = self.prepare(x)
        if training:
            self._check_samples(x)
        y, cache = self._forward(x, training)
        return y, (y.shape if type(y) is np.ndarray else map_tree(shape_of, y), cache)

    def _check_samples(self, x: Tree) -> None:
        """Refuse a batch on which the layer cannot train, before any buffer changes."""

    def backward(self, dy: Tree, cache: Any, need_dx: bool = True) -> Tree | None:
        """Add to the gradient of each parameter; return dx, or None if ``need_dx`` is False.

        None in the place of the gradient of one of several outputs stands for zeros.
        """
        if self.built_dtype is None:
            raise RuntimeError(f"{self.label}.backward needs the cache of a forward, got none yet")
        shapes, inner = cache
        if type(shapes) is tuple and type(shapes[0]) is int:
            dy = self._gradient(shapes, dy)
        else:
            dy = matched(f"{self.label}.backward", shapes, dy, "gradients")
            dy = map_tree(self._gradient, shapes, dy)
        _parameter.gradients.change()
        return self._backward(dy, inner, need_dx)

    def _gradient(self, shape: Shape, dy: Any) -> Array:
        """Return the gradient of an output of this shape, in the layer's dtype; None is zeros."""
        if dy is None:
            return np.zeros(shape, self.built_dtype)
        if type(dy) is not np.ndarray or dy.dtype is not self.built_dtype:
            dy = array(dy, f"{self.label}.backward")
            dtype_of(dy, f"{self.label}.backward")
            dy = dy.astype(self.built_dtype, copy=False)
        if dy.shape != shape:
            raise ValueError(
                f"{self.label}.backward takes the gradient of an output {shape}, got {dy.shape}"
            )
        made: Array = dy
        return made

    def out_shape(self, in_shape: Any) -> Any:
        return self._out_shape(map_shapes(tuple, self._matched(in_shape)))

    def check_shape(self, x: Tree) -> None:
        shapes = x.shape[1:] if type(x) is np.ndarray else sample_shapes(x)
        if shapes != self.in_shape:
            self.out_shape(shapes)


def sample_shapes(x: Tree) -> Any:
    """Return the shape of each array without the batch axis."""
    return map_tree(lambda leaf: leaf.shape[1:], x)


def matched(who: str, wanted: Tree, tree: Tree, what: str = "inputs") -> Tree:
    """Return a tree of arrays or of shapes in the form and order of another; or raise ValueError.

    A tuple or list that is a shape, or of which one array is wanted, is a leaf.
    """
    if isinstance(wanted, dict):
        names = ", ".join(map(repr, wanted))
        if not isinstance(tree, dict):
            raise ValueError(f"{who} takes a dict of {what}, {names}, got {form(tree)}")
        missing = [repr(name) for name in wanted if name not in tree]
        extra = [repr(name) for name in tree if name not in wanted]
        if missing or extra:
            wrong = "; ".join(
                f"{', '.join(found)} {kind}"
                for kind, found in (("is missing", missing), ("is not one of them", extra))
                if found
            )
            raise ValueError(f"{who} takes the {what} {names}: {wrong}")
        return {name: tree[name] for name in wanted}
    if isinstance(wanted, tuple) and not is_shape_of_one(wanted):
        if not isinstance(tree, (tuple, list)) or is_shape_of_one(tree):
            raise ValueError(f"{who} takes a tuple of {len(wanted)} {what}, got {form(tree)}")
        if len(tree) != len(wanted):
            raise ValueError(f"{who} takes {len(wanted)} {what}, got {len(tree)}")
        return tuple(tree)
    if isinstance(tree, dict):
        raise ValueError(f"{who} takes one array, got {form(tree)}")
    return tree


def is_shape_of_one(tree: Any) -> bool:
    """Return whether this is a shape, and not several arrays or shapes."""
    return all(isinstance(entry, int) for entry in tree)


def form(tree: Any) -> str:
    """Return what kind of a tree this is, for messages."""
    if isinstance(tree, dict):
        return f"a dict of {', '.join(map(repr, tree)) or 'nothing'}"
    if isinstance(tree, (tuple, list)) and not is_shape_of_one(tree):
        return f"a {type(tree).__name__} of {len(tree)}"
    shape = tree if isinstance(tree, (tuple, list)) else np.shape(tree)
    return f"one of shape {tuple(shape)}"
