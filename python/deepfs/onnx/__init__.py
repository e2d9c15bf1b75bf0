"""Networks from ONNX files and into them: `load`, `save`.

They need the package onnx: ``pip install deepfs[onnx]``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .load import load

__all__ = ["load", "save"]

_HOME = {"load": ".load", "save": ".export"}


if not TYPE_CHECKING:  # type checkers shall report wrong names

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(_HOME[name], __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
