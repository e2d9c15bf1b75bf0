"""What a Graph and symbolic tensors refuse, in words."""

import re

import numpy as np
import pytest

from deepfs import layers as L
from graphs import NETWORKS, inputs_of, siamese, two_heads, unet

X, Y = L.Input((1, 8, 8), name="x"), L.Input((4,))
VECTOR = L.Flatten()(X)
BATCH, ROWS = np.zeros((2, 1, 5, 5)), np.zeros((2, 2))


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda: L.Conv2D(4, 3)(Y), ValueError,
         "Conv2D takes 4 dimensional input, got shape (n, 4)"),
        (lambda: L.Conv2D(4, 9, name="c")(X), ValueError, 'Conv2D "c"'),
        (lambda: L.Add(name="sum")([VECTOR, Y]), ValueError,
         'Add "sum" must add equal shapes, got (64,), (4,)'),
        (lambda: VECTOR + Y, ValueError, "Add must add equal shapes, got (64,), (4,)"),
        (lambda: VECTOR + np.ones(64), TypeError, "+ takes two symbolic tensors, got array("),
        (lambda: np.ones(64) + VECTOR, TypeError, "+ takes two symbolic tensors, got array("),
        (lambda: 2 * VECTOR, TypeError, "* takes two symbolic tensors, got 2 for one"),
        (lambda: L.Add()([Y, np.ones((2, 4))]), TypeError,
         "Add takes symbolic tensors or arrays, not both, got array("),
        (lambda: np.asarray(Y), TypeError, "a symbolic tensor has no numbers: make a Graph"),
        (lambda: L.ReLU().forward(Y), TypeError, "a symbolic tensor has no numbers: make a Graph"),
        (lambda: L.Add()(Y), ValueError,
         "Add takes a tuple of inputs, (a, b), got one of shape (4,)"),
        (lambda: L.Graph(X, Y), ValueError,
         "an output of Graph depends on Input((4,)), which is not among its inputs"),
        (lambda: L.Graph(Y, VECTOR), ValueError,
         "an output of Graph depends on Input((1, 8, 8), name='x'), which is not among its inputs"),
        (lambda: L.Graph((X, Y), VECTOR), ValueError,
         "no output of Graph depends on its input Input((4,))"),
        (lambda: L.Graph((X, X), VECTOR), ValueError, "different inputs, got one of them twice"),
        (lambda: L.Graph((), VECTOR), ValueError,
         "Graph needs at least one of its inputs, got none"),
        (lambda: L.Graph(X, {}), ValueError, "Graph needs at least one of its outputs, got none"),
        (lambda: L.Graph((1, 8, 8), VECTOR), TypeError,
         "Graph takes symbolic tensors as inputs, made by Input(shape) and layers called on it, "
         "got 1"),
        (lambda: L.Graph(X, L.Flatten()), TypeError, "takes symbolic tensors as outputs, made by"),
        (lambda: L.Graph({1: X}, VECTOR), TypeError, "takes inputs named by strings, got [1]"),
        (lambda: L.Graph(X, L.ReLU(name="a")(L.Tanh(name="a")(X))), ValueError,
         "Graph must have parts of different names, got 'a' twice"),
        (lambda: L.Input(8), TypeError, "the shape of an Input must be a tuple of ints, got 8"),
        (lambda: L.Input((None, 8)), TypeError,
         "each entry of the shape of an Input must be an int"),
        (lambda: L.Input((0, 8)), ValueError, "must have extents of at least 1, got (0, 8)"),
        (lambda: L.Input((8,), name=8), TypeError, "the name of an Input must be a str, got 8"),
        (lambda: siamese()(BATCH), ValueError,
         "Graph takes a tuple of 2 inputs, got one of shape (2, 1, 5, 5)"),
        (lambda: siamese()((BATCH,) * 3), ValueError, "Graph takes 2 inputs, got 3"),
        (lambda: siamese()({"a": BATCH}), ValueError, "a tuple of 2 inputs, got a dict of 'a'"),
        (lambda: siamese()((BATCH, BATCH[:1])), ValueError,
         "Graph takes inputs of equally many samples, got [2, 1]"),
        (lambda: siamese()((BATCH, ROWS)), ValueError,
         "Graph takes an input 'b' of shape (n, 1, 5, 5), got (n, 2)"),
        (lambda: two_heads()({"image": BATCH}), ValueError,
         "Graph takes the inputs 'image', 'age': 'age' is missing"),
        (lambda: two_heads()({"image": BATCH, "age": ROWS, "x": ROWS}), ValueError,
         "Graph takes the inputs 'image', 'age': 'x' is not one of them"),
        (lambda: two_heads()({"image": BATCH, "aeg": ROWS}), ValueError,
         "'age' is missing; 'aeg' is not one of them"),
        (lambda: two_heads()((BATCH, ROWS)), ValueError,
         "Graph takes a dict of inputs, 'image', 'age', got a tuple of 2"),
        (lambda: two_heads()(BATCH), ValueError, "got one of shape (2, 1, 5, 5)"),
        (lambda: two_heads()({"image": BATCH, "age": np.zeros((2, 3))}), ValueError, "Dense"),
        (lambda: unet()({"image": BATCH}), ValueError,
         "Graph takes one array, got a dict of 'image'"),
        (lambda: unet()(np.zeros((2, 8, 8))), ValueError,
         "Graph takes an input 'image' of shape (n, 2, 8, 8), got (n, 8, 8)"),
        (lambda: unet()(np.zeros((2, 3, 8, 8))), ValueError, 'Conv2D "conv2d_1" takes 2 channels'),
        (lambda: L.Sequential([L.Dense(3), siamese()])(ROWS), ValueError,
         "takes a tuple of 2 inputs, got one of shape (3,)"),
        (lambda: L.Sequential([unet(), two_heads()]).build((2, 8, 8)), ValueError,
         "a dict of inputs"),
        (lambda: L.Sequential([L.Tanh(), L.Graph(Y, (L.Tanh()(Y), Y))]).build((4,)), ValueError,
         "Sequential has one output, got 2: make it a Graph"),
        (lambda: L.Graph(X, 3, layers=(), calls=()), ValueError,
         "the number of a value must be at most 0"),
    ],
)  # fmt: skip
def test_refuses(act, error, message):
    with pytest.raises(error, match=re.escape(message)):
        act()


def test_nothing_is_built_by_a_refused_input():
    graph = two_heads()
    with pytest.raises(ValueError, match="takes an input of shape"):
        graph({"image": BATCH, "age": np.zeros((2, 2, 2))})
    assert graph.built_dtype is None
    assert not graph.parameters()


def test_a_wrong_gradient_is_refused(rng):
    graph = two_heads()
    x = inputs_of(NETWORKS["two heads"][1], rng)
    y, cache = graph.forward(x)
    with pytest.raises(ValueError, match="takes a dict of gradients, 'digit', 'size', got a tuple"):
        graph.backward(tuple(y.values()), cache)
    with pytest.raises(ValueError, match=r"gradient of an output \(2, 1\), got \(2, 3\)"):
        graph.backward({"digit": y["digit"], "size": y["digit"]}, cache)
    with pytest.raises(RuntimeError, match=r"Graph\.backward needs the cache of a forward"):
        two_heads().backward(y, cache)
