"""Loader: batches of every source, in fit, evaluate and predict; resumed runs; its thread."""

import contextlib
import threading
import time

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs.augment import CutMix, MixUp, RandomCrop, RandomHorizontalFlip
from deepfs.data import Loader
from deepfs.saving.tensors import CheckpointError


def arrays(n=40, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((n, 1, 8, 8)).astype(dtype), np.arange(n) % 3


def model(seed=0, **settings):
    L = dfs.layers
    net = L.Sequential([L.Conv2D(4, 3), L.ReLU(), L.Flatten(), L.Dense(3)])
    return dfs.Model(net, "cross_entropy", dfs.optimizers.Adam(0.01), seed=seed, **settings)


class Samples:
    """A data set as PyTorch has it."""

    classes = ("a", "b", "c")

    def __init__(self, n=40):
        self.x, self.y = arrays(n)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, number):
        return self.x[number], int(self.y[number])


@pytest.fixture
def no_thread_left():
    before = threading.enumerate()
    yield
    assert threading.enumerate() == before


SOURCES = {
    "arrays": lambda folder: arrays(),
    "samples": lambda folder: Samples(),
    "memory-mapped": lambda folder: mapped(folder),
    "npz": lambda folder: npz(folder),
    "hdf5": lambda folder: hdf5(folder),
}


def mapped(folder):
    paths = folder / "x.npy", folder / "y.npy"
    for path, array in zip(paths, arrays(), strict=True):
        np.save(path, array)
    return paths


def npz(folder):
    x, y = arrays()
    np.savez(folder / "data.npz", x=x, y=y)
    return folder / "data.npz"


def hdf5(folder):
    h5py = pytest.importorskip("h5py")
    x, y = arrays()
    with h5py.File(folder / "data.h5", "w") as file:
        file["x"], file["y"] = x, y
    file = h5py.File(folder / "data.h5")
    return file["x"], file["y"]


@pytest.mark.parametrize("kind", SOURCES)
def test_a_loader_trains_as_its_arrays_do(kind, tmp_path, no_thread_left):
    """The same bits: losses, weights, results of evaluation and prediction."""
    x, y = arrays()
    loader = Loader(SOURCES[kind](tmp_path), batch_size=16)
    mine, theirs = model(), model()
    mine.fit(loader, epochs=2, validation_data=loader, verbose=0)
    theirs.fit(x, y, 16, epochs=2, validation_data=(x, y), verbose=0)
    assert mine.history["loss"] == theirs.history["loss"]
    assert_array_equal(mine.predict(loader), theirs.predict(x, 16))
    assert_array_equal(mine.predict_classes(loader), theirs.predict_classes(x, 16))
    assert mine.evaluate(loader) == theirs.evaluate(x, y, 16)
    assert mine.outputs_of(loader, "relu_1").shape == (40, 4, 6, 6)


def test_weights_and_class_weights_count():
    x, y = arrays()
    weight = np.linspace(0.5, 2, 40)
    mine, theirs = model(), model()
    mine.fit(Loader((x, y, weight), 8), class_weight={0: 3.0}, verbose=0)
    theirs.fit(x, y, 8, sample_weight=weight, class_weight={0: 3.0}, verbose=0)
    assert mine.history["loss"] == theirs.history["loss"]


def test_the_range_test_takes_a_loader():
    x, y = arrays()
    mine, theirs = model().lr_find(Loader(Samples()), steps=5), model().lr_find(x, y, steps=5)
    assert_array_equal(mine.losses, theirs.losses)


def test_a_data_set_of_samples_is_not_taken_for_batches():
    with pytest.raises(ValueError, match="as many targets as inputs") as info:
        model().fit(Samples())
    assert info.value.__notes__ == ["deepfs.data.Loader(Samples) makes batches of samples"]


def test_fit_decides_on_batch_size_and_the_loader_on_the_rest():
    x, y = arrays(10)
    loader, seen = Loader((x, y), 4, shuffle=False, drop_last=True), []

    class Look(dfs.callbacks.Callback):
        def on_train_batch_end(self, number, logs):
            seen.append(number)

    model().fit(loader, verbose=0, callbacks=Look())
    assert seen == [0, 1]
    assert len(loader) == 2
    seen.clear()
    one, two = model(), model()
    one.fit(loader, batch_size=3, verbose=0, callbacks=Look())
    assert seen == [0, 1, 2]
    two.fit(x, y, 3, shuffle=False, drop_last=True, verbose=0)
    assert one.history["loss"] == two.history["loss"]
    assert loader.batch_size == 4


