"""One neuron computes AND, NAND and OR; XOR takes two layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepfs import layers as L

from .._experiment import Result, experiment

CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
AND, NAND, OR = ([0.5, 0.5], -0.7), ([-0.5, -0.5], 0.7), ([0.5, 0.5], -0.2)  # weights, bias


def _neurons(*settings: tuple[list[float], float]) -> list[L.Layer]:
    """Return a layer of a neuron for each pair of weights and bias: 1 where w x + b > 0."""
    dense = L.Dense(len(settings))
    dense.build((2,), np.float64)
    weights, biases = zip(*settings, strict=True)
    dense.set_weights({"weight": np.array(weights).T, "bias": np.array(biases)})
    return [dense, L.Step()]


def _functions_of_one_neuron(most: int) -> set[tuple[bool, ...]]:
    """Return the truth tables of all neurons with whole weights and bias up to ``most``."""
    values = np.arange(-most, most + 1)
    w1, w2, b = np.meshgrid(values, values, values)
    tables = np.stack([w1 * x1 + w2 * x2 + b > 0 for x1, x2 in CORNERS], axis=-1)
    return {tuple(table) for table in np.unique(tables.reshape(-1, 4), axis=0).tolist()}


@experiment(
    en="AND, NAND and OR by one neuron; XOR by two layers, not by one",
    zh="单个神经元实现与门、与非门和或门；异或门需要两层",
)
def perceptron_gates(most: int = 20, *, seed: int = 0, quick: bool = False) -> Result:
    """Compute four gates by networks with given weights; then try many single neurons.

    Of the 16 functions of two bits, a neuron computes those whose ones a line separates from their
    zeros. All neurons with whole weights and biases from ``-most`` to ``most`` are tried.
    """
    networks = {
        "AND": L.Sequential(_neurons(AND)),
        "NAND": L.Sequential(_neurons(NAND)),
        "OR": L.Sequential(_neurons(OR)),
        "XOR": L.Sequential([*_neurons(NAND, OR), *_neurons(AND)]),
    }
    outputs = {gate: net(CORNERS)[:, 0] for gate, net in networks.items()}
    functions = _functions_of_one_neuron(5 if quick else most)
    xor = (False, True, True, False)
    right = max(sum(map(bool.__eq__, function, xor)) for function in functions)

    def draw(figure: Any) -> None:
        across = np.linspace(-0.5, 1.5, 500)
        points = np.stack(np.meshgrid(across, across), axis=-1)
        panels = figure.subplots(1, 4, sharey=True)
        for ax, (gate, net) in zip(panels, networks.items(), strict=True):
            region = net(points.reshape(-1, 2)).reshape(500, 500)
            ax.contourf(across, across, region, [-0.5, 0.5, 1.5], colors=["white", "lightblue"])
            for value, face in ((1, "black"), (0, "white")):
                of_value = CORNERS[outputs[gate] == value]
                ax.scatter(*of_value.T, s=90, c=face, edgecolors="black", label=str(value))
            layers = "two layers" if gate == "XOR" else "one neuron"
            ax.set(title=f"{gate}: {layers}", xlabel="x1", aspect="equal")
        figure.axes[0].set_ylabel("x2")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, title="output")
        figure.suptitle("Blue: where the network returns 1")

    return Result(
        numbers={
            **{f"{gate} of 00, 01, 10, 11": _bits(y) for gate, y in outputs.items()},
            "functions of two bits": 16,
            "functions that one neuron computes": len(functions),
            "corners of XOR right, best neuron": right,
        },
        see={
            "en": "A neuron divides the plane by a straight line. The points where AND, NAND or OR "
            "is 1 lie on one side of such a line; those of XOR lie on a diagonal, so that one "
            "neuron gets at most 3 of 4 right. Two layers compute XOR as AND of NAND and OR, which "
            "bounds a strip by two lines.",
            "zh": "一个神经元用一条直线划分平面。与门、与非门、或门取 1 的点都在某条直线的同一侧；"
            "异或门取 1 的点在对角线上，单个神经元最多答对 4 个中的 3 个。"
            "两层网络先算与非和或，再取与，用两条直线围出一个带状区域，从而实现异或。",
        },
        found=xor not in functions
        and len(functions) == 14
        and [_bits(y) for y in outputs.values()] == ["0001", "1110", "0111", "0110"],
        draw=draw,
        size=(11.0, 4.0),
        data={"outputs": outputs, "functions": functions},
    )


def _bits(y: Any) -> str:
    """Return zeros and ones as digits."""
    return "".join(str(int(value)) for value in y)
