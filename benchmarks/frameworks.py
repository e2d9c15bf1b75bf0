"""The frameworks that `compare` times: deepfs and its peers, each behind the same few methods.

A new network is a row in NETWORKS, and a case in `compare.describe` if it has a new kind of layer;
a new peer is a class like those below, and a row in FRAMEWORKS.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Layer = dict[str, Any]  # kind, name and settings, as JSON carries them
NETWORKS = {  # name here: builder in deepfs.networks, shape of an image
    "mlp": ("mlp", (1, 28, 28)),
    "simple": ("simple_convnet", (1, 28, 28)),
    "deep": ("deep_convnet", (1, 28, 28)),
}


def build(network: str) -> Any:
    """Return a deepfs network, built for its images."""
    import deepfs as dfs

    builder, image = NETWORKS[network]
    net = getattr(dfs.networks, builder)()
    net.build(image)
    return net


class Framework(ABC):
    """What a worker asks of a framework; weights and gradients have deepfs's names and axes."""

    package: ClassVar[str]

    def __init__(self, network: str, layers: list[Layer], data: str, threads: int) -> None:
        self.network, self.layers, self.threads = network, layers, threads
        with np.load(data) as arrays:
            self.weights = dict(arrays)
        self.x, self.y = self.weights.pop("x"), self.weights.pop("y")
        self.labels = (self.y, (self.y + 5) % 10)
        self.setup()
        self.start("infer")

    @abstractmethod
    def setup(self) -> None:
        """Build the network from the weights."""

    def start(self, mode: str) -> None:  # noqa: B027
        """Get ready for steps of ``mode``."""

    @abstractmethod
    def gradients(self) -> dict[str, Array]:
        """Return the gradients of one forward and backward in training mode."""

    @abstractmethod
    def train(self, i: int) -> float:
        """Take a step towards ``self.labels[i % 2]``; return the loss before it."""

    @abstractmethod
    def infer(self, i: int) -> Any:
        """Return the outputs for ``self.x``."""


class DeepFS(Framework):
    """What this is all about."""

    package = "deepfs"

    def setup(self) -> None:
        import deepfs as dfs

        dfs.set_num_threads(self.threads)
        self.net = build(self.network)
        for key, parameter in self.net.parameters().items():
            parameter.value = self.weights[key]
        for part, layer in zip(self.net.layers, self.layers, strict=True):
            if layer["kind"] == "Dropout":
                part.p = layer["p"]
        optimizer = dfs.optimizers.Adam(1e-3)
        self.model = dfs.Model(self.net, dfs.losses.CrossEntropy(), optimizer, metrics=())

    def gradients(self) -> dict[str, Array]:
        outputs, cache = self.net.forward(self.x, training=True)
        _, loss_cache = self.model.loss.forward(outputs, self.y)
        for parameter in self.net.parameters().values():
            parameter.grad = np.zeros_like(parameter.grad)
        self.net.backward(self.model.loss.backward(loss_cache), cache, need_dx=False)
        return {key: parameter.grad for key, parameter in self.net.parameters().items()}

    def train(self, i: int) -> float:
        return self.model.train_on_batch(self.x, self.labels[i % 2])["loss"]

    def infer(self, i: int) -> Any:
        return self.net(self.x)


