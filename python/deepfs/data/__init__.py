"""Data as `deepfs.Model` takes them: `Loader`, of arrays, folders and files; and splits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._public import public_names as _public_names

if TYPE_CHECKING:
    from .loader import Loader
    from .splits import KFold, StratifiedKFold, train_test_split

__all__ = ["KFold", "Loader", "StratifiedKFold", "train_test_split"]

if not TYPE_CHECKING:  # those who need containers and batches alone import no more

    def __getattr__(name: str) -> Any:
        if name == "Loader":
            from .loader import Loader

            found = Loader
        elif name in __all__:
            from . import splits

            found = getattr(splits, name)
        else:
            from .._elsewhere import absent

            raise absent(__name__, name, __all__)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return _public_names(globals() | dict.fromkeys(__all__))
