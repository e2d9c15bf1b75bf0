"""`deepfs.search`: methods, spaces, pruning, folds, the log, and what is refused."""

import sqlite3
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal

pytest.importorskip("optuna")

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import TrialState

import deepfs as dfs
from deepfs.tuning import methods, space
from deepfs.tuning.storage import open_storage
from search_models import SPACE, build, data

SETTINGS = {"seed": 0, "epochs": 2, "batch_size": 16, "verbose": 0}


def run(method="random", n_trials=4, among=SPACE, made=build, **settings):
    return dfs.search(made, among, data(), method, n_trials, **SETTINGS | settings)


def found(search):
    """Return settings and values of all trials."""
    return [(entry.params, entry.value) for entry in search.log]


def test_a_grid_has_all_combinations():
    search = run("grid", None, {"lr": [0.1, 0.3], "units": range(2, 7, 2)})
    assert [entry.params for entry in search.log] == [
        {"lr": lr, "units": units} for lr in (0.1, 0.3) for units in (2, 4, 6)
    ]
    assert isinstance(search, optuna.Study)
    assert len(search.trials) == 6
    assert search.best_value == min(value for _, value in found(search))
    part = run("grid", 3, {"lr": [0.1, 0.3], "units": range(2, 7, 2)}, refit=False)
    assert len(part.log) == 3
    assert part.best_model is None


@pytest.mark.parametrize("method", ["random", "tpe", "cmaes", "coarse_to_fine"])
def test_a_seed_repeats_a_search(method):
    if method == "cmaes":
        pytest.importorskip("cmaes")
    first, second = run(method, 6), run(method, 6)
    assert found(first) == found(second)
    assert found(first) != found(run(method, 6, seed=1))
    for params, _ in found(first):
        assert 1e-3 <= params["lr"] <= 1
        assert 2 <= params["units"] <= 8
        assert isinstance(params["units"], int)
    assert first.best_settings == first.best_params


def test_the_best_model_is_trained_on_all_samples():
    search, (x, y) = run(), data()
    dfs.set_seed(5)  # plays no part
    slot = search.best_trial.user_attrs["slot"]
    with dfs.random.using(dfs.random.Streams(methods.seed_of(0, slot, methods.WEIGHTS))):
        model = build(search.best_params)
        model.fit(x, y, epochs=2, batch_size=16, verbose=0)
    assert search.best_model.steps == 12  # 96 samples, and not 0.8 of them
    assert_array_equal(search.best_model.arena.values, model.arena.values)


@pytest.mark.parametrize("method", ["grid", "random", "coarse_to_fine"])
def test_results_do_not_depend_on_the_number_of_processes(method):
    among = {"lr": [0.03, 0.3], "units": [2, 13]} if method == "grid" else SPACE
    alone, beside = (run(method, 4, among, n_jobs=jobs, rounds=2) for jobs in (1, 2))
    assert found(alone) == found(beside)
    assert alone.rounds == beside.rounds
    assert [e.curve for e in alone.log] == [e.curve for e in beside.log]
    assert_array_equal(alone.best_model.arena.values, beside.best_model.arena.values)


def test_a_build_that_raises_fails_its_trial_alone():
    search = run("grid", None, {"lr": [0.1], "units": [4, 13, 5]})
    bad = search.log[1]
    assert (bad.params, bad.state, bad.value) == ({"lr": 0.1, "units": 13}, "failed", None)
    assert bad.verdict == "ValueError: 13 units bring bad luck"
    assert "in build" in bad.traceback
    assert search.trials[1].state == TrialState.FAIL
    assert [entry.state for entry in search.log] == ["", "failed", ""]
    assert "1 failed" in repr(search)
    message = "none of the 2 trials is complete; the first, with lr=0.1, units=13, failed: ValueE"
    with pytest.raises(RuntimeError, match=message):
        run("grid", None, {"lr": [0.1, 0.2], "units": 13})


def test_a_training_that_diverges_is_stopped_and_said():
    search = run("grid", None, {"lr": [0.1, 1e30]})
    assert [entry.state for entry in search.log] == ["", "stopped"]
    assert search.log[1].verdict.startswith("diverged: ")
    assert search.best_params == {"lr": 0.1}


