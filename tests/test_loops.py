"""Training loops of one's own: `optimizer.step(network)`, `zero_grad`, `end_epoch`."""

import copy
import gc
import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs.layers._parameter import gradients
from deepfs.losses import CrossEntropy
from deepfs.optimizers import SGD, Adam, Group, Momentum, _networks
from deepfs.regularizers import L1, L2, MaxNorm
from deepfs.schedules import Plateau, Step
from every_optimizer import every

X = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)
Y = np.arange(40) % 3


def network(seed=0):
    dfs.set_seed(seed)
    return built(L.Dense(8), L.BatchNorm(), L.ReLU(), L.Dropout(0.2), L.Dense(3))


def built(*layers):
    net = L.Sequential(layers or [L.Dense(3)])
    net(X)
    return net


def gradient(net, x=X, y=Y):
    """Add a gradient; return the loss."""
    loss = CrossEntropy()
    outputs, cache = net.forward(x, training=True)
    value, loss_cache = loss.forward(outputs, y)
    net.backward(loss.backward(loss_cache), cache, need_dx=False)
    return value


def train(net, optimizer, steps=3, clear=False):
    for _ in range(steps):
        gradient(net)
        optimizer.step(net, clear=clear)
        if not clear:
            net.zero_grad()


def values(net):
    return {name: p.value.copy() for name, p in net.parameters().items()} | {
        name: buffer.copy() for name, buffer in net.buffers().items()}  # fmt: skip


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name, value in a.items():
        assert_array_equal(value, b[name], err_msg=name)


@every
@pytest.mark.parametrize("clear", [False, True])
def test_a_loop_takes_the_steps_of_a_model(kind, settings, clear):
    """The same bits, in weights, statistics and the draws of dropout."""
    net = network()
    model = dfs.Model(net, CrossEntropy(), kind(**settings), ())
    logs = [model.train_on_batch(X, Y) for _ in range(4)]
    own, optimizer = network(), kind(**settings)
    losses = []
    for _ in range(4):
        losses.append(gradient(own))
        norm = optimizer.step(own, clear=clear)
        if not clear:
            own.zero_grad()
    assert losses == [entry["loss"] for entry in logs]
    assert norm == logs[-1].get("gradient_norm")
    assert_same(values(own), values(net))
    assert not any(p.grad.any() for p in own.parameters().values())


def test_groups_clipping_and_schedules_are_those_of_a_model():
    def optimizer():
        groups = [Group("dense_1.*", lr_scale=0.5), Group("*.weight", regularizer=[L1(0.1),
                  MaxNorm(0.5), lambda w: ((w**4).sum(), 4 * w**3)])]  # fmt: skip
        return Adam(Step(0.1, 2, 0.5), clip_norm=0.1, groups=groups)

    net, own = network(), network()
    model = dfs.Model(net, CrossEntropy(), optimizer(), ())
    for _ in range(5):
        model.train_on_batch(X, Y)
    train(own, optimizer(), 5)
    assert_same(values(own), values(net))


def test_gradients_stay_and_are_set_to_zero_on_demand():
    net, optimizer = built(), SGD(0.1)
    gradient(net)
    before = net.parameters()["dense_1.weight"].grad.copy()
    optimizer.step(net)
    assert_array_equal(net.parameters()["dense_1.weight"].grad, before)
    assert before.any()
    version = gradients.number
    net.zero_grad()
    assert not net.parameters()["dense_1.weight"].grad.any()
    assert gradients.number >= version
    L.Dense(3).zero_grad()  # nothing to do before it is built


def test_a_frozen_layer_stands():
    net = network()
    net(X)
    net.layers[0].freeze()
    before = values(net)
    train(net, Momentum(0.1))
    after = values(net)
    assert_array_equal(after["dense_1.weight"], before["dense_1.weight"])
    assert (after["dense_2.weight"] != before["dense_2.weight"]).any()
    net.layers[0].unfreeze()
    optimizer = Momentum(0.1)
    train(net, optimizer, 1)
    net.layers[0].freeze()
    before = values(net)["dense_1.weight"]
    train(net, optimizer, 1)
    assert_array_equal(values(net)["dense_1.weight"], before)


