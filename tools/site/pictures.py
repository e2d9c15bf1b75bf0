"""Pictures of layers, losses and optimizers: small SVGs, computed by the functions they show."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import deepfs as dfs
from deepfs import layers as L

Array = np.ndarray[Any, Any]
CURVES = {"Step", "Identity", "ReLU", "Clip", "LeakyReLU", "ELU", "SELU", "Sigmoid", "Tanh", "Softplus",
          "SiLU", "GELU", "HardSwish", "PReLU"}  # fmt: skip
SOBEL = np.array([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]]) / 4
# rates at which 40 steps show the character of a rule on the valley below; other rules: 0.15
RATES = {"SGD": 0.18, "Momentum": 0.02, "Nesterov": 0.02, "AdaDelta": 30.0, "AdaGrad": 0.6,
         "RMSProp": 0.08, "Lion": 0.1, "LAMB": 0.1, "RAdam": 0.1}  # fmt: skip
START, STEEP = (-3.2, 1.3), 10.0


def _svg(width: float, height: float, body: str, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img"><title>{title}</title>'
        f'<rect width="100%" height="100%" fill="#fff"/>{body}</svg>'
    )


def _polyline(x: Array, y: Array, color: str, more: str = "") -> str:
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    return f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2" {more}/>'


def _curves(x: Array, values: Array, slopes: Array, title: str) -> str:
    """Draw a function and, dashed, its derivative."""
    width, height, edge = 240, 160, 12
    shown = np.concatenate([values, slopes, [0]])
    low, high = max(shown.min(), -4.0), min(shown.max(), 4.0)
    across = edge + (x - x[0]) / (x[-1] - x[0]) * (width - 2 * edge)

    def down(y: Any) -> Any:
        return height - edge - (np.clip(y, low, high) - low) / (high - low) * (height - 2 * edge)

    zero = edge + (0 - x[0]) / (x[-1] - x[0]) * (width - 2 * edge)
    axes = f'<path d="M{edge} {down(0):.1f}H{width - edge}M{zero:.1f} {edge}V{height - edge}" stroke="#bbb"/>'
    ends = f'<g font-size="10" font-family="sans-serif" fill="#777"><text x="2" y="{height - 2}">{x[0]:g}</text>'
    ends += f'<text x="{width - 12}" y="{height - 2}">{x[-1]:g}</text><text x="{zero + 3:.0f}" y="10">{high:.2g}</text></g>'
    lines = _polyline(across, down(slopes), "#e07b39", 'stroke-dasharray="5 3"')
    return _svg(
        width, height, axes + ends + lines + _polyline(across, down(values), "#3f51b5"), title
    )


def _png(image: Array) -> str:
    """Return numbers as a PNG: 0 is white, 1 dark blue, -1 dark orange."""
    scale = max(float(np.abs(image).max()), 1e-9)
    t = np.clip(image / scale, -1, 1)[..., None]
    blue, orange = np.array([31, 43, 120]), np.array([190, 80, 10])
    colors = 255 + np.where(t > 0, t * (blue - 255), -t * (orange - 255))
    height, width = image.shape
    rows = b"".join(b"\0" + row.tobytes() for row in colors.round().astype(np.uint8))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )
    return base64.b64encode(data).decode()


def _panels(before: Sequence[Array], after: Array, title: str) -> str:
    """Draw arrays as pixels: inputs, an arrow, output; a channel each, one below the other."""
    images = [
        a.reshape((-1, *a.shape[-2:])) if a.ndim > 3 else a.reshape(-1, 1, a.shape[-1])
        for a in (*before, after)
    ]
    longest = max(image.shape[-1] for image in images)
    pixel, gap = 132 / longest, 8
    body, left, bottom, place = "", 10.0, 0.0, []
    for k, image in enumerate(images):
        if k == len(images) - 1:
            left += 28
        top = 10.0
        for channel in image[:3]:
            tall = channel.shape[0] * pixel if channel.shape[0] > 1 else 14
            wide = channel.shape[1] * pixel
            body += (
                f'<image x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{tall:.1f}" preserveAspectRatio="none" '
                f'style="image-rendering:pixelated" href="data:image/png;base64,{_png(channel)}"/>'
                f'<rect x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{tall:.1f}" fill="none" stroke="#999"/>'
            )
            top += tall + gap
        left += image.shape[-1] * pixel + gap
        bottom = max(bottom, top)
        place.append(left)
    tip = place[-2] + 22
    arrow = f'<path d="M{tip - 18:.1f} {bottom / 2:.1f}h14m-5 -5l5 5l-5 5" fill="none" stroke="#555" stroke-width="2"/>'
    return _svg(left, max(bottom, 34), body + arrow, title)


def digit() -> Array:
    """Return a bundled digit, (1, 1, 28, 28)."""
    (x, _), _ = dfs.datasets.mnist_mini()
    return np.asarray(x[7:8], np.float64)


def _ramp(n: int = 14) -> Array:
    t = np.arange(n)
    return np.asarray(np.sin(t * 0.9) + 0.5 * np.sin(t * 2.3), np.float64)[None]


def _with_weights(layer: Any, x: Array, **values: Array) -> Any:
    layer.prepare(x)
    for name, parameter in layer.parameters().items():
        if name.split(".")[-1] in values:
            parameter.value = np.broadcast_to(values[name.split(".")[-1]], parameter.shape)
    return layer


def _edges(layer: Any, x: Array) -> Any:
    size = int(np.prod(SOBEL.shape))
    layer.prepare(x)
    for parameter in layer.parameters().values():
        if parameter.shape[-2:] == SOBEL.shape:
            turned = np.stack([SOBEL, SOBEL.T]).reshape(2, *[1] * (len(parameter.shape) - 3), 3, 3)
            channels = np.arange(parameter.shape[0]) % 2
            parameter.value = np.broadcast_to(turned[channels], parameter.shape)
        elif parameter.shape[-1:] == (3,) and size:
            parameter.value = np.broadcast_to([1.0, 0, -1], parameter.shape)
    return layer


def _example(name: str) -> tuple[Callable[[], Any], tuple[Array, ...], bool]:
    """Return how to make a layer, its inputs, and whether it trains."""
    x, row = digit(), _ramp()
    line, small = _ramp(28)[:, None], digit()[..., ::2, ::2]
    three = np.concatenate([small, small[..., ::-1], -small], axis=1)
    tile = L.Sequential([L.MaxPool2D(3, stride=1, padding=1)])
    a, b = L.Input((1, 28, 28)), L.Input((1, 28, 28))
    table: dict[str, tuple[Callable[[], Any], tuple[Array, ...], bool]] = {
        "Add": (lambda: L.Add(), (x, x[..., ::-1]), False),
        "Subtract": (lambda: L.Subtract(), (x, x[..., ::-1]), False),
        "Multiply": (lambda: L.Multiply(), (x, x[..., ::-1]), False),
        "Concat": (lambda: L.Concat(), (small, small[..., ::-1]), False),
        "Graph": (lambda: L.Graph([a, b], L.MaxPool2D(2)(L.Add()([a, b]))), (x, x[..., ::-1]), False),
        "Sequential": (lambda: L.Sequential([_edges(L.Conv2D(1, 3), x), L.ReLU(), L.MaxPool2D(2)]), (x,), False),
        "Residual": (lambda: L.Residual(tile), (x,), False),
        "Checkpoint": (lambda: L.Checkpoint([_edges(L.Conv2D(1, 3), x), L.ReLU()]), (x,), False),
        "Branches": (lambda: L.Branches([L.Identity(), L.MaxPool2D(3, stride=1, padding=1)]), (small,), False),
        "Conv2D": (lambda: _edges(L.Conv2D(2, 3, padding=1), x), (x,), False),
        "DepthwiseConv2D": (lambda: _edges(L.DepthwiseConv2D(3, padding=1), three), (three,), False),
        "SeparableConv2D": (lambda: _edges(L.SeparableConv2D(2, 3, padding=1), x), (x,), False),
        "ConvTranspose2D": (lambda: _with_weights(L.ConvTranspose2D(1, 3, stride=2), small, weight=np.ones(1)), (small,), False),
        "Conv1D": (lambda: _edges(L.Conv1D(1, 3, padding=1), line), (line,), False),
        "Dense": (lambda: L.Dense(8), (row,), False),
        "Maxout": (lambda: L.Maxout(2), (row,), False),
        "DropConnect": (lambda: L.DropConnect(8, p=0.5), (row,), True),
        "Dropout": (lambda: L.Dropout(0.4), (x,), True),
        "SpatialDropout": (lambda: L.SpatialDropout(0.4), (three,), True),
        "GaussianNoise": (lambda: L.GaussianNoise(0.2), (x,), True),
        "Softmax": (lambda: L.Softmax(), (row,), False),
        "LogSoftmax": (lambda: L.LogSoftmax(), (row,), False),
        "BatchNorm": (lambda: L.BatchNorm(), (x + 0.5,), True),
        "GroupNorm": (lambda: L.GroupNorm(1), (three + 0.5,), True),
        "InstanceNorm": (lambda: L.InstanceNorm(), (three + 0.5,), True),
        "LayerNorm": (lambda: L.LayerNorm(), (row + 1,), True),
        "Reshape": (lambda: L.Reshape((1, 14, 56)), (x,), False),
        "Flatten": (lambda: L.Flatten(), (x[..., 8:20:3, 8:20:3],), False),
        "MaxPool2D": (lambda: L.MaxPool2D(2), (x,), False),
        "AvgPool2D": (lambda: L.AvgPool2D(2), (x,), False),
        "AdaptiveAvgPool2D": (lambda: L.AdaptiveAvgPool2D(5), (x,), False),
        "Crop2D": (lambda: L.Crop2D(5), (x,), False),
        "ZeroPad2D": (lambda: L.ZeroPad2D(5), (x,), False),
        "Upsample2D": (lambda: L.Upsample2D(2), (small,), False),
        "Resize2D": (lambda: L.Resize2D((28, 28)), (small,), False),
        "MaxPool1D": (lambda: L.MaxPool1D(2), (line,), False),
        "AvgPool1D": (lambda: L.AvgPool1D(2), (line,), False),
        "AdaptiveAvgPool1D": (lambda: L.AdaptiveAvgPool1D(5), (line,), False),
        "Crop1D": (lambda: L.Crop1D(5), (line,), False),
        "ZeroPad1D": (lambda: L.ZeroPad1D(5), (line,), False),
        "Upsample1D": (lambda: L.Upsample1D(2), (line,), False),
        "GlobalAvgPool1D": (lambda: L.GlobalAvgPool1D(), (np.concatenate([line, line[..., ::-1] + 1, line * 2 - 1], 1),), False),
        "GlobalMaxPool1D": (lambda: L.GlobalMaxPool1D(), (np.concatenate([line, line[..., ::-1] + 1, line * 2 - 1], 1),), False),
        "GlobalAvgPool2D": (lambda: L.GlobalAvgPool2D(), (three,), False),
        "GlobalMaxPool2D": (lambda: L.GlobalMaxPool2D(), (three,), False),
    }  # fmt: skip
    return table[name]


def of_layer(name: str) -> str:
    """Return the picture of a layer: its curve, or a batch of one before and after it."""
    dfs.set_seed(3)
    if name in CURVES:
        x = np.linspace(-4, 4, 161)[:, None] + 1e-9
        layer = L.Clip(-1, 2) if name == "Clip" else getattr(L, name)()
        y, cache = layer.forward(x, training=True)
        slope = layer.backward(np.ones_like(y), cache)
        return _curves(x[:, 0], y[:, 0], slope[:, 0], f"{name} and its derivative")
    make, inputs, training = _example(name)
    y, _ = make().forward(inputs if len(inputs) > 1 else inputs[0], training=training)
    return _panels(inputs, np.asarray(y), f"An input and the output of {name}")


def of_loss(name: str) -> str:
    """Return the picture of a loss: value and derivative over one output."""
    loss, x = getattr(dfs.losses, name)(), np.linspace(-4, 4, 161) + 1e-9
    values, slopes = [], []
    if name == "NegativeLogLikelihood":
        x = np.linspace(-4, 0, 161)
    for z in x:
        if name in ("CrossEntropy", "Hinge"):
            outputs, targets = np.array([[z, 0.0]]), np.array([0])
        elif name == "NegativeLogLikelihood":
            outputs, targets = np.array([[z, np.log(max(1 - np.exp(z), 1e-9))]]), np.array([0])
        else:
            outputs, targets = (
                np.array([[z]]),
                np.array([[1.0 if name == "BinaryCrossEntropy" else 0.0]]),
            )
        value, cache = loss.forward(outputs, targets)
        values.append(value)
        slopes.append(loss.backward(cache)[0, 0])
    return _curves(x, np.array(values), np.array(slopes), f"{name} and its derivative")


def path_of(optimizer: Any, steps: int = 40) -> Array:
    """Return the points of a minimization of (a^2 + 10 b^2) / 2 from the same start."""
    point = L.Dense(1, bias=False, initializer="zeros")
    point.prepare(np.zeros((1, 2)))
    weight = point.parameters()["weight"]
    weight.value = np.array(START)[:, None]
    points = [START]
    for _ in range(steps):
        a, b = weight.value[:, 0]
        weight.grad = np.array([[a], [STEEP * b]])
        optimizer.step(point)
        points.append(tuple(weight.value[:, 0]))
    return np.array(points)


def of_optimizer(name: str) -> str:
    """Return the picture of an optimizer: its path into a valley that is ten times as steep."""
    path = np.clip(path_of(getattr(dfs.optimizers, name)(RATES.get(name, 0.15))), -9, 9)
    width, height, scale = 300, 150, 36
    x, y = width / 2 + path[:, 0] * scale, height / 2 - path[:, 1] * scale
    body = "".join(
        f'<ellipse cx="{width / 2}" cy="{height / 2}" rx="{r * scale:.1f}" ry="{r * scale / STEEP**0.5:.1f}" fill="none" stroke="#ccc"/>'
        for r in (0.5, 1.2, 2.2, 3.4, 4.8)
    )
    dots = "".join(
        f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.2" fill="#3f51b5"/>'
        for a, b in zip(x, y, strict=True)
    )
    return _svg(width, height, body + _polyline(x, y, "#8f9bd8") + dots, f"40 steps of {name}")
