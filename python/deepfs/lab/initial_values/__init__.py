"""What the scale of initial weights does to activations and learning."""

EXPERIMENTS: tuple[str, ...] = ()
