"""Small numbers become 0: float32(1e-50), and products of many probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._experiment import Result, experiment

DTYPES: tuple[Any, ...] = (np.float16, np.float32, np.float64)


@experiment(
    en="float32(1e-50) is 0: underflow, what it does to h and to products of probabilities",
    zh="float32(1e-50) 等于 0：下溢及其对差分步长 h 和概率连乘的影响",
)
def float_underflow(
    probability: float = 0.5, factors: int = 1200, *, seed: int = 0, quick: bool = False
) -> Result:
    """Store 10^-k in float16 and float32; take a step of 1e-50; multiply many probabilities.

    Below the smallest normal number there are denormal ones, with fewer and fewer digits; below
    the smallest of these there is 0.
    """
    k = np.linspace(0, 50, 201 if quick else 1001)
    small = 10.0**-k
    with np.errstate(invalid="ignore", under="ignore"):
        errors = {t.__name__: np.abs(small.astype(t).astype(float) / small - 1) for t in DTYPES[:2]}
        h = np.float32(1e-50)
        x = np.float32(3)
        derivative = ((x + h) ** 2 - x**2) / h  # of x^2, by a step of 0: 0 / 0
        chains = {t.__name__: np.cumprod(np.full(factors, probability, t), dtype=t) for t in DTYPES}
    zero_after = {name: int((chain > 0).sum()) for name, chain in chains.items()}
    log_of_product = float(np.log(np.full(factors, probability, np.float32)).sum(dtype=np.float32))

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2)
        for name, error in errors.items():
            left.semilogy(k, np.maximum(error, 1e-17), label=name)
        left.axhline(1, color="gray", ls=":", lw=0.8)
        left.text(27, 1.5, "error of 100 %: stored as 0", ha="center", fontsize=9)
        left.set(xlabel="k", ylabel="relative error", ylim=(1e-17, 30))
        left.set_title("$10^{-k}$ stored in a dtype")
        n = np.arange(1, factors + 1)
        for (name, chain), width in zip(chains.items(), (9, 5, 2), strict=True):
            alive = chain > 0
            (line,) = right.semilogy(n[alive], chain[alive].astype(float), lw=width, label=name)
            right.plot(n[alive][-1], float(chain[alive][-1]), "o", color=line.get_color())
        right.set(xlabel="number of factors", ylabel="product (ends where it becomes 0)")
        right.set_title(f"Product of probabilities of {probability:g}")
        left.legend(loc="upper left", bbox_to_anchor=(0.35, 0.75))
        right.legend()

    return Result(
        numbers={
            "float32(1e-50)": float(h),
            "derivative of x^2 by h = float32(1e-50)": str(derivative),
            **{f"smallest normal {t.__name__}": float(np.finfo(t).tiny) for t in DTYPES},
            **{
                f"smallest denormal {t.__name__}": float(np.finfo(t).smallest_subnormal)
                for t in DTYPES
            },
            **{f"factors until 0, {name}": count + 1 for name, count in zero_after.items()},
            f"sum of {factors} logarithms, float32": log_of_product,
        },
        see={
            "en": "A number below the smallest denormal one (1.4e-45 in float32) is stored as 0. "
            "So a step h of 1e-50 is no step, and the difference quotient is 0 / 0. Products of "
            "probabilities reach 0 just as fast; the sum of their logarithms does not, therefore "
            "losses add logarithms.",
            "zh": "小于最小非规格化数（float32 为 1.4e-45）的数会存成 0。"
            "所以 h 取 1e-50 等于没有变化，差商成为 0 / 0。"
            "许多概率连乘也很快变成 0，而它们的对数之和不会，因此损失函数累加的是对数。",
        },
        found=bool(
            h == 0
            and np.isnan(derivative)
            and zero_after["float16"] < zero_after["float32"] < zero_after["float64"] < factors
            and abs(log_of_product - factors * np.log(probability)) < 0.01
        ),
        draw=draw,
        size=(10.0, 4.4),
        data={"k": k, "errors": errors, "products": chains},
    )