class Torch(Framework):
    """PyTorch, eager, in its default layout."""

    package = "torch"
    channels_last = False
    compiled = False

    def setup(self) -> None:
        import torch

        self.torch = torch
        torch.set_num_threads(self.threads)
        if torch.get_num_interop_threads() != 1:
            torch.set_num_interop_threads(1)
        self.parameters: dict[str, Any] = {}
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        modules = map(self._module, self.layers)
        self.net = self.run = torch.nn.Sequential(*modules).to(memory_format=layout)
        self.input = torch.from_numpy(self.x).contiguous(memory_format=layout)
        self.targets = [torch.from_numpy(labels) for labels in self.labels]
        try:
            self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3, fused=True)
        except (RuntimeError, TypeError):  # a release without the fused step on CPUs
            self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3)
        if self.compiled:
            torch.compiler.reset()  # what it saw before must not make this code more general
            self.run = torch.compile(self.net, dynamic=False)

    def _module(self, layer: Layer) -> Any:
        nn = self.torch.nn
        match layer["kind"]:
            case "ReLU":
                return nn.ReLU()
            case "Flatten":
                return nn.Flatten()
            case "Dropout":
                return nn.Dropout(layer["p"])
            case "MaxPool2D":
                return nn.MaxPool2d(layer["size"])
        weight, bias = (self.weights.get(f"{layer['name']}.{key}") for key in ("weight", "bias"))
        if layer["kind"] == "Conv2D":
            top, bottom, left, right = layer["padding"]
            if (top, left) != (bottom, right):
                raise ValueError(f"nn.Conv2d pads both sides alike, got {layer['padding']}")
            co, ci, *size = weight.shape
            module = nn.Conv2d(ci, co, size, layer["stride"], (top, left), bias=bias is not None)
        else:
            weight = weight.T
            module = nn.Linear(*weight.shape[::-1], bias=bias is not None)
        for (key, parameter), value in zip(module.named_parameters(), (weight, bias), strict=False):
            parameter.data.copy_(self.torch.from_numpy(np.ascontiguousarray(value)))
            self.parameters[f"{layer['name']}.{key}"] = parameter
        return module

    def start(self, mode: str) -> None:
        self.net.train(mode == "train")

    def _backward(self, i: int) -> Any:
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.torch.nn.functional.cross_entropy(self.run(self.input), self.targets[i % 2])
        loss.backward()
        return loss

    def gradients(self) -> dict[str, Array]:
        self._backward(0)
        grads = {key: parameter.grad.numpy() for key, parameter in self.parameters.items()}
        return {key: grad.T if grad.ndim == 2 else grad for key, grad in grads.items()}

    def train(self, i: int) -> float:
        loss = self._backward(i)
        self.optimizer.step()
        return loss.item()

    def infer(self, i: int) -> Any:
        with self.torch.inference_mode():
            return self.run(self.input)


class TorchChannelsLast(Torch):
    """PyTorch, eager, images and filters channels-last."""

    channels_last = True


class TorchCompile(Torch):
    """PyTorch, the network through ``torch.compile``."""

    compiled = True


class ChannelsLast(Framework):
    """What TensorFlow and JAX share: images (n, h, w, c), filters (kh, kw, ci, co).

    Weights that follow a Flatten get their rows in the order of such images, once, at the start.
    """

    def own(self) -> dict[str, Array]:
        """Return the weights as the framework wants them."""
        return {key: self._turn(key, value, False) for key, value in self.weights.items()}

    def theirs(self, values: dict[str, Any]) -> dict[str, Array]:
        """Return gradients as deepfs has them."""
        return {key: self._turn(key, np.asarray(value), True) for key, value in values.items()}

    def _turn(self, key: str, value: Array, back: bool) -> Array:
        if value.ndim == 4:
            return value.transpose((3, 2, 0, 1) if back else (2, 3, 1, 0))
        layer = next(layer for layer in self.layers if layer["name"] == key.split(".")[0])
        if value.ndim == 2 and layer["image"]:
            c, h, w = layer["image"]
            shape, order = ((h, w, c, -1), (2, 0, 1, 3)) if back else ((c, h, w, -1), (1, 2, 0, 3))
            return value.reshape(shape).transpose(order).reshape(value.shape)
        return value

    def forward(self, weights: Any, x: Any, drop: Callable[[Any, float], Any] | None) -> Any:
        """Return the outputs; ``drop`` is None in inference."""
        for layer in self.layers:
            match layer["kind"]:
                case "Conv2D":
                    x = self.conv(x, weights[f"{layer['name']}.weight"], layer)
                case "Dense":
                    x = x @ weights[f"{layer['name']}.weight"]
                case "ReLU":
                    x = self.relu(x)
                case "MaxPool2D":
                    x = self.pool(x, layer["size"])
                case "Flatten":
                    x = self.flatten(x)
                case "Dropout" if drop is not None:
                    x = drop(x, layer["p"])
            if (bias := f"{layer['name']}.bias") in weights:
                x = x + weights[bias]
        return x

    conv: Any
    relu: Any
    pool: Any
    flatten: Any


