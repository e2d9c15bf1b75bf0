"""Overfitting, weight decay, dropout, norms of weights."""

EXPERIMENTS: tuple[str, ...] = ()
