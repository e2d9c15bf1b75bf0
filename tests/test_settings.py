"""Settings are checked whenever they are set, and nothing else can be set."""

import copy
import dataclasses
import inspect
import pickle
import threading
from dataclasses import dataclass

import numpy as np
import pytest

import deepfs as dfs
from deepfs import (
    callbacks,
    initializers,
    layers,
    losses,
    optimizers,
    regularizers,
    schedules,
)
from deepfs import layers as L
from deepfs._names import ELSEWHERE, is_slip
from deepfs._settings import Settings, setting_names
from every_layer import CASES, spread

NEEDED = {  # arguments without which there is none
    "filters": 6, "kernel_size": 3, "units": 4, "p": 0.4, "pieces": 2, "shape": (6, -1),
    "factor": 2, "output_size": 2, "groups": 2, "slope": 0.1, "std": 0.5, "padding": 1,
    "layers": [L.Dense(3), L.ReLU()], "parts": [L.Dense(3), L.Tanh()], "body": L.Dense(5),
    "lr": 0.1, "total": 10, "every": 3, "milestones": [3, 5], "decay": 0.1, "first": 4,
    "length": 4, "then": 0.5, "names": "*", "rate": 0.1, "l1": 0.1, "l2": 0.2, "limit": 2.0,
    "start": 2,
}  # fmt: skip
ANYTHING = ("name", "dtype", "monitor", "best", "data")  # what the constructor does not check
BAD = [  # for some setting or other
    -1, 0, 3, 10**10, -0.5, 0.5, 1.5, np.nan, np.inf, "nope", "", None, True, (), (1, -2), [0.5],
    object(), "same", (1, 2), 7, "epoch", "none", "torch", "direct", "glorot_normal",
]  # fmt: skip


def public():
    """Return all classes with settings that can be built, and how to build one."""
    found = {}
    for module in (layers, losses, optimizers, schedules, regularizers, initializers, callbacks):
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
    for module in (layers, losses, optimizers, schedules, regularizers, initializers, callbacks):
        for name in module.__all__:
            kind = getattr(module, name)
            if isinstance(kind, type) and name not in ("Arena", "Parameter", "StepContext"):
                assert issubclass(kind, Settings), name


@every_class
def test_assignment_is_the_constructor(kind):
    """Whatever is assigned: the object is what the constructor makes of it, or as it was."""
    for name in setting_names(kind):
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
        with pytest.raises(AttributeError, match=rf"^{kind.__name__} .*has no .*{name}.*{hint}"):
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
    names = set(setting_names(kind)) - {*ANYTHING}
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


def test_what_is_chosen_follows_and_what_is_given_stays():
    pool = L.MaxPool2D(2)
    pool.kernel_size = 3
    assert pool.stride == (3, 3)
    pool.stride = 1
    pool.kernel_size = 4
    assert pool.stride == (1, 1)
    pool.stride = None
    assert pickle.loads(pickle.dumps(pool)).stride == (4, 4)
    adam = optimizers.Adam()
    adam.eps_mode = "textbook"
    assert adam.eps == 1e-7
    adam = optimizers.Adam(eps=1e-6)
    adam.eps_mode = "textbook"
    assert adam.eps == 1e-6


def test_built_settings_say_the_way():
    dense = L.Dense(3)
    net = L.Sequential([dense])
    net(np.zeros((1, 2)))
    with pytest.raises(AttributeError, match=r'^Dense "dense_1".units cannot change: .*replace\('):
        dense.units = 4
    with pytest.raises(AttributeError, match="stands in a container as 'dense_1'"):
        dense.name = "a"
    with pytest.raises(AttributeError, match="dtype cannot change"):
        dense.dtype = "float64"
    with pytest.raises(AttributeError, match="in_shape is not a setting"):
        dense.in_shape = (4,)


def data(classes=3):
    x = np.random.default_rng(0).normal(size=(60, 5))
    return x, np.arange(60) % classes


def model(optimizer=None, **options):
    dfs.set_seed(0)
    net = L.Sequential([L.Dense(8), L.ReLU(), L.Dense(3)])
    loss = losses.CrossEntropy()
    return dfs.Model(net, loss, optimizer or optimizers.Adam(0.05), **options)


