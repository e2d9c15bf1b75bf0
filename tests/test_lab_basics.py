"""The lab's experiments of the basics: what they find, from their numbers."""

import time
import types

import numpy as np
import pytest

import deepfs as dfs
from deepfs.lab.basics._shared import cpu_seconds
from lab_results import quick


def test_one_neuron_computes_three_gates_and_xor_takes_two_layers():
    result = quick("perceptron_gates")
    outputs = {gate: y.tolist() for gate, y in result.data["outputs"].items()}
    assert outputs == {
        "AND": [0, 0, 0, 1], "NAND": [1, 1, 1, 0], "OR": [0, 1, 1, 1], "XOR": [0, 1, 1, 0]
    }  # fmt: skip
    functions = {tuple(map(int, function)) for function in result.data["functions"]}
    every = {tuple(int(bit) for bit in f"{k:04b}") for k in range(16)}
    assert every - functions == {(0, 1, 1, 0), (1, 0, 0, 1)}  # XOR and its negation
    assert result.numbers["corners of XOR right, best neuron"] == 3


def test_activation_functions_and_derivatives_are_those_of_the_formulas():
    data = quick("activation_functions").data
    x, values, slopes = data["x"], data["values"], data["derivatives"]
    sigmoid, negative = 1 / (1 + np.exp(-x)), x < 0
    expected = {
        "step": (~negative, 0 * x),
        "sigmoid": (sigmoid, sigmoid * (1 - sigmoid)),
        "tanh": (np.tanh(x), 1 - np.tanh(x) ** 2),
        "ReLU": (np.maximum(x, 0), ~negative),
        "leaky ReLU": (np.where(negative, 0.1 * x, x), np.where(negative, 0.1, 1)),
        "PReLU": (np.where(negative, 0.25 * x, x), np.where(negative, 0.25, 1)),
        "ELU": (np.where(negative, np.expm1(x), x), np.where(negative, np.exp(x), 1)),
        "maxout": (
            np.max([-x - 1, 0.5 * x, 2 * x - 2], axis=0),
            np.array([-1, 0.5, 2])[np.argmax([-x - 1, 0.5 * x, 2 * x - 2], axis=0)],
        ),
    }
    assert values.keys() == expected.keys()
    for name, (y, dy) in expected.items():
        np.testing.assert_allclose(values[name], y, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(slopes[name], dy, atol=1e-12, err_msg=name)


def test_a_setting_of_an_activation_is_used():
    assert dfs.lab.activation_functions(slope=0.3, quick=True).data["derivatives"]["leaky ReLU"][
        0
    ] == pytest.approx(0.3)


def test_linear_layers_are_one_layer():
    data = quick("linear_layers").data
    x, line = data["x"], data["fits"]["linear"]
    np.testing.assert_allclose(x @ data["product"] + data["shift"], line, atol=1e-12)
    assert np.ptp(np.diff(line[:, 0])) < 1e-12  # a straight line
    best = np.polyfit(x[:, 0], x[:, 0] ** 2, 1)
    least = np.mean((np.polyval(best, x) - x**2) ** 2)
    assert np.mean((line - x**2) ** 2) > 0.999 * least
    assert np.mean((data["fits"]["ReLU"] - x**2) ** 2) < 0.1 * least


def test_softmax_overflows_unless_it_is_shifted():
    result = quick("softmax_overflow")
    data = result.data
    naive, finite = data["naive"], np.abs(data["c"]) < 700
    assert np.isnan(naive[data["c"] > 710]).all()
    np.testing.assert_allclose(naive[finite], data["shifted"][finite], rtol=1e-12)
    assert data["fails"]["float32"][1] < 95 < 700 < data["fails"]["float64"][1]
    assert result.numbers["naive softmax of 1010, 1000, 990"] == "[nan nan nan]"
    first = float(result.numbers["shifted softmax of them"].strip("[]").split()[0])
    assert first == pytest.approx(0.9999546)  # the textbook's number


def test_batches_give_the_answers_of_single_images():
    result = quick("inference_batches")
    outputs = result.data["outputs"]
    assert list(outputs) == [1, 10, 100]
    x, y = (part[:1000] for part in dfs.datasets.mnist_mini()[1])
    expected = dfs.networks.pretrained()(x[y < 5][:200])
    for size, of_size in outputs.items():
        np.testing.assert_allclose(of_size, expected, atol=1e-4, err_msg=str(size))
        assert np.mean(of_size.argmax(1) == y[y < 5][:200]) > 0.98
    assert result.data["seconds"][1] > 1.5 * result.data["seconds"][100]


def test_exp_costs_less_than_the_convolution_before_it():
    nanoseconds = quick("cost_of_exp").data["nanoseconds"]
    assert nanoseconds["layer Sigmoid"] < 0.5 * nanoseconds["convolution"]
    assert nanoseconds["layer ReLU"] < nanoseconds["convolution"]


def test_cpu_time_is_measured_where_the_clock_is_coarse(monkeypatch):
    """As on Windows: a tick of 16 ms is longer than a call."""
    now, calls = [0.0], []

    def call():
        calls.append(1)
        now[0] += 0.004

    info = types.SimpleNamespace(resolution=0.016)
    monkeypatch.setattr(time, "get_clock_info", lambda name: info)
    monkeypatch.setattr(time, "process_time", lambda: now[0] // 0.016 * 0.016)
    assert cpu_seconds(call, 2) == pytest.approx(0.004, rel=0.1)
    assert len(calls) > 20


def test_losses_have_the_numbers_of_the_textbook():
    numbers = quick("loss_functions").numbers
    assert numbers["squared error, 0.6 for the right digit"] == pytest.approx(0.0975, abs=1e-6)
    assert numbers["squared error, 0.1 for the right digit"] == pytest.approx(0.5975, abs=1e-6)
    assert numbers["cross-entropy, 0.6 for the right digit"] == pytest.approx(0.510825, abs=1e-5)
    assert numbers["cross-entropy, 0.1 for the right digit"] == pytest.approx(2.302584, abs=1e-5)


def test_losses_have_a_derivative_and_accuracy_has_none():
    data = quick("loss_functions").data
    p, of_p = data["p"], data["of_p"]
    np.testing.assert_allclose(of_p["cross-entropy"], -np.log(p), atol=1e-12)
    np.testing.assert_allclose(of_p["squared error"], (1 - p) ** 2, atol=1e-12)
    assert np.mean(data["slopes"]["accuracy"] == 0) > 0.9
    assert np.all(data["slopes"]["loss"] != 0)
    assert len(np.unique(data["curves"]["accuracy"])) > 10  # it does change, by jumps
    uphill = np.sign(np.gradient(data["curves"]["loss"]))[2:-2]
    assert np.mean(np.sign(data["slopes"]["loss"])[2:-2] == uphill) > 0.95


def test_small_numbers_become_0():
    result = quick("float_underflow")
    numbers, data = result.numbers, result.data
    assert numbers["float32(1e-50)"] == 0
    assert numbers["derivative of x^2 by h = float32(1e-50)"] == "nan"
    assert numbers["smallest denormal float32"] == pytest.approx(2**-149, rel=1e-6)
    # 0.5^n is a power of 2: kept down to the smallest denormal number, then rounded to 0
    assert numbers["factors until 0, float16"] == 25
    assert numbers["factors until 0, float32"] == 150
    assert numbers["factors until 0, float64"] == 1075
    assert numbers["sum of 1200 logarithms, float32"] == pytest.approx(-831.78, abs=0.01)
    tiny = data["k"] > 46
    assert np.all(data["errors"]["float32"][tiny] == 1)
    assert np.all(data["errors"]["float32"][data["k"] < 37] < 1e-7)


@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("name", ["linear_layers", "loss_functions"])
def test_findings_do_not_depend_on_the_seed(name, seed):
    assert dfs.lab.find(name)(seed=seed, quick=True).found


@pytest.mark.parametrize("name", ["linear_layers", "perceptron_gates", "activation_functions"])
def test_numbers_do_not_depend_on_the_seed_of_the_process(name):
    dfs.set_seed(5)
    assert dfs.lab.find(name)(quick=True).numbers == quick(name).numbers
