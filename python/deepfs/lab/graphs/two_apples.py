"""Two apples and a tax as a computational graph: 220, and what each input changes."""

from __future__ import annotations

from typing import Any

from .._experiment import Result, experiment
from ._shared import MulLayer, draw_graph


def _price(apple: float, number: float, tax: float) -> float:
    """Return the price as one formula, to compare."""
    return apple * number * tax


@experiment(
    en="Computational graph of two apples with tax: 220, gradients 2.2, 110, 200",
    zh="两个苹果加消费税的计算图：220，导数为 2.2、110、200",
)
def two_apples(
    apple: float = 100.0,
    number: float = 2.0,
    tax: float = 1.1,
    *,
    seed: int = 0,
    quick: bool = False,
) -> Result:
    """Compute the price of ``number`` apples forward, and its derivatives backward.

    Each node knows its own derivative only; the chain rule multiplies them along the way back.
    """
    times_number, times_tax = MulLayer(), MulLayer()
    apples = times_number.forward(apple, number)
    price = times_tax.forward(apples, tax)

    dprice = 1.0
    dapples, dtax = times_tax.backward(dprice)
    dapple, dnumber = times_number.backward(dapples)

    h = 1e-4
    differences = (
        (_price(apple + h, number, tax) - _price(apple - h, number, tax)) / (2 * h),
        (_price(apple, number + h, tax) - _price(apple, number - h, tax)) / (2 * h),
        (_price(apple, number, tax + h) - _price(apple, number, tax - h)) / (2 * h),
    )
    gradients = (dapple, dnumber, dtax)
    error = max(abs(a / b - 1) for a, b in zip(gradients, differences, strict=True))

    def draw(figure: Any) -> None:
        places = {
            "apple": (0.0, 3.0, "price of\nan apple"),
            "number": (0.0, 1.5, "number"),
            "tax": (0.0, 0.0, "tax"),
            "x number": (2.0, 3.0, "×"),
            "x tax": (4.0, 3.0, "×"),
            "price": (6.0, 3.0, "price"),
        }
        edges = [
            ("apple", "x number", apple, dapple),
            ("number", "x number", number, dnumber),
            ("x number", "x tax", apples, dapples),
            ("tax", "x tax", tax, dtax),
            ("x tax", "price", price, dprice),
        ]
        ax = figure.subplots()
        draw_graph(ax, places, edges, size=12)
        ax.set_title("Above an arrow: forward; below, red: gradient of the price, backward")

    return Result(
        numbers={
            "price": price,
            "gradient of the price of an apple": dapple,
            "gradient of the number": dnumber,
            "gradient of the tax": dtax,
            "largest relative error against differences": error,
        },
        see={
            "en": f"An apple that costs 1 more makes the whole {dapple:.4g} more expensive. "
            "Backward, a product hands to each input the gradient of its output times the other "
            "input; no node needs to know the whole graph, and one pass gives all derivatives.",
            "zh": f"每个苹果贵 1 元，总价就贵 {dapple:.4g} 元。"
            "反向传播时，乘法节点把上游的导数乘以另一个输入，传给各个输入；"
            "每个节点只需知道自己的局部导数，一次反向传播就得到全部导数。",
        },
        found=error < 1e-6
        and abs(price - _price(apple, number, tax)) < 1e-9 * abs(price)
        and dapple == number * tax,
        draw=draw,
        size=(8.0, 3.6),
        data={"gradients": gradients, "differences": differences},
    )
