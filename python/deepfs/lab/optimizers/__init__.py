"""How optimizers move, on functions of two variables and on digits."""

EXPERIMENTS: tuple[str, ...] = (
    "optimizer_paths",
    "nesterov_look_ahead",
    "momentum_average",
    "adam_bias_correction",
    "adagrad_steps",
    "sparse_features",
    "ravine",
    "saddle_points",
    "cliff_clipping",
    "batch_noise",
    "optimizer_comparison",
    "schedules_compared",
)
