"""Profiles: what they count, where times go, and that the model stays as it is."""

import dataclasses
import json
import pickle
import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs.inspection import profile as profile_module
from deepfs.layers import Container, Layer
from models import small_model


@pytest.fixture(autouse=True)
def _machine(monkeypatch, request):
    """A machine of 100 GFLOP/s that copies 20 GB/s: to measure it takes longer than to profile."""
    if "real_machine" not in request.fixturenames:
        monkeypatch.setattr(profile_module, "peak_gflops", lambda dtype: 100.0)
        monkeypatch.setattr(profile_module, "copy_gbs", lambda: 20.0)


@pytest.fixture
def real_machine():
    """Measure it after all."""


def model_of(*layers, **settings):
    loss = dfs.losses.CrossEntropy()
    return dfs.Model(L.Sequential(layers), loss, dfs.optimizers.SGD(0.1), **settings)


class Clock:
    now = 0.0

    @classmethod
    def read(cls):
        return cls.now


@dataclass(eq=False)
class Tick(Layer):
    """Takes known times: ``forward[i]`` and ``backward[i]`` seconds in its i-th call."""

    forward_seconds: tuple = (1,)
    backward_seconds: tuple = (1,)

    def _build(self, in_shape, dtype):
        self.calls = [0, 0]

    def _out_shape(self, in_shape):
        return in_shape

    def _take(self, i, seconds):
        Clock.now += seconds[self.calls[i] % len(seconds)]
        self.calls[i] += 1

    def _forward(self, x, training):
        self._take(0, self.forward_seconds)
        return x + 0, None

    def _backward(self, dy, cache, need_dx):
        self._take(1, self.backward_seconds)
        return dy + 0


@dataclass(eq=False)
class Raises(Tick):
    """Fails in a forward or backward; the count outlives the copy that a profile makes."""

    error: ClassVar[type] = ValueError
    left: ClassVar[dict] = {}

    def _take(self, i, seconds):
        self.left[i] = self.left.get(i, 10**9) - 1
        if self.left[i] == 0:
            raise self.error("enough")


@dataclass(eq=False)
class Adds(Tick):
    """A leaf that can do the work of a ReLU as well."""

    def _forward(self, x, training, end):
        assert end.relu
        return np.maximum(x + 1, 0), None

    def _backward(self, dy, cache, need_dx, end):
        assert end.relu
        return dy + 0


@dataclass(eq=False)
class Fusing(Container):
    """A container that asks its first part to do the work of the second, at least forward."""

    first: Layer
    second: Layer
    backward_too: bool = True

    def named_parts(self):
        return {"first": self.first, "second": self.second}

    def _out_shape(self, in_shape):
        return in_shape

    def _forward(self, x, training):
        return self.first._forward(x, training, L.Epilogue(relu=True))

    def _backward(self, dy, cache, need_dx):
        if not self.backward_too:
            dy = self.second._backward(dy, cache, True)
        return self.first._backward(dy, cache, need_dx, end=L.Epilogue(relu=True))


def nested():
    body = L.Sequential([L.Conv2D(8, 3, padding=1), L.BatchNorm(), L.ReLU()])
    return model_of(
        L.Conv2D(8, 3, padding=1, name="stem"), L.Residual(body), L.Dropout(), L.Dense(3)
    )


