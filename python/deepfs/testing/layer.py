"""The contract of `deepfs.layers.Layer`."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

import cnn_core

from .._arrays import Shape
from .._check import shown
from .._trees import Tree, is_shape, leaves, map_tree
from ..layers import Layer
from ._findings import Findings
from ._inputs import as_float64, large_input, own_inputs
from ._layer_checks import Subject
from ._parts import check_memory
from ._run import Run
from .gradient import DIFFERENCES, SAMPLES
from .report import ArrayReport, Report


def check_layer(
    layer: Layer, x: Any = None, training: bool = True, seed: int = 0, entries: int = SAMPLES
) -> Report:
    """Check gradients of a layer, and that it keeps the contract of `Layer`, at ``x``.

    The layer runs as in training: its parameters lie in an `Arena`. What holds at ``x`` is checked
    again with more samples of this kind, if ``x`` is too small for several blocks and threads.

    Parameters
    ----------
    layer : Layer
        The layer. It is copied, and does not change.
    x : array (n, ...), or tuple or dict of arrays, optional
        An input with at least two samples, such as random numbers: at a kink or tie there is no
        derivative to compare. By default, random inputs of shapes that the layer takes.
    training : bool
        Check training mode or inference mode.
    seed : int
        Seed of the output gradient and of samples of entries.
    entries : int
        Number of entries to check of an array that has more. Fewer take less time. All others are
        checked together, by one derivative along a random direction.

    Returns
    -------
    Report
        For ``x`` and each parameter, how many entries of the gradient were compared, how many lie
        at kinks, and the worst relative error; and a line that says what was checked.

    Raises
    ------
    AssertionError
        If anything is wrong: with all failures, a line for each. Which entry of a gradient is
        wrong, or that all are zero although there is no kink; which argument, attribute or buffer
        changes; that two equal runs differ, as by a race; that the result depends on the memory
        layout of the input, the number of threads, a copy or a pickle of the layer, or saving and
        loading it; that float32 is not close to float64; that a batch of no sample or of one fails.
    TypeError, ValueError
        If there is nothing to check: ``layer`` is no layer, or does not take ``x``.

    Warns
    -----
    UserWarning
        If most entries of an array lie at kinks or ties.

    Examples
    --------
    >>> from deepfs import layers as L
    >>> report = check_layer(L.Dense(3), np.random.default_rng(0).standard_normal((4, 5)))
    >>> report.checked, report.at_kinks
    (38, 0)
    >>> report.arrays["weight"].checked
    15
    """
    if not isinstance(layer, Layer):
        made = f": make one, {layer.__name__}(...)" if isinstance(layer, type) else ""
        raise TypeError(f"check_layer takes a layer, got {shown(layer)}{made}")
    inputs = own_inputs(layer, seed) if x is None else [as_float64(x)]
    findings = Findings(f"{layer.label} in {'training' if training else 'inference'}")
    arrays: dict[str, ArrayReport] = {}
    shapes: list[Any] = []
    at_kinks, zero = 0, False
    for given in inputs:
        if not all(array.ndim and len(array) for array in leaves(given)):
            raise ValueError(f"check_layer needs a batch of samples, got {_shapes(given)}")
        findings.where = f"for x {_shapes(given)}, " if len(inputs) > 1 else ""
        found = _check(layer, given, training, seed, entries, findings)
        if found is None:
            continue
        end = f" of {_shapes(given)}" if len(inputs) > 1 else ""
        arrays |= {f"{name}{end}": array for name, array in found.arrays.items()}
        shapes += found.shapes
        at_kinks += found.float32_at_kinks
        zero = zero or found.nothing_moves
    findings.close()
    report = Report(
        DIFFERENCES, arrays, at_kinks, tuple(dict.fromkeys(findings.passed)),
        f"{findings.who}, inputs {' and '.join(map(str, shapes))}, float64 and float32, "
        f"1, 2 and 4 threads, level {cnn_core.level}",
    )  # fmt: skip
    return report.warn("check_layer", nothing_moves=zero)


def _check(
    layer: Layer,
    x: Tree,
    training: bool,
    seed: int,
    entries: int,
    findings: Findings,
) -> Subject | None:
    """Check a layer at one input; return what was compared, or None if it does not run."""
    in_shape = map_tree(lambda a: a.shape[1:], x)
    fresh = copy.deepcopy(layer)
    vars(fresh)["dtype"] = None
    if is_shape(in_shape):
        fresh.out_shape(in_shape)  # raises ValueError: the input is wrong, not the layer
    subject, failed = None, len(findings.failed)
    with findings.looking_at("building"):
        fresh.build(in_shape, np.float64)
    if fresh.built_dtype is not None:
        with findings.looking_at("parameters where training puts them"):
            run = Run(fresh, training)
            check_memory(fresh, run.made)
        with findings.looking_at("forward and backward"):
            subject = Subject(run, x, seed, entries)
            subject.check_results()
    if subject is None or len(findings.failed) > failed:
        return None
    more = large_input(fresh, x, seed)
    numbers = (1, 2, 3, 4) if more is None else (2,)
    for what, check in (
        ("arguments", subject.check_arguments),
        ("memory of parameters", subject.check_memory),
        ("two equal runs", subject.check_two_runs),
        ("numbers of threads", lambda: subject.check_threads(numbers)),
    ):
        if len(findings.failed) == failed:  # or what follows would fail because of that
            with findings.looking_at(what):
                check()
    subject.sound = len(findings.failed) == failed
    if subject.sound:
        for what, check in (
            ("gradients", subject.check_gradients),
            ("sums of gradients", subject.check_sums),
            ("memory layouts", subject.check_layouts),
            ("without dx", subject.check_without_dx),
        ):
            with findings.looking_at(what):
                check()
        with findings.looking_at("float32"):
            subject.check_float32(layer)
    for what, check in (
        ("attributes", subject.check_attributes),
        ("buffers", subject.check_buffers),
        ("a copy", subject.check_copy),
        ("a pickle", subject.check_pickle),
        ("saving and loading", subject.check_saving),
        ("batches of no sample and of one", subject.check_batches),
    ):
        with findings.looking_at(what):
            check()
    if more is not None and len(findings.failed) == failed:
        with findings.looking_at("several blocks of work"):
            subject.check_large(more)
    return subject


def _shapes(x: Tree) -> Shape | Any:
    return map_tree(lambda a: a.shape, x)
