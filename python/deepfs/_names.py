"""What was probably meant by a name that a class does not have: slips, and names used elsewhere."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection
from difflib import get_close_matches

from ._fields import undecorated

# What Keras, PyTorch and papers call a setting, and what it may be called here.
ELSEWHERE: dict[str, tuple[str, ...]] = {
    "T_0": ("first",),
    "T_max": ("total",),
    "T_mult": ("longer",),
    "alpha": ("slope", "momentum", "rho", "decay", "end"),
    "axis": ("axes",),
    "base_lr": ("lr",),
    "beta": ("beta1", "decay"),
    "beta_1": ("beta1",),
    "beta_2": ("beta2",),
    "betas": ("beta1", "beta2"),
    "center": ("affine",),
    "clip": ("clip_norm", "clip_value"),
    "clipnorm": ("clip_norm", "clip_each"),
    "clipvalue": ("clip_value",),
    "criterion": ("loss",),
    "data": ("value",),
    "decay": ("weight_decay",),
    "decay_rate": ("factor", "decay"),
    "decay_steps": ("total", "every"),
    "depth_multiplier": ("multiplier",),
    "dilation_rate": ("dilation",),
    "drop_prob": ("p",),
    "dropout": ("p",),
    "elementwise_affine": ("affine",),
    "end_lr": ("end",),
    "epsilon": ("eps",),
    "eta": ("lr",),
    "eta_min": ("end",),
    "gamma": ("factor",),
    "global_clipnorm": ("clip_norm",),
    "gradient": ("grad",),
    "gradients": ("grad",),
    "ignore_class": ("ignore_index",),
    "height": ("size",),
    "init_lr": ("lr",),
    "initial_learning_rate": ("lr",),
    "initial_lr": ("lr",),
    "interpolation": ("method",),
    "kernel": ("kernel_size",),
    "kernel_initializer": ("initializer",),
    "kernel_regularizer": ("regularizer",),
    "l1": ("rate",),
    "l2": ("weight_decay", "rate"),
    "lambda_": ("rate",),
    "learning_rate": ("lr", "lr_scale"),
    "lr": ("lr_scale",),
    "lr_multiplier": ("lr_scale",),
    "max_lr": ("lr",),
    "min_delta": ("threshold",),
    "min_lr": ("least", "end"),
    "mode": ("method",),
    "modules": ("layers", "parts"),
    "momentum": ("decay",),
    "mu": ("momentum",),
    "n_units": ("units",),
    "negative_slope": ("slope", "alpha"),
    "num_filters": ("filters",),
    "num_groups": ("groups",),
    "out_channels": ("filters",),
    "out_features": ("units",),
    "output_dim": ("units",),
    "pad": ("padding",),
    "param_groups": ("groups",),
    "pool_size": ("kernel_size",),
    "prob": ("p",),
    "rate": ("p", "lr"),
    "scale": ("affine",),
    "scale_factor": ("factor",),
    "size": ("factor",),
    "smoothing": ("label_smoothing",),
    "step_size": ("every", "lr"),
    "stddev": ("std",),
    "strides": ("stride",),
    "total_iters": ("total", "length"),
    "total_steps": ("total",),
    "use_bias": ("bias",),
    "warmup_steps": ("length",),
    "wd": ("weight_decay",),
    "weight": ("class_weight",),
    "weights": ("class_weight", "value"),
    "width": ("size",),
}
FREEZE = "call freeze() or unfreeze() of the layer, or give the optimizer a Group(frozen=True)"
# What other frameworks do by a setting, and deepfs by something else.
INSTEAD: dict[str, str] = {
    "activation": "put a layer for it after this one",
    "align_corners": "pixels have their centres in the middle, as with align_corners=False",
    "antialias": "use AdaptiveAvgPool2D to make images much smaller",
    "data_format": "images are (n, c, h, w)",
    "from_logits": "the loss says what outputs mean",
    "in_channels": "the first input decides",
    "in_features": "the first input decides",
    "input_dim": "the first input decides",
    "input_shape": "the first input decides",
    "momentum": "use the optimizer Momentum",
    "nesterov": "use the optimizer Nesterov",
    "num_features": "the first input decides",
    "requires_grad": FREEZE,
    "size_average": "use reduction",
    "track_running_stats": 'use statistics="fixed"',
    "trainable": FREEZE,
    "training": "it is an argument of forward",
    "use_nesterov": "use the optimizer Nesterov",
    "weight_decay": "optimizers have it, and a Group takes regularizer=L2(rate)",
}
CLOSE = 0.7  # least similarity (difflib's ratio) of a name that a message suggests


def hint(name: str, known: Collection[str]) -> str:
    """Return the end of a message about a name that is not known: what was probably meant.

    Examples
    --------
    >>> hint("learning_rate", ["lr", "momentum"])
    ": it is called 'lr' here"
    >>> hint("momentun", ["lr", "momentum"])
    ": did you mean 'momentum'?"
    """
    sure = meant(name, known)
    if sure:
        return sure
    if name in INSTEAD:
        return f": {INSTEAD[name]}"
    near = get_close_matches(name, known, 1, CLOSE)
    return f": did you mean {near[0]!r}?" if near else ""


def meant(name: str, known: Collection[str]) -> str:
    """Return the same where there can be no doubt: another framework's name, or a slip; else ""."""
    here = [other for other in ELSEWHERE.get(name, ()) if other in known]
    if here:
        return f": it is called {' or '.join(map(repr, here))} here"
    near = [other for other in known if is_slip(name, other)]
    return f": did you mean {near[0]!r}?" if near else ""


def is_slip(name: str, other: str) -> bool:
    """Return whether two names differ by one letter more, less or other, or by two swapped.

    Case and underscores do not count. Digits are no slips: ``weight2`` beside ``weight`` is meant.

    Examples
    --------
    >>> is_slip("momentun", "momentum"), is_slip("stirde", "stride"), is_slip("w1", "w2")
    (True, True, False)
    """
    a, b = (text.replace("_", "").lower() for text in (name, other))
    if a == b:
        return name != other
    if min(len(a), len(b)) < 4 or abs(len(a) - len(b)) > 1:
        return False
    while a and b and a[0] == b[0]:
        a, b = a[1:], b[1:]
    if a[:1].isdigit() or b[:1].isdigit():
        return False
    swapped = a[:2] == b[1::-1] and a[2:] == b[2:]
    return swapped or a[1:] == b[1:] or a[1:] == b or a == b[1:]


def unknown_argument(cls: type, message: str) -> TypeError | None:
    """Return a better error for an argument that a constructor does not take; else None."""
    found = re.search(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'", message)
    if message == f"{cls.__name__}() takes no arguments" and undecorated(cls):
        return TypeError(f"{message}: decorate it with @dataclass")
    constructor = cls.__init__  # type: ignore[misc]
    if found is None or found[1] not in constructor.__qualname__.split(".")[-2:]:
        return None
    known = inspect.signature(cls).parameters
    if found[2] in undecorated(cls):
        instead = f": decorate {cls.__name__} with @dataclass"
    else:
        instead = hint(found[2], known) or f": it takes {', '.join(known) or 'none'}"
    return TypeError(f"{cls.__name__} has no argument {found[2]!r}{instead}")
