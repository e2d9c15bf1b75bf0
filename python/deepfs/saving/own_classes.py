"""Whether `deepfs.load` can make a class of the user's again, from the settings in a file."""

from __future__ import annotations

import inspect

from .._fields import is_built_in, setting_names

VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def check_class(cls: type) -> None:
    """Raise TypeError if a file cannot hold what the constructor of a user's class takes.

    A file has the fields of the dataclass, and `deepfs.load` calls the class with these.
    """
    if is_built_in(cls):
        return
    taken = list(inspect.signature(cls.__init__).parameters.values())[1:]  # type: ignore[misc]
    names = [p.name for p in taken if p.kind not in VARIABLE]
    settings = setting_names(cls)
    made_by_dataclass = "__dataclass_params__" in vars(cls) and "__post_init__" in vars(cls)
    lost = [name for name in names if name not in settings]
    if lost and not (made_by_dataclass and not _required(taken, lost)):  # an InitVar with a default
        raise TypeError(
            f"{cls.__name__} cannot be saved: its __init__ takes {', '.join(lost)}, which is no "
            "field of a dataclass, so load could not make it again. Decorate it with "
            "@dataclass(eq=False), write the fields into the class "
            f"({lost[0]}: float = 1.0), and check them in __post_init__ instead of __init__"
        )
    takes_all = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in taken)
    refused = [name for name in settings if name not in names and not takes_all]
    if refused:
        raise TypeError(
            f"{cls.__name__} cannot be saved: its __init__ does not take {', '.join(refused)}, "
            "which a file has of it, so load could not make it again. Take out __init__, and check "
            "the fields in __post_init__"
        )


def _required(taken: list[inspect.Parameter], names: list[str]) -> bool:
    empty = inspect.Parameter.empty
    return any(p.name in names and p.default is empty for p in taken)
