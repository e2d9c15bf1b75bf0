"""Every setting of every public class and of every built layer, through good and bad values."""

import _thread
import copy
import dataclasses
import inspect
import pickle
import sys
import time

import numpy as np
import pytest

import deepfs as dfs
from deepfs import (
    augment,
    callbacks,
    initializers,
    layers,
    losses,
    optimizers,
    preprocessing,
    regularizers,
    schedules,
)
from deepfs import layers as L
from deepfs._names import ELSEWHERE
from deepfs._settings import ExplainedSettings, Settings, setting_names
from every_layer import CASES, spread

ROW = L.Input((5,))
NEEDED = {  # arguments without which there is none
    "filters": 6, "kernel_size": 3, "units": 4, "p": 0.4, "pieces": 2, "shape": (6, -1),
    "factor": 2, "output_size": 2, "groups": 2, "slope": 0.1, "std": 0.5, "padding": 1,
    "layers": [L.Dense(3), L.ReLU()], "parts": [L.Dense(3), L.Tanh()], "body": L.Dense(5),
    "lr": 0.1, "total": 10, "every": 3, "milestones": [3, 5], "decay": 0.1, "first": 4,
    "length": 4, "then": 0.5, "names": "*", "rate": 0.1, "l1": 0.1, "l2": 0.2, "limit": 2.0,
    "start": 2, "size": 2, "cropping": 1, "losses": (losses.Huber(),),
    "scale": 2.0, "mean": 0.5, "steps": [preprocessing.Rescale(2)], "transforms": augment.Cutout(2),
    "function": abs, "inputs": ROW, "filepath": "m", "filename": "log", "schedule": abs,
    "outputs": L.Dense(3)(ROW), "x": np.eye(2), "epochs": 4,
    "min_value": -1, "max_value": 6,
}  # fmt: skip
MODULES = (
    *(layers, losses, optimizers, schedules, regularizers, initializers, callbacks, augment),
    preprocessing,
)
WIRING = ("inputs", "outputs", "layers", "calls")  # of a Graph: test_graph.py
# what the constructor does not check
ANYTHING = ("name", "dtype", "monitor", "best", "data", "x", "y")
BAD = [  # for some setting or other
    -1, 0, 3, 10**10, -0.5, 0.5, 1.5, np.nan, np.inf, "nope", "", None, True, (), (1, -2), [0.5],
    object(), "same", (1, 2), 7, "epoch", "none", "torch", "direct", "glorot_normal",
]  # fmt: skip


def public():
    """Return all classes with settings that can be built, and how to build one."""
    found = {}
    for module in MODULES:
        for name in module.__all__:
            kind = getattr(module, name)
            if not isinstance(kind, type) or inspect.isabstract(kind):
                continue
            if issubclass(kind, Settings) and dataclasses.is_dataclass(kind):
                found[f"{module.__name__[7:]}.{name}"] = kind
    return found


def needed(kind):
    """Return the arguments of a constructor that have no default."""
    if kind is schedules.Exponential:
        return {"lr": 0.1, "factor": 0.5}
    empty = inspect.Parameter.empty
    return {name: NEEDED[name] for name, parameter in inspect.signature(kind).parameters.items()
            if parameter.default is empty}  # fmt: skip


def content(made):
    """Return all attributes of an object, as text; an optimizer counts new states besides."""
    attributes = sorted(vars(made).items())
    return {name: repr(value) for name, value in attributes if name != "state_version"}


def attempt(act):
    """Return what comes of it, or the error."""
    try:
        return act()
    except (AttributeError, TypeError, ValueError) as error:
        return error