def test_iterating_gives_batches_each_sample_once_and_another_order():
    x, y = np.arange(22.0).reshape(11, 2), np.arange(11)
    loader = Loader((x, y), 4)
    epochs = [list(loader) for _ in range(3)]
    orders = [np.concatenate([labels for _, labels in epoch]) for epoch in epochs]
    assert all(sorted(order) == list(range(11)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert [len(labels) for _, labels in epochs[0]] == [4, 4, 3]
    for (inputs, labels), start in zip(Loader((x, y), 4, shuffle=False), (0, 4, 8), strict=True):
        assert_array_equal(labels, y[start : start + 4])
        assert_array_equal(inputs, x[start : start + 4])
    assert [len(part) for part in Loader(x, 8)] == [8, 3]
    assert all(len(part) == 3 for part in Loader((x, y, y), 8))


def test_subsets_and_views():
    x, y = arrays()
    loader = Loader(Samples(), 8)
    part = loader.subset([3, 5, 8, 13]).subset(np.array([1, 2]))
    assert part.samples == 2
    assert_array_equal(part.x[:], x[[5, 8]])
    assert_array_equal(part.y[:], y[[5, 8]])
    assert_array_equal(loader.x[np.array([7, 2])], x[[7, 2]])
    assert_array_equal(loader.x[4], x[4])
    assert loader.x.shape == (40, 1, 8, 8)
    assert_array_equal(Loader((x, y)).subset([3, 1]).y, y[[3, 1]])


def test_several_inputs_and_outputs():
    L = dfs.layers

    def made():
        a, b = L.Input((3,), "a"), L.Input((2,), "b")
        net = dfs.Graph({"a": a, "b": b}, L.Dense(2)(L.Concat()((a, b))))
        return dfs.Model(net, "cross_entropy", dfs.optimizers.SGD(0.1), seed=1)

    rng = np.random.default_rng(0)
    x = {"a": rng.random((20, 3)), "b": rng.random((20, 2))}
    y = np.arange(20) % 2
    mine, theirs = made(), made()
    mine.fit(Loader((x, y), 8), verbose=0)
    theirs.fit(x, y, 8, verbose=0)
    assert mine.history["loss"] == theirs.history["loss"]
    assert_array_equal(mine.predict(Loader(x, 8)), theirs.predict(x, 8))
    with pytest.raises(ValueError, match="augment= needs inputs that are one array, got several"):
        Loader((x, y), augment=RandomHorizontalFlip())


# augmentation


def test_training_is_augmented_and_evaluation_is_not():
    x, y = arrays()
    loader = Loader((x, y), 40, augment=RandomHorizontalFlip(p=1), shuffle=False)
    ((inputs, _),) = loader
    assert_array_equal(inputs, x[..., ::-1])
    assert_array_equal(next(loader.parts(40)).x, x)
    assert_array_equal(loader.x[:], x)


@pytest.mark.parametrize("kind", ["arrays", "samples"])
def test_augmentation_follows_the_sample_not_the_batch(kind, tmp_path):
    loader = Loader(SOURCES[kind](tmp_path), augment=RandomCrop(3))
    numbers = np.array([7, 3, 21, 30])
    together = loader.take(numbers, epoch=2, seed=5).x
    alone = np.concatenate([loader.take(numbers[i : i + 1], 2, 5).x for i in range(4)])
    assert_array_equal(together, alone)
    part = loader.subset(numbers)
    assert_array_equal(part.take(np.array([2]), 2, 5).x, together[2:3])
    assert (loader.take(numbers, 3, 5).x != together).any()
    assert (loader.take(numbers, 2, 6).x != together).any()


def test_a_second_fit_and_another_seed_augment_otherwise():
    x, y = np.zeros((4, 1, 6, 6), np.float32), np.arange(4) % 3
    x[:, :, 2, 2] = 1
    seen = []

    def look(image, rng):
        seen.append(rng.random())
        return image

    def fitted(made):
        seen.clear()
        made.fit(Loader((x, y), 4, augment=look, shuffle=False), verbose=0)
        return [*seen]

    one = model(seed=1)
    first, again, second, other = (
        fitted(one), fitted(model(seed=1)), fitted(one), fitted(model(seed=2))
    )  # fmt: skip
    assert first == again
    assert first != second
    assert first != other


@pytest.mark.parametrize("mixing", [MixUp(0.5), CutMix()])
def test_mixing_takes_the_number_of_classes_from_the_network(mixing):
    x, y = arrays()
    made = model()
    made.fit(Loader((x, y % 2), 8, augment=[RandomHorizontalFlip(), mixing]), verbose=0)
    assert 0 < made.history["loss"][0] < 5


def test_pictures_of_8_bits_are_converted_by_the_kernel():
    raw = np.arange(2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4)
    loader = Loader((raw, [0, 1]), 2, shuffle=False, augment=RandomHorizontalFlip(p=0))
    ((x, _),) = loader
    assert x.dtype == np.float32
    assert_array_equal(x, raw)


# interrupted runs


@pytest.mark.parametrize("kind", ["arrays", "samples"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_resumed_run_has_the_same_bits(kind, accumulate, tmp_path, no_thread_left):
    augment = [RandomHorizontalFlip(), RandomCrop(2), MixUp(0.4)]

    def run(folder, stop=None, resume=False):
        made = model(seed=3)

        class Stop(dfs.callbacks.Callback):
            def on_train_batch_end(self, number, logs):
                if stop is not None and self.model.steps == stop:
                    raise KeyError

        loader = Loader(SOURCES[kind](tmp_path), 4, augment=augment)
        with contextlib.suppress(KeyError):
            made.fit(loader, epochs=3, verbose=0, checkpoint=tmp_path / folder, checkpoint_every=1,
                     resume=resume, callbacks=Stop(),
                     gradient_accumulation_steps=accumulate)  # fmt: skip
        return made

    whole = run("whole")
    for stop in (1, 7, 9):
        run(f"part{stop}", stop)
        resumed = run(f"part{stop}", resume=True)
        assert resumed.history == whole.history
        x = arrays()[0]
        assert_array_equal(resumed.predict(x), whole.predict(x))


def test_another_augmentation_is_another_run(tmp_path):
    x, y = arrays()

    def fit(augment, **settings):
        loader = Loader((x, y), 8, augment=augment)
        model().fit(loader, epochs=1, verbose=0, checkpoint=tmp_path, **settings)

    fit(RandomCrop(2))
    with pytest.raises(CheckpointError, match=r"fit\.loader\.augment"):
        fit(RandomCrop(3), resume=True)
    with pytest.raises(CheckpointError, match=r"fit\.loader is .* here"):
        model().fit(x, y, 8, epochs=1, verbose=0, checkpoint=tmp_path, resume=True)
    fit(RandomCrop(2), resume=True)


# the thread


class Slow(Samples):
    """Notes when samples are read, and fails at one of them."""

    def __init__(self, broken=None):
        super().__init__()
        self.broken, self.threads, self.reads = broken, set(), 0

    def __getitem__(self, number):
        self.threads.add(threading.current_thread().name)
        self.reads += 1
        if number == self.broken:
            raise OSError(f"sample-{number} is gone")
        return super().__getitem__(number)


def test_samples_are_read_in_another_thread_one_batch_ahead(no_thread_left):
    data = Slow()
    loader = Loader(data, 10, shuffle=False)
    data.threads.clear()
    data.reads = 0
    reading = iter(loader)
    next(reading)
    reading.close()
    assert data.threads == {"deepfs-loader"}
    assert data.reads <= 30  # the first batch, that in the queue, that at hand


def test_the_step_that_needs_it_raises_the_error_and_the_state_is_kept(tmp_path, no_thread_left):
    """Resuming goes on before the step whose data could not be read."""
    whole = model()
    whole.fit(Loader(Slow(), 8, shuffle=False), epochs=2, verbose=0)
    made, data = model(), Slow()

    class Vanish(dfs.callbacks.Callback):
        def on_train_batch_end(self, number, logs):
            data.broken = 35

    settings = {"epochs": 2, "verbose": 0, "checkpoint": tmp_path, "callbacks": Vanish()}
    with pytest.raises(OSError, match="sample-35 is gone") as info:
        made.fit(Loader(data, 8, shuffle=False), **settings)
    assert "sample 35 of the Slow" in info.value.__notes__[0]
    assert made.steps == 4
    assert list(tmp_path.iterdir())
    resumed = model()
    resumed.fit(Loader(Slow(), 8, shuffle=False), **settings, resume=True)
    assert resumed.history == whole.history


def test_a_failed_validation_is_repeated_when_the_run_goes_on(tmp_path, no_thread_left):
    x, y = arrays()

    def run(data, **more):
        made = model()
        made.fit(x, y, 8, epochs=2, validation_data=Loader(data, 8), verbose=0, **more)
        return made

    data, settings = Slow(), {"checkpoint": tmp_path, "resume": True}
    data.broken = 35
    with pytest.raises(OSError, match="sample-35 is gone"):
        run(data, **settings)
    data.broken = None
    assert run(data, **settings).history == run(Slow()).history


class Halt(dfs.callbacks.Callback):
    def __init__(self, error):
        self.error = error

    def on_train_batch_end(self, number, logs):
        if self.error is not None:
            raise self.error
        self.model.stop_training = True


@pytest.mark.parametrize("error", [None, ValueError("no"), KeyboardInterrupt()])
def test_no_thread_outlives_a_run(error, no_thread_left):
    made = model()
    if error is None:
        made.fit(Loader(Slow(), 4), epochs=3, verbose=0, callbacks=Halt(error))
        assert made.steps == 1
    else:
        with pytest.raises(type(error)):
            made.fit(Loader(Slow(), 4), epochs=3, verbose=0, callbacks=Halt(error))


def test_no_thread_outlives_a_failed_evaluation(no_thread_left):
    made = model()
    made.fit(Loader(Slow(), 8), verbose=0)
    for ask in (made.evaluate, made.predict):
        with pytest.raises(OSError, match="sample-35"):
            ask(Loader(Slow(35), 8))


# what is refused


def test_sources_that_are_none():
    x, y = arrays()
    cases = [
        (5, TypeError, "Loader takes .*, got int"),
        ((batch for batch in [(x, y)]), TypeError, "got generator: batches that an iterable makes"),
        ((x, y[:5]), ValueError, r"a row for each sample, got shapes \(40, 1, 8, 8\), \(5,\)"),
        ((x[:0], y[:0]), ValueError, "at least 1 sample"),
        ([], ValueError, "at least 1 sample, got none in the list"),
        ("nowhere", FileNotFoundError, "nowhere: no such file or folder"),
    ]
    for source, error, message in cases:
        with pytest.raises(error, match=message):
            Loader(source)


def test_settings_are_checked_when_they_are_set():
    loader = Loader(arrays())
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        Loader(arrays(), 0)
    with pytest.raises(TypeError, match="shuffle must be True or False, got 1"):
        loader.shuffle = 1
    with pytest.raises(AttributeError, match="'num_workers': one thread reads ahead"):
        loader.num_workers = 4
    with pytest.raises(ValueError, match="class_names must differ, got 'a' 2 times"):
        loader.class_names = ["a", "a"]
    with pytest.raises(ValueError, match=r"takes images \(c, h, w\)"):
        Loader((np.zeros((4, 5)), [0, 1, 0, 1]), augment=RandomCrop(2))
    loader.batch_size = 7
    assert len(loader) == 6


class Uneven(Samples):
    def __init__(self, wrong):
        super().__init__()
        self.wrong = wrong

    def __getitem__(self, number):
        return self.wrong if number == 3 else super().__getitem__(number)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ((np.zeros((1, 9, 8)), 0), ValueError, r"sample 3 of the Uneven has shape \(1, 9, 8\)"),
        (
            (np.zeros((1, 8, 8)), 0, 1),
            TypeError,
            r"sample 3 .* must be \(input, target\), got 3",
        ),
        ((np.zeros((1, 8, 8), complex), 0), TypeError, "sample 3 of the Uneven"),
    ],
)
def test_samples_that_differ_are_named(wrong, error, message, no_thread_left):
    with pytest.raises(error, match=message):
        model().fit(Loader(Uneven(wrong), 4, shuffle=False), verbose=0)


def test_fit_refuses_what_a_loader_has_already():
    x, y = arrays()
    loader, made = Loader((x, y)), model()
    for settings in ({"y": y}, {"sample_weight": np.ones(40)}):
        with pytest.raises(TypeError, match="a Loader has its own targets and weights"):
            made.fit(loader, **settings)
    with pytest.raises(TypeError, match="got a Loader without targets"):
        made.fit(Loader(x))
    with pytest.raises(ValueError, match="label"):
        made.fit(Loader((x, y + 1)))
    bad = x.copy()
    bad[17] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity in sample 17"):
        made.fit(Loader((bad, y)))


def test_waiting_for_data_lets_the_step_run_meanwhile():
    """Reading and training take the longer of both, not the sum."""
    from deepfs.data.prefetch import ahead

    def read(number):
        time.sleep(0.02)
        return number

    began = time.perf_counter()
    for number in ahead(read, range(10)):
        time.sleep(0.02)
        last = number
    assert last == 9
    assert time.perf_counter() - began < 0.36  # one after the other: 0.4 s