def test_rows_are_in_the_order_of_the_network(data):
    profile = nested().profile(*data, repeats=2)
    first = profile["stem"].algorithm
    assert first in ("one_channel", "indirect")  # by the width of a vector
    assert [(row.name, row.kind, row.algorithm, row.calls) for row in profile.rows] == [
        ("stem", "Conv2D", first, 1),
        ("residual_1", "Residual", "-", 1),
        ("residual_1.body.conv2d_1", "Conv2D", "winograd", 1),
        ("residual_1.body.batchnorm_1", "BatchNorm", "-", 1),
        ("residual_1.body.relu_1", "ReLU", "-", 0),
        ("dropout_1", "Dropout", "-", 1),
        ("dense_1", "Dense", "-", 1),
        ("loss", "CrossEntropy", "-", 1),
        ("optimizer", "SGD", "-", 1),
        ("rest", "-", "-", 1),
        ("step", "-", "-", 1),
    ]
    assert (profile.samples, profile.repeats, profile.dtype) == (90, 2, "float32")
    assert profile.threads == dfs.get_num_threads()
    assert profile["residual_1"].forward.nbytes == profile["residual_1"].backward.nbytes == 0
    assert profile["residual_1.body.relu_1"].forward is None  # the batch norm does it
    for row in profile.rows[:8]:
        assert row.kind == "ReLU" or row.forward.ms > 0
        assert row.backward.ms > 0
    assert profile["optimizer"].forward is profile["optimizer"].backward is None
    assert 0 < profile["optimizer"].ms < profile["step"].ms
    with pytest.raises(KeyError, match="the profile has no row 'stem_2'"):
        profile["stem_2"]


@pytest.mark.parametrize(
    ("layer", "in_shape", "wanted"),
    [
        (L.Conv2D(16, 3), (8, 10, 12), 16 * 8 * 10 * 8 * 9),
        (L.Conv2D(16, (3, 2), stride=2, padding=1), (8, 10, 12), 16 * 5 * 7 * 8 * 6),
        (L.Conv2D(16, 3, groups=4, dilation=2), (8, 10, 12), 16 * 6 * 8 * 2 * 9),
        (L.Dense(7, bias=False), (2, 3, 4), 7 * 24),
        (L.MaxPool2D(2), (8, 10, 12), 0),
    ],
)
def test_multiply_adds(layer, in_shape, wanted):
    assert layer.multiply_adds(in_shape) == wanted


def test_work_of_each_direction(data):
    """The first layer has no gradient of its input, and nothing is below it."""
    x, y = data  # (90, 1, 9, 9)
    model = model_of(L.Flatten(), L.ReLU(), L.Dense(5), L.Tanh(), L.Dense(3, bias=False))
    profile = model.profile(x, y, repeats=1)
    first, second, tanh = profile["dense_1"], profile["dense_2"], profile["tanh_1"]
    assert first.forward.multiply_adds == first.backward.multiply_adds == 90 * 81 * 5
    assert second.forward.multiply_adds == 90 * 15
    assert second.backward.multiply_adds == 2 * 90 * 15
    assert profile["step"].forward.multiply_adds == 90 * (81 * 5 + 15)
    assert profile["flatten_1"].forward.nbytes == 0  # a view
    assert profile["flatten_1"].forward.gbs is None
    assert profile["flatten_1"].backward is profile["relu_1"].backward is None
    weight = 4 * (81 * 5 + 5)
    assert first.forward.nbytes == 4 * 90 * (81 + 5) + weight
    assert first.backward.nbytes == 4 * 90 * (81 + 5) + weight  # x, dy, and the gradient
    assert second.backward.nbytes == 4 * 90 * (5 + 3 + 5) + 2 * 4 * 15  # x, dy, dx; dw, w
    assert tanh.forward.nbytes == tanh.backward.nbytes == 2 * 4 * 90 * 5
    assert tanh.forward.gflops is tanh.forward.peak_share is None


def test_times_are_medians_of_whole_steps(monkeypatch, data):
    x, y = data
    monkeypatch.setattr("deepfs.inspection.meters.perf_counter", Clock.read)
    parts = [L.Dense(3), Tick((99, 5, 1, 3), (99, 2, 4, 9)), L.Residual(Tick((0.5,), (0.25,)))]
    model = model_of(*parts)

    def slow(outputs, targets):
        Clock.now += 2
        return 0

    model.trainer.metrics["slow"] = slow
    profile = model.profile(x, y, repeats=3)  # the step that counts comes first
    tick, body, own = (profile[k] for k in ("tick_1", "residual_1.body", "residual_1"))
    assert (tick.forward.ms, tick.backward.ms, tick.ms) == (3000, 4000, 7000)
    assert (body.forward.ms, body.backward.ms, body.ms) == (500, 250, 750)
    assert own.ms == profile["dense_1"].ms == profile["loss"].ms == profile["optimizer"].ms == 0
    assert profile["rest"].ms == 2000
    steps = sorted(1000 * (a + b + 0.75 + 2) for a, b in ((5, 2), (1, 4), (3, 9)))
    assert profile["step"].ms == steps[1]
    assert profile["step"].forward.ms == 3500
    assert tick.share == 7000 / steps[1]
    assert profile["step"].share == 1
    assert tick.forward.gbs == pytest.approx(2 * 4 * 90 * 3 / 3 / 1e9)
    assert tick.forward.copy_share == tick.forward.gbs / 20