class TensorFlow(ChannelsLast):
    """TensorFlow: one graph (``tf.function``) for the step, Keras's Adam in it."""

    package = "tensorflow"

    def setup(self) -> None:
        os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
        import keras
        import tensorflow as tf

        if tf.config.threading.get_intra_op_parallelism_threads() != self.threads:
            tf.config.threading.set_intra_op_parallelism_threads(self.threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        self.relu, self.flatten = tf.nn.relu, lambda x: tf.reshape(x, (len(self.x), -1))
        self.pool = lambda x, size: tf.nn.max_pool2d(x, size, size, "VALID")
        self.variables = {key: tf.Variable(value) for key, value in self.own().items()}
        self.input = tf.constant(self.x.transpose(0, 2, 3, 1))
        self.targets = [tf.constant(labels) for labels in self.labels]
        optimizer = keras.optimizers.Adam(1e-3, epsilon=1e-8)
        optimizer.build(list(self.variables.values()))

        def backward(targets: Any) -> Any:
            with tf.GradientTape() as tape:
                logits = self.forward(self.variables, self.input, tf.nn.dropout)
                terms = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
                loss = tf.reduce_mean(terms)
            return loss, tape.gradient(loss, self.variables)

        def step(targets: Any) -> Any:
            loss, grads = backward(targets)
            optimizer.apply([grads[key] for key in self.variables], list(self.variables.values()))
            return loss

        self.backward, self.step = tf.function(backward), tf.function(step)
        self.run = tf.function(lambda: self.forward(self.variables, self.input, None))
        self.conv = self._conv

    @staticmethod
    def _conv(x: Any, weight: Any, layer: Layer) -> Any:
        import tensorflow as tf

        top, bottom, left, right = layer["padding"]
        sides = [[0, 0], [top, bottom], [left, right], [0, 0]]
        return tf.nn.conv2d(x, weight, layer["stride"], sides)

    def gradients(self) -> dict[str, Array]:
        return self.theirs(self.backward(self.targets[0])[1])

    def train(self, i: int) -> float:
        return float(self.step(self.targets[i % 2]))

    def infer(self, i: int) -> Any:
        return self.run()


class Jax(ChannelsLast):
    """JAX: the whole step jitted, weights and optimizer state donated."""

    package = "jax"

    def setup(self) -> None:
        import jax

        lax, numpy, tree = jax.lax, jax.numpy, jax.tree.map

        def conv(x: Any, weight: Any, layer: Layer) -> Any:
            top, bottom, left, right = layer["padding"]
            sides, axes = [(top, bottom), (left, right)], ("NHWC", "HWIO", "NHWC")
            return lax.conv_general_dilated(
                x, weight, layer["stride"], sides, dimension_numbers=axes
            )

        def pool(x: Any, size: list[int]) -> Any:
            window = (1, *size, 1)
            return lax.reduce_window(x, -numpy.inf, lax.max, window, window, "VALID")

        self.conv, self.pool, self.relu = conv, pool, jax.nn.relu
        self.flatten = lambda x: x.reshape(len(x), -1)

        def loss(weights: Any, x: Any, y: Any, key: Any) -> Any:
            keys = iter(jax.random.split(key, len(self.layers)))

            def drop(x: Any, p: float) -> Any:
                keep = jax.random.bernoulli(next(keys), 1 - p, x.shape)
                return numpy.where(keep, x / (1 - p), 0)

            logits = self.forward(weights, x, drop)
            return -jax.nn.log_softmax(logits)[numpy.arange(len(y)), y].mean()

        def step(w: Any, m: Any, v: Any, t: Any, x: Any, y: Any) -> Any:
            key = jax.random.fold_in(jax.random.key(0), t)
            value, g = jax.value_and_grad(loss)(w, x, y, key)
            t = t + 1
            m = tree(lambda m, g: 0.9 * m + 0.1 * g, m, g)
            v = tree(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
            scale = 1e-3 / (1 - 0.9**t)
            w = tree(
                lambda w, m, v: w - scale * m / (numpy.sqrt(v / (1 - 0.999**t)) + 1e-8), w, m, v
            )
            return value, (w, m, v, t)

        weights = {key: numpy.array(value) for key, value in self.own().items()}
        zeros = tree(numpy.zeros_like, weights)
        self.state = (weights, zeros, tree(numpy.copy, zeros), numpy.array(0))
        self.input = numpy.array(self.x.transpose(0, 2, 3, 1))
        self.targets = [numpy.array(labels) for labels in self.labels]
        self.step = jax.jit(step, donate_argnums=(0, 1, 2, 3))
        self.run = jax.jit(lambda w, x: self.forward(w, x, None))
        self.backward = jax.jit(jax.grad(loss))
        self.key, self.wait = jax.random.key(0), jax.block_until_ready

    def gradients(self) -> dict[str, Array]:
        return self.theirs(self.backward(self.state[0], self.input, self.targets[0], self.key))

    def train(self, i: int) -> float:
        value, self.state = self.step(*self.state, self.input, self.targets[i % 2])
        self.wait(self.state)
        return float(value)

    def infer(self, i: int) -> Any:
        return self.wait(self.run(self.state[0], self.input))


FRAMEWORKS: dict[str, type[Framework]] = {
    "deepfs": DeepFS,
    "torch": Torch,
    "torch-channels-last": TorchChannelsLast,
    "torch-compile": TorchCompile,
    "tensorflow": TensorFlow,
    "jax": Jax,
}
