"""Numerical derivatives, gradients, gradient descent."""

EXPERIMENTS: tuple[str, ...] = ("difference_errors",)
