"""Settings: checked whenever they are set, as in the constructor, and no others taken."""

import copy
import dataclasses
import pickle
import sys
import threading
from dataclasses import dataclass

import numpy as np
import pytest

import deepfs as dfs
from deepfs import callbacks, layers, losses, optimizers, regularizers, schedules
from deepfs import layers as L
from deepfs._names import is_slip


@pytest.mark.parametrize(
    ("made", "name", "value", "error", "message"),
    [
        (L.Dropout(0.5), "p", 2, ValueError, "p must be in"),
        (L.MaxPool2D(2), "kernel_size", 0, ValueError, "kernel_size must be a positive int"),
        (dfs.losses.CrossEntropy(), "label_smoothing", -1, ValueError, "label_smoothing"),
        (dfs.optimizers.Adam(), "beta1", 1.5, ValueError, "beta1"),
        (dfs.optimizers.SGD(), "lr", "fast", TypeError, "lr"),
        (dfs.schedules.Cosine(0.1, 10), "total", 0.5, TypeError, "total"),
    ],
    ids=lambda part: part if isinstance(part, str) else type(part).__name__,
)
def test_refuses_what_the_constructor_refuses_and_keeps_what_was(made, name, value, error, message):
    before = dict(vars(made))
    with pytest.raises(error, match=message):
        setattr(made, name, value)
    assert vars(made) == before


def test_what_follows_from_a_setting_follows():
    pool = L.MaxPool2D(2)
    pool.kernel_size = 3
    assert (pool.kernel_size, pool.stride) == ((3, 3), (3, 3))
    pool.stride = 1
    pool.kernel_size = 2
    assert pool.stride == (1, 1)


@pytest.mark.parametrize(
    ("name", "made", "message"),
    [
        ("momentun", L.BatchNorm(), "did you mean 'momentum'"),
        ("out_features", L.Dense(3), "it is called 'units' here"),
        ("learning_rate", dfs.optimizers.Adam(), "it is called 'lr' here"),
        ("anything", L.ReLU(), "ReLU has no attribute 'anything'"),
        ("trainable", L.Dense(3), r"call freeze\(\) or unfreeze\(\)"),
    ],
    ids=lambda part: part if isinstance(part, str) else type(part).__name__,
)
def test_refuses_what_is_no_setting(name, made, message):
    with pytest.raises(AttributeError, match=message):
        setattr(made, name, 1)
    assert not hasattr(made, name)


def test_a_built_layer_keeps_the_settings_of_its_arrays():
    dense = L.Dense(3)
    dense(np.ones((2, 4)))
    with pytest.raises(AttributeError, match=r"has been built with it. Make a new layer, Dense"):
        dense.units = 5
    assert dense(np.ones((2, 4))).shape == (2, 3)


def test_a_change_that_does_not_fit_the_input_is_refused():
    pool = L.MaxPool2D(2)
    pool(np.ones((2, 3, 4, 4)))
    with pytest.raises(ValueError, match="window"):
        pool.kernel_size = 5
    assert pool.kernel_size == (2, 2)
    conv = L.Conv2D(2, 3)
    conv(np.ones((2, 3, 6, 6)))
    with pytest.raises((AttributeError, ValueError)):
        conv.dilation = 9
    assert conv.dilation == (1, 1)


def test_a_layer_without_arrays_is_built_anew():
    shape = L.Reshape((2, 6))
    shape(np.ones((2, 12)))
    shape.shape = (3, 4)
    assert shape(np.ones((2, 12))).shape == (2, 3, 4)


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
    with pytest.raises(TypeError, match="a metric is a name and a function"):
        m.metrics["mine"] = 3
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

    def reach(self, other):
        other.other = self


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


def refused(error, message, assign, *arguments):
    with pytest.raises(error, match=message):
        assign(*arguments)


class Model:  # called as a class of deepfs
    def configure(self, other):
        other.foo = 1

    def of_another(self, _):  # called with an object of another class as its first argument
        self.foo = 1


def test_methods_of_other_objects():
    for made in (model(), L.Dense(3), Half()):
        refused(AttributeError, "no attribute 'foo'", Model().configure, made)
        refused(AttributeError, "no attribute 'foo'", Model.of_another, made, None)
    refused(AttributeError, r"'other': add it in a method of Half", Half().reach, Half())


def test_another_module_has_a_class_of_the_same_name():
    here = {"Layer": L.Layer, "__name__": "here"}
    exec("class Half(Layer):\n  def reach(self): self.foo = 1", here)
    refused(AttributeError, "add it in a method of Half", here["Half"].reach, Half())