def test_speed_is_work_over_time(data):
    profile = nested().profile(*data, repeats=2)
    for name in ("stem", "dense_1", "step"):
        for way in (profile[name].forward, profile[name].backward):
            assert way.gflops == pytest.approx(2 * way.multiply_adds / way.ms / 1e6)
            assert way.peak_share == way.gflops / 100
            assert way.gbs == pytest.approx(way.nbytes / way.ms / 1e6)


def test_a_layer_in_two_places_has_one_row_with_the_sums(monkeypatch, data):
    monkeypatch.setattr("deepfs.inspection.meters.perf_counter", Clock.read)
    shared, tick = L.Dense(4, bias=False), Tick((3,), (2,))
    model = model_of(L.Dense(4), shared, tick, L.Residual(shared), tick, L.Dense(3))
    profile = model.profile(*data, repeats=1)
    names = [row.name for row in profile.rows]
    assert names[:5] == ["dense_1", "dense_2", "tick_1", "residual_1", "dense_3"]
    assert profile["dense_2"].calls == profile["tick_1"].calls == 2
    assert profile["tick_1"].ms == 2 * 3000 + 2 * 2000
    assert profile["dense_2"].forward.multiply_adds == 2 * 90 * 16
    assert profile["dense_2"].backward.multiply_adds == 2 * 2 * 90 * 16
    assert "dense_2 x2 " in str(profile)


def test_a_fused_layer_is_marked_and_keywords_pass_through(data):
    profile = model_of(L.Dense(3), Fusing(Adds(), L.ReLU())).profile(*data, repeats=1)
    row = profile["fusing_1.second"]
    assert (row.calls, row.ms, row.forward, row.backward) == (0, 0, None, None)
    lines = {line.split()[0]: line.split() for line in str(profile).splitlines()}
    assert lines["fusing_1.second"] == ["fusing_1.second", "-", "fused", *["-"] * 11]
    assert "fused" not in lines["fusing_1.first"]


def test_a_layer_fused_forward_alone_shows_its_backward(data):
    model = model_of(L.Dense(3), Fusing(Adds(), Tick(), backward_too=False))
    profile = model.profile(*data, repeats=1)
    row = profile["fusing_1.second"]
    assert row.forward is None
    assert row.ms == row.backward.ms > 0
    cells = str(profile).splitlines()[5].split()
    assert cells[:3] == ["fusing_1.second", "-", "fused"]
    assert cells[3] == cells[4] != "-"


def state(model):
    """Everything a model has, in bytes."""
    return pickle.dumps(model)


def test_the_model_stays_as_it_is(data):
    x, y = data
    model, other = small_model(), small_model()
    dfs.set_seed(1)
    model.fit(x, y, verbose=0)
    dfs.set_seed(1)
    other.fit(x, y, verbose=0)
    model.arena.grads[:] = 1  # a step would clear them
    before, arena, history = state(model), model.arena, model.history
    model.profile(x[:40] + 1, y[:40], repeats=3)
    assert state(model) == before
    assert model.arena is arena
    assert model.history is history
    for any_model in (model, other):
        any_model.train_on_batch(x, y)
    assert_array_equal(model.arena.values, other.arena.values)
    assert state(model) != before  # the comparison sees a step


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("direction", [0, 1], ids=["forward", "backward"])
@pytest.mark.parametrize("call", [1, 3])
def test_the_model_stays_as_it_is_when_a_step_fails(error, direction, call, monkeypatch, data):
    x, y = data
    model = small_model()
    model.network = L.Sequential([*model.network.layers, Raises()])
    monkeypatch.setattr(Raises, "error", error)
    monkeypatch.setattr(Raises, "left", {})
    model.train_on_batch(x, y)
    before = state(model)
    Raises.left[direction] = call
    with pytest.raises(error, match="enough"):
        model.profile(x, y)
    assert state(model) == before
    model.train_on_batch(x, y)
    assert model.steps == 2


