"""Batch norm and layer norm."""

EXPERIMENTS: tuple[str, ...] = (
    "batch_norm_scales",
    "batch_norm_rates",
    "covariate_shift",
    "batch_or_layer_norm",
    "norm_before_or_after",
    "train_and_eval_modes",
)
