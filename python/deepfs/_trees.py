"""Trees of arrays: one array, or a tuple or dict of arrays, as networks of several inputs take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from ._arrays import Shape

Tree: TypeAlias = Any  # Array | tuple[Array, ...] | dict[str, Array]


def leaves(tree: Tree) -> Iterator[Any]:
    """Yield the arrays of a tree, in its order."""
    if isinstance(tree, dict):
        yield from tree.values()
    elif isinstance(tree, (tuple, list)):
        yield from tree
    else:
        yield tree


def map_tree(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """Return the tree of ``function(leaf, *leaves of others)``.

    Examples
    --------
    >>> map_tree(lambda a, b: a + b, {"x": 1, "y": 2}, {"y": 20, "x": 10})
    {'x': 11, 'y': 22}
    """
    if isinstance(tree, dict):
        return {
            name: function(leaf, *(other[name] for other in others)) for name, leaf in tree.items()
        }
    if isinstance(tree, (tuple, list)):
        return tuple(function(*parts) for parts in zip(tree, *others, strict=True))
    return function(tree, *others)


def is_shape(shapes: Any) -> bool:
    """Return whether this is one shape: a tuple or list of ints, not a tuple or dict of shapes."""
    return isinstance(shapes, (tuple, list)) and not any(
        isinstance(entry, (tuple, list, dict)) for entry in shapes
    )


def map_shapes(function: Callable[[Shape], Any], shapes: Any) -> Tree:
    """Return the tree of ``function(shape)``; a shape, a tuple itself, is one leaf.

    Examples
    --------
    >>> map_shapes(len, {"image": (1, 28, 28), "age": (1,)}), map_shapes(len, (3, 8, 8))
    ({'image': 3, 'age': 1}, 3)
    """
    if is_shape(shapes):
        return function(tuple(shapes))
    return map_tree(lambda shape: function(tuple(shape)), shapes)