def test_a_model_refuses_what_is_no_part_of_it():
    m = model()
    with pytest.raises(AttributeError, match=r"did you mean optimizer\.lr"):
        m.learning_rate = 0.1
    with pytest.raises(AttributeError, match="did you mean 'stop_training'"):
        m.stop_trainin = True
    with pytest.raises(AttributeError, match="did you mean 'predict'"):
        m.predcit()
    for name in ("steps", "epochs", "arena", "state"):
        with pytest.raises(AttributeError, match="follows from training"):
            setattr(m, name, 1)
    for name in ("trainer", "history"):
        with pytest.raises(AttributeError, match="not a setting"):
            setattr(m, name, 1)
    with pytest.raises(TypeError, match="needs a deepfs Layer"):
        m.network = 1
    with pytest.raises(ValueError, match="metric must be one of"):
        m.metrics = ["nope"]
    with pytest.raises(TypeError, match="does not support item assignment"):
        m.metrics["mine"] = print
    m.metrics = model(metrics=["top_2_accuracy"]).metrics
    assert list(m.train_on_batch(*data())) == ["loss", "top_2_accuracy"]
    pickle.loads(pickle.dumps(m)).metrics = ()


def test_a_loss_of_many_numbers_under_a_model():
    m, (x, y) = model(), data()
    m.loss.reduction = "none"
    for use in (m.fit, m.evaluate, m.train_on_batch):
        with pytest.raises(ValueError, match='one number, got reduction="none"'):
            use(x, y)
    m.loss.reduction = "sum"
    m.train_on_batch(x, y)


