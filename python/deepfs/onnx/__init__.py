"""Networks as ONNX files: `save` writes one, `load` reads one.

They need onnx: ``pip install 'deepfs[onnx]'``. ``model.export("m.onnx")`` writes a model with its
preprocessing and its class names. ``docs/onnx.md`` shows both ways, and layers of your own.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .export import save
    from .load import load

__all__ = ["load", "save"]

_HOME = {"load": "load", "save": "export"}


if not TYPE_CHECKING:  # type checkers shall report wrong names

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            from .._elsewhere import absent

            raise absent(__name__, name, __all__)
        value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
