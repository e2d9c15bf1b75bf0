"""Computational graphs, forward and backward."""

EXPERIMENTS: tuple[str, ...] = (
    "two_apples",
    "apples_and_oranges",
    "layers_as_graphs",
    "gradient_check",
)
