"""Numerical derivatives, gradients, gradient descent."""

EXPERIMENTS: tuple[str, ...] = (
    "difference_errors",
    "tangent_line",
    "partial_derivatives",
    "gradient_field",
    "gradient_descent",
)
