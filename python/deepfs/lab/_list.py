"""Which experiments there are: each group's folder lists its modules."""

from __future__ import annotations

import difflib
import functools
import importlib

from ._experiment import Experiment

GROUPS = {  # folder: title in English and Chinese, in the order of the book
    "basics": ("Basics", "基础"),
    "derivatives": ("Derivatives", "导数"),
    "graphs": ("Computational graphs", "计算图"),
    "optimizers": ("Optimizers", "优化器"),
    "initial_values": ("Initial values", "初始值"),
    "normalisation": ("Normalisation", "归一化"),
    "regularisation": ("Regularisation", "正则化"),
    "activations": ("Activations in training", "训练中的激活函数"),
    "preparation": ("Preparation of data", "数据预处理"),
    "convolution": ("Convolution", "卷积"),
    "search": ("Choice of hyper-parameters", "超参数的选择"),
}


@functools.cache
def groups() -> dict[str, tuple[str, ...]]:
    """Return the names of the experiments of each group, in the order of the book."""
    return {
        group: tuple(importlib.import_module(f"{__package__}.{group}").EXPERIMENTS)
        for group in GROUPS
    }


def names() -> list[str]:
    """Return the names of all experiments, in the order of their groups."""
    return [name for members in groups().values() for name in members]


def group_of(name: str) -> str:
    """Return the group of an experiment, by its name in Python."""
    return next(group for group, members in groups().items() if name in members)


def find(name: str) -> Experiment:
    """Return an experiment by its name, with hyphens or underscores.

    Raises
    ------
    TypeError
        If the name is none.
    ValueError
        If there is none of this name; the message has the nearest ones.
    """
    if not isinstance(name, str):
        raise TypeError(f"find takes the name of an experiment, got {name!r}")
    wanted = name.strip().lower().replace("-", "_")
    for group, members in groups().items():
        if wanted in members:
            module = importlib.import_module(f"{__package__}.{group}.{wanted}")
            function: Experiment = getattr(module, wanted)
            return function
    near = difflib.get_close_matches(wanted, names(), n=3, cutoff=0.5)
    near = near or [other for other in names() if any(part in other for part in wanted.split("_"))]
    hint = f", nearest are {', '.join(near[:3])}" if near else ""
    raise ValueError(f"the lab has no experiment {name!r}{hint}; `deepfs lab` lists them")