def test_the_log_has_settings_curves_and_verdicts(capsys):
    search = run("grid", None, {"lr": [1e-9, 0.3]}, verbose=1, epochs=3)
    flat, good = search.log
    assert len(good.curve["val_loss"]) == len(good.curve["loss"]) == 3
    assert good.value == good.curve["val_loss"][-1]
    assert flat.verdict.startswith("does not learn: loss 0.757 before, 0.757 in the end; ")
    assert "Multiply the rate by 10" in flat.verdict  # the doctor
    text = repr(search.log)
    assert "trial 0: lr=1e-09" in text
    assert f"val_loss {good.curve['val_loss'][0]:.3g} " in text
    lines = capsys.readouterr().out.splitlines()
    assert [line[:8] for line in lines] == ["trial 0:", "trial 1:"]
    assert run("grid", None, {"lr": [0.3]}, diagnose=False, epochs=1).log[0].verdict == "healthy"


def test_a_pruner_ends_bad_trials_after_an_epoch():
    pruner = optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=0)
    search = run("grid", None, {"lr": [0.3, 1e-6, 0.5]}, pruner=pruner, epochs=4)
    bad = search.log[1]
    assert (bad.state, len(bad.curve["loss"])) == ("stopped", 1)
    assert bad.verdict.startswith("stopped by the pruner after epoch 1")
    assert search.trials[1].state == TrialState.PRUNED
    assert len(search.log[0].curve["loss"]) == 4
    assert run("random", 3, pruner="hyperband").best_value > 0


def test_folds_are_those_of_cross_validate():
    search = run("grid", None, {"lr": [0.1, 0.3]}, cv=3)
    slot, streams = 0, dfs.random.Streams(methods.seed_of(0, 0, methods.WEIGHTS))
    assert len(search.log[slot].folds) == 3
    assert search.log[slot].value == np.mean(search.log[slot].folds)
    x, y = data()
    folds = list(dfs.data.StratifiedKFold(3, seed=0).split(x, y))
    with dfs.random.using(streams):
        for number, (train, test) in enumerate(folds):
            model = build({"lr": 0.1})
            model.fit(x[train], y[train], epochs=2, batch_size=16, verbose=0)
            expected = model.evaluate(x[test], y[test])["loss"]
            np.testing.assert_allclose(search.log[slot].folds[number], expected, rtol=1e-6)


def test_a_metric_decides_and_early_stopping_counts_its_epoch():
    stop = dfs.callbacks.EarlyStopping(patience=1, monitor="val_accuracy")
    search = run("random", 3, metric="accuracy", callbacks=[stop], epochs=6)
    assert search.direction == optuna.study.StudyDirection.MAXIMIZE
    for entry in search.log:
        assert entry.value == max(entry.curve["val_accuracy"])
    assert search.best_value == max(value for _, value in found(search))
    assert stop.best_epoch is None  # it was copied


def test_equal_values_are_won_by_the_first():
    search = run("grid", None, {"lr": [0.1, 0.3]})
    trials = [
        optuna.trial.create_trial(value=value, user_attrs={"slot": slot})
        for slot, value in [(4, 0.5), (1, 0.5), (0, 0.4)]
    ]
    search.get_trials = lambda: trials
    for direction, slot in (("maximize", 1), ("minimize", 0)):
        search._direction = direction
        assert search.best_trial.user_attrs == {"slot": slot}


def test_batch_size_and_epochs_may_be_searched():
    settings = {name: value for name, value in SETTINGS.items() if name == "verbose"}
    among = {"lr": 0.1, "batch_size": [8, 48], "epochs": [1, 3]}
    search = dfs.search(build, among, data(), "grid", seed=0, **settings)
    assert [len(entry.curve["loss"]) for entry in search.log] == [1, 3, 1, 3]


def test_coarse_to_fine_narrows_ranges_around_the_best():
    search = run("coarse_to_fine", 12, SPACE | {"wd": [0, 1, 2]}, rounds=3)
    whole, second, third = search.rounds
    assert whole["lr"] == ("log", 1e-3, 1.0)
    width = [np.log(r["lr"][2] / r["lr"][1]) for r in search.rounds]
    assert width[1] <= width[0] / 3 + 1e-9
    assert width[2] <= width[0] / 9 + 1e-9
    for number, ranges in enumerate(search.rounds):
        for entry in search.log[4 * number : 4 * number + 4]:
            assert ranges["lr"][1] <= entry.params["lr"] <= ranges["lr"][2]
            assert entry.params["wd"] in ranges["wd"]
    before = min(search.log[:8], key=lambda entry: entry.value).params
    assert third["lr"][1] <= before["lr"] <= third["lr"][2]
    assert "round 3: lr " in repr(search)


def test_the_end_of_a_range_is_said():
    search = run("random", 3, {"lr": (0.001, 0.002)})
    search._space.distributions["lr"] = FloatDistribution(1e-6, search.best_params["lr"])
    assert "is at the upper end of its range" in search.advice()


