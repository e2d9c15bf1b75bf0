"""Softmax overflows for large logits, unless the largest is subtracted first."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepfs import layers as L

from .._experiment import Result, experiment

LOGITS = np.array([1.0, 0.0, -1.0])


def _naive(x: Any) -> Any:
    """Return exp(x_k) / sum_j exp(x_j) as it is written."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)


def _shifted(x: Any) -> Any:
    """Return the same with the largest number subtracted: exp(-max) cancels."""
    return _naive(x - x.max(axis=1, keepdims=True))


@experiment(
    en="Softmax overflows for logits of 1,000; a shift by the largest cures it",
    zh="logits 为 1000 时 softmax 溢出；减去最大值即可避免",
)
def softmax_overflow(largest: float = 1000.0, *, seed: int = 0, quick: bool = False) -> Result:
    """Add a number c to three logits: the softmax should not change. Compute it in two ways.

    c goes from ``-largest`` to ``largest``. The layer `L.Softmax` subtracts the largest logit too.
    """
    c = np.linspace(-largest, largest, 401 if quick else 4001)
    x = LOGITS + c[:, None]
    exact = _naive(LOGITS[None])[0]
    fails, errors = {}, {}
    for dtype in ("float32", "float64"):
        wrong = np.isnan(_naive(x.astype(dtype))).any(axis=1)
        fails[dtype] = (
            float(c[wrong & (c < 0)].max(initial=-largest)),
            float(c[wrong & (c > 0)].min(initial=largest)),
        )
    errors["shifted, NumPy"] = float(np.abs(_shifted(x) - exact).max())
    errors["layer Softmax"] = float(np.abs(L.Softmax()(x) - exact).max())
    book = np.array([[1010.0, 1000.0, 990.0]])  # the textbook's example, section 3.5.2

    def draw(figure: Any) -> None:
        axes = figure.subplots(2, 1, sharex=True, sharey=True)
        for ax, dtype in zip(axes, fails, strict=True):
            y = _naive(x.astype(dtype))
            for k in range(3):
                ax.plot(c, y[:, k], lw=2, label=f"y{k}, naive")
            ax.plot(c, _shifted(x), "k:", label=["shifted", None, None])
            low, high = fails[dtype]
            for first, last in ((-largest, low), (high, largest)):
                ax.axvspan(first, last, color="mistyrose")
                ax.text((first + last) / 2, 0.4, "NaN", ha="center", color="firebrick")
            ax.set(title=f"softmax of (1 + c, c, -1 + c) in {dtype}", ylabel="probability")
            ax.set_xlim(-largest, largest)
        axes[1].legend(loc="center", ncols=4, bbox_to_anchor=(0.5, 0.46), fontsize=8)
        axes[1].set_xlabel("c, added to all logits")

    return Result(
        numbers={
            "naive softmax of 1010, 1000, 990": str(_naive(book)[0]),
            "shifted softmax of them": str(_shifted(book)[0]),
            "log of the largest float32": float(np.log(np.finfo(np.float32).max)),
            "log of the largest float64": float(np.log(np.finfo(np.float64).max)),
            "naive is NaN above c, float32": fails["float32"][1],
            "naive is NaN below c, float32": fails["float32"][0],
            "naive is NaN above c, float64": fails["float64"][1],
            "naive is NaN below c, float64": fails["float64"][0],
            **{f"largest error, {name}": error for name, error in errors.items()},
        },
        see={
            "en": "A number added to all logits cancels in the softmax, but exp overflows to "
            "infinity above 88.7 in float32 (709.8 in float64), and inf / inf is NaN; far below 0 "
            "all are 0, and so is the divisor. With the largest logit subtracted first the largest "
            "exponential is 1: neither can happen.",
            "zh": "给所有 logits 加同一个数，softmax 不变；"
            "但 float32 中 x 大于 88.7（float64 为 709.8）时 exp 溢出为无穷大，"
            "inf / inf 得 NaN；x 很小时指数全为 0，分母也为 0。"
            "先减去最大值，最大的指数就是 1，两种情况都不会发生。",
        },
        found=bool(
            np.isnan(_naive(book)).all()
            and 85 < fails["float32"][1] < 95
            and 700 < fails["float64"][1] < 720
            and max(errors.values()) < 1e-12
        ),
        draw=draw,
        size=(8.0, 5.5),
        data={"c": c, "naive": _naive(x), "shifted": _shifted(x), "fails": fails},
    )
