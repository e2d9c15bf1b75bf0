"""What activations do to gradients while a network learns."""

EXPERIMENTS: tuple[str, ...] = ("zigzag_inputs", "saturation", "dead_relu")
