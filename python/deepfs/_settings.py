"""Settings: fields that are checked whenever they are set, and no other attributes.

A class with settings is a dataclass whose ``__post_init__`` checks and normalises its fields. An
assignment goes the same way as the constructor::

    conv = Conv2D(8, 3)  # __init__ stores what it is given, __post_init__ checks it
    conv.stride = 2      # __post_init__ checks a copy of the settings with the new one

If a check raises, nothing has changed. If none does, the object takes over what ``__post_init__``
makes of the new settings and did not make of the old ones: the setting, and everything that is
worked out from it. What the object has come to since then, as a count or a best value, stays.

An attribute that the class does not have is refused, with the name that was probably meant.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from abc import ABCMeta
from collections.abc import Collection, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar

from ._fields import declared, has_setter, in_method, is_built_in, setting_names, undecorated
from ._names import hint, meant, unknown_argument, without_elsewhere
from ._repr import written

REFUSED = object()
trying: ContextVar[bool] = ContextVar("trying", default=False)  # a constructor, for a repr


class SettingsMeta(ABCMeta):
    """Notes when a constructor is done, and explains the arguments that it does not take."""

    @property
    def __signature__(cls) -> inspect.Signature:
        """What `help` shows: the arguments of the constructor, not those of `__call__` below."""
        own = inspect.signature(cls.__init__)  # type: ignore[misc]
        return own.replace(parameters=list(own.parameters.values())[1:])

    def __dir__(cls) -> list[str]:
        return without_elsewhere(cls, super().__dir__())

    if not TYPE_CHECKING:  # type checkers shall look at the constructor

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            try:
                made = super().__call__(*args, **kwargs)
            except TypeError as error:
                explained = unknown_argument(cls, str(error))
                if explained is None:
                    raise
                raise explained from None
            made._check_made()
            object.__setattr__(made, "_complete", True)
            return made


class Settings(metaclass=SettingsMeta):
    """Base of everything with settings: assignment is checked as in the constructor.

    A class derived by a user may add attributes of its own in its methods. Slips of the names of
    settings, and the names that other frameworks have for them, are refused there too.
    """

    # whether the constructor is done; which settings it was given as None, and may have chosen
    __slots__ = ("_complete", "_given_none")
    # attributes that other frameworks read, and what to do here instead
    _instead: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        cls.__repr__ = cls.__repr__  # type: ignore[method-assign]  # or @dataclass writes its own

    def __repr__(self) -> str:
        return written(self)

    def _arguments(self) -> list[tuple[str, Any]]:
        """Return the arguments of the call that makes the object, without defaults."""
        return arguments(self)

    if not TYPE_CHECKING:  # type checkers shall know the attributes by their declarations

        def __setattr__(self, name: str, value: Any) -> None:
            cls = type(self)
            if not getattr(self, "_complete", False):  # in the constructor
                if value is None and name in setting_names(cls):
                    object.__setattr__(self, "_given_none", none_of(self) | {name})
                refuse_misnomer(self, name)
                super().__setattr__(name, value)
            elif name in setting_names(cls):
                self._set(name, value)
            elif has_setter(cls, name):
                super().__setattr__(name, value)
            elif in_method(self, sys._getframe().f_back):
                refuse_misnomer(self, name)
                self._set_own(name, value)
            elif not is_built_in(cls) and (name in vars(self) or name[0] == "_"):
                self._set_own(name, value)
            else:
                raise unknown_attribute(self, name)

        def __delattr__(self, name: str) -> None:
            if name in setting_names(type(self)) or is_built_in(type(self)):
                raise AttributeError(f"{self._label()}.{name} cannot be deleted")
            super().__delattr__(name)

    def _set(self, name: str, value: Any) -> None:
        """Change a setting and all that is worked out from it; or nothing, if a check raises."""
        cls, content = type(self), content_of(self)
        given = {n: content[n] for n in setting_names(cls) if n in content}
        given |= dict.fromkeys(none_of(self))
        before, after = worked_out(cls, given), worked_out(cls, given | {name: value})
        changed = {
            n: v for n, v in after.items() if n == name or n not in before or not same(v, before[n])
        }
        trial = bare(cls, content | changed)
        trial._check_change(name)
        new = content_of(trial)  # what other threads have changed meanwhile is theirs
        take_over(self, {n: v for n, v in new.items() if n not in content or v is not content[n]})
        none = none_of(self) - {name}
        if value is None and name in setting_names(cls):
            none |= {name}
        object.__setattr__(self, "_given_none", none)
        self._changed(name)

    def _set_own(self, name: str, value: Any) -> None:
        """Change an attribute that is no setting."""
        object.__setattr__(self, name, value)

    def _check_made(self) -> None:
        """Raise if settings that every class takes are wrong; called after the constructor."""

    def _check_change(self, name: str) -> None:
        """Raise if a setting cannot change to what it is now; called on a copy of the object."""

    def _changed(self, name: str) -> None:
        """Tell those who must know that a setting has changed; must not raise."""

    def _label(self) -> str:
        """Return what messages call this object."""
        return type(self).__name__

    def __dir__(self) -> list[str]:
        return without_elsewhere(type(self), super().__dir__())

    def __getstate__(self) -> dict[str, Any]:
        return content_of(self) | {"_given_none": none_of(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        take_over(self, {"_given_none": frozenset()} | state | {"_complete": True})


class ExplainedSettings(Settings):
    """Settings that explain a name that they do not have also when it is read.

    Not for layers, losses and optimizers: with ``__getattr__``, CPython 3.11 reads all attributes
    of a class more slowly, which costs 7 % of an inference of lenet5 on one image.
    """

    __slots__ = ()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name[0] == "_" or hasattr(type(self), name):
                return object.__getattribute__(self, name)  # raises once more what it has raised
            raise unknown_attribute(self, name, [n for n in dir(self) if n[0] != "_"])


def none_of(made: Settings) -> frozenset[str]:
    """Return the settings that were given as None."""
    none: frozenset[str] = getattr(made, "_given_none", frozenset())
    return none


def content_of(made: Settings) -> dict[str, Any]:
    """Return all attributes of an object, and its settings where they lie in slots."""
    slots = {n: getattr(made, n) for n in setting_names(type(made)) if hasattr(made, n)}
    return slots | vars(made)


def take_over(made: Settings, content: dict[str, Any]) -> None:
    """Set attributes without a check: all that lie in ``__dict__`` at once, for other threads."""
    slots = {name for name in content if has_setter(type(made), name)}
    vars(made).update({name: value for name, value in content.items() if name not in slots})
    for name in slots:
        object.__setattr__(made, name, content[name])


def bare(cls: type, content: dict[str, Any]) -> Any:
    """Return an object with these attributes that no constructor has seen."""
    made: Any = object.__new__(cls)
    take_over(made, content)
    return made


def worked_out(cls: type, given: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes that a constructor makes of settings, or raise what it raises."""
    made = bare(cls, given)
    if hasattr(cls, "__post_init__"):
        made.__post_init__()
    return content_of(made)