def test_values_of_any_kind():
    among = {"lr": [0.1], "sizes": [(4, 4), (8,)], "rule": [dfs.optimizers.SGD(0.1)], "flag": True}
    seen = []

    def made(params):
        seen.append(params)
        return build(params)

    search = run("grid", None, among, made)
    assert [params["sizes"] for params in seen] == [(4, 4), (8,), search.best_settings["sizes"]]
    assert seen[0]["rule"] is not seen[1]["rule"]
    assert search.trials[0].params["sizes"] == "(4, 4)"


def test_spaces_by_value():
    parsed = space.space_of(
        {"a": ("log", 1e-4, 1), "b": (2, 8), "c": ("uniform", 0, 1), "d": (0.0, 1), "e": [1, None],
         "f": range(2, 9, 3), "g": ("log", 1, 64), "h": np.geomspace(1, 4, 3), "i": "relu",
         "j": IntDistribution(1, 3)}
    ).distributions  # fmt: skip
    assert parsed["a"] == FloatDistribution(1e-4, 1, log=True)
    assert parsed["b"] == IntDistribution(2, 8)
    assert parsed["c"] == parsed["d"] == FloatDistribution(0, 1)
    assert parsed["e"].choices == (1, None)
    assert parsed["f"] == IntDistribution(2, 8, step=3)
    assert parsed["g"] == IntDistribution(1, 64, log=True)
    assert parsed["h"].choices == (1.0, 2.0, 4.0)
    assert parsed["i"].choices == ("relu",)
    assert parsed["j"] == IntDistribution(1, 3)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (("log", 1e-1, 1e-4), "space['lr'] is an empty range: low is above high, got ('log', 0.1"),
        ((3, 3), "space['lr'] is one value: write it alone, got (3, 3)"),
        (range(3, 3), "space['lr'] is an empty range, got range(3, 3)"),
        ([], "space['lr'] is an empty list: give at least one value"),
        (("log", 0, 1), "space['lr'] must be above 0 for a logarithmic scale"),
        (("lgo", 1, 2), "a range is log or uniform or int, got 'lgo': did you mean 'log'?"),
        ((1, 2, 3), "write [1, 2, 3] to choose from these"),
        (["log", 1e-4, 1], 'a range is written in parentheses: ("log", low, high)'),
        ((0.0, float("inf")), "space['lr'] must have finite ends"),
        (("int", 0.5, 2), "space['lr'] must have ends that are ints"),
        ([1, 2, 1], "space['lr'] has 1 twice"),
        ({"a": 1}, "space['lr'] must be a list of values or a range"),
    ],
)
def test_spaces_that_are_refused(entry, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        run(among={"lr": entry})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "grids"}, "coarse_to_fine, got 'grids': did you mean 'grid'?"),
        ({"n_trials": None}, 'method="random" needs the number of trials, such as n_trials=20'),
        ({"n_trials": 0}, "n_trials must be at least 1, got 0"),
        ({"method": "grid"}, 'write "lr": numpy.geomspace(0.001, 1, 4)'),
        ({"pruner": "medain"}, "a pruner of Optuna, got 'medain': did you mean 'median'?"),
        ({"among": {}}, "space must be a dict with an entry for each setting"),
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"cv": 1}, "cv must be at least 2, got 1"),
        ({"cv": 3, "validation_split": 0.1}, "cv validates on its folds"),
        ({"epoch": 3}, "search has no argument 'epoch': did you mean 'epochs'?"),
        ({"checkpoint": "here"}, "search takes no checkpoint: all trials would share its folder"),
        ({"among": SPACE | {"epochs": [1]}}, "epochs is in space and an argument, too"),
        ({"metric": "goodness"}, "cannot tell whether smaller or larger values of 'val_goodness'"),
        ({"n_jobs": 0}, "n_jobs must be at least 1, or -1 for one process per processor"),
        ({"made": 3}, "build must be a function from settings to a Model, got 3"),
        ({"made": lambda: None}, "build must take one argument, the dict of settings"),
        ({"storage": "trials.txt"}, 'storage must be "search.db" (SQLite)'),
        ({"storage": 3}, 'storage must be "search.db" (SQLite)'),
        ({"client": 1}, "client must be a distributed.Client, such as Client(cluster), got 1"),
        ({"method": "coarse_to_fine", "n_trials": 2}, "needs at least as many trials"),
        ({"metric": "auc"}, "search has metric='val_auc', but an epoch has loss, accuracy"),
    ],
)
def test_what_is_refused(settings, message):
    with pytest.raises((TypeError, ValueError, RuntimeError)) as caught:
        run(**settings)
    assert message in str(caught.value)


