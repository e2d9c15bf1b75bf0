"""Batch norm and layer norm."""

EXPERIMENTS: tuple[str, ...] = ()