def test_an_exchanged_layer_starts_anew_as_in_a_model():
    nets = network(), network()
    model, optimizer = dfs.Model(nets[0], CrossEntropy(), Adam(0.1), ()), Adam(0.1)
    for net in nets:
        for part in range(2):
            for _ in range(3):
                if net is nets[0]:
                    model.train_on_batch(X, Y)
                else:
                    train(net, optimizer, 1)
            if part == 0:
                dfs.set_seed(5)
                net.replace("dense_2", L.Dense(3))
    assert_same(values(nets[1]), values(nets[0]))


def test_a_rule_that_changes_starts_anew():
    net, other = network(), network()
    optimizer = Adam(0.1)
    train(net, optimizer)
    train(other, Adam(0.1))
    optimizer.amsgrad = True
    train(net, optimizer)
    train(other, Adam(0.1, amsgrad=True))
    assert_same(values(net), values(other))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))],
                         ids=["copy", "pickle"])  # fmt: skip
@pytest.mark.parametrize("together", [True, False])
def test_copies_go_on_with_the_state(copied, together):
    net, optimizer = network(), Adam(0.1)
    train(net, optimizer)
    if together:
        again, same = copied((net, optimizer))
    else:
        again, same = copied(net), copied(optimizer)
    for n, o in ((net, optimizer), (again, same)):
        train(n, o)
    assert_same(values(again), values(net))


def test_a_copy_of_two_states_that_are_alike_is_refused():
    a, b, optimizer = network(), network(), Adam()
    train(a, optimizer)
    train(b, optimizer)
    with pytest.raises(ValueError, match="copied with the states of 2 networks of the same"):
        train(copy.deepcopy(a), copy.deepcopy(optimizer))


def test_each_network_has_a_state_of_its_own():
    together, alone = (network(0), network(1)), (network(0), network(1))
    optimizer, single = Adam(0.1), (Adam(0.1), Adam(0.1))
    for _ in range(3):
        for a, b, own in zip(together, alone, single, strict=True):
            train(a, optimizer, 1)
            train(b, own, 1)
    for a, b in zip(together, alone, strict=True):
        assert_same(values(a), values(b))


def test_a_new_network_does_not_take_the_state_of_one_that_is_gone():
    """As folds of a cross-validation with one optimizer."""
    optimizer = Adam(0.1)
    results = []
    for _ in range(2):
        net = network()
        train(net, optimizer)
        results.append(values(net))
        del net
        gc.collect()
    assert_same({k: v for k, v in results[0].items() if "key" not in k},
                {k: v for k, v in results[1].items() if "key" not in k})  # fmt: skip
    assert len(vars(optimizer)["networks"]) == 1


def test_layers_of_a_network_that_is_gone_start_anew_in_another():
    """Another head on the same layers, with the same optimizer."""
    optimizers, results = (Adam(0.1), Adam(0.1)), []
    for number in range(2):
        net = network()
        train(net, optimizers[0])
        dfs.set_seed(1)
        other = built(*net.layers[:-1], L.Dense(3))
        del net
        gc.collect()
        train(other, optimizers[number])  # the second time it is a new one
        results.append(values(other))
    assert_same({k: v for k, v in results[0].items() if "dense" in k},
                {k: v for k, v in results[1].items() if "dense" in k})  # fmt: skip


def test_a_container_may_be_made_anew_around_the_same_layers():
    net, other, optimizer = network(), network(), Adam(0.1)
    for _ in range(3):
        around = L.Sequential([L.Sequential(net.layers)])
        train(around, optimizer, 1)
    train(other, Adam(0.1))
    assert_same(values(net), values(other))


def test_the_state_follows_parameters_into_another_order():
    a, b = built(L.Dense(6, name="a")), built(L.Dense(6, name="b"))
    twins = copy.deepcopy((a, b))
    optimizer, other = Momentum(0.1), Momentum(0.1)
    for turn in range(2):
        for net in (a, b, *twins):
            gradient(net)
        optimizer.step([a, b] if turn else [b, a])
        other.step(twins)
    for net, twin in zip((a, b), twins, strict=True):
        assert_same(values(net), values(twin))


