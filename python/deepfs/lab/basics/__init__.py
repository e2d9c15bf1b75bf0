"""Activation functions, the perceptron, softmax, losses, inference."""

EXPERIMENTS: tuple[str, ...] = (
    "perceptron_gates",
    "activation_functions",
    "linear_layers",
    "softmax_overflow",
    "inference_batches",
    "cost_of_exp",
    "loss_functions",
    "float_underflow",
)
