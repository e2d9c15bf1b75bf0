"""Networks as ONNX files: `save` writes one, `load` reads one.

They need onnx: ``pip install 'deepfs[onnx]'``. ``model.export("m.onnx")`` writes a model with its
preprocessing and its class names. ``docs/onnx.md`` shows both ways, and layers of your own.
"""

import importlib as _importlib
import typing as _typing

if _typing.TYPE_CHECKING:
    from ._import_model import load
    from .export import save

__all__ = ["load", "save"]

_HOME = {"load": "_import_model", "save": "export"}


if not _typing.TYPE_CHECKING:  # type checkers shall report wrong names

    def __getattr__(name: str) -> _typing.Any:
        if name not in _HOME:
            from .._elsewhere import absent

            raise absent(__name__, name, __all__)
        value = getattr(_importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
