"""Trees of arrays: one array, or a tuple or dict of arrays, as networks of several inputs take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from ._arrays import Array

Tree: TypeAlias = Any  # Array | tuple[Array, ...] | dict[str, Array]


def leaves(tree: Tree) -> Iterator[Array]:
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
