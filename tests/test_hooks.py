"""What fit checks of callbacks before the first step, and what stays when one raises."""

import errno
import signal
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs.callbacks import EMA, Callback, LambdaCallback, TerminateOnNaN
from models import small_model

X, Y = np.eye(4), np.arange(4) % 2


def model(lr=0.1):
    return dfs.Model(L.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD(lr))


def with_hook(name, takes="epoch, logs"):
    return type("Mine", (Callback,), {name: eval(f"lambda self, {takes}: None")})()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("on_epoch_ends", "Mine has the hook 'on_epoch_ends', but fit does not call it: did you "
                          "mean 'on_epoch_end'"),
        ("on_epoch_endd", "did you mean 'on_epoch_end'"),
        ("onEpochEnd", "did you mean 'on_epoch_end'"),
        ("on_train_begins", "did you mean 'on_train_begin'"),
        ("on_batch_end", "it is called 'on_train_batch_end' here"),
        ("on_validation_epoch_end", "it is called 'on_test_end' here"),
        ("after_epoch", "it is called 'on_epoch_end' here"),
        ("on_predict_end", "but fit does not call it"),
    ],
)  # fmt: skip
def test_a_misspelt_hook_is_refused_before_the_first_step(name, message):
    net = model()
    with pytest.raises(TypeError, match=message):
        net.fit(X, Y, verbose=0, callbacks=with_hook(name))
    assert net.steps == 0


@pytest.mark.parametrize("name", ["on_success", "one", "online", "epoch_end_of_mine"])
def test_other_methods_are_not_hooks(name):
    model().fit(X, Y, verbose=0, callbacks=with_hook(name))


@pytest.mark.parametrize(
    ("name", "takes"),
    [("on_epoch_end", "logs"), ("on_train_end", "epoch, logs"), ("on_train_batch_end", "*, logs")],
)
def test_a_hook_of_other_arguments_is_refused_before_the_first_step(name, takes):
    net = model()
    with pytest.raises(TypeError, match=rf"Mine\.{name} must take \(self, .*logs\), and takes \("):
        net.fit(X, Y, verbose=0, callbacks=with_hook(name, takes))
    assert net.steps == 0


@pytest.mark.parametrize("takes", ["epoch, logs=None", "*numbers", "epoch, logs, more=1"])
def test_a_hook_may_take_them_in_other_ways(takes):
    model().fit(X, Y, verbose=0, callbacks=with_hook("on_epoch_end", takes))


def test_functions_are_called_as_hooks():
    said = []
    hooks = {
        name: lambda *given, name=name: said.append((name, *given[:-1]))
        for name in ("on_train_begin", "on_epoch_begin", "on_train_batch_end", "on_test_end",
                     "on_epoch_end", "on_train_end")
    }  # fmt: skip
    model().fit(X, Y, 2, verbose=0, validation_data=(X, Y), callbacks=LambdaCallback(**hooks))
    assert said == [
        ("on_train_begin",), ("on_epoch_begin", 0), ("on_train_batch_end", 0),
        ("on_train_batch_end", 1), ("on_test_end",), ("on_epoch_end", 0), ("on_train_end",),
    ]  # fmt: skip
    with pytest.raises(TypeError, match="'on_epoch_ends': did you mean 'on_epoch_end'"):
        LambdaCallback(on_epoch_ends=print)
    with pytest.raises(TypeError, match="on_epoch_end must be a function, got 3"):
        LambdaCallback(on_epoch_end=3)


@pytest.mark.parametrize(
    ("hook", "epochs", "steps", "where"),
    [
        ("on_train_begin", 0, 0, "in on_train_begin;"),
        ("on_epoch_begin", 2, 4, "in on_epoch_begin, epoch 2;"),
        ("on_train_batch_end", 2, 5, "in on_train_batch_end, step 0;"),
        ("on_test_begin", 2, 6, "in on_test_begin;"),
        ("on_test_end", 2, 6, "in on_test_end;"),
        ("on_epoch_end", 3, 6, "in on_epoch_end, epoch 2;"),
        ("on_train_end", 4, 8, "in on_train_end;"),
    ],
)
def test_an_error_of_a_callback_names_it_and_keeps_the_state(hook, epochs, steps, where):
    net, ends = model(), []

    def fails(*given):
        least = {"on_train_end": 8, "on_train_begin": 0, "on_epoch_begin": 4, "on_train_batch_end":
                 5}.get(hook, 6)  # fmt: skip
        if net.steps >= least:
            raise OSError(errno.EIO, "the file is gone")

    average = EMA(0.5)
    callbacks = [LambdaCallback(**{hook: fails}), average,
                 LambdaCallback(on_test_end=lambda logs: ends.append(net.steps))]  # fmt: skip
    with pytest.raises(OSError, match="the file is gone") as caught:
        net.fit(X, Y, 2, 4, verbose=0, validation_data=(X, Y), callbacks=callbacks)
    assert "raised by the callback LambdaCallback " + where in caught.value.__notes__[0]
    assert net.steps == steps
    assert len(net.history["loss"] if epochs else []) == epochs
    assert len(ends) == steps // 2  # also where the hook of another one fails
    average.update()  # its average is not in place of the weights
    net.fit(X, Y, 2, 1, verbose=0)


