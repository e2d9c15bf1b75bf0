"""Overfitting, weight decay, dropout, norms of weights."""

EXPERIMENTS: tuple[str, ...] = (
    "overfitting",
    "dropout_ensemble",
    "dropout_placement",
    "dropout_depth",
    "dropout_width",
    "l1_zeros",
    "layer_lambdas",
    "norm_balls",
)