def test_rates_in_mid_training():
    class Slower(callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.optimizer.lr = 0.05 / (epoch + 1)
            self.seen = epoch

    class Wrong(callbacks.Callback):
        def on_train_batch_end(self, batch, logs):
            self.model.optimizer.learning_rate = 1e-12

    (x, y), m, slower = data(), model(), Slower()
    m.fit(x, y, epochs=3, verbose=0, callbacks=[slower])
    assert m.optimizer.lr == 0.05 / 3
    assert slower.seen == 2
    with pytest.raises(AttributeError, match="called 'lr' here"):
        m.fit(x, y, verbose=0, callbacks=[Wrong()])


@pytest.mark.parametrize(
    ("optimizer", "name", "value", "arrays"),
    [
        (lambda: optimizers.Adam(0.01), "amsgrad", True, ["m", "v", "v_max"]),
        (lambda: optimizers.RMSProp(0.01), "centered", True, ["m", "v"]),
        (lambda: optimizers.RMSProp(0.01), "momentum", 0.5, ["b", "v"]),
        (lambda: optimizers.RMSProp(0.01, momentum=0.5), "momentum", 0.0, ["v"]),
        (lambda: optimizers.Momentum(0.01), "form", "torch", ["v"]),
    ],
)
def test_another_rule_starts_without_state(optimizer, name, value, arrays):
    (x, y), m = data(), model(optimizer())
    m.fit(x, y, epochs=2, verbose=0)
    fresh = model(dataclasses.replace(optimizer(), **{name: value}))
    fresh.network = copy.deepcopy(m.network)
    setattr(m.optimizer, name, value)
    m.train_on_batch(x, y)
    fresh.train_on_batch(x, y)
    assert sorted(m.state) == arrays
    for key, parameter in m.network.parameters().items():
        np.testing.assert_array_equal(parameter.value, fresh.network.parameters()[key].value)
    state = m.state
    setattr(m.optimizer, name, value)  # it is
    m.optimizer.lr = 0.02
    m.train_on_batch(x, y)
    assert m.state is state

    weights, plain = {"w": np.ones(3)}, optimizer()
    plain.update(weights, {"w": np.ones(3)})
    setattr(plain, name, value)
    plain.update(weights, {"w": np.ones(3)})


def test_groups_and_regularizers_follow():
    penalty = regularizers.L2(0.1)
    group = optimizers.Group("dense_1.*")
    options = optimizers.SGD(0.1, groups=[group, optimizers.Group("*", regularizer=penalty)])
    m, (x, y) = model(options, report_penalty=True), data()
    first = m.train_on_batch(x, y)["penalty"]
    penalty.rate = 1.0
    assert m.train_on_batch(x, y)["penalty"] > 5 * first
    group.frozen = True
    before = m.network.parameters()["dense_1.weight"].value.copy()
    m.train_on_batch(x, y)
    np.testing.assert_array_equal(m.network.parameters()["dense_1.weight"].value, before)
    group.names = ["dense_3.*"]
    assert group.names == ("dense_3.*",)
    with pytest.raises(ValueError, match="no parameter matches 'dense_3"):
        m.train_on_batch(x, y)


def test_schedules_keep_their_position():
    warmup = schedules.Warmup(2, then=schedules.Plateau(0.1, patience=0, by="epoch"), by="epoch")
    warmup.observe({"loss": 1.0})
    warmup.observe({"loss": 2.0})
    warmup.length = 3
    warmup.then.lr = 0.2
    assert (warmup.then.best, warmup.then.cuts) == (1.0, 1)
    assert warmup.then(5) == pytest.approx(0.02)
    warmup = schedules.Warmup(4, then=0.8)
    warmup.by = "epoch"
    assert warmup.then.by == "epoch"


def test_averages_go_on():
    average, m = callbacks.EMA(0.9), model()
    m.fit(*data(), verbose=0, callbacks=[average])
    average.decay = 0.5
    assert average.updates == 2
    with average.swapped():
        pass
    with pytest.raises(AttributeError, match="updates is not a setting"):
        average.updates = 0


def test_parameters_say_what_they_are_called():
    weight = model().network.layers[0]
    weight(np.zeros((1, 5)))
    weight = weight.parameters()["weight"]
    for name, hint in (("requires_grad", "freeze()"), ("data", "'value'"), ("gradient", "'grad'"),
                       ("frozen", "freeze()")):  # fmt: skip
        with pytest.raises(AttributeError) as found:
            setattr(weight, name, 1)
        assert hint in str(found.value)
    assert copy.deepcopy(weight).value.shape == (5, 8)


@dataclass(eq=False)
class Half(L.Layer):
    factor: float = 2.0

    def __post_init__(self):
        self.factor = layers.number(self.factor, "factor", "(0, inf)")
        self.half = self.factor / 2
        self.calls, self.log = 0, []

    def _out_shape(self, in_shape):
        return in_shape

    def _forward(self, x, training):
        self.calls += 1
        self.log.append(training)
        self.last_shape = x.shape
        return x * self.half, None

    def _backward(self, dy, cache, need_dx):
        return dy * self.half


@dataclass(eq=False, slots=True)
class InSlots(Half):
    more: float = 1.0


def test_what_is_worked_out_follows_and_what_has_been_counted_stays():
    for kind in (Half, InSlots):
        layer = kind()
        layer(np.ones((1, 1)))
        layer.factor = 4
        assert (layer.half, layer.calls, layer.log) == (2.0, 1, [False])
        with pytest.raises(ValueError, match=r"factor must be in \(0, inf\)"):
            layer.factor = -1
        assert (layer.factor, layer.half) == (4.0, 2.0)
        with pytest.raises(AttributeError, match="did you mean 'factor'"):
            layer.facotr = 1
        assert pickle.loads(pickle.dumps(layer)).half == 2.0
        assert dataclasses.replace(layer, factor=6).half == 3.0
    layer = InSlots(more=2)
    layer.more = 3
    assert copy.deepcopy(layer).more == 3


def test_a_constructor_of_its_own():
    class Block(L.Sequential):
        def __init__(self, units):
            super().__init__([L.Dense(units), L.ReLU()])
            self.made_for = units

    block = Block(4)
    block(np.zeros((1, 2)))
    block.layers = (*block.layers, L.Dense(3))
    assert block(np.zeros((1, 2))).shape == (1, 3)
    assert (block.made_for, copy.deepcopy(block).made_for) == (4, 4)

    class Foreign(L.Dense):
        def __init__(self):
            super().__init__(3)
            self.use_bias = True

    with pytest.raises(AttributeError, match="called 'bias' here"):
        Foreign()


def test_nothing_changes_behind_a_check():
    loss = losses.CrossEntropy(class_weight=[1, 2])
    with pytest.raises(TypeError):
        loss.class_weight[0] = -1
    conv = L.Conv2D(3, 3)
    with pytest.raises(AttributeError, match="stride cannot be deleted"):
        del conv.stride
    settings = {
        name: value
        for kind in PUBLIC.values()
        for name, value in vars(kind(**needed(kind))).items()
    }
    lists = {name for name, value in settings.items() if isinstance(value, (list, set))}
    assert not lists


def test_functions_are_no_methods():
    def configure(optimizer):
        optimizer.momentum = 0.9

    with pytest.raises(AttributeError, match="use the optimizer Momentum"):
        configure(optimizers.SGD())


def test_slips():
    assert is_slip("leanring", "learning")
    assert is_slip("kernelsize", "kernel_size")
    assert not is_slip("lr", "mr")
    assert not is_slip("weight2", "weight")


def test_other_threads_compute_all_the_while():
    """A setting changes at once for other threads; a refused one never shows."""
    net = L.Sequential([L.Conv2D(4, 3), L.ReLU(), L.GlobalAvgPool2D()])
    x = np.random.default_rng(0).normal(size=(1, 2, 9, 9))
    outputs = []
    for stride in (1, 2):
        net.layers[0].stride = stride
        outputs.append(net(x))
    wrong, done = [], threading.Event()

    def infer():
        while not done.is_set():
            y = net(x)
            if not any((y == output).all() for output in outputs):
                wrong.append(y)

    threads = [threading.Thread(target=infer) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(200):
        net.layers[0].stride = number % 2 + 1
        with pytest.raises(ValueError, match="exceeds the image"):
            net.layers[0].dilation = 5
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong


# Exchanging parts.


def test_an_exchanged_head_is_trained():
    (x, y), m = data(), model()
    m.fit(x, y, verbose=0)
    head = L.Dense(3)
    head(np.ones((1, 8)))
    before = head.parameters()["weight"].value.copy()
    m.network.layers = (*m.network.layers[:-1], head)
    m.fit(x, y, epochs=2, verbose=0)
    assert (head.parameters()["weight"].value != before).any()
    for new in (L.Dense(5), L.Dense(7)):  # not built yet
        m.network.layers = (*m.network.layers[:-1], new)
        assert m.predict(x).shape == (60, new.units)
        m.train_on_batch(x, y)
    m.network.layers = m.network.layers[:-1]  # fewer
    m.network.layers = (*m.network.layers, L.Tanh(), L.Dense(3))  # more
    m.train_on_batch(x, y)
    assert m.predict(x).shape == (60, 3)
    assert list(m.network.parameters())[2:] == ["dense_2.weight", "dense_2.bias"]


@pytest.mark.parametrize("new", [L.Tanh, L.ReLU, lambda: L.Dense(8), L.BatchNorm])
@pytest.mark.parametrize("where", [(0, 1), (2, 0), (1, None)])
def test_neighbours_of_an_exchanged_layer(new, where):
    """A ReLU that a neighbour had computed: the network is what one made so would be."""

    def network(*put):
        dfs.set_seed(0)
        first, relu, last = [L.Dense(8), L.Dense(8)], L.ReLU(), [L.ReLU(), L.Dense(3)]
        if put:
            if where[1] is None:
                relu = put[0]
            else:
                (first, None, last)[where[0]][where[1]] = put[0]
        return L.Sequential([L.Sequential(first), relu, L.Sequential(last)])

    (x, y), changed = data(), network()
    m = dfs.Model(changed, losses.CrossEntropy(), optimizers.SGD(0.1))
    m.fit(x, y, verbose=0)
    path = list(changed.named_parts())[where[0]]
    if where[1] is not None:
        path += "." + list(changed.layers[where[0]].named_parts())[where[1]]
    changed.replace(path, new())
    made = network(new())
    made(x)
    for key, parameter in made.parameters().items():
        parameter.value = changed.parameters()[key].value
    other = dfs.Model(made, losses.CrossEntropy(), optimizers.SGD(0.1))
    for _ in range(2):
        assert m.train_on_batch(x, y) == other.train_on_batch(x, y)
    for key, parameter in made.parameters().items():
        np.testing.assert_array_equal(parameter.value, changed.parameters()[key].value)
    np.testing.assert_array_equal(m.predict(x), other.predict(x))


def test_a_refused_part_leaves_no_trace():
    net = L.Sequential([L.Dense(8), L.Sequential([L.ReLU(), L.Dense(3)])])
    net(np.zeros((1, 5)))
    before, inner = dict(vars(net)), dict(vars(net.layers[1]))
    dense, conv = L.Dense(4), L.Conv2D(3, 3)
    attempts = [
        lambda: setattr(net, "layers", (dense, conv)),
        lambda: setattr(net, "layers", (dense, L.Dense(3, dtype="float32"))),
        lambda: setattr(net, "layers", (dense, 5)),
        lambda: setattr(net, "layers", (dense, net)),
        lambda: setattr(net, "layers", ()),
        lambda: setattr(net, "layers", dense),
        lambda: net.replace("dense_1", conv),
        lambda: net.replace("sequential_1.dense_1", conv),
        lambda: net.replace("dense_3", dense),
    ]
    for attempt in attempts:
        with pytest.raises((KeyError, TypeError, ValueError)):
            attempt()
        assert vars(net) == before
        assert vars(net.layers[1]) == inner
        for part in (dense, conv):
            assert part.in_shape is None
            assert part.given_name is None


def test_parts_of_other_containers():
    x = np.zeros((2, 5))
    branches = L.Branches([L.Dense(4), L.Dense(4)])
    branches(x)
    branches.merge = "add"
    assert branches(x).shape == (2, 4)
    branches.merge = "concat"
    branches.parts = (L.Dense(3), *branches.parts)
    assert branches(x).shape == (2, 11)
    branches.merge, before = "concat", branches.parts
    with pytest.raises(ValueError, match="must add equal shapes"):
        branches.merge = "add"
    assert (branches.merge, branches.parts) == ("concat", before)
    residual = L.Residual(L.Dense(5))
    residual(x)
    with pytest.raises(ValueError, match="must add equal shapes"):
        residual.body = L.Dense(4)
    residual.shortcut = L.Dense(5)
    assert list(residual.parameters())[2:] == ["shortcut.weight", "shortcut.bias"]
    residual.shortcut = None
    residual.replace("body", L.Sequential([L.Dense(5), L.Dense(5)]))
    assert residual(x).shape == (2, 5)
    residual.replace("body.dense_1", L.Tanh())
    assert residual(x).shape == (2, 5)
