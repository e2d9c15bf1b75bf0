"""Parameters: learned arrays. Versions: numbers that tell whether one of them has changed."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from .._arrays import Array, Shape
from .._elsewhere import PARAMETER_WAYS
from .._names import elsewhere, hint

T = TypeVar("T")
_numbers = count(1)

# what an arena and kernels rely on, and what to do instead of an exchange
WAYS = {
    "axes": "give them when the parameter is made",
    "dstorage": "write into it, p.dstorage[...] = ..., or p.grad = ...",
    "storage": "write into it, p.storage[...] = ..., or p.value = ...",
}


class Version:
    """A number that increases with every change, so that comparing two tells whether one happened.

    There is one per kind of change and process, because a layer does not know which models train
    it.
    """

    def __init__(self) -> None:
        self.number = 0

    def change(self) -> None:
        """Record a change."""
        self.number = next(_numbers)


gradients = Version()  # a gradient may have been written to
structure = Version()  # a setting or part of a layer has changed, or an array has moved

# in the place of `Parameter._frozen` during a step of a model in which a `Group` freezes it: the
# parameter is not frozen for others, but this step needs no gradient of it
HELD = 2


class Parameter:
    """A learned array, and the sum of its gradients since the last optimizer step.

    Parameters
    ----------
    value : array
        Initial value, with logical axes.
    axes : tuple of int, optional
        Physical order of the logical axes, if it differs: the weight of a convolution,
        ``(co, ci, kh, kw)``, is stored as ``(kh, kw, ci, co)``, axes (2, 3, 1, 0).

    Notes
    -----
    ``storage`` and ``dstorage`` are the arrays that kernels read and write, in physical order. The
    parameters of a network share one buffer (see `deepfs.optimizers.Arena`), so an assignment to
    ``value`` copies. Never rebind ``storage`` or ``dstorage``: write into them.

    Examples
    --------
    >>> p = Parameter(np.zeros((2, 3)))
    >>> p.value = np.ones((2, 3))
    >>> float(p.storage.sum())
    6.0
    """

    __slots__ = ("_frozen", "axes", "dstorage", "storage")

    def __init__(self, value: Array, axes: tuple[int, ...] | None = None) -> None:
        self.axes = axes or tuple(range(value.ndim))
        self.storage: Array = np.array(value.transpose(self.axes), order="C")
        self.dstorage: Array = np.zeros_like(self.storage)
        self._frozen: int = False  # or True, or HELD

    @classmethod
    def blank(
        cls, shape: Shape, dtype: np.dtype[Any], axes: tuple[int, ...] | None = None
    ) -> Parameter:
        """Return a parameter that takes no memory until `move_to` gives it some.

        Its storage is one 0, broadcast to the shape. `deepfs.load` reads the values later.
        """
        made = cls(np.zeros((0,) * len(shape), dtype), axes)
        physical = [shape[axis] for axis in made.axes]
        nothing = np.broadcast_to(np.zeros((), dtype), physical)
        made._bind(nothing, nothing)
        return made

    def logical(self, storage: Array) -> Array:
        """Return a view, with logical axes, of an array in the physical order of this parameter."""
        return storage.transpose(np.argsort(self.axes))

    def move_to(self, storage: Array, dstorage: Array) -> None:
        """Use flat arrays as storage from now on; value and gradient are copied into them."""
        structure.change()
        np.copyto(storage.reshape(self.storage.shape), self.storage)
        if self.dstorage.any():  # untouched pages cost nothing: do not fault them in
            dstorage[:] = self.dstorage.reshape(-1)
        self._bind(storage.reshape(self.storage.shape), dstorage.reshape(self.storage.shape))

    def _bind(self, storage: Array, dstorage: Array) -> None:
        object.__setattr__(self, "storage", storage)
        object.__setattr__(self, "dstorage", dstorage)

    @property
    def value(self) -> Array:
        """The array with its logical axes, a view of ``storage``. Assignment copies."""
        return self.logical(self.storage)

    @value.setter
    def value(self, new: ArrayLike) -> None:
        self._copy(new, self.value)

    @property
    def grad(self) -> Array:
        """The sum of gradients, a view of ``dstorage`` with the axes of ``value``."""
        gradients.change()  # the caller may write to it
        return self.logical(self.dstorage)

    @grad.setter
    def grad(self, new: ArrayLike) -> None:
        self._copy(new, self.grad)

    @staticmethod
    def _copy(new: ArrayLike, to: Array) -> None:
        if np.shape(new) != to.shape:
            raise ValueError(f"a parameter of shape {to.shape} cannot take {np.shape(new)}")
        to[...] = new

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return the value, for NumPy's functions."""
        return np.array(self.value, dtype, copy=copy)

    @property
    def shape(self) -> Shape:
        """The shape of ``value``."""
        return self.value.shape

    @property
    def size(self) -> int:
        """The number of entries."""
        return self.storage.size

    @property
    def frozen(self) -> bool:
        """Whether it is left out of every step; see `Layer.freeze`."""
        return self._frozen is True

    if not TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None:
            if name in WAYS and getattr(self, name, value) is not value:  # after `+=` it is
                raise AttributeError(f"Parameter.{name} cannot be exchanged: {WAYS[name]}")
            try:
                object.__setattr__(self, name, value)
            except AttributeError:
                raise AttributeError(_refusal(name)) from None

    def __repr__(self) -> str:
        return f"Parameter{self.value.shape} {self.storage.dtype}"


for _name, _way in PARAMETER_WAYS.items():
    elsewhere(Parameter, _name, _way)


class ByName(dict[str, T]):
    """The parameters or buffers of a layer by name: a new dict, so that an entry is not assigned.

    Examples
    --------
    >>> found = ByName(weight=Parameter(np.zeros(2)))
    >>> found["weight"].value = np.ones(2)
    >>> found["weight"] = np.ones(2)
    Traceback (most recent call last):
    TypeError: 'weight' cannot be exchanged: write found['weight'].value = ...
    """

    def __setitem__(self, name: str, value: Any) -> NoReturn:
        if isinstance(self.get(name), np.ndarray):
            way = f"write into its array, found[{name!r}][...] = ..."
        else:
            way = f"write found[{name!r}].value = ..."
        raise TypeError(f"{name!r} cannot be exchanged: {way}")

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(
            "this dict is not the layer: write found[name].value = ..., or change dict(found)"
        )

    __delitem__ = pop = popitem = clear = update = setdefault = __ior__ = _refuse

    def __reduce__(self) -> tuple[type, tuple[dict[str, T]]]:
        return ByName, (dict(self),)


def _refusal(name: str) -> str:
    """Return what to say of an attribute that a parameter does not have, or not for assignment."""
    if name == "frozen":
        return "Parameter.frozen cannot be assigned: call freeze() or unfreeze() of the layer"
    return f"Parameter has no attribute {name!r}{hint(name, ('value', 'grad'))}"
