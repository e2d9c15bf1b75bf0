"""What was probably meant by a name that a class does not have: slips, and names used elsewhere."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterable
from difflib import get_close_matches
from functools import wraps
from typing import Any, NoReturn, TypeVar, cast

from ._fields import undecorated

F = TypeVar("F", bound=Callable[..., Any])

# What Keras, PyTorch and papers call a setting, and what it may be called here.
ELSEWHERE: dict[str, tuple[str, ...]] = {
    "acc": ("accuracy",),
    "T_0": ("first",),
    "T_max": ("total",),
    "T_mult": ("longer",),
    "after_scheduler": ("then",),
    "alpha": ("slope", "momentum", "rho", "decay", "end"),
    "axis": ("axes",),
    "base_lr": ("lr",),
    "beta": ("beta1", "decay", "delta"),
    "beta_1": ("beta1",),
    "beta_2": ("beta2",),
    "betas": ("beta1", "beta2"),
    "boundaries": ("milestones",),
    "branches": ("parts",),
    "center": ("affine",),
    "channels": ("filters",),
    "clip": ("clip_norm", "clip_value"),
    "clipnorm": ("clip_norm", "clip_each"),
    "clipvalue": ("clip_value",),
    "criterion": ("loss",),
    "cv": ("k",),
    "data": ("value",),
    "decay": ("weight_decay",),
    "decay_epochs": ("every", "total"),
    "decay_factor": ("factor",),
    "decay_rate": ("factor", "decay"),
    "decay_steps": ("total", "every"),
    "depth_multiplier": ("multiplier",),
    "dilation_rate": ("dilation",),
    "dilations": ("dilation",),
    "div_factor": ("start",),
    "downsample": ("shortcut",),
    "drop_prob": ("p",),
    "drop_rate": ("p",),
    "dropout": ("p",),
    "dropout_rate": ("p",),
    "elementwise_affine": ("affine",),
    "end_lr": ("end",),
    "epochs": ("total",),
    "epsilon": ("eps",),
    "eta": ("lr",),
    "eta_min": ("end",),
    "features": ("units", "filters"),
    "final_div_factor": ("end",),
    "fn": ("body", "function"),
    "gamma": ("factor", "scale"),
    "global_clipnorm": ("clip_norm",),
    "gradient": ("grad",),
    "gradients": ("grad",),
    "hidden_units": ("units",),
    "ignore_class": ("ignore_index",),
    "height": ("size",),
    "ignore_label": ("ignore_index",),
    "init_lr": ("lr",),
    "initial_learning_rate": ("lr",),
    "initial_lr": ("lr",),
    "interpolation": ("method",),
    "kernel": ("kernel_size",),
    "kernel_initializer": ("initializer",),
    "kernel_regularizer": ("regularizer",),
    "kernel_shape": ("kernel_size",),
    "ksize": ("kernel_size",),
    "l1": ("rate",),
    "l2": ("weight_decay", "rate"),
    "lambda_": ("rate",),
    "learning_rate": ("lr", "lr_scale"),
    "lr": ("lr_scale",),
    "lr_lambda": ("function",),
    "lr_multiplier": ("lr_scale",),
    "max": ("max_value",),
    "max_epochs": ("epochs",),
    "max_lr": ("lr",),
    "max_val": ("max_value",),
    "min": ("min_value",),
    "min_delta": ("threshold",),
    "min_learning_rate": ("least",),
    "min_lr": ("least", "end"),
    "min_val": ("min_value",),
    "mode": ("method",),
    "module": ("body",),
    "modules": ("layers", "parts"),
    "momentum": ("decay",),
    "mu": ("momentum",),
    "n_epoch": ("epochs",),
    "n_epochs": ("epochs",),
    "n_folds": ("k",),
    "n_splits": ("k",),
    "n_units": ("units",),
    "nb_epoch": ("epochs",),
    "negative_slope": ("slope", "alpha"),
    "num_channels": ("filters",),
    "num_filters": ("filters",),
    "num_groups": ("groups",),
    "num_units": ("units",),
    "num_warmup_steps": ("length",),
    "out_channels": ("filters",),
    "out_features": ("units",),
    "output_dim": ("units",),
    "output_shape": ("shape",),
    "pad": ("padding",),
    "param_groups": ("groups",),
    "pct_start": ("rise",),
    "pool_size": ("kernel_size",),
    "prob": ("p",),
    "random_state": ("seed",),
    "rate": ("p", "lr"),
    "scale": ("affine",),
    "scale_factor": ("factor",),
    "schedule": ("function", "lr"),
    "size": ("factor",),
    "smoothing": ("label_smoothing",),
    "stddev": ("std",),
    "step_size": ("every", "lr"),
    "strides": ("stride",),
    "target_shape": ("shape",),
    "total_iters": ("total", "length"),
    "total_steps": ("total",),
    "use_bias": ("bias",),
    "val_acc": ("val_accuracy",),
    "val_data": ("validation_data",),
    "valid_data": ("validation_data",),
    "values": ("value",),
    "wait": ("waited",),
    "warmup_epochs": ("length",),
    "warmup_steps": ("length",),
    "wd": ("weight_decay",),
    "weight": ("class_weight",),
    "weights": ("class_weight", "value"),
    "width": ("size",),
}
FREEZE = "call freeze() or unfreeze() of the layer, or give the optimizer a Group(frozen=True)"
# What other frameworks do by a setting, and deepfs by something else.
INSTEAD: dict[str, str] = {
    "align_corners": "pixels have their centres in the middle, as with align_corners=False",
    "antialias": "use AdaptiveAvgPool2D to make images much smaller",
    "activation": "put a layer for it after this one, such as ReLU()",
    "activity_regularizer": "give the optimizer a Group(names, regularizer=...)",
    "axis": "axis 1 has the channels, and the last axes the pixels",
    "batch_input_shape": "the first input decides",
    "batch_shape": "the first input decides",
    "bias_initializer": "biases begin at 0",
    "bias_regularizer": "give the optimizer a Group(names, regularizer=...)",
    "capturable": "leave it out",
    "scoring": "Model(..., metrics=[...]) has the scores",
    "data_format": "images are (n, c, h, w)",
    "device": "deepfs computes on CPUs",
    "foreach": "leave it out",
    "from_logits": "the loss says what outputs mean",
    "fused": "leave it out",
    "in_channels": "the first input decides",
    "in_features": "the first input decides",
    "inplace": "leave it out: outputs are new arrays",
    "input_dim": "the first input decides",
    "input_shape": "the first input decides",
    "keep_prob": "give p = 1 - keep_prob, the probability to drop",
    "kernel_constraint": "give the optimizer a Group(names, regularizer=MaxNorm(limit))",
    "kernel_regularizer": "give the optimizer a Group(names, regularizer=...)",
    "last_epoch": "schedules count from 0",
    "max_value": "use the layer Clip(0, max_value)",
    "maximize": "give the negative of the gradients",
    "momentum": "use the optimizer Momentum",
    "nesterov": "use the optimizer Nesterov",
    "noise_shape": "SpatialDropout drops channels, Dropout entries",
    "num_classes": "the last layer decides, Dense(classes)",
    "num_features": "the first input decides",
    "optimizer": "give the schedule to the optimizer, as its lr",
    "padding_mode": "images are padded with zeros",
    "params": "parameters come with step(network), or by Model",
    "reduce": "use reduction",
    "requires_grad": FREEZE,
    "return_indices": "call with_indices(x)",
    "save_weights_only": "a file has the whole model, and Model.load_weights takes its weights",
    "seed": "give Model(..., seed=seed), or call deepfs.set_seed(seed) before",
    "size_average": "use reduction",
    "staircase": "Step changes by steps",
    "track_running_stats": 'use statistics="fixed"',
    "trainable": FREEZE,
    "training": "it is an argument of forward",
    "initial_epoch": "fit(checkpoint=folder, resume=True) goes on",
    "max_queue_size": "a Loader reads one batch ahead",
    "use_multiprocessing": "a Loader reads ahead in a thread, kernels use all threads",
    "validation_batch_size": "validation_data=Loader(data, batch_size) has its own",
    "validation_freq": "each epoch is validated",
    "validation_steps": "give a part of the data: train_test_split",
    "workers": "a Loader reads ahead in a thread, kernels use all threads",
    "use_nesterov": "use the optimizer Nesterov",
    "verbose": "leave it out",
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


class Elsewhere:
    """An attribute that other frameworks have: to read it raises an error that says what to do.

    It is no data descriptor, so an object, or a derived class, may have an attribute of that name.
    """

    def __init__(self, name: str, way: str) -> None:
        self.name, self.way = name, way

    def __get__(self, made: Any, owner: type) -> NoReturn:
        who = owner.__name__ if made is None else getattr(made, "label", owner.__name__)
        raise AttributeError(f"{who} has no attribute {self.name!r}: {self.way}")


def elsewhere(cls: type, name: str, way: str) -> None:
    """Let a class explain an attribute that it does not have."""
    if name not in vars(cls):
        setattr(cls, name, Elsewhere(name, way))


def without_elsewhere(cls: type, names: Iterable[str]) -> list[str]:
    """Return names without those that a class only explains, for `dir`."""
    return [n for n in names if not isinstance(inspect.getattr_static(cls, n, None), Elsewhere)]


def unknown_argument(cls: type, message: str) -> TypeError | None:
    """Return a better error for an argument that a constructor does not take; else None."""
    unnamed = unnamed_arguments(cls, message)
    if unnamed:
        return TypeError(f"{cls.__name__} {unnamed}")
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
        ways = getattr(cls, "_instead", {})
        way = f": {ways[found[2]]}" if found[2] in ways else ""
        instead = meant(found[2], known) or way or hint(found[2], known)
        instead = instead or f": it takes {', '.join(known) or 'none'}"
    return TypeError(f"{cls.__name__} has no argument {found[2]!r}{instead}")


def explain_arguments(function: F) -> F:
    """Let a method explain the arguments that it does not have, as constructors do."""
    known = inspect.signature(function).parameters

    @wraps(function)
    def explained(*args: Any, **kwargs: Any) -> Any:
        if kwargs.keys() <= known.keys():
            return function(*args, **kwargs)
        refuse_unknown(kwargs, known, function.__qualname__)

    return cast(F, explained)


def refuse_unknown(given: Iterable[str], known: Collection[str], who: str) -> NoReturn:
    """Raise TypeError for the first name that is not known; there must be one."""
    name = next(name for name in given if name not in known)
    takes = ", ".join(other for other in known if other != "self")
    instead = hint(name, known) or f": it takes {takes}"
    raise TypeError(f"{who} has no argument {name!r}{instead}")


def unnamed_arguments(cls: type, message: str) -> str:
    """Return what to say of arguments without a name, if there are too many or too few; else ""."""
    if not message.startswith(f"{cls.__name__}.__init__() "):
        return ""
    takes = [name for name, parameter in inspect.signature(cls).parameters.items()
             if parameter.kind is not inspect.Parameter.KEYWORD_ONLY]  # fmt: skip
    lists = takes[:1] in (["layers"], ["parts"])
    if lists and "missing" in message:
        return f"needs its layers when it is made: {cls.__name__}([layer, layer])"
    given = re.search(r"but (\d+) (was|were) given", message)
    if given is None:
        return ""
    if lists:
        return f"takes one list: {cls.__name__}([layer, layer])"
    listed = f" ({', '.join(takes)})" if takes else ""
    return f"takes at most {len(takes)} arguments without a name{listed}, got {int(given[1]) - 1}"
