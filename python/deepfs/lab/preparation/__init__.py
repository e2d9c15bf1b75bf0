"""Centring, scaling, decorrelating, whitening."""

EXPERIMENTS: tuple[str, ...] = ("clouds", "sensitivity", "train_only_statistics")
