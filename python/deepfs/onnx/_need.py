"""The package onnx, imported where it is used."""

from types import ModuleType


def need_onnx(who: str) -> ModuleType:
    """Return the package onnx; raise ImportError with the line to type if it is not there."""
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            f"{who} needs onnx, which is not installed: pip install 'deepfs[onnx]'", name="onnx"
        ) from error
    return onnx