@pytest.mark.parametrize(
    ("base", "name", "message"),
    [
        (L.Layer, "learning_rate", r"Group\(lr_scale"),
        (L.Layer, "lr", r"Group\(lr_scale"),
        (L.Layer, "training", "an argument of forward"),
        (L.Layer, "trainable", r"call freeze\(\)"),
        (losses.Loss, "from_logits", "the loss says what outputs mean"),
        (losses.Loss, "reductoin", "did you mean 'reduction'"),
        (callbacks.Callback, "stop_training", r"set self\.model\.stop_training"),
        (callbacks.Callback, "moxel", "did you mean 'model'"),
    ],
    ids=lambda part: part if isinstance(part, str) else part.__name__,
)
def test_names_that_do_nothing_here(base, name, message):
    class Own(base):
        """A class of a user, whose hooks are not called."""

        def hook(self, name):
            setattr(self, name, 1)

        _out_shape = _forward = _backward = terms = _gradient = hook

    own = Own()
    refused(AttributeError, message, own.hook, name)
    for harmless in ("activation", "in_channels", "epoch", "calls", "layers"):
        own.hook(harmless)


def test_the_way_to_an_attribute_of_a_class_of_ones_own():
    class Plain(Half):
        more: float = 1.0

    refused(AttributeError, "decorate Plain with @dataclass", setattr, Plain(), "more", 2)
    refused(TypeError, "decorate Plain with @dataclass", lambda: Plain(more=2))
    refused(AttributeError, "'foo': add it in a method of Half", setattr, Half(), "foo", 1)

    class Power(losses.ElementWise):
        power: float = 2.0
        _value = _slope = None

    refused(TypeError, "takes no arguments: decorate it with @dataclass", lambda: Power(power=2))


def test_messages_suggest_what_can_be_assigned():
    with pytest.raises(AttributeError, match=r"has no attribute 'epoch'$"):
        model().epoch = 1
    for made, name, message in (
        (regularizers.L2(0.1), "l2", "called 'rate' here"),
        (optimizers.Group("*"), "weight_decay", r"regularizer=L2\(rate\)"),
    ):
        refused(AttributeError, message, setattr, made, name, 1)
    for wrong in ("l2", 3, [None]):
        with pytest.raises(TypeError, match=r"as L2\(1e-4\), got ('l2'|3|None)$"):
            optimizers.Group("*", regularizer=wrong)
    net = L.Sequential([L.Dense(3)])
    net(np.zeros((1, 2)))
    with pytest.raises(AttributeError, match=r"\); a model takes it by model\.network ="):
        net.dtype = "float64"


def test_names_and_dtypes_are_checked_before_the_layer_is_built():
    refused(TypeError, "name of a layer must be a str, got 3", lambda: L.Conv2D(8, 3, name=3))
    refused(ValueError, 'dtype must be "float32" or', lambda: L.Conv2D(8, 3, dtype="int8"))
    conv = L.Conv2D(8, 3)
    refused(TypeError, "name of a layer must be a str, got 3", setattr, conv, "name", 3)
    refused(ValueError, 'dtype must be "float32" or', setattr, conv, "dtype", "int8")
    assert (conv.name, conv.dtype) == (None, None)


def test_a_trainer_checks_as_its_model():
    trainer = model().trainer
    refused(TypeError, "needs a deepfs Optimizer, got 3", setattr, trainer, "optimizer", 3)
    refused(AttributeError, "did you mean 'optimizer'", setattr, trainer, "optimizr", 3)
    refused(AttributeError, "Trainer has no attribute 'foo'", setattr, trainer, "foo", 3)
    refused(AttributeError, "no attribute 'foo'", setattr, copy.deepcopy(trainer), "foo", 3)
    trainer.optimizer = optimizers.SGD()


def test_the_configuration():
    for name, value, error, message in (
        ("winogrd", True, AttributeError, "did you mean 'winograd'"),
        ("winograd", "a", TypeError, r"config\.winograd must be True or False, got 'a'"),
        ("threads", 4, AttributeError, r"config\.threads cannot be assigned"),
    ):
        refused(error, message, setattr, dfs.config, name, value)
    dfs.config.winograd = False
    assert dfs.config.winograd is False
    dfs.config.winograd = True


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


def test_other_threads_compute_all_the_while(monkeypatch):
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
    monkeypatch.setattr(threading, "excepthook", lambda error: wrong.append(error.exc_value))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take turns between any two lines
    for thread in threads:
        thread.start()
    for number in range(200):
        net.layers[0].stride = number % 2 + 1
        with pytest.raises(ValueError, match="exceeds the image"):
            net.layers[0].dilation = 5
    done.set()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    assert not wrong