def test_the_history_is_kept_when_ctrl_c_is_pressed_twice():
    net = model()

    def press(batch, logs):
        if net.steps == 5:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, 2, 9, verbose=0, callbacks=LambdaCallback(on_train_batch_end=press))
    assert len(net.history["loss"]) == 2


def overflowing():
    dfs.set_seed(0)
    x = np.linspace(1, 2, 8, dtype=np.float32)[:, None]
    return dfs.Model(L.Dense(1), "mean_squared_error", dfs.optimizers.SGD(1e9)), x, 3 * x


def test_terminate_on_nan_ends_without_an_error():
    net, x, y = overflowing()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(FloatingPointError, match="the loss at step"):
            net.fit(x, y, 4, 99, verbose=0)
    known, steps = net.history, net.steps
    net, x, y = overflowing()
    ends = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = net.fit(x, y, 4, 99, verbose=0, callbacks=[
            TerminateOnNaN(), LambdaCallback(on_train_end=ends.append)])  # fmt: skip
    said = [str(warning.message) for warning in caught]
    assert said[0].startswith("the loss of step 2 is")
    assert said[1].startswith(f"the training ends: the loss at step {steps + 1} is")
    assert len(said) == 2
    assert net.steps == steps
    assert history["loss"][: len(known["loss"])] == known["loss"]
    assert np.isfinite(net.predict(x)).all()
    assert len(ends) == 1


def test_terminate_on_nan_in_the_first_step_of_an_epoch():
    """Then that epoch has no numbers."""
    net = model()
    net.fit(X, Y, 4, 1, verbose=0)

    def spoil(epoch, logs):
        if epoch == 1:
            net.network.parameters()["weight"].value[...] = np.inf

    with pytest.warns(RuntimeWarning, match="the training ends: the loss at step 3 is nan"):
        history = net.fit(X, Y, 4, 9, verbose=0, callbacks=[
            LambdaCallback(on_epoch_begin=spoil), TerminateOnNaN()])  # fmt: skip
    assert len(history["loss"]) == 1


def test_terminate_on_nan_sees_the_validation():
    def spoil(logs):
        net.network.parameters()["weight"].value[...] = np.nan

    net = model()
    with pytest.warns(RuntimeWarning, match="the training ends: val_loss of epoch 1 is nan"):
        history = net.fit(X, Y, 4, 9, verbose=0, validation_data=(X, Y), callbacks=[
            LambdaCallback(on_test_begin=spoil), TerminateOnNaN()])  # fmt: skip
    assert len(history["val_loss"]) == 1


def test_a_loss_that_explodes_is_named_once():
    x = np.linspace(1, 2, 8)[:, None]
    net = dfs.Model(L.Dense(1), "mean_squared_error", dfs.optimizers.SGD(5.0))
    with pytest.warns(
        RuntimeWarning,
        match=r"the loss of step \d+ is .* times that at the start: "
        r"the training diverges. The learning rate 5 is .*lr_find.*clip",
    ) as caught:
        net.fit(x, 3 * x, 4, 9, verbose=0)
    assert len(caught) == 1


def test_a_trained_classifier_that_meets_a_mistake_does_not_explode():
    net, x = model(), np.array([[1.0, 0]] * 8 + [[0.0, 1]])
    net.network(x)
    net.network.parameters()["weight"].value[...] = 20 * np.eye(2)
    y = np.array([0] * 9)
    net.fit(x, y, 1, 1, shuffle=False, verbose=0)  # 2e-18, then 40