def test_nothing_hangs_on_the_layers_while_steps_run(data):
    model = small_model()
    found = []

    def look(outputs, targets):
        found.extend(vars(layer).keys() & {"_forward", "_backward"} for layer in net.layers)
        return 0

    net, model.trainer.metrics["look"] = model.network, look
    model.profile(*data, repeats=2)
    assert found == [set()] * 3 * len(net.layers)


def test_every_step_is_the_same(data):
    """At this rate the second step of a training run would be far off."""
    seen = []

    def note(outputs, targets):
        seen.append(outputs.copy())
        return 0

    model = model_of(L.Dense(3), metrics=(note,))
    model.optimizer = dfs.optimizers.SGD(1e9)
    model.profile(*data, repeats=3)
    assert len(seen) == 4
    for outputs in seen[1:]:
        assert_array_equal(outputs, seen[0])


def test_a_new_network_is_built_and_no_more(data):
    x, y = data
    model, other = small_model(dtype="float64"), small_model(dtype="float64")
    dfs.set_seed(1)
    profile = model.profile(x, y, repeats=1)
    dfs.set_seed(1)
    other.network.prepare(x)
    assert state(model) == state(other)
    assert model.arena is None
    assert profile["conv2d_1"].algorithm == "indirect"
    assert profile.dtype == "float64"


@pytest.mark.parametrize(
    ("change", "settings", "error", "message"),
    [
        (lambda x, y: (x[:0], y[:0]), {}, ValueError, "Model.profile needs at least 1 sample, got"),
        (lambda x, y: (x, y[:-1]), {}, ValueError, "takes integer labels"),
        (lambda x, y: (x, y + 1), {}, ValueError, "labels from 0 to 2, got 3 at index"),
        (lambda x, y: (x[:, 0], y), {}, ValueError, "takes 4 dimensional input, got shape"),
        (lambda x, y: (x * np.nan, y), {}, FloatingPointError, "the loss at step 1 is nan"),
        (lambda x, y: (x, y), {"repeats": 0}, ValueError, "repeats must be at least 1, got 0"),
        (lambda x, y: (x, y), {"repeats": 2.5}, TypeError, "repeats must be an int, got 2.5"),
    ],
)
def test_refuses(change, settings, error, message, data):
    with pytest.raises(error, match=message):
        small_model().profile(*change(*data), **settings)


def test_data_is_json(data):
    profile = nested().profile(*data, repeats=1)
    found = json.loads(json.dumps(profile.as_dict()))
    assert found["rows"][0]["forward"]["multiply_adds"] == 90 * 8 * 81 * 9
    assert [row["name"] for row in found["rows"]] == [row.name for row in profile.rows]
    assert (found["peak_gflops"], found["copy_gbs"]) == (100, 20)


def test_table(data):
    profile = nested().profile(*data, repeats=2)
    lines = str(profile).splitlines()
    head = ["layer", "algorithm", "fwd", "bwd", "both", "%", *2 * ["fwd", "%", "bwd", "%"]]
    assert lines[1].split() == head
    end = 2 + len(profile.rows)
    assert [line.split()[0] for line in lines[2:end]] == [row.name for row in profile.rows]
    assert len({len(line) for line in lines[:end]}) == 1  # columns stand below one another
    assert "float32, batch 90, " in lines[end]
    assert "of 100 GFLOP/s" in lines[end + 1]
    assert "of 20.0 GB/s" in lines[end + 1]
    row = dataclasses.replace(profile["stem"], ms=1.25, share=0.034, backward=None)
    slow = dataclasses.replace(profile["step"], ms=12.5)
    way = profile_module.Pass(1.25, 4, 4, 123.4, 1.234, 9.94, 0.0994)
    profile.rows[:] = [dataclasses.replace(row, forward=way), slow]
    shown = str(profile).splitlines()[2].split()
    speeds = ["123", "123", "-", "-", "9.9", "9.9", "-", "-"]
    assert shown == ["stem", row.algorithm, "1.25", "-", "1.25", "3.4", *speeds]