PUBLIC = public()
every_class = pytest.mark.parametrize("kind", PUBLIC.values(), ids=PUBLIC)
every_built = pytest.mark.parametrize(
    ("make", "shape"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)


def test_every_public_class_takes_part():
    for module in MODULES:
        for name in module.__all__:
            kind = getattr(module, name)
            if isinstance(kind, type) and name not in ("Arena", "Parameter", "StepContext"):
                assert issubclass(kind, Settings), name


@every_class
def test_assignment_is_the_constructor(kind):
    """Whatever is assigned: the object is what the constructor makes of it, or as it was."""
    for name in setting_names(kind):
        if kind is L.Graph and name in WIRING:
            continue
        refused = 0
        for value in BAD:
            made = kind(**needed(kind))
            before = content(made)
            wanted = attempt(lambda: kind(**(needed(kind) | {name: value})))  # noqa: B023
            error = attempt(lambda: setattr(made, name, value))  # noqa: B023
            if isinstance(wanted, Exception):
                refused += 1
                assert (type(error), str(error)) == (type(wanted), str(wanted))
                assert content(made) == before
            else:
                assert error is None, (name, value)
                assert content(made) == content(wanted), (name, value)
        assert refused or name in ANYTHING, f"{name} takes anything"


@every_class
def test_another_name_is_refused(kind):
    made = kind(**needed(kind))
    before = content(made)
    names = {"nonsense": "", "learning_rat": ""}
    for setting in setting_names(kind):
        names[setting[:1] + setting] = setting if len(setting) > 3 else ""
        names[setting.upper()] = setting
    for foreign, here in ELSEWHERE.items():
        mine = [name for name in here if name in setting_names(kind)]
        if mine and foreign not in setting_names(kind):
            names[foreign] = mine[0]
    for name, hint in names.items():
        assert name not in setting_names(kind)
        with pytest.raises(AttributeError, match=rf"^{kind.__name__}\b.*{name}.*{hint}"):
            setattr(made, name, 1)
        if name in dir(kind) or issubclass(kind, L.Layer):  # a method, or Python's message
            continue
        if isinstance(made, ExplainedSettings):
            with pytest.raises(
                AttributeError, match=rf"^{kind.__name__} .*has no .*{name}.*{hint}"
            ):
                getattr(made, name)
        with pytest.raises(TypeError, match=rf"^{kind.__name__} has no argument '{name}'.*{hint}"):
            kind(**needed(kind), **{name: 1})
    assert content(made) == before


@every_class
def test_own_attributes_of_a_derived_class(kind):
    class Mine(kind):
        def add(self, name):
            setattr(self, name, 1)

    made = Mine(**needed(kind))
    made.add("quite_my_own")
    made.quite_my_own = 2
    made._mine = 3
    assert (made.quite_my_own, made._mine) == (2, 3)
    with pytest.raises(AttributeError, match="did you mean 'quite_my_own'"):
        made.quite_my_onw = 1
    with pytest.raises(AttributeError):
        made.something_else = 1
    settings = setting_names(kind)
    slips = {f"{name}{name[-1]}" for name in settings if len(name) > 3 and name[-1].isalpha()}
    foreign = {name for name, here in ELSEWHERE.items() if set(here) & set(settings)}
    for name in (slips | foreign) - set(settings) - set(dir(kind)):
        with pytest.raises(AttributeError, match=name):
            made.add(name)
    assert copy.deepcopy(made).quite_my_own == 2


@every_class
def test_signature_is_that_of_the_settings(kind):
    assert set(inspect.signature(kind).parameters) == set(setting_names(kind))


@every_class
def test_copies_and_pickles_go_on_checking(kind):
    made = kind(**needed(kind))
    names = set(setting_names(kind)) - {*ANYTHING, *(WIRING if kind is L.Graph else ())}
    for other in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert content(other).keys() == content(made).keys()
        for name in names:
            with pytest.raises((TypeError, ValueError)):
                setattr(other, name, object())
        with pytest.raises(AttributeError):
            other.nonsense = 1


@every_built
def test_a_built_layer_follows_or_refuses(make, shape):
    """After any assignment the layer computes as one that was made so, or as before it."""
    x = spread(shape)
    for name in setting_names(type(make())):
        for value in BAD:
            made = make()
            dfs.set_seed(0)
            y = made(x)
            made.forward(x, training=True)
            before = dict(vars(made))
            if attempt(lambda: setattr(made, name, value)) is not None:  # noqa: B023
                assert vars(made) == before
                assert (made(x) == y).all() or made.buffers()
                continue
            settings = {n: getattr(made, n) for n in setting_names(type(made))}
            wanted = type(made)(**copy.deepcopy(settings))
            wanted(x)
            for key, parameter in wanted.parameters().items():
                parameter.value = made.parameters()[key].value
            for key, buffer in wanted.buffers().items():
                buffer[...] = made.buffers()[key]
            np.testing.assert_array_equal(made(x), wanted(x))
            (found, cache), (want, other) = made.forward(x, True), wanted.forward(x, True)
            np.testing.assert_array_equal(found, want)
            dy = spread(want.shape)
            np.testing.assert_array_equal(made.backward(dy, cache), wanted.backward(dy, other))


def test_no_setting_can_change_unchecked():
    """Lists are kept as tuples."""
    settings = {
        name: value
        for kind in PUBLIC.values()
        for name, value in vars(kind(**needed(kind))).items()
    }
    lists = {name for name, value in settings.items() if isinstance(value, (list, set))}
    assert not lists


def test_attributes_where_no_python_calls(monkeypatch):
    """A new thread, a browser and a program in C call without a frame of Python below."""
    made, texts = L.Dropout(), []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: texts.append(str(args.exc_value)))

    def in_thread(function, arguments, ended):
        _thread.start_new_thread(function, arguments)
        end = time.monotonic() + 20
        while not ended() and time.monotonic() < end:
            time.sleep(1e-3)

    in_thread(setattr, (made, "p", 0.25), lambda: made.p == 0.25)
    in_thread(setattr, (made, "rate", 0.25), lambda: len(texts) > 0)
    in_thread(getattr, (L, "Dropuot"), lambda: len(texts) > 1)
    assert made.p == 0.25
    assert texts == [
        "Dropout has no attribute 'rate': it is called 'p' here",
        "module 'deepfs.layers' has no attribute 'Dropuot': did you mean 'Dropout'?",
    ]
