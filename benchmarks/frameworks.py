"""The frameworks that `compare` times: deepfs and its peers, each behind the same few methods.

A new network is a row in NETWORKS; a new kind of layer is a row in SETTINGS and a case in
`Torch._module` and `ChannelsLast.forward`; a new peer is a class like those below, and a row in
FRAMEWORKS.
"""

from __future__ import annotations

import ctypes
import gc
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any, ClassVar

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Layer = dict[str, Any]  # kind, name, settings and names of arrays, as JSON carries them
NETWORKS = {  # name here: builder in deepfs.networks, shape of an image
    "mlp": ("mlp", (1, 28, 28)),
    "simple": ("simple_convnet", (1, 28, 28)),
    "lenet": ("lenet5", (1, 28, 28)),
    "deep": ("deep_convnet", (1, 28, 28)),
    "resnet20": ("resnet20", (3, 32, 32)),
    "vgg": ("vgg_small", (3, 32, 32)),
}
SETTINGS: dict[str, tuple[str, ...]] = {  # what a peer must know of each kind of layer
    "AvgPool2D": ("kernel_size",),
    "BatchNorm": ("momentum", "eps"),
    "Conv2D": ("stride", "padding"),
    "Dense": (),
    "Dropout": ("p",),
    "Flatten": (),
    "GlobalAvgPool2D": (),
    "MaxPool2D": ("kernel_size",),
    "ReLU": (),
    "Sigmoid": (),
}


def build(network: str, dtype: str) -> Any:
    """Return a deepfs network, built for its images."""
    import deepfs as dfs

    dfs.set_seed(0)
    builder, image = NETWORKS[network]
    net = getattr(dfs.networks, builder)(dtype=dtype)
    net.build(image)
    return net


def every(layers: list[Layer]) -> Iterator[Layer]:
    """Yield described layers, those inside a Residual before it."""
    for layer in layers:
        yield from every(layer.get("body", []) + layer.get("shortcut", []))
        yield layer


class Framework(ABC):
    """What a worker asks of a framework; weights and gradients have deepfs's names and axes."""

    package: ClassVar[str]
    environment: ClassVar[dict[str, str]] = {}  # of the worker, beside the number of threads
    dtypes: ClassVar[tuple[str, ...]] = ("float32",)
    arithmetic: ClassVar[str | None] = None  # where it is not that of the dtype
    on_request: ClassVar[bool] = False  # not among the default peers
    modes: ClassVar[tuple[str, ...]] = ("train", "infer")  # that differ from those of its base

    def __init__(
        self, network: str, dtype: str, layers: list[Layer], data: str, threads: int
    ) -> None:
        self.network, self.dtype, self.layers, self.threads = network, dtype, layers, threads
        with np.load(data) as arrays:  # a copy of its own
            self.weights = dict(arrays)
        self.x, self.y = self.weights.pop("x"), self.weights.pop("y")
        self.labels = (self.y, (self.y + 5) % 10)
        kept = [key for key in self.weights if ".running_" in key]
        self.buffered = {key: self.weights.pop(key) for key in kept}
        self.setup()
        self.start("infer")

    @classmethod
    def instructions(cls) -> str:
        """Return the instruction set that it says it uses."""
        return "instruction set not told"

    @abstractmethod
    def setup(self) -> None:
        """Build the network from the weights, and from what batch norm keeps."""

    def start(self, mode: str) -> None:  # noqa: B027
        """Get ready for steps of ``mode``."""

    def give_back(self) -> None:
        """Give memory that lies idle back to the operating system, where that can be asked for."""
        gc.collect()
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
        if trim is not None:
            trim(0)

    @abstractmethod
    def gradients(self) -> dict[str, Array]:
        """Return the gradients of one forward and backward in training mode."""

    @abstractmethod
    def train(self, i: int) -> float:
        """Take a step towards ``self.labels[i % 2]``; return the loss before it."""

    @abstractmethod
    def infer(self, i: int) -> Any:
        """Return the outputs for ``self.x``."""

    def kept(self) -> list[Array]:
        """Return the state of the optimizer."""
        raise NotImplementedError


