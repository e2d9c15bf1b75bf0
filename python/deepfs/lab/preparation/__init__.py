"""Centring, scaling, decorrelating, whitening."""

EXPERIMENTS: tuple[str, ...] = ()
