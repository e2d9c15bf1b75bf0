"""The state of a layer: parameters, buffers, and whether they are frozen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .. import initializers
from .._arrays import Array, Shape
from .._check import array as numbers
from .._check import flag, shown
from .._elsewhere import LAYER_WAYS
from .._names import FREEZE, INSTEAD, elsewhere, hint
from .._settings import Settings
from ..random import Random
from ._parameter import ByName, Parameter, structure

RATE = "the optimizer has it: give it a Group(lr_scale=...)"


class Budget(Protocol):
    """Limit of the memory that layers may take while a file is read: see `Layer.build`."""

    def take(self, shape: Shape, dtype: DTypeLike) -> None:
        """Count an array before it is made; raise ValueError to refuse it."""


class Stateful(Settings):
    """The arrays of a layer. `Layer.build` makes them with `add_parameter` and `add_buffer`."""

    changeable: ClassVar[frozenset[str]] = frozenset()
    built_dtype: ClassVar[np.dtype[Any] | None] = None
    name: str | None
    given_name: ClassVar[str | None] = None  # the name that its container gave it
    learned: dict[str, Parameter]
    buffered: dict[str, Array]
    _budget: ClassVar[Budget | None] = None
    _frozen: ClassVar[bool] = False
    held: ClassVar[bool] = False  # True during a step of a model in which a `Group` freezes it
    _instead: ClassVar = {
        "learning_rate": RATE,
        "lr": RATE,
        "requires_grad": FREEZE,
        "trainable": FREEZE,
        "training": INSTEAD["training"],
    }

    def add_parameter(
        self,
        name: str,
        shape: Shape,
        dtype: np.dtype[Any],
        initializer: str | float | initializers.Initializer = 0.0,
        axes: tuple[int, ...] | None = None,
    ) -> Parameter:
        """Make a learned array; for use in `_build`.

        Parameters
        ----------
        name : str
            Key of the parameter in ``learned``, and its name in files.
        shape : tuple of int
            Logical shape.
        dtype : dtype
            The argument of `_build`.
        initializer : str, function or number
            A name of `deepfs.initializers`, a function ``(shape, rng) -> array``, or one value.
        axes : tuple of int, optional
            Physical order of the axes, see `Parameter`.

        Raises
        ------
        ValueError
            If the initializer returns another shape.
        """
        if self._budget is not None:
            self._budget.take(shape, dtype)
            made = Parameter.blank(shape, dtype, axes)
        elif isinstance(initializer, (int, float)):
            made = Parameter(np.full(shape, initializer, dtype), axes)
        else:
            draw = initializers.get(initializer)
            value = np.asarray(draw(shape, Random()))
            if value.shape != shape:
                raise ValueError(f"{draw} must return an array of shape {shape}, got {value.shape}")
            made = Parameter(value.astype(dtype), axes)
        self.learned[name] = made
        return made

    def add_buffer(self, name: str, shape: Shape, dtype: DTypeLike, value: Any = 0) -> Array:
        """Make an array that is saved but not learned; for use in `_build`."""
        if self._budget is not None:
            self._budget.take(shape, dtype)
        made: Array = np.full(shape, value, dtype)
        self.buffered[name] = made
        return made

    @contextmanager
    def _making_arrays(self, budget: Budget | None) -> Iterator[None]:
        """Begin with no arrays inside a ``with`` block; have the earlier ones again if it fails."""
        mine = vars(self)
        before: dict[str, Any] = {
            name: mine[name] for name in ("learned", "buffered") if name in mine
        }
        if self.built_dtype is None and (early := [*before.get("learned", ())]):
            raise TypeError(
                f"{self.label} has parameters before it is built, {', '.join(early)}: make them in "
                f"_build(in_shape, dtype), self.add_parameter({early[0]!r}, ...)"
            )
        mine.update(learned={}, buffered={}, _budget=budget)
        try:
            yield
        except BaseException as error:
            del mine["learned"], mine["buffered"]
            mine.update(before)
            if isinstance(error, MemoryError):
                raise MemoryError(f"{self.label}: {error}") from None
            raise
        finally:
            del mine["_budget"]

    def parameters(self) -> dict[str, Parameter]:
        """Return the parameters by name; none before the layer is built."""
        return ByName() if self.built_dtype is None else ByName(self.learned)

    def zero_grad(self) -> None:
        """Set all gradients to 0, for a training loop of one's own: `backward` adds to them.

        `deepfs.Model` does it itself.

        Examples
        --------
        >>> from deepfs import layers as L
        >>> net = L.Dense(2)
        >>> y, cache = net.forward(np.eye(2), training=True)
        >>> dx = net.backward(y, cache)
        >>> net.zero_grad()
        >>> bool(net.parameters()["weight"].grad.any())
        False
        """
        for parameter in self.parameters().values():
            parameter.dstorage.fill(0)

    def buffers(self) -> dict[str, Array]:
        """Return the buffers by name: arrays that are saved, but not learned.

        Only forward passes in training change them.
        """
        return ByName() if self.built_dtype is None else ByName(self.buffered)

    def _weights(self) -> dict[str, Array]:
        """Return the arrays that `get_weights` copies, to be written into."""
        values = {name: parameter.value for name, parameter in self.learned.items()}
        return values | dict(self.buffered)

    def get_weights(self) -> dict[str, Array]:
        """Return copies of all parameters and buffers by name, such as running statistics.

        They are in the order of the layers, as Keras has them in its list. Where random layers have
        arrived in their streams is left out.

        Returns
        -------
        dict of array
            A dict by name, as PyTorch's ``state_dict``, with the names of `parameters` and
            `buffers`.

        Raises
        ------
        RuntimeError
            If the layer is not built, and so has no weights.

        Examples
        --------
        >>> from deepfs import layers as L
        >>> a, b = L.Dense(2), L.Dense(2)
        >>> x = np.eye(3)
        >>> different = bool((a(x) == b(x)).all())
        >>> b.set_weights(a.get_weights())
        >>> different, bool((a(x) == b(x)).all())
        (False, True)
        """
        return {name: array.copy() for name, array in self._built_weights("get_weights").items()}

    def set_weights(self, weights: Mapping[str, ArrayLike] | Sequence[ArrayLike]) -> None:
        """Set all parameters and buffers; see `get_weights`.

        Parameters
        ----------
        weights : dict of array, or sequence of array
            An array for each name that `get_weights` returns, or a list of them in its order.

        Raises
        ------
        RuntimeError
            If the layer is not built.
        TypeError, ValueError
            If a name is missing or unknown, or an array is of another shape or no array of numbers.
            Then nothing has changed.
        """
        copy_weights(self._built_weights("set_weights"), weights, f"{self.label}.set_weights")

    def _built_weights(self, who: str) -> dict[str, Array]:
        if self.built_dtype is None:
            raise RuntimeError(
                f"{self.label}.{who} needs a layer with weights, got one that has seen no data: "
                "call build(in_shape) first, with the shape of a sample"
            )
        return self._weights()

    @property
    def frozen(self) -> bool:
        """True if training does not change this layer; see `freeze`."""
        return self._frozen

    @frozen.setter
    def frozen(self, value: bool) -> None:
        self._freeze(flag(value, "frozen"))

    @property
    def fixed(self) -> bool:
        """True if a training step must keep the buffers: frozen, by itself or by a `Group`."""
        return self.frozen or self.held

    def _learns(self) -> bool:
        """Return whether a step needs the gradient of a parameter of this layer itself."""
        for parameter in self.learned.values():  # noqa: SIM110, any() takes three times as long
            if not parameter._frozen:
                return True
        return False

    def freeze(self) -> None:
        """Exclude the layer from training: no step changes its parameters.

        A frozen batch norm uses its running statistics in training and does not change them. For
        parameters chosen by name, see `deepfs.optimizers.Group`.

        A layer of one's own that changes buffers in `_forward` must leave them as they are while
        `fixed` is True.

        Examples
        --------
        >>> from deepfs import layers as L
        >>> net = L.Sequential([L.Conv2D(8, 3), L.BatchNorm(), L.ReLU(), L.Dense(10)])
        >>> net.layers[0].freeze()
        >>> net.layers[1].freeze()
        """
        self._freeze(True)

    def unfreeze(self) -> None:
        """Undo `freeze`."""
        self._freeze(False)

    def _freeze(self, frozen: bool) -> None:
        vars(self)["_frozen"] = frozen
        for parameter in self.parameters().values():
            parameter._frozen = frozen
        structure.change()

    def _set_own(self, name: str, value: Any) -> None:
        if name in ("learned", "buffered") and "_budget" not in vars(self):  # not in `_build`
            raise AttributeError(
                f"{self.label}.{name} cannot be assigned: write into its arrays, [...] = ..."
            )
        super()._set_own(name, value)

    def _refuse_change(self, name: str) -> None:
        """Raise AttributeError for a setting on which arrays depend; say what to do instead."""
        if name == "name" and "given_name" in vars(self):
            raise AttributeError(
                f"{type(self).__name__}.name cannot change: the layer stands in a container as "
                f"{self.given_name!r}. Give the name when the layer is made"
            )
        arrays = self.built_dtype is not None and bool(self.learned or self.buffered)
        fixed = arrays and name not in self.changeable and name != "name"
        if fixed or (self.built_dtype is not None and name == "dtype"):
            way = ", and put it in this one's place by replace(name, layer) of the network"
            if "given_name" not in vars(self):  # in no container
                way = "; a model takes it by model.network = ..."
            raise AttributeError(
                f"{self.label}.{name} cannot change: the layer has been built with it. Make a new "
                f"layer, {type(self).__name__}(..., {name}=...){way}"
            )

    @property
    def label(self) -> str:
        """Name of this layer in messages: its class, and its name if it has one."""
        name = self.name if isinstance(self.name, str) and self.name else self.given_name
        return f'{type(self).__name__} "{name}"' if name else type(self).__name__

    def _label(self) -> str:
        return self.label


def copy_weights(
    to: Mapping[str, Array], weights: Mapping[str, ArrayLike] | Sequence[ArrayLike], who: str
) -> None:
    """Copy arrays by name, or in their order: all, or none after an error."""
    if not isinstance(weights, Mapping):
        if isinstance(weights, (str, bytes)) or not isinstance(weights, Sequence):
            raise TypeError(f"{who} takes a dict or a list of arrays, got {shown(weights)}")
        if len(weights) != len(to):
            raise ValueError(f"{who} takes {len(to)} arrays, got {len(weights)}")
        weights = dict(zip(to, weights, strict=True))
    for name in weights:
        if name not in to:
            raise ValueError(f"{who}: there is no weight {name!r}{hint(str(name), to)}")
    made = {}
    for name, array in to.items():
        if name not in weights:
            raise ValueError(f"{who} needs {name!r} as well: change the dict of get_weights()")
        value = numbers(weights[name], f"{who}: {name!r}")
        if value.shape != array.shape:
            raise ValueError(f"{who}: {name!r} has shape {array.shape}, got {value.shape}")
        if value.dtype.kind not in ("fiub" if array.dtype.kind == "f" else "iub"):
            raise TypeError(f"{who}: {name!r} is {array.dtype}, got {value.dtype}")
        made[name] = value
    for name, value in made.items():
        to[name][...] = value


def check_name(layer: Stateful) -> None:
    """Raise TypeError if the name of a layer is not a string."""
    if not isinstance(layer.name, str | None):
        raise TypeError(f"the name of a layer must be a str, got {layer.name!r}")


for _name, _way in LAYER_WAYS.items():
    elsewhere(Stateful, _name, _way)
