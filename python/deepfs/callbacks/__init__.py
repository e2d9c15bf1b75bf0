"""Callbacks: code that runs at given moments of `deepfs.Model.fit`."""

from .._elsewhere import explain_absent as _explain_absent
from .._public import public_names as _public_names
from ._base import Callback
from .averaging import EMA, SWA, update_bn
from .diagnose import Diagnose

__all__ = ["EMA", "SWA", "Callback", "Diagnose", "update_bn"]


def __dir__() -> list[str]:
    return _public_names(globals())


_explain_absent(__name__)