def test_several_networks_are_clipped_and_named_together():
    a, b = built(), built()
    gradient(a)
    gradient(b)
    grads = [p.grad.copy() for net in (a, b) for p in net.parameters().values()]
    before = values(a)
    frozen = Group("first.*", frozen=True)
    norm = SGD(0.1, clip_norm=0.1).step([a, b])
    assert norm == pytest.approx(np.sqrt(sum(np.square(g, dtype=float).sum() for g in grads)))
    scale = 0.1 * 0.1 / (norm + 1e-6)
    np.testing.assert_allclose(
        values(a)["dense_1.weight"], before["dense_1.weight"] - scale * grads[0], rtol=1e-5
    )
    before = values(a), values(b)
    SGD(0.1, groups=[frozen]).step({"first": a, "second": b})
    assert_same(values(a), before[0])
    assert (values(b)["dense_1.weight"] != before[1]["dense_1.weight"]).any()


def test_shared_layers_are_stepped_once_or_refused():
    trunk = L.Dense(5)
    a, b = built(trunk, L.Dense(3)), built(trunk, L.Dense(3))
    before = trunk.parameters()["bias"].value.copy()
    gradient(a)
    total = trunk.parameters()["bias"].grad.copy()
    SGD(1.0).step([a, b])
    np.testing.assert_allclose(trunk.parameters()["bias"].value, before - total, rtol=1e-6)
    optimizer = Momentum(0.1)
    optimizer.step(a)
    with pytest.raises(ValueError, match=r"keeps the state of 'dense_1.weight' with other param"):
        optimizer.step(b)
    plain = SGD(0.1)  # there is no state to mix up
    plain.step(a)
    plain.step(b)


def test_schedules_by_epoch_move_at_the_end_of_an_epoch():
    """Case 17: Step(by="epoch") in a loop of one's own."""
    net, optimizer = built(), SGD(Step(0.1, every=1, by="epoch"))
    w, rates = net.parameters()["dense_1.bias"], []
    for _ in range(3):
        for _ in range(2):
            before = w.value.astype(float)
            w.grad[...] = 1.0
            optimizer.step(net)
            rates.append((before - w.value)[0])
        optimizer.end_epoch()
    np.testing.assert_allclose(rates, [0.1, 0.1, 0.01, 0.01, 0.001, 0.001], rtol=1e-3)
    assert optimizer.epochs == 3
    late = built()  # its count starts with it
    late.parameters()["dense_1.bias"].grad[...] = 1.0
    before = late.parameters()["dense_1.bias"].value.copy()
    optimizer.step(late)
    np.testing.assert_allclose(late.parameters()["dense_1.bias"].value, before - 0.1)


def test_update_counts_the_same_epochs():
    params, optimizer = {"w": 1.0}, SGD(Step(0.5, every=1, by="epoch"))
    optimizer.update(params, {"w": 1.0})
    optimizer.end_epoch()
    optimizer.update(params, {"w": 1.0})
    assert params["w"] == pytest.approx(0.45)
    optimizer.update(params, {"w": 1.0}, epoch=0)
    assert params["w"] == pytest.approx(-0.05)


def test_plateau_is_fed_by_the_end_of_an_epoch():
    optimizer = SGD(Plateau(1.0, factor=0.5, patience=0))
    with pytest.raises(ValueError, match=r"the epoch has no numbers: end_epoch\(\{'loss'"):
        optimizer.end_epoch()
    with pytest.raises(TypeError, match=r"end_epoch takes numbers by name, \{'loss': 0.3\}, got 3"):
        optimizer.end_epoch(3)
    assert optimizer.epochs == 0
    for loss in (2.0, 2.0, 2.0):
        optimizer.end_epoch({"loss": loss})
    assert (optimizer.rate(1), optimizer.epochs) == (0.25, 3)


def test_many_steps_without_an_end_of_an_epoch_draw_one_warning(monkeypatch):
    monkeypatch.setattr(_networks, "MANY", 3)
    message = r"3 steps and no end of an epoch: Step moves only when end_epoch\(\)"
    optimizer = SGD(Step(0.1, every=1, by="epoch"))
    with pytest.warns(UserWarning, match=message) as caught:
        train(built(), optimizer, 6)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(built(), SGD(Step(0.1, every=1)), 6)  # by steps
        optimizer = SGD(Step(0.1, every=1, by="epoch"))
        net = built()
        train(net, optimizer, 2)
        optimizer.end_epoch()
        train(net, optimizer, 4)


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        (None, TypeError, r"^SGD.step takes the network whose gradients it applies: optimizer.s"),
        (3, TypeError, "takes a network, or a list or dict of them, got 3"),
        ("net", TypeError, "got 'net'"),
        ([L.Dense(3), None], RuntimeError, "needs the gradients of Dense, which has no weights"),
        (L.Dense(3), RuntimeError, "call its forward and backward first"),
        (built().parameters(), TypeError, "the network itself, not its parameters"),
        (dfs.Model(built(), CrossEntropy(), SGD()), TypeError, r"model.train_on_batch\(x, y\)"),
    ],
    ids=str,
)
def test_refuses(given, kind, message):
    with pytest.raises(kind, match=message):
        SGD(0.1).step(given)


