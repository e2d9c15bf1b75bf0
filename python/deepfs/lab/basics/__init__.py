"""Activation functions, the perceptron, softmax, losses, inference."""

EXPERIMENTS: tuple[str, ...] = ()
