"""Callbacks: what else happens while `deepfs.Model.fit` runs."""

from ._base import Callback
from .averaging import EMA, SWA, update_bn

__all__ = ["EMA", "SWA", "Callback", "update_bn"]
