"""Settings: fields that are checked whenever they are set, and no other attributes.

A class with settings is a dataclass; its ``__post_init__`` checks and normalises them. `Settings`
makes an assignment after construction go the same way: the constructor runs again with the new
value, on the side, and only if it succeeds does the object change, with everything that follows
from its settings. An attribute that the class does not have is refused with the name that was
probably meant.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from abc import ABCMeta
from difflib import get_close_matches
from typing import Any

# What other frameworks call a setting, and what it may be called here.
ELSEWHERE: dict[str, tuple[str, ...]] = {
    "alpha": ("slope", "momentum"),
    "axis": ("axes",),
    "base_lr": ("lr",),
    "beta_1": ("beta1",),
    "beta_2": ("beta2",),
    "betas": ("beta1", "beta2"),
    "center": ("affine",),
    "clip": ("clip_norm", "clip_value"),
    "clipnorm": ("clip_norm", "clip_each"),
    "clipvalue": ("clip_value",),
    "criterion": ("loss",),
    "data_format": (),
    "decay": ("weight_decay",),
    "depth_multiplier": ("multiplier",),
    "dilation_rate": ("dilation",),
    "drop_prob": ("p",),
    "dropout": ("p",),
    "elementwise_affine": ("affine",),
    "epsilon": ("eps",),
    "eta": ("lr",),
    "eta_min": ("end",),
    "gain": (),
    "global_clipnorm": ("clip_norm",),
    "initial_learning_rate": ("lr",),
    "initial_lr": ("lr",),
    "kernel": ("kernel_size",),
    "kernel_initializer": ("initializer",),
    "kernel_regularizer": ("regularizer",),
    "l2": ("weight_decay",),
    "learning_rate": ("lr",),
    "modules": ("layers", "parts"),
    "mu": ("momentum",),
    "n_units": ("units",),
    "negative_slope": ("slope",),
    "num_features": (),
    "num_groups": ("groups",),
    "out_channels": ("filters",),
    "out_features": ("units",),
    "output_dim": ("units",),
    "pad": ("padding",),
    "param_groups": ("groups",),
    "pool_size": ("kernel_size",),
    "prob": ("p",),
    "rate": ("p", "lr"),
    "scale": ("affine",),
    "smoothing": ("label_smoothing",),
    "step_size": ("every", "lr"),
    "stddev": ("std",),
    "strides": ("stride",),
    "use_bias": ("bias",),
    "use_nesterov": (),
    "wd": ("weight_decay",),
}
# What other frameworks do by an attribute, and deepfs by something else.
INSTEAD: dict[str, str] = {
    "requires_grad": "call freeze() or unfreeze()",
    "trainable": "call freeze() or unfreeze()",
    "training": "it is an argument of forward",
    "nesterov": "use the optimizer Nesterov",
    "from_logits": "the loss says what outputs mean",
}
CLOSE = 0.7  # least similarity (difflib's ratio) of a name that a message suggests


class SettingsMeta(ABCMeta):
    """Notes what a constructor was given, and when it is done."""

    @property
    def __signature__(cls) -> inspect.Signature:
        """What `help` shows: the arguments of the constructor, not those of `__call__` below."""
        own = inspect.signature(cls.__init__)  # type: ignore[misc]
        return own.replace(parameters=list(own.parameters.values())[1:])

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        try:
            made = super().__call__(*args, **kwargs)
        except TypeError as error:
            raise explained(cls, error) from None
        object.__setattr__(made, "_derived", derived(made, args, kwargs))
        return made


def derived(made: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> frozenset[str]:
    """Return the settings that were given as None, and that the constructor has chosen."""
    fields = (
        [f for f in dataclasses.fields(made) if f.init] if dataclasses.is_dataclass(made) else ()
    )
    given = dict(zip((f.name for f in fields if not f.kw_only), args, strict=False)) | kwargs
    return frozenset(
        f.name
        for f in fields
        if given.get(f.name, f.default) is None and getattr(made, f.name) is not None
    )


def explained(cls: type, error: TypeError) -> TypeError:
    """Return the error of a constructor, with the name that was meant by an unknown argument."""
    text = str(error)
    before, _, after = text.partition("got an unexpected keyword argument ")
    if not after or error.__traceback__ is None or not before.startswith(cls.__name__):
        return error
    name = after.strip("'")
    hint = suggestion(name, setting_names(cls), call=True)
    return TypeError(f"{cls.__name__} has no argument {name!r}{hint}")


class Settings(metaclass=SettingsMeta):
    """Base of everything with settings: assignment is checked as in the constructor.

    A class derived by a user may add attributes of its own in its methods. Near misses of settings
    and the names that other frameworks use for them are refused there too.
    """

    __slots__ = ("_derived",)  # of `derived`; set when the constructor is done
    _derived: frozenset[str]

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_derived": self._derived}

    def __setstate__(self, state: dict[str, Any]) -> None:
        object.__setattr__(self, "_derived", state["_derived"])
        vars(self).update({name: value for name, value in state.items() if name != "_derived"})

    def __setattr__(self, name: str, value: Any) -> None:
        if not hasattr(self, "_derived"):  # the constructor is at work
            if name not in vars(self) and not hasattr(type(self), name):
                refuse_near_miss(self, name)
            super().__setattr__(name, value)
        elif name in setting_names(type(self)):
            self._set(name, value)
        elif name in vars(self) or is_property(type(self), name):
            super().__setattr__(name, value)
        else:
            self._add(name, value, sys._getframe(1))

    def _set(self, name: str, value: Any) -> None:
        """Change a setting, and all that follows from it; or nothing, if it is refused."""
        if moves(type(self), name):
            return super().__setattr__(name, value)
        reason = self._fixed(name)
        if reason:
            raise AttributeError(f"{self._label()}.{name} cannot change: {reason}")
        before, chosen = dict(vars(self)), self._derived
        now = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.init}  # type: ignore[arg-type]
        fresh = type(self)(**(now | dict.fromkeys(chosen) | {name: value}))
        vars(self).update(vars(fresh))
        object.__setattr__(self, "_derived", fresh._derived)
        try:
            self._changed(name)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            object.__setattr__(self, "_derived", chosen)
            raise
        return None

    def _fixed(self, name: str) -> str | None:
        """Return why a setting cannot change any more, and what to do instead; None if it can."""

    def _changed(self, name: str) -> None:
        """Do what must follow when a setting has changed; raise to refuse it after all."""

    def _add(self, name: str, value: Any, caller: Any) -> None:
        """Take an attribute that the class does not have yet, from a method of the object only."""
        code = caller.f_code
        own = code.co_argcount > 0 and caller.f_locals.get(code.co_varnames[0]) is self
        if not own:
            raise unknown(self, name)
        if not hasattr(type(self), name):
            refuse_near_miss(self, name)
        super().__setattr__(name, value)

    def _label(self) -> str:
        """Return what messages call this object."""
        return type(self).__name__


def setting_names(cls: type) -> tuple[str, ...]:
    """Return the names of the settings of a class, in their order."""
    found: tuple[str, ...] | None = cls.__dict__.get("_setting_names")
    if found is None:
        fields = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()
        found = tuple(field.name for field in fields)
        if "__dataclass_fields__" in cls.__dict__:  # complete: the decorator has run
            cls._setting_names = found  # type: ignore[attr-defined]
    return found


def moves(cls: type, name: str) -> bool:
    """Return whether training itself moves a setting, such as the position of a `Plateau`."""
    return any(f.name == name and f.metadata.get("moves") for f in dataclasses.fields(cls))


def is_property(cls: type, name: str) -> bool:
    """Return whether a class has a property of that name, whose setter decides."""
    return hasattr(type(getattr(cls, name, None)), "__set__")


def public_names(made: Settings) -> list[str]:
    """Return what an object has that a person may read or set."""
    return [name for name in {*setting_names(type(made)), *vars(made)} if name[0] != "_"]


def unknown(made: Settings, name: str) -> AttributeError:
    """Return the error for an attribute that an object does not have."""
    if name in dir(type(made)):
        return AttributeError(f"{made._label()}.{name} is not a setting: it cannot be assigned")
    hint = suggestion(name, public_names(made))
    return AttributeError(f"{made._label()} has no attribute {name!r}{hint}")


def suggestion(name: str, known: Any, call: bool = False) -> str:
    """Return the end of a message: what was probably meant by a name."""
    here = [other for other in ELSEWHERE.get(name, ()) if other in known]
    if here:
        return f": it is called {' and '.join(map(repr, here))} here"
    if name in INSTEAD and not call:
        return f": {INSTEAD[name]}"
    near = [other for other in known if near_miss(name, other)]
    near = near or get_close_matches(name, list(known), 1, CLOSE)
    if near:
        return f": did you mean {near[0]!r}?"
    return f": it has {', '.join(sorted(known)) or 'none'}" if call else ""


def refuse_near_miss(made: Settings, name: str) -> None:
    """Refuse an attribute of one's own that is nearly a setting, or another framework's name."""
    known = setting_names(type(made))
    if name[0] == "_" or name in known:
        return
    here = [other for other in ELSEWHERE.get(name, ()) if other in known]
    near = [other for other in known if near_miss(name, other)]
    switch = hasattr(type(made), "freeze") and "freeze" in INSTEAD.get(name, "")
    if here or near or switch:
        raise unknown(made, name)


def near_miss(name: str, other: str) -> bool:
    """Return whether two names differ by a slip: one letter more, less or other, or two swapped.

    Digits are no slips: ``weight2`` beside ``weight`` is meant.

    Examples
    --------
    >>> near_miss("momentun", "momentum"), near_miss("stirde", "stride"), near_miss("w1", "w2")
    (True, True, False)
    """
    a, b = (text.replace("_", "").lower() for text in (name, other))
    if a == b:
        return name != other
    if min(len(a), len(b)) < 4 or abs(len(a) - len(b)) > 1:
        return False
    start = next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
    a, b = a[start:], b[start:]
    if any(char.isdigit() for char in a[:1] + b[:1]):
        return False
    swapped = len(a) > 1 and len(b) > 1 and a[0] == b[1] and a[1] == b[0] and a[2:] == b[2:]
    return swapped or a[1:] == b[1:] or a[1:] == b or a == b[1:]
