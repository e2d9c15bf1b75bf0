"""Layers of one's own that cannot be built, saved or loaded: all of it is said in time."""

from dataclasses import InitVar, dataclass

import numpy as np
import pytest

import deepfs as dfs
from deepfs import layers as L
from deepfs.layers import Layer
from deepfs.saving import CheckpointError

X = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)


@dataclass(eq=False)
class Shift(Layer):
    """y = x + by."""

    by: float = 1.0
    checked: InitVar[bool] = True

    def __post_init__(self, checked=True):  # noqa: RUF033 -- derived classes pass none
        self.by = float(self.by)

    def _out_shape(self, in_shape):
        return in_shape

    def _forward(self, x, training):
        return x + x.dtype.type(self.by), None

    def _backward(self, dy, cache, need_dx):
        return dy.copy()


class OwnInit(Shift):
    def __init__(self, amount=1.0):
        super().__init__(by=amount)


class WithoutName(Shift):
    def __init__(self, by=1.0):
        super().__init__(by=by)


class PassesOn(Shift):
    def __init__(self, by=1.0, **more):
        super().__init__(by, **more)


@dataclass(eq=False)
class Squares(dfs.losses.Loss):
    reduction: str = "mean"

    def terms(self, outputs, targets, sample_weight=None):
        difference = outputs - targets
        return difference**2, float(difference.size), difference

    def _gradient(self, cache, scale):
        return 2 * scale * cache


@dataclass
class Slower(dfs.schedules.Schedule):
    def __call__(self, t):
        return 0.01 / (1 + t)


def trained(*layers, loss=None, optimizer=None):
    net = L.Sequential([*layers, L.Dense(2)])
    loss, optimizer = loss or dfs.losses.MeanSquaredError(), optimizer or dfs.optimizers.SGD()
    model = dfs.Model(net, loss, optimizer)
    model.train_on_batch(X, X[:, :2])
    return model


@pytest.mark.parametrize("cls", [Shift, PassesOn])
def test_what_a_file_can_hold_is_saved_and_loaded(cls, tmp_path):
    model = trained(cls(2.0))
    model.save(tmp_path / "m.safetensors")
    loaded = dfs.load(tmp_path / "m.safetensors", layers=[cls])
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


@pytest.mark.parametrize(
    ("cls", "text"),
    [
        (OwnInit, r"OwnInit cannot be saved: its __init__ takes amount, which is no field of a da"),
        (WithoutName, "WithoutName cannot be saved: its __init__ does not take name, dtype, which"),
    ],
)
def test_what_load_could_not_make_is_not_saved(cls, text, tmp_path):
    model = trained(cls())
    with pytest.raises(TypeError, match=text):
        model.save(tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


def test_all_missing_classes_are_named_at_once(tmp_path):
    model = trained(Shift(), PassesOn(), Shift(), loss=Squares(),
                    optimizer=dfs.optimizers.SGD(Slower()))  # fmt: skip
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(CheckpointError) as raised:
        dfs.load(tmp_path / "m.safetensors", layers=[PassesOn])
    assert str(raised.value) == (
        "the file names 'Shift', 'schedules.Slower', 'Squares', which deepfs does not have: "
        "load(path, layers=[Shift, Slower, Squares])"
    )
    with pytest.raises(CheckpointError, match=r"layers=\[Shift, Slower\]"):
        dfs.load(tmp_path / "m.safetensors", layers=[PassesOn], loss=Squares())
    own = [Shift, PassesOn, Slower, Squares]
    np.testing.assert_array_equal(
        dfs.load(tmp_path / "m.safetensors", layers=own).predict(X), model.predict(X)
    )


class Early(Shift):
    def __post_init__(self, checked):
        self.learned = {"w": L.Parameter(np.ones(3))}


class FailsOnce(Shift):
    def _build(self, in_shape, dtype):
        self.add_parameter("w", in_shape, dtype)
        if not in_shape[0] % 2:
            raise ValueError("an even number")


def test_parameters_before_the_build_are_refused():
    text = r"Early has parameters before it is built, w: make them in _build\(in_shape, dtype\), s"
    for _ in range(2):
        with pytest.raises(TypeError, match=text):
            Early()(X)


def test_a_build_that_fails_changes_nothing():
    layer = FailsOnce()
    for shape in ((4,), (2,)):
        with pytest.raises(ValueError, match="an even number"):
            layer.build(shape)
    layer.build((3,))
    with pytest.raises(ValueError, match="an even number"):
        layer.build((4,))
    assert layer.parameters()["w"].shape == (3,)
