"""Apples and oranges with tax as a computational graph: 715."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._experiment import Result, experiment
from ._shared import AddLayer, MulLayer, draw_graph

INPUTS = ("number of apples", "price of an apple", "price of an orange", "number of oranges", "tax")


def _price(apples: float, apple: float, orange: float, oranges: float, tax: float) -> float:
    """Return the price as one formula, to compare."""
    return (apples * apple + oranges * orange) * tax


@experiment(
    en="Computational graph of apples and oranges with tax: 715",
    zh="苹果和橘子加消费税的计算图：715",
)
def apples_and_oranges(
    apples: float = 2.0,
    apple: float = 100.0,
    orange: float = 150.0,
    oranges: float = 3.0,
    tax: float = 1.1,
    *,
    seed: int = 0,
    quick: bool = False,
) -> Result:
    """Compute the price of both fruits forward, and its derivatives backward."""
    mul_apples, mul_oranges, mul_tax, add = MulLayer(), MulLayer(), MulLayer(), AddLayer()
    for_apples = mul_apples.forward(apples, apple)
    for_oranges = mul_oranges.forward(orange, oranges)
    fruits = add.forward(for_apples, for_oranges)
    price = mul_tax.forward(fruits, tax)

    dprice = 1.0
    dfruits, dtax = mul_tax.backward(dprice)
    dfor_apples, dfor_oranges = add.backward(dfruits)
    dorange, doranges = mul_oranges.backward(dfor_oranges)
    dapples, dapple = mul_apples.backward(dfor_apples)

    inputs = np.array([apples, apple, orange, oranges, tax])
    gradients = np.array([dapples, dapple, dorange, doranges, dtax])
    differences = np.array(
        [(_price(*(inputs + h)) - _price(*(inputs - h))) / 2e-4 for h in 1e-4 * np.eye(5)]
    )
    error = float(np.abs(gradients / differences - 1).max())

    def draw(figure: Any) -> None:
        places = {
            "apples": (0.0, 6.0, "number\nof apples"),
            "apple": (0.0, 4.5, "price of\nan apple"),
            "orange": (0.0, 3.0, "price of\nan orange"),
            "oranges": (0.0, 1.5, "number\nof oranges"),
            "tax": (0.0, 0.0, "tax"),
            "x apples": (2.2, 5.25, "×"),
            "x oranges": (2.2, 2.25, "×"),
            "+": (4.4, 3.75, "+"),
            "x tax": (6.6, 3.75, "×"),
            "price": (8.8, 3.75, "price"),
        }
        edges = [
            ("apples", "x apples", apples, dapples),
            ("apple", "x apples", apple, dapple),
            ("orange", "x oranges", orange, dorange),
            ("oranges", "x oranges", oranges, doranges),
            ("x apples", "+", for_apples, dfor_apples),
            ("x oranges", "+", for_oranges, dfor_oranges),
            ("+", "x tax", fruits, dfruits),
            ("tax", "x tax", tax, dtax),
            ("x tax", "price", price, dprice),
        ]
        ax = figure.subplots()
        draw_graph(ax, places, edges, size=12)
        ax.set_title("Above an arrow: forward; below, red: gradient of the price, backward")

    return Result(
        numbers={
            "price": price,
            **{
                f"gradient of the {name}": float(gradient)
                for name, gradient in zip(INPUTS, gradients, strict=True)
            },
            "largest relative error against differences": error,
        },
        see={
            "en": "The sum hands its gradient to both products unchanged; each product multiplies "
            "it by its other input. A graph of any size is differentiated like this, node by node, "
            "in one pass backward: it is what a network does in training.",
            "zh": "加法节点把导数原样传给两个乘法节点，乘法节点再乘以另一个输入。"
            "无论多大的计算图，都可以这样逐个节点、一次反向传播求出全部导数；网络训练时做的正是这件事。",
        },
        found=error < 1e-6
        and dfor_apples == dfor_oranges == dfruits
        and abs(price - _price(*inputs)) < 1e-9 * abs(price),
        draw=draw,
        size=(9.5, 6.0),
        data={"gradients": gradients, "differences": differences},
    )
