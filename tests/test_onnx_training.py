"""What trains, by the node tests of ONNX, whose values are not ours: steps, losses, batch norm."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

pytest.importorskip("onnx")

import onnx

import deepfs as dfs
from deepfs import optimizers as O


@pytest.fixture(scope="module")
def cases():
    """The cases of the installed onnx by name, made by it."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy, of numbers that overflow on purpose
        return {case.name: case for case in load_model_tests(kind="node")}


def parts_of(case):
    """Return attributes, inputs and outputs of a case of one node."""
    (node,) = case.model.graph.node
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    return attributes, *case.data_sets[0]


@pytest.mark.parametrize(
    "name",
    ["adam", "adam_multiple", "adagrad", "adagrad_multiple", "momentum", "momentum_multiple",
     "nesterov_momentum"],
)  # fmt: skip
def test_optimizers(name, cases):
    """From states that are not 0. ONNX calls the rates of decay alpha and beta, and L2 a norm.

    It counts from 0, and leaves the corrections out in step 0.
    """
    settings, (rate, count, *arrays), wanted = parts_of(cases[f"test_{name}"])
    assert count == 0
    kinds = 4 if name.startswith("adam") else 3
    many = len(arrays) // kinds
    groups = [arrays[i * many : (i + 1) * many] for i in range(kinds)]
    results = [[] for _ in range(kinds - 1)]
    for w, g, *state in zip(*groups, strict=True):
        w, state = w.copy(), [array.copy() for array in state]
        g = g + np.float32(settings["norm_coefficient"]) * w
        if name.startswith("adam"):
            beta1, beta2 = settings["alpha"], settings["beta"]
            optimizer = O.Adam(
                float(rate) * (1 - beta1) / np.sqrt(1 - beta2), beta1, beta2,
                settings["epsilon"], eps_mode="textbook",
            )  # fmt: skip
            kept = dict(zip("mv", state, strict=True))
        elif name.startswith("adagrad"):
            optimizer, kept = O.AdaGrad(float(rate), settings["epsilon"]), {"h": state[0]}
        else:  # deepfs's velocity is the step, - rate times that of ONNX
            kind = O.Nesterov if settings["mode"] == b"nesterov" else O.Momentum
            optimizer, kept = kind(float(rate), settings["alpha"]), {"v": -rate * state[0]}
        optimizer.step(w, g, kept, t=1)
        news = [w, *kept.values()]
        if "v" in kept and len(kept) == 1:
            news[1] = news[1] / -rate
        for found, new in zip(results, news, strict=True):
            found.append(new)
    for got, want in zip((new for found in results for new in found), wanted, strict=True):
        assert_allclose(got, want, rtol=2e-6, atol=1e-6)


def test_losses(cases):
    """Weights of classes, labels to ignore, sums and means, images of labels."""
    passed, refused = [], []
    for name, case in cases.items():
        if not name.startswith(("test_sce", "test_nllloss")) or "expanded" in name:
            continue
        settings, (scores, labels, *weights), wanted = parts_of(case)
        kind = dfs.losses.CrossEntropy if "_sce" in name else dfs.losses.NegativeLogLikelihood
        reduction = settings.get("reduction", b"mean").decode()
        loss = kind(
            class_weight=None if not weights else [float(w) for w in weights[0]],
            ignore_index=settings.get("ignore_index"), reduction=reduction,
        )  # fmt: skip
        try:
            value, _ = loss.forward(scores, labels)
        except ValueError as error:
            refused.append((scores.ndim, str(error)))
            continue
        assert_allclose(value, wanted[0], rtol=3e-6, err_msg=name)
        passed.append(name)
    assert len(passed) >= 30
    assert all(ndim > 4 for ndim, _ in refused), refused


@pytest.mark.parametrize("name", ["example", "epsilon"])
def test_batch_norm_in_training(name, cases):
    case = cases[f"test_batchnorm_{name}_training_mode"]
    settings, (x, gamma, beta, mean, variance), wanted = parts_of(case)
    layer = dfs.layers.BatchNorm(
        settings.get("momentum", 0.9), settings.get("epsilon", 1e-5), running_variance="biased"
    )
    layer.build(x.shape[1:])
    layer.parameters()["gamma"].value[...] = gamma
    layer.parameters()["beta"].value[...] = beta
    layer.buffers()["running_mean"][...] = mean
    layer.buffers()["running_var"][...] = variance
    y, _ = layer.forward(x, training=True)
    for got, want in zip((y, *map(layer.buffers().get, ("running_mean", "running_var"))), wanted,
                         strict=True):  # fmt: skip
        assert_allclose(got, want, rtol=1e-5, atol=1e-6)