def test_what_is_above_100_percent_is_explained(data):
    profile = nested().profile(*data, repeats=1)
    way = profile_module.Pass(1.0, 4, 4, 90.0, 0.9, 19.0, 0.95)
    row = dataclasses.replace(profile["stem"], algorithm="indirect", forward=way, backward=None,
                              backward_algorithm="-")  # fmt: skip
    cached = "above 100 % of GB/s: the arrays are in a cache; the copy of 64 MB goes to the memory"
    for change, algorithm, said in (
        ({}, "indirect", []),
        ({"copy_share": 1.2}, "indirect", [cached]),
        (
            {"peak_share": 1.1},
            "winograd",
            [
                "above 100 % of GFLOP/s: Winograd's algorithm multiplies less often than textbooks "
                "count"
            ],
        ),
        (
            {"peak_share": 1.1, "copy_share": 1.2},
            "indirect",
            [
                "above 100 % of GFLOP/s: these products are faster than one of 512x512x512",
                cached,
            ],
        ),
    ):
        way_now = dataclasses.replace(way, **change)
        profile.rows[:] = [dataclasses.replace(row, forward=way_now, algorithm=algorithm)]
        assert str(profile).splitlines()[5:] == said
        assert all(len(line) <= 100 for line in str(profile).splitlines())


@dataclass(eq=False)
class Chooses(Tick):
    """Has an algorithm for each pass."""

    algorithms: tuple = ()

    def algorithm_for(self, in_shape, pass_name="forward"):
        passes = ("forward", "backward_weight", "backward_input")
        return self.algorithms[passes.index(pass_name)]


def test_backward_algorithms_are_shown_where_they_differ(data):
    first, *rest = (Chooses(algorithms=names) for names in ("abc", "aab", "aaa", "abb"))
    profile = model_of(L.Flatten(), first, L.Dense(3), *rest).profile(*data, repeats=1)
    found = [row.backward_algorithm for row in profile.rows if row.kind == "Chooses"]
    assert found == ["-", "a, b", "a", "b"]  # no pass backward before the first that learns
    shown = [line for line in str(profile).splitlines() if line.startswith("chooses")]
    assert [re.split(" {2,}", line)[1] for line in shown] == ["a", "a / b", "a", "a / b"]


def test_table_is_at_most_100_wide(data):
    deep = L.Sequential([L.Dense(3, name="a_layer_of_a_very_long_name" * 4)])
    for _ in range(4):
        deep = L.Sequential([L.Residual(deep)])
    profile = model_of(L.Dense(3), deep).profile(*data, repeats=1)
    for i, ms in enumerate((1e-4, 12.345, 99_999.9)):  # whatever the numbers
        row = dataclasses.replace(profile.rows[i], ms=ms)
        profile.rows[i] = dataclasses.replace(
            row, forward=profile_module.Pass(ms, 1, 1, 12_345.0, 123.45, 1234.5, 61.7)
        )
    lines = str(profile).splitlines()
    assert max(map(len, lines)) == 100
    cut = [line.split()[0] for line in lines if line.startswith("..")]
    assert cut[-1].endswith("name")


def test_a_network_of_one_layer_has_a_row(data):
    model = dfs.Model(L.Dense(3), dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    profile = model.profile(*data, repeats=1)
    assert profile.rows[0].name == ""
    assert str(profile).splitlines()[2].split()[0] == "Dense"


@pytest.mark.usefixtures("real_machine")
def test_measures_the_machine(data):
    profile = small_model().profile(*data, repeats=1)
    assert 0.01 < profile.peak_gflops < 1e5
    assert 0.01 < profile.copy_gbs < 1e5
    with dfs.threads(2):
        assert small_model().profile(*data, repeats=1).threads == 2