class DeepFS(Framework):
    """What this is all about."""

    package = "deepfs"
    dtypes = ("float32", "float64")

    @classmethod
    def instructions(cls) -> str:
        import cnn_core

        return f"level {cnn_core.level}"

    def setup(self) -> None:
        import deepfs as dfs

        dfs.set_num_threads(self.threads)
        self.net = build(self.network, self.dtype)
        for key, parameter in self.net.parameters().items():
            parameter.value = self.weights[key]
        buffers = self.net.buffers()
        for key, value in self.buffered.items():
            buffers[key][...] = value
        for layer in every(self.layers):
            if layer["kind"] == "Dropout":
                path = layer["name"].split(".")
                reduce(lambda part, name: part.named_parts()[name], path, self.net).p = layer["p"]
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

    def kept(self) -> list[Array]:
        return [*self.model.trainer.state.values()]

    def give_back(self) -> None:
        from cnn_core import memory

        memory.release()
        super().give_back()


class DeepFSPredictor(DeepFS):
    """The same network as `Model.predictor` gives it: planned once, in one call."""

    modes = ("infer",)

    def start(self, mode: str) -> None:
        if mode == "infer":
            self.predictor = self.model.predictor()

    def infer(self, i: int) -> Any:
        return self.predictor(self.x)


class Torch(Framework):
    """PyTorch, eager, in its default layout."""

    package = "torch"
    dtypes = ("float32", "float64")
    channels_last = False
    compiled = False

    @classmethod
    def instructions(cls) -> str:
        """Return what ATen says; oneDNN and MKL say theirs on stdout when a kernel runs."""
        import torch

        image, weight = torch.ones(8, 32, 16, 16), torch.ones(32, 32, 3, 3)
        with torch.inference_mode(), torch.autocast("cpu", enabled=cls.arithmetic == "bfloat16"):
            torch.nn.functional.conv2d(image, weight)
            torch.ones(64, 256) @ torch.ones(256, 64)
        return f"ATen {torch.backends.cpu.get_cpu_capability()}"

    def setup(self) -> None:
        import torch

        self.torch = torch
        torch.set_num_threads(self.threads)
        if torch.get_num_interop_threads() != 1:
            torch.set_num_interop_threads(1)
        torch.set_default_dtype(getattr(torch, self.dtype))
        self.parameters: dict[str, Any] = {}
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        self.net = self.run = self._chain(self.layers).to(memory_format=layout)
        self.input = torch.from_numpy(self.x).contiguous(memory_format=layout)
        self.targets = [torch.from_numpy(labels) for labels in self.labels]
        try:
            self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3, fused=True)
        except (RuntimeError, TypeError):  # a release without the fused step on CPUs
            self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3)
        if self.compiled:
            torch.compiler.reset()  # what it saw before must not make this code more general
            self.run = torch.compile(self.net, dynamic=False)

    def _chain(self, layers: list[Layer]) -> Any:
        return self.torch.nn.Sequential(*map(self._module, layers))

    def _module(self, layer: Layer) -> Any:
        nn = self.torch.nn
        arrays = self.weights | self.buffered
        shapes = {key: arrays[f"{layer['name']}.{key}"].shape for key in layer["arrays"]}
        match layer["kind"]:
            case "Residual":
                return residual(self._chain(layer["body"]), self._chain(layer["shortcut"]))
            case "ReLU":
                return nn.ReLU(inplace=True)  # as in torchvision
            case "Sigmoid":
                return nn.Sigmoid()
            case "Flatten":
                return nn.Flatten()
            case "Dropout":
                return nn.Dropout(layer["p"])
            case "MaxPool2D":
                return nn.MaxPool2d(layer["kernel_size"])
            case "AvgPool2D":
                return nn.AvgPool2d(layer["kernel_size"])
            case "GlobalAvgPool2D":
                return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
            case "BatchNorm":
                module = nn.BatchNorm2d(*shapes["gamma"], layer["eps"], 1 - layer["momentum"])
            case "Conv2D":
                top, bottom, left, right = layer["padding"]
                if (top, left) != (bottom, right):
                    raise ValueError(f"nn.Conv2d pads both sides alike, got {layer['padding']}")
                co, ci, *size = shapes["weight"]
                bias = "bias" in shapes
                module = nn.Conv2d(ci, co, size, layer["stride"], (top, left), bias=bias)
            case "Dense":
                module = nn.Linear(*shapes["weight"], bias="bias" in shapes)
        theirs = {"gamma": "weight", "beta": "bias"}
        for key in shapes:
            value = np.ascontiguousarray(self._turn(arrays[f"{layer['name']}.{key}"]))
            tensor = getattr(module, theirs.get(key, key))
            tensor.data.copy_(self.torch.from_numpy(value))
            if tensor.requires_grad:
                self.parameters[f"{layer['name']}.{key}"] = tensor
        return module

    @staticmethod
    def _turn(value: Array) -> Array:
        """Return a dense weight with its axes in the other order, anything else as it is."""
        return value.T if value.ndim == 2 else value

    def start(self, mode: str) -> None:
        self.net.train(mode == "train")

    def _forward(self) -> Any:
        return self.run(self.input)

    def _backward(self, i: int) -> Any:
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.torch.nn.functional.cross_entropy(self._forward(), self.targets[i % 2])
        loss.backward()
        return loss

    def gradients(self) -> dict[str, Array]:
        self._backward(0)
        return {key: self._turn(tensor.grad.numpy()) for key, tensor in self.parameters.items()}

    def train(self, i: int) -> float:
        loss = self._backward(i)
        self.optimizer.step()
        return loss.item()

    def infer(self, i: int) -> Any:
        with self.torch.inference_mode():
            return self._forward()

    def kept(self) -> list[Array]:
        states = [t for state in self.optimizer.state.values() for t in state.values() if t.ndim]
        return [tensor.numpy() for tensor in states]