def test_data_that_are_refused():
    with pytest.raises(TypeError, match="data must be \\(x, y\\), a data set such as"):
        dfs.search(build, SPACE, data()[0], "random", 2)


def test_data_may_be_a_function_of_the_settings(rng):
    """Such as augmentations: each trial and the refit have their own."""
    x, y = data()
    given = []

    def noisy(params):
        given.append(params["noise"])
        params.clear()  # a copy
        return (x + given[-1] * rng.standard_normal(x.shape)).astype(x.dtype), y

    space = {"lr": 0.5, "noise": [0.0, 100.0]}
    for settings in ({}, {"cv": 2}):
        given.clear()
        found = dfs.search(build, space, noisy, "grid", seed=0, epochs=2, verbose=False, **settings)
        assert given == [0.0, 100.0, found.best_params["noise"]] == [0.0, 100.0, 0.0]
    failed = dfs.search(build, space, lambda p: x if p["noise"] else (x, y), "grid", seed=0,
                        epochs=1, verbose=False)  # fmt: skip
    assert "data must be (x, y), a data set such as" in failed.log[1].verdict


def test_cmaes_needs_two_ranges():
    pytest.importorskip("cmaes")
    with pytest.raises(ValueError, match=r"needs at least 2 ranges of numbers, got \[\'lr\'\]"):
        run("cmaes", 4, {"lr": (0.1, 1.0), "units": [2, 4]})


def test_gp_without_torch_is_tpe_and_says_so(monkeypatch):
    monkeypatch.setattr(methods, "lacking", lambda *packages: "torch")
    with pytest.warns(UserWarning, match='method="gp" needs torch, not installed here: it goes on'):
        search = run("gp", 3)
    assert found(search) == found(run("tpe", 3))


def test_missing_packages_give_the_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"pip install 'deepfs\[search\]'"):
        run()


@pytest.mark.parametrize("name", ["search.db", "search.log"])
def test_the_same_call_goes_on(tmp_path, name):
    storage = tmp_path / name
    first = found(run("tpe", 3, storage=storage))
    more = run("tpe", 5, storage=str(storage))
    assert found(more)[:3] == first
    assert found(more) == found(run("tpe", 5))  # as if it had never ended
    assert len(optuna.load_study(study_name="search", storage=open_storage(storage)).trials) == 5
    with pytest.raises(ValueError, match="'search' with another seed, 0, here it is 1"):
        run("tpe", 5, storage=storage, seed=1)
    with pytest.raises(ValueError, match=r"with another space, .* give another study_name="):
        run("tpe", 5, {"lr": (0.1, 0.2)}, storage=storage)
    assert len(run("tpe", 2, storage=storage, study_name="other").log) == 2


def test_storages_of_others_are_refused_in_words(tmp_path):
    path = tmp_path / "search.db"
    run("random", 1, storage=path)
    with sqlite3.connect(path) as database:
        database.execute("update alembic_version set version_num = 'v9.9.0.a'")
    database.close()
    with pytest.raises(ValueError, match=r"search.db' was written by another version of Optuna"):
        run("random", 1, storage=path)
    path.write_bytes(b"no database at all, but bytes" * 99)
    with pytest.raises(ValueError, match=r"search.db' is no SQLite database: file is not a dat"):
        run("random", 1, storage=path)
    journal = tmp_path / "search.log"
    journal.write_bytes(b"no journal\n" * 3)
    with pytest.raises(ValueError, match=r"is no journal that Optuna .* can read"):
        run("random", 1, storage=journal)
    other = tmp_path / "other.db"
    optuna.create_study(study_name="search", storage=open_storage(other)).enqueue_trial({"lr": 1})
    with pytest.raises(ValueError, match=r"has a study 'search' that is not of deepfs.search"):
        run("random", 1, storage=other)
    with pytest.raises(FileNotFoundError, match="storage must be in a folder that exists"):
        run("random", 1, storage=tmp_path / "no" / "search.db")
    with pytest.raises(OSError, match="cannot be opened"):
        run("random", 1, storage="postgresql://nobody@127.0.0.1:1/nothing")


def test_every_trial_draws_its_own_settings():
    among = {"a": FloatDistribution(0, 1)}
    drawn = [methods.draw(among, seed, slot)["a"] for seed in (0, 1) for slot in range(5)]
    assert len(set(drawn)) == 10
    assert methods.draw(among, 1, 3)["a"] == drawn[8]
