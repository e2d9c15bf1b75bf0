"""Which pixels and features a class depends on: saliency and Grad-CAM, as arrays.

A copy of the network runs forward and backward in inference mode, so the model does not change.
Nothing is fused in the copy, because a layer that does its neighbour's work has no output of its
own. `deepfs.plots` draws the results.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from .._arrays import Array
from .._check import array, shown, whole
from .._names import hint
from .._table import is_container
from .._trees import is_shape
from ..layers import Layer, Sequential, Softmax
from .inner import parts_of

CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "ConvTranspose2D")


class Traced:
    """A copy of a built network that keeps outputs of parts, and the gradients of these.

    Parameters
    ----------
    network : Layer
        The network. It does not change.
    names : sequence of str
        Names of layers and containers in it, as in the summary.

    Attributes
    ----------
    network : Layer
        The copy: call its `forward` and `backward`.
    outputs, gradients : dict of list of array
        By name, an entry per call of the part, in the order of the calls.
    """

    def __init__(self, network: Layer, names: list[str]) -> None:
        self.network = copy.deepcopy(network)
        parts = parts_of(self.network)
        for part in parts.values():
            vars(part).update(fuses_forward=frozenset(), fuses_backward=frozenset())
            vars(part)["recomputes"] = False  # a Checkpoint: each output is seen once
        self.outputs: dict[str, list[Any]] = {name: [] for name in names}
        self.gradients: dict[str, list[Any]] = {name: [] for name in names}
        for name in names:
            if name not in parts:
                has = hint(name, parts) or f": it has {', '.join(parts) or 'no parts'}"
                raise KeyError(f"the network has no layer {name!r}{has}")
            trace(parts[name], self.outputs[name], self.gradients[name])


def trace(layer: Layer, outputs: list[Any], gradients: list[Any]) -> None:
    """Let a layer keep what it returns, and the gradient of it."""
    forward, backward = layer._forward, layer._backward

    def _forward(*args: Any) -> Any:
        result = forward(*args)
        outputs.append(result[0])
        return result

    def _backward(dy: Array, *args: Any) -> Any:
        gradients.insert(0, dy)  # backward meets the last call first
        return backward(dy, *args)

    vars(layer).update(_forward=_forward, _backward=_backward)


def saliency(network: Layer, x: Array, target: Any = None) -> tuple[Array, Array]:
    r"""Return how strongly the score of a class depends on each pixel.

    .. math:: m_{ij} = \max_c \left| \frac{\partial s}{\partial x_{cij}} \right|

    Parameters
    ----------
    network : Layer
        A built network, such as ``model.network``.
    x : array (n, c, h, w)
        Inputs of the network.
    target : int or sequence of int, optional
        The class, or one per sample. By default the one with the highest score.

    Returns
    -------
    array (n, h, w), array (n,)
        The maps, and the classes that they are of.

    Raises
    ------
    RuntimeError
        If the network is not built.
    TypeError, ValueError
        If the inputs do not fit, or there is no such class.

    Notes
    -----
    The score s is the output of the network for the class: a logit. The inputs of a `Softmax` at
    the end of a `Sequential` are taken instead of its outputs. If there is one output z, its
    classes are 0 and 1, with scores -z and z. Of a map of classes, the scores of all places add up.

    References
    ----------
    Simonyan, Vedaldi and Zisserman, "Deep inside convolutional networks: visualising image
    classification models and saliency maps", 2013, arXiv:1312.6034, section 3.

    Examples
    --------
    >>> from deepfs import layers as L
    >>> net = L.Dense(2, initializer="zeros")
    >>> net(np.zeros((1, 1, 1, 3))).shape
    (1, 2)
    >>> net.parameters()["weight"].value = np.array([[1.0, 0.0], [-2.0, 0.0], [0.0, 5.0]])
    >>> saliency(net, np.ones((1, 1, 1, 3)), target=0)[0]
    array([[[1., 2., 0.]]])
    """
    _, classes, dx = scored(network, images_of(x, "saliency"), target, [])
    return np.abs(dx).max(axis=1), classes


def grad_cam(
    network: Layer, x: Array, target: Any = None, layer: str | None = None
) -> tuple[Array, Array]:
    r"""Return the places of a layer's output that speak for a class.

    .. math:: L_{ij} = \max\Big(0, \sum_k \alpha_k A_{kij}\Big), \quad
              \alpha_k = \frac{1}{h w} \sum_{ij} \frac{\partial s}{\partial A_{kij}}

    Parameters
    ----------
    network : Layer
        A built network, such as ``model.network``.
    x : array (n, c, h, w)
        Inputs of the network.
    target : int or sequence of int, optional
        The class, or one per sample. By default the one with the highest score.
    layer : str, optional
        Name of the layer whose output A is taken, ``(n, k, h, w)``; see `default_layer`.

    Returns
    -------
    array (n, h, w), array (n,)
        The maps, with the size of the layer's output, and the classes that they are of.

    Raises
    ------
    KeyError
        If the network has no such layer.
    RuntimeError
        If the network is not built.
    TypeError, ValueError
        If the inputs do not fit, there is no such class, or the layer's output is no image.

    Notes
    -----
    The score s is that of `saliency`.

    References
    ----------
    Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based
    localization", 2017, arXiv:1610.02391, equations 1 and 2.

    Examples
    --------
    >>> from deepfs import layers as L
    >>> net = L.Sequential([L.Conv2D(4, 3), L.ReLU(), L.GlobalAvgPool2D(), L.Dense(2)])
    >>> _ = net(np.zeros((1, 1, 8, 8)))
    >>> grad_cam(net, np.ones((3, 1, 8, 8)), target=1)[0].shape
    (3, 6, 6)
    """
    x = images_of(x, "grad_cam")
    if layer is None:
        layer = default_layer(network)
    elif not isinstance(layer, str):
        raise TypeError(f"grad_cam takes the name of a layer, got {shown(layer)}")
    traced, classes, _ = scored(network, x, target, [layer])
    outputs, gradients = traced.outputs[layer], traced.gradients[layer]
    if len(outputs) != 1 or not gradients:
        raise ValueError(f"grad_cam needs a layer that runs once, got {layer!r}")
    (maps,), (slopes,) = outputs, gradients
    if not isinstance(maps, np.ndarray) or maps.ndim != 4:
        raise ValueError(
            f"grad_cam needs a layer whose output is (n, c, h, w), got {layer!r} with "
            f"{getattr(maps, 'shape', 'several outputs')}"
        )
    weights = slopes.mean(axis=(2, 3), keepdims=True)
    return np.maximum((weights * maps).sum(axis=1), 0), classes


def default_layer(network: Layer) -> str:
    """Return the name of the layer that Grad-CAM looks at.

    It is the last one whose output has the height and width of the last convolution's: the ReLU
    after it, or after the last block of a ResNet.

    Raises
    ------
    ValueError
        If the network has no convolution of images.
    """
    found, size = "", None
    for name, layer, out_shape in ends_in(network, "", built(network).in_shape):
        if not name or not is_shape(out_shape) or len(out_shape) != 3:
            continue
        if type(layer).__name__ in CONVOLUTIONS:
            size = out_shape[1:]
        if out_shape[1:] == size:
            found = name
    if not found:
        raise ValueError("the network has no convolution of images: give the name of a layer")
    return found


def ends_in(layer: Layer, name: str, in_shape: Any) -> Iterator[tuple[str, Layer, Any]]:
    """Yield name, layer and output shape wherever a layer runs, in the order in which they end."""
    if is_container(layer):
        for part_name, part, shape in layer._calls(in_shape):  # type: ignore[attr-defined]
            yield from ends_in(part, f"{name}.{part_name}".lstrip("."), shape)
    yield name, layer, layer.out_shape(in_shape)


def scored(network: Layer, x: Array, target: Any, names: list[str]) -> tuple[Traced, Array, Array]:
    """Return what a backward pass from the scores of classes leaves, the classes, and dx."""
    traced = Traced(built(network), names)
    net = traced.network
    if isinstance(net, Sequential) and len(net) > 1 and isinstance(net[-1], Softmax):
        net = net[:-1]
    y, cache = net.forward(x)
    if not isinstance(y, np.ndarray) or y.ndim < 2:
        raise ValueError("a network of several outputs has no single score of a class")
    classes = classes_of(y, target)
    dy = np.zeros_like(y)
    for i, k in enumerate(classes):
        if y.shape[1] == 1:
            dy[i] = 1 if k else -1
        else:
            dy[i, k] = 1
    dx = net.backward(dy, cache)
    assert dx is not None
    return traced, classes, dx


def classes_of(y: Array, target: Any) -> Array:
    """Return the class of each sample: the given ones, or those of the highest scores."""
    n, width = y.shape[:2]
    if target is None:
        scores = y.reshape(n, width, -1).sum(axis=2)
        found = scores[:, 0] > 0 if width == 1 else scores.argmax(axis=1)
        return found.astype(np.int64)
    given = target if np.ndim(target) else [target] * n
    if len(given) != n:
        raise ValueError(f"target must be a class, or one for each of {n} images, got {len(given)}")
    return np.array([whole(k, "target", 0, max(width, 2) - 1) for k in given], np.int64)


def images_of(x: Any, who: str) -> Array:
    """Return inputs as images; raise ValueError for others."""
    x = array(x, who)
    if x.ndim != 4 or not len(x):
        raise ValueError(f"{who} takes images (n, c, h, w), got {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"{who} takes finite images, got NaN or infinity")
    return x


def built(network: Layer) -> Layer:
    """Return a network if it is built."""
    if network.built_dtype is None:
        raise RuntimeError(
            "the network has no weights yet: call fit, or summary(in_shape) of the model"
        )
    return network
