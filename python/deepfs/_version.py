"""The version, for all who print or compare it."""

__version__ = "0.1.0"
