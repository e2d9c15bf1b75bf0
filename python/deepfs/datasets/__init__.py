"""Data sets: MNIST, Fashion-MNIST, a bundled subset of MNIST, and the IDX files they come in."""

from __future__ import annotations

from .._public import public_names as _public_names
from .idx import read_idx, write_idx
from .mnist import fashion_mnist, mnist, mnist_mini

__all__ = ["fashion_mnist", "mnist", "mnist_mini", "read_idx", "write_idx"]


def __dir__() -> list[str]:
    return _public_names(globals())