def test_fast_dev_run_takes_one_batch_of_each_and_writes_nothing(tmp_path, rng):
    x, y = rng.random((40, 1, 8, 8)), rng.integers(0, 3, 40)
    said = []

    class Counts(Callback):
        def on_train_batch_end(self, batch, logs):
            said.append(batch)

    net = small_model()
    files = [dfs.callbacks.CSVLogger(tmp_path / "log.csv"), dfs.callbacks.EarlyStopping("loss"),
             dfs.callbacks.ModelCheckpoint(tmp_path / "m")]  # fmt: skip
    history = net.fit(x, y, 8, 9, verbose=0, validation_data=(x, y), callbacks=[*files, Counts()],
                      checkpoint=tmp_path / "run", resume=True, fast_dev_run=True)  # fmt: skip
    assert (said, net.steps, len(history["val_loss"])) == ([0], 1, 1)
    assert list(tmp_path.iterdir()) == []
    other = small_model()
    other.network(x)
    for name, parameter in other.network.parameters().items():
        parameter.value[...] = net.network.parameters()[name].value
    for name, buffer in other.network.buffers().items():
        buffer[...] = net.network.buffers()[name]
    assert history["val_loss"] == [other.evaluate(x[:8], y[:8])["loss"]]


@pytest.mark.parametrize(("given", "steps"), [(True, 1), (2, 2), (9, 5), (False, 15), (0, 15)])
def test_fast_dev_run_takes_so_many(given, steps):
    net = model()
    net.fit(np.eye(10), np.arange(10) % 2, 2, 3, verbose=0, fast_dev_run=given)
    assert net.steps == steps


def test_fast_dev_run_still_finds_mistakes():
    with pytest.raises(ValueError, match="did you mean 'accuracy'"):
        model().fit(X, Y, verbose=0, fast_dev_run=True,
                    callbacks=dfs.callbacks.EarlyStopping("ackuracy"))  # fmt: skip


def test_overfit_batches_repeats_the_same_ones(rng):
    x, y = rng.random((40, 1, 8, 8)), rng.integers(0, 3, 40)
    dfs.set_seed(1)
    one = small_model()
    history = one.fit(x, y, 8, 4, verbose=0, overfit_batches=2, validation_data=(x[20:], y[20:]))
    dfs.set_seed(1)
    other = small_model()
    expected = other.fit(x[:16], y[:16], 8, 4, verbose=0, shuffle=False,
                         validation_data=(x[20:36], y[20:36]))  # fmt: skip
    assert history["loss"] == expected["loss"]
    np.testing.assert_allclose(history["val_loss"], expected["val_loss"], rtol=1e-12)
    assert_array_equal(one.arena.values, other.arena.values)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"fast_dev_run": 1, "overfit_batches": 1}, ValueError, "leave one out"),
        ({"fast_dev_run": -1}, ValueError, "fast_dev_run, where it is not a bool, must be at"),
        ({"overfit_batches": 0.5}, TypeError, "overfit_batches must be an int, got 0.5"),
    ],
)
def test_refuses_such_limits(settings, error, message):
    with pytest.raises(error, match=message):
        model().fit(X, Y, verbose=0, **settings)
    with pytest.raises(TypeError, match="overfit_batches repeats the same batches"):
        model().fit([(X, Y)], verbose=0, overfit_batches=1)


def test_a_line_says_from_where_a_run_goes_on(capsys, tmp_path):
    def fit(stop=False, **settings):
        dfs.set_seed(0)
        net = model()

        def end(batch, logs):
            if stop and net.steps == 3:
                signal.raise_signal(signal.SIGINT)

        net.fit(X, Y, 2, 3, checkpoint=tmp_path, callbacks=LambdaCallback(on_train_batch_end=end),
                **settings)  # fmt: skip
        return capsys.readouterr().out.splitlines()

    assert len(fit(stop=True, verbose=2)) == 2
    line = fit(verbose=2, resume=True)[0]
    path = tmp_path / "step-000000003.safetensors"
    assert line.startswith(f"resumed from {path}, written 20")
    assert line.endswith(": step 3, epoch 2/3, 2 of 4 images done")
    assert fit(verbose=2, resume=True)[0].endswith(": step 6, all epochs done")
    assert fit(verbose=0, resume=True) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (dfs.callbacks.CSVLogger("a/log"), dfs.callbacks.JSONLogger("a/../a/log")),
        (dfs.callbacks.CSVLogger("log"), dfs.callbacks.CSVLogger("log", append=True)),
        (dfs.callbacks.ModelCheckpoint("m"), dfs.callbacks.ModelCheckpoint("m", "loss")),
    ],
    ids=["csv and json", "twice csv", "models"],
)
def test_two_callbacks_do_not_write_to_one_file(tmp_path, monkeypatch, first, second):
    monkeypatch.chdir(tmp_path)
    model, x, y = small_model(), np.zeros((6, 2, 8, 8)), np.arange(6) % 3
    with pytest.raises(ValueError, match=r"would write to one file, .*: give each its own"):
        model.fit(x, y, verbose=0, callbacks=[first, second])
    assert model.steps == 0
    assert not list(tmp_path.iterdir())
