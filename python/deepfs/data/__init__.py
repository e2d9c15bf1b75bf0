"""Data as `deepfs.Model` takes them: `Loader` makes batches of arrays, folders and files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._public import public_names as _public_names

if TYPE_CHECKING:
    from .loader import Loader

__all__ = ["Loader"]

if not TYPE_CHECKING:  # a model needs containers and batches alone

    def __getattr__(name: str) -> Any:
        if name == "Loader":
            from .loader import Loader

            globals()[name] = Loader
            return Loader
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return _public_names(globals())