def test_a_gradient_that_is_not_finite_changes_nothing():
    net, optimizer = network(), Adam(0.1)
    train(net, optimizer)
    before = values(net)
    gradient(net)
    net.parameters()["dense_2.bias"].grad[1] = np.nan
    with pytest.raises(FloatingPointError, match=r"gradient of 'dense_2.bias' is not finite; n"):
        optimizer.step(net)
    weights = {name: value for name, value in values(net).items() if "dense" in name}
    assert_same(weights, {name: before[name] for name in weights})
    net.parameters()["dense_2.bias"].grad[1] = 0
    large = net.parameters()["dense_1.weight"]
    large.grad[...] = 3e38  # their sum overflows
    SGD(1e-30).step(net)
    large.grad[0, 0] = np.inf
    net.layers[0].freeze()  # nothing learns from it
    SGD(1e-3).step(net)


def test_a_group_cannot_freeze_statistics_in_a_loop():
    net = network()
    gradient(net)
    groups = [Group("batchnorm_1.*", frozen=True)]
    with pytest.raises(ValueError, match=r'freezes BatchNorm "batchnorm_1", but in a loop .* free'):
        SGD(0.1, groups=groups).step(net)
    net.layers[1].freeze()
    SGD(0.1, groups=groups).step(net)
    SGD(0.1, groups=[Group("dense_1.*", frozen=True), Group("dropout*", frozen=True)]).step(net)


def test_functions_are_left_out_of_files_and_asked_for(tmp_path):
    groups = [Group("*.weight", regularizer=lambda w: (0.0, 0 * w))]
    model = dfs.Model(built(), CrossEntropy(), SGD(lambda epoch: 0.5**epoch, groups=groups), ())
    model.train_on_batch(X, Y)
    model.save(tmp_path / "m.safetensors")
    loaded = dfs.load(tmp_path / "m.safetensors")
    assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.optimizer.lr.by == "epoch"
    with pytest.raises(ValueError, match=r"the regularizer of 'dense_1.weight' needs a function"):
        loaded.train_on_batch(X, Y)
    loaded.optimizer.groups[0].regularizer = groups[0].regularizer
    with pytest.raises(ValueError, match=r"assign it, model.optimizer.lr = function"):
        loaded.train_on_batch(X, Y)
    loaded.optimizer.lr = model.optimizer.lr
    for each in (model, loaded):
        each.train_on_batch(X, Y)
    assert_same(values(loaded.network), values(model.network))


def test_functions_resume(tmp_path):
    def fit(epochs):
        dfs.set_seed(0)
        groups = [Group("*.weight", regularizer=lambda w: (0.0, 0.1 * w))]
        optimizer = Adam(lambda epoch: 0.1 / (1 + epoch), groups=groups)
        model = dfs.Model(network(), CrossEntropy(), optimizer, ())
        model.fit(X, Y, 8, epochs, verbose=0, checkpoint=tmp_path, resume=True)
        return values(model.network)

    fit(1)
    resumed = fit(3)
    for file in tmp_path.iterdir():
        file.unlink()
    assert_same(fit(3), resumed)


def test_the_penalty_of_a_function_is_reported_and_its_plan_kept():
    class Counted:  # a callable object, which has no equal copy
        calls = 0

        def __call__(self, w):
            Counted.calls += 1
            return 3.0, np.zeros_like(w)

    optimizer = SGD(0.1, groups=[Group("dense_1.weight", regularizer=[Counted(), L2(2.0)])])
    model = dfs.Model(built(), CrossEntropy(), optimizer, (), report_penalty=True)
    before = np.square(model.parameters()["dense_1.weight"].value, dtype=float).sum()
    assert model.train_on_batch(X, Y)["penalty"] == pytest.approx(3 + before)
    plan = model.trainer._plan
    model.train_on_batch(X, Y)
    assert model.trainer._plan is plan
    assert Counted.calls == 4
