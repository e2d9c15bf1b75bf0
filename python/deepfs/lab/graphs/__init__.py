"""Computational graphs, forward and backward."""

EXPERIMENTS: tuple[str, ...] = ()
