"""How hyper-parameters are chosen, and on which data."""

EXPERIMENTS: tuple[str, ...] = (
    "babysitting_log",
    "grid_or_random",
    "coarse_to_fine",
    "bayesian_optimisation",
    "k_fold",
    "validation_or_test",
)