def same(a: Any, b: Any) -> bool:
    """Return whether two attributes are surely the same."""
    try:
        return a is b or (type(a) is type(b) and bool(a == b))
    except (TypeError, ValueError):  # as of arrays
        return False


def arguments(made: Settings) -> list[tuple[str, Any]]:
    """Return the arguments of the call that makes an object: names with "=", and values."""
    cls, content = type(made), content_of(made)
    every: tuple[dataclasses.Field[Any], ...] = ()
    if dataclasses.is_dataclass(cls):
        every = dataclasses.fields(cls)
    fields = [f for f in every if f.init and f.repr and f.name in content]
    fields.sort(key=lambda f: f.kw_only is True)
    given = {field.name: content[field.name] for field in fields}
    defaults = {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}
    defaults |= {f.name: f.default_factory() for f in fields
                 if f.default_factory is not dataclasses.MISSING}  # fmt: skip
    found = []
    positional = True
    for field in fields:
        name, value = field.name, given[field.name]
        if name in defaults and same(value, chosen(cls, given, name, defaults[name])):
            positional = False
            continue
        positional = positional and not field.kw_only and name not in defaults
        found.append(("" if positional else f"{name}=", shorter(cls, given, name)))
    return found


def shorter(cls: type, given: dict[str, Any], name: str) -> Any:
    """Return 3 for (3, 3), if the constructor makes the same of it."""
    value = given[name]
    if isinstance(value, tuple) and len(value) > 1 and all(same(v, value[0]) for v in value):
        one = value[0]
        if isinstance(one, int) and same(value, chosen(cls, given, name, one)):
            return one
    return value


def chosen(cls: type, given: dict[str, Any], name: str, value: Any) -> Any:
    """Return what a constructor makes of a value for one setting; REFUSED if it takes others.

    A message of a constructor may contain the repr of its object: there, it is the value itself.
    """
    if trying.get():
        return value
    token = trying.set(True)
    try:
        return worked_out(cls, given | {name: value})[name]
    except Exception:  # a repr must not fail, whatever a user's class does
        return REFUSED
    finally:
        trying.reset(token)


def settable(made: Settings) -> list[str]:
    """Return what a person may assign to."""
    cls = type(made)
    public = [name for name in dir(cls) if name[0] != "_" and has_setter(cls, name)]
    writable = [name for name in public if getattr(getattr(cls, name), "fset", True) is not None]
    return [*setting_names(cls), *writable, *([] if is_built_in(cls) else declared(cls))]


def refuse_misnomer(made: Settings, name: str) -> None:
    """Refuse a new attribute with a slip of a setting's name, or another framework's name."""
    cls = type(made)
    if name[0] == "_" or name in vars(made) or name in setting_names(cls) or hasattr(cls, name):
        return
    if name in cls._instead or meant(name, settable(made)):
        raise unknown_attribute(made, name)


def unknown_attribute(made: Settings, name: str, known: Collection[str] = ()) -> AttributeError:
    """Return the error for an attribute that an object does not have, or not for assignment."""
    cls, who = type(made), made._label()
    instead = f": decorate {cls.__name__} with @dataclass" if name in undecorated(cls) else ""
    if name in vars(made) or hasattr(cls, name):
        instead = instead or meant(name, setting_names(cls)) or ": it cannot be assigned"
        return AttributeError(f"{who}.{name} is not a setting{instead}")
    if name in cls._instead:
        instead = f": {cls._instead[name]}"
    own = [] if is_built_in(cls) else [other for other in vars(made) if other[0] != "_"]
    instead = instead or hint(name, known or {*settable(made), *own}) or of_a_part(made, name)
    if not (instead or known or is_built_in(cls)):
        instead = f": add it in a method of {cls.__name__}"
    return AttributeError(f"{who} has no attribute {name!r}{instead}")


def of_a_part(made: Settings, name: str) -> str:
    """Return the end of a message about a name that a part has, such as a model's optimizer."""
    for part in settable(made):
        value = getattr(made, part, None)
        names = setting_names(type(value)) if isinstance(value, Settings) else ()
        found = [other for other in names if other == name or meant(name, [other])]
        if found:
            return f": did you mean {part}.{found[0]}?"
    return ""