def residual(body: Any, shortcut: Any) -> Any:
    """Return a PyTorch module that adds what two modules make of its input."""
    import torch

    class Residual(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.shortcut = body, shortcut

        def forward(self, x: Any) -> Any:
            return self.body(x) + self.shortcut(x)

    return Residual()


class TorchChannelsLast(Torch):
    """PyTorch, eager, images and filters channels-last."""

    channels_last = True


class TorchFlush(Torch):
    """PyTorch, eager, told to take denormal numbers for 0."""

    on_request = True

    def setup(self) -> None:
        super().setup()
        if not self.torch.set_flush_denormal(True):
            raise RuntimeError("this processor cannot take denormal numbers for 0")


class TorchCompile(Torch):
    """PyTorch, the network through ``torch.compile``."""

    compiled = True


class TorchFrozen(TorchChannelsLast):
    """PyTorch compiled for inference: batch norm folded, weights reordered once (freezing)."""

    environment: ClassVar[dict[str, str]] = {"TORCHINDUCTOR_FREEZING": "1"}
    modes = ("infer",)

    def start(self, mode: str) -> None:
        super().start(mode)
        self.run = self.net
        if mode == "infer":
            self.torch.compiler.reset()
            self.run = self.torch.compile(self.net, dynamic=False)


class TorchBfloat16(Torch):
    """PyTorch, eager, the network in bfloat16 where autocast finds it safe, weights in float32."""

    dtypes = ("float32",)
    arithmetic = "bfloat16"

    def _forward(self) -> Any:
        with self.torch.autocast("cpu", self.torch.bfloat16):
            outputs = self.run(self.input)
        return outputs.float()


class TorchBfloat16ChannelsLast(TorchBfloat16):
    """The same, images and filters channels-last."""

    channels_last = True


class TorchAVX2(Torch):
    """PyTorch, eager, as on a processor without AVX-512."""

    environment: ClassVar[dict[str, str]] = {
        "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"
    }  # fmt: skip
    on_request = True


class TorchChannelsLastAVX2(TorchAVX2):
    """The same, images and filters channels-last."""

    channels_last = True


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
        name = key.rpartition(".")[0]
        layer = next(layer for layer in every(self.layers) if layer["name"] == name)
        if value.ndim == 2 and layer["image"]:
            c, h, w = layer["image"]
            shape, order = ((h, w, c, -1), (2, 0, 1, 3)) if back else ((c, h, w, -1), (1, 2, 0, 3))
            return value.reshape(shape).transpose(order).reshape(value.shape)
        return value

    def forward(
        self, arrays: Any, x: Any, drop: Callable[[Any, float], Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Return outputs and new running values; ``drop`` is None in inference."""
        moved: dict[str, Any] = {}

        def through(layers: list[Layer], x: Any) -> Any:
            for layer in layers:
                own = {key: arrays[f"{layer['name']}.{key}"] for key in layer["arrays"]}
                match layer["kind"]:
                    case "Residual":
                        x = through(layer["body"], x) + through(layer["shortcut"], x)
                    case "Conv2D":
                        x = self.conv(x, own["weight"], layer)
                    case "Dense":
                        x = x @ own["weight"]
                    case "BatchNorm":
                        x, mean, var = self.batch_norm(x, own, layer, drop is not None)
                        moved[f"{layer['name']}.running_mean"] = mean
                        moved[f"{layer['name']}.running_var"] = var
                    case "ReLU":
                        x = self.relu(x)
                    case "Sigmoid":
                        x = self.sigmoid(x)
                    case "MaxPool2D":
                        x = self.max_pool(x, layer["kernel_size"])
                    case "AvgPool2D":
                        x = self.avg_pool(x, layer["kernel_size"])
                    case "GlobalAvgPool2D":
                        x = self.mean(x, (1, 2))
                    case "Flatten":
                        x = self.flatten(x)
                    case "Dropout" if drop is not None:
                        x = drop(x, layer["p"])
                if "bias" in own:
                    x = x + own["bias"]
            return x

        return through(self.layers, x), moved

    conv: Any
    batch_norm: Any  # y, and running mean and variance: new ones in training
    relu: Any
    sigmoid: Any
    max_pool: Any
    avg_pool: Any
    mean: Any
    flatten: Any


class TensorFlow(ChannelsLast):
    """TensorFlow: one graph (``tf.function``) for the step, Keras's Adam in it."""

    package = "tensorflow"
    environment: ClassVar[dict[str, str]] = {
        "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"
    }  # fmt: skip

    def setup(self) -> None:
        import keras
        import tensorflow as tf

        if tf.config.threading.get_intra_op_parallelism_threads() != self.threads:
            tf.config.threading.set_intra_op_parallelism_threads(self.threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        self.relu, self.sigmoid, self.mean = tf.nn.relu, tf.nn.sigmoid, tf.reduce_mean
        self.max_pool = lambda x, size: tf.nn.max_pool2d(x, size, size, "VALID")
        self.avg_pool = lambda x, size: tf.nn.avg_pool2d(x, size, size, "VALID")
        self.flatten = lambda x: tf.reshape(x, (len(self.x), -1))
        self.conv, self.batch_norm = self._conv, self._batch_norm
        learned = {key: tf.Variable(value) for key, value in self.own().items()}
        kept = {key: tf.Variable(value) for key, value in self.buffered.items()}
        arrays = learned | kept
        self.input = tf.constant(self.x.transpose(0, 2, 3, 1))
        self.targets = [tf.constant(labels) for labels in self.labels]
        optimizer = keras.optimizers.Adam(1e-3, epsilon=1e-8)
        optimizer.build(list(learned.values()))

        def backward(targets: Any) -> Any:
            with tf.GradientTape() as tape:
                logits, moved = self.forward(arrays, self.input, tf.nn.dropout)
                terms = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
                loss = tf.reduce_mean(terms)
            for key, value in moved.items():
                kept[key].assign(value)
            return loss, tape.gradient(loss, learned)

        def step(targets: Any) -> Any:
            loss, grads = backward(targets)
            optimizer.apply([grads[key] for key in learned], list(learned.values()))
            return loss

        self.backward, self.step = tf.function(backward), tf.function(step)
        self.run = tf.function(lambda: self.forward(arrays, self.input)[0])

    @staticmethod
    def _conv(x: Any, weight: Any, layer: Layer) -> Any:
        import tensorflow as tf

        top, bottom, left, right = layer["padding"]
        sides = [[0, 0], [top, bottom], [left, right], [0, 0]]
        return tf.nn.conv2d(x, weight, layer["stride"], sides)

    @staticmethod
    def _batch_norm(x: Any, own: dict[str, Any], layer: Layer, training: bool) -> Any:
        import tensorflow as tf

        moves = {"is_training": training, "exponential_avg_factor": 1 - layer["momentum"]}
        arrays = (own[key] for key in ("gamma", "beta", "running_mean", "running_var"))
        return tf.compat.v1.nn.fused_batch_norm(x, *arrays, epsilon=layer["eps"], **moves)

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

        def max_pool(x: Any, size: list[int]) -> Any:
            window = (1, *size, 1)
            return lax.reduce_window(x, -numpy.inf, lax.max, window, window, "VALID")

        def avg_pool(x: Any, size: list[int]) -> Any:
            window = (1, *size, 1)
            total = lax.reduce_window(x, 0.0, lax.add, window, window, "VALID")
            return total / (size[0] * size[1])

        def batch_norm(x: Any, own: dict[str, Any], layer: Layer, training: bool) -> Any:
            mean, var = running = own["running_mean"], own["running_var"]
            if training:
                mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
                m, keep = x.size // x.shape[-1], layer["momentum"]
                batch = mean, var * (m / (m - 1))
                running = tree(lambda old, new: keep * old + (1 - keep) * new, running, batch)
            scale = own["gamma"] * lax.rsqrt(var + layer["eps"])
            return (x - mean) * scale + own["beta"], *running

        self.conv, self.batch_norm, self.max_pool, self.avg_pool = (
            conv, batch_norm, max_pool, avg_pool
        )  # fmt: skip
        self.relu, self.sigmoid, self.mean = jax.nn.relu, jax.nn.sigmoid, numpy.mean
        self.flatten = lambda x: x.reshape(len(x), -1)

        def loss(weights: Any, kept: Any, x: Any, y: Any, key: Any) -> Any:
            keys = iter(jax.random.split(key, len(self.layers)))

            def drop(x: Any, p: float) -> Any:
                keep = jax.random.bernoulli(next(keys), 1 - p, x.shape)
                return numpy.where(keep, x / (1 - p), 0)

            logits, moved = self.forward(weights | kept, x, drop)
            return -jax.nn.log_softmax(logits)[numpy.arange(len(y)), y].mean(), moved

        def step(w: Any, kept: Any, m: Any, v: Any, t: Any, x: Any, y: Any) -> Any:
            key = jax.random.fold_in(jax.random.key(0), t)
            (value, kept), g = jax.value_and_grad(loss, has_aux=True)(w, kept, x, y, key)
            t = t + 1
            m = tree(lambda m, g: 0.9 * m + 0.1 * g, m, g)
            v = tree(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
            scale = 1e-3 / (1 - 0.9**t)
            w = tree(
                lambda w, m, v: w - scale * m / (numpy.sqrt(v / (1 - 0.999**t)) + 1e-8), w, m, v
            )
            return value, (w, kept, m, v, t)

        weights, kept = tree(numpy.array, self.own()), tree(numpy.array, self.buffered)
        zeros = tree(numpy.zeros_like, weights)
        self.state = (weights, kept, zeros, tree(numpy.copy, zeros), numpy.array(0))
        self.input = numpy.array(self.x.transpose(0, 2, 3, 1))
        self.targets = [numpy.array(labels) for labels in self.labels]
        self.step = jax.jit(step, donate_argnums=(0, 1, 2, 3, 4))
        self.run = jax.jit(lambda w, kept, x: self.forward(w | kept, x)[0])
        self.backward = jax.jit(jax.grad(loss, has_aux=True))
        self.key, self.wait = jax.random.key(0), jax.block_until_ready

    def gradients(self) -> dict[str, Array]:
        weights, kept, *rest = self.state
        grads, kept = self.backward(weights, kept, self.input, self.targets[0], self.key)
        self.state = (weights, kept, *rest)
        return self.theirs(grads)

    def train(self, i: int) -> float:
        value, self.state = self.step(*self.state, self.input, self.targets[i % 2])
        self.wait(self.state)
        return float(value)

    def infer(self, i: int) -> Any:
        return self.wait(self.run(*self.state[:2], self.input))


FRAMEWORKS: dict[str, type[Framework]] = {
    "deepfs": DeepFS,
    "deepfs-predictor": DeepFSPredictor,
    "torch": Torch,
    "torch-channels-last": TorchChannelsLast,
    "torch-flush": TorchFlush,
    "torch-compile": TorchCompile,
    "torch-frozen": TorchFrozen,
    "torch-bfloat16": TorchBfloat16,
    "torch-bfloat16-channels-last": TorchBfloat16ChannelsLast,
    "torch-avx2": TorchAVX2,
    "torch-channels-last-avx2": TorchChannelsLastAVX2,
    "tensorflow": TensorFlow,
    "jax": Jax,
}
