"""What the scale of initial weights does to activations and learning."""

EXPERIMENTS: tuple[str, ...] = (
    "equal_weights",
    "activation_histograms",
    "weight_scales",
    "vanishing_gradients",
)
