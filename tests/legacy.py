"""Small models and runs that cover what a file can hold; made by 0.1.0 in ``tests/data``.

`tools/make_legacy.py` makes the files, ``test_legacy.py`` asks the same questions of them. Public
names only, so that both run with any version.
"""

import hashlib
import json

import numpy as np

import deepfs as dfs
from deepfs import initializers as I
from deepfs import layers as L
from deepfs import losses, optimizers, regularizers, schedules
from deepfs.callbacks import EMA, SWA, Callback
from deepfs.optimizers import Group

IMAGE, ROW, SEQUENCE = (2, 8, 8), (5,), (3, 9)
SAMPLES, CLASSES, BATCH = 8, 3, 4


def convolutions():
    return [
        L.Conv2D(8, 3, padding=1), L.ReLU(), L.Conv2D(8, 3, padding=1, algorithm="winograd"),
        L.Conv2D(4, 3, stride=2, padding="same", groups=2, bias=False), L.LeakyReLU(0.1),
        L.DepthwiseConv2D(3, padding="same", multiplier=2), L.SeparableConv2D(4, 2), L.ReLU(),
        L.ConvTranspose2D(3, 2, stride=2, initializer=I.Normal(0.2)), L.MaxPool2D(3), L.Flatten(),
        L.Dense(CLASSES, initializer="glorot_uniform"),
    ]  # fmt: skip


def pooling():
    return [
        L.Conv2D(3, (2, 3), dilation=(2, 1), padding=(0, 1, 2, 0), initializer="lecun_normal"),
        L.Upsample2D((1, 2)), L.MaxPool2D(3, 2, padding=1), L.ZeroPad2D((1, 0, 2, 0)),
        L.AvgPool2D(2, ceil_mode=True, count_include_pad=True), L.AdaptiveAvgPool2D((2, 3)),
        L.Branches([L.GlobalAvgPool2D(), L.GlobalMaxPool2D()]), L.Dense(CLASSES, name="top"),
    ]  # fmt: skip


def norms():
    return [
        L.Conv2D(4, 3, bias=False, initializer=I.TruncatedNormal(0.3, 1.5)), L.BatchNorm(0.7),
        L.ReLU(), L.GroupNorm(2), L.InstanceNorm(affine=False), L.PReLU(), L.LayerNorm(3),
        L.PReLU(False),
        L.BatchNorm(statistics="cumulative", running_variance="biased", eps=1e-3), L.MaxPool2D(2),
        L.BatchNorm(affine=False), L.Dense(CLASSES, initializer=I.Uniform(0.4)),
    ]  # fmt: skip


def activations():
    return [
        L.Dense(6, initializer=I.Orthogonal(1.3)), L.ELU(0.7), L.Dense(6), L.SELU(), L.GELU(),
        L.Dense(6, initializer="glorot_normal"), L.GELU(approximate=True), L.SiLU(), L.Softplus(),
        L.Dense(8, initializer="lecun_uniform"), L.HardSwish(), L.Maxout(2), L.Sigmoid(),
        L.Identity(), L.Dense(CLASSES, initializer="he_uniform"),
    ]  # fmt: skip


def noise():
    return [
        L.Conv2D(4, 3), L.SpatialDropout(0.2), L.Tanh(), L.GaussianNoise(0.1), L.MaxPool2D(2),
        L.DropConnect(6, 0.3), L.ReLU(), L.Dropout(0.4, scaling="test"), L.Dense(5), L.Tanh(),
        L.Dropout(0.25), L.Dense(CLASSES),
    ]  # fmt: skip


def sequences():
    return [
        L.Conv1D(4, 3, padding="same"), L.LayerNorm(2), L.ReLU(), L.Conv1D(4, 2, 2, groups=2),
        L.Reshape((2, 2, -1)), L.BatchNorm(), L.Step(), L.Dense(4), L.ReLU(), L.Dense(CLASSES),
    ]  # fmt: skip


def meeting_ways():
    shared = L.Conv2D(4, 3, padding=1, bias=False, name="twice")
    body = L.Sequential([L.Conv2D(4, 3, stride=2, padding=1), L.BatchNorm()])
    added = [L.Conv2D(4, 1), L.Sequential([L.Conv2D(4, 3, padding=1), L.ReLU()]), L.Identity()]
    return [
        L.Conv2D(4, 1), shared, L.ReLU(), L.Residual(shared), L.ReLU(),
        L.Residual(body, L.Conv2D(4, 1, stride=2, bias=False)), L.ReLU(),
        L.Branches(added, merge="add"), L.Branches([L.Conv2D(2, 1), L.MaxPool2D(3, 1, 1)]),
        L.GlobalAvgPool2D(), L.Dense(CLASSES, bias=False),
    ]  # fmt: skip


def logarithms():
    return [L.Dense(6), L.Tanh(), L.Dense(CLASSES, initializer=I.Constant(0.1)), L.LogSoftmax()]


def probabilities():
    return [L.Dense(6, initializer="he_normal"), L.ReLU(), L.Dense(CLASSES), L.Softmax()]


GROUPS = (
    Group("*.weight", regularizer=[regularizers.L1(1e-3), regularizers.MaxNorm(1.5)]),
    Group(["top.*"], lr_scale=0.5, regularizer=regularizers.ElasticNet(1e-3, 1e-2, proximal=True)),
    Group("conv2d_1.bias", regularizer=regularizers.L2(1e-2), biases=True),
)
HALF = (Group("dense_1.*", frozen=True), Group("dense_2.*", lr_scale=2.0))

# network, shape of a sample, dtype, loss, optimizer
MODELS = {
    "convolutions_sgd": (
        convolutions, IMAGE, "float32", losses.CrossEntropy(),
        lambda: optimizers.SGD(schedules.Step(0.05, 2, 0.5), weight_decay=1e-2, clip_norm=0.5),
    ),
    "convolutions_momentum": (
        convolutions, IMAGE, "float64", losses.Hinge(0.7),
        lambda: optimizers.Momentum(schedules.Polynomial(0.02, 9, 2.0), form="ema"),
    ),
    "pooling_adam": (
        pooling, IMAGE, "float32", losses.CrossEntropy(0.1, [1, 2, 0.5]),
        lambda: optimizers.Adam(schedules.Plateau(0.01, 0.5, 0, cooldown=1), groups=GROUPS),
    ),
    "pooling_nesterov": (
        pooling, IMAGE, "float64", losses.CrossEntropy(ignore_index=1),
        lambda: optimizers.Nesterov(schedules.Cosine(0.05, 20, 1e-3), groups=GROUPS),
    ),
    "norms_adamw": (
        norms, IMAGE, "float32", losses.CrossEntropy(reduction="sum"),
        lambda: optimizers.AdamW(schedules.Warmup(4, schedules.Exponential(0.02, 0.9)), eps=1e-6,
                                 amsgrad=True, weight_decay=0.1),
    ),
    "norms_rmsprop": (
        norms, IMAGE, "float64", losses.Huber(0.5),
        lambda: optimizers.RMSProp(schedules.MultiStep(0.01, [1, 3], by="epoch"), centered=True,
                                   momentum=0.5),
    ),
    "activations_nadam": (
        activations, ROW, "float32", losses.MeanSquaredError(),
        lambda: optimizers.NAdam(schedules.CosineRestarts(0.01, 3, 2)),
    ),
    "activations_lamb": (
        activations, ROW, "float64", losses.BinaryCrossEntropy([1, 2, 3]),
        lambda: optimizers.LAMB(schedules.InverseTime(0.02, 0.1), clip_each=1.0),
    ),
    "noise_radam": (
        noise, IMAGE, "float32", losses.MeanAbsoluteError(),
        lambda: optimizers.RAdam(schedules.OneCycle(0.05, 12)),
    ),
    "noise_adamax": (
        noise, IMAGE, "float64", losses.CrossEntropy(),
        lambda: optimizers.Adamax(schedules.Constant(0.01), clip_value=0.1),
    ),
    "sequences_adagrad": (
        sequences, SEQUENCE, "float32", losses.Hinge(),
        lambda: optimizers.AdaGrad(0.02, groups=HALF),
    ),
    "sequences_adadelta": (
        sequences, SEQUENCE, "float64", losses.MeanSquaredError(textbook=True),
        lambda: optimizers.AdaDelta(groups=[Group("*", regularizer=regularizers.L1(0.1, True))]),
    ),
    "meeting_ways_lion": (
        meeting_ways, IMAGE, "float32", losses.CrossEntropy(),
        lambda: optimizers.Lion(1e-3, weight_decay=0.1),
    ),
    "meeting_ways_momentum": (
        meeting_ways, IMAGE, "float64", losses.CrossEntropy(),
        lambda: optimizers.Momentum(schedules.Warmup(3, 0.02), form="torch", dampening=0.1),
    ),
    "logarithms_adam": (
        logarithms, ROW, "float32", losses.NegativeLogLikelihood([1, 0.5, 2], ignore_index=0),
        lambda: optimizers.Adam(0.01, eps_mode="textbook"),
    ),
    "probabilities_sgd": (
        probabilities, ROW, "float64", losses.MeanSquaredError(reduction="sum"),
        lambda: optimizers.SGD(
            0.1, groups=[Group("dense_1.weight", regularizer=regularizers.WeightDecay(0.1))]
        ),
    ),
}  # fmt: skip


def data_of(shape, loss, dtype):
    """Return inputs, and targets that the loss takes."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((SAMPLES, *shape)).astype(dtype)
    label = rng.integers(0, CLASSES, SAMPLES)
    kind = type(loss).__name__
    if kind == "BinaryCrossEntropy":
        return x, (rng.random((SAMPLES, CLASSES)) < 0.5).astype(dtype)
    if kind in ("MeanSquaredError", "MeanAbsoluteError", "Huber"):
        return x, rng.random((SAMPLES, CLASSES)).astype(dtype)
    return x, label


def trained(name):
    """Return a model as it was saved: after six steps."""
    make, shape, dtype, loss, optimizer = MODELS[name]
    dfs.set_seed(2)
    model = dfs.Model(L.Sequential(make(), dtype=dtype), loss, optimizer())
    model.fit(*data_of(shape, loss, dtype), BATCH, 3, verbose=0)
    return model


def answers(name, model):
    """Return what a model from a file predicts, and what becomes of it after six more steps."""
    _, shape, dtype, loss, _ = MODELS[name]
    x, y = data_of(shape, loss, dtype)
    predicted = model.predict(x)
    dfs.set_seed(3)
    model.fit(x, y, BATCH, 3, verbose=0)
    after = model.predict(x)
    return {
        "predictions": digest({"": predicted}),
        "trained": digest(arrays_of(model)),
    }, {
        "predictions": predicted.ravel().tolist(),
        "trained predictions": after.ravel().tolist(),
        "loss": model.evaluate(x, y)["loss"],
    }  # fmt: skip


def arrays_of(model):
    """Return all arrays of a model, by name."""
    arrays = {name: parameter.value for name, parameter in model.network.parameters().items()}
    arrays |= model.network.buffers()
    for kind, flat in model.state.items():
        arrays |= {f"{kind} of {name}": part for name, part in model.arena.split(flat).items()}
    return arrays


def digest(arrays, *rest):
    """Return a hash of arrays by name, dtypes and shapes included, and of what JSON can hold."""
    found = hashlib.sha256(json.dumps(rest).encode())
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


class Stop(Callback):
    """Ends the process, as it were, after a step."""

    def __init__(self, after):
        self.after, self.steps = after, 0

    def on_train_batch_end(self, batch, logs):
        self.steps += 1
        if self.steps == self.after:
            raise SystemExit

    def state(self):
        return {"steps": self.steps}

    def load_state(self, state):
        self.steps = state["steps"]


def plateau():
    net = [
        L.Conv2D(4, 3, bias=False), L.BatchNorm(), L.ReLU(), L.MaxPool2D(2), L.Dropout(0.2),
        L.Dense(3),
    ]  # fmt: skip
    lr = schedules.Warmup(3, then=schedules.Plateau(1e-2, patience=0, by="epoch"))
    return L.Sequential(net), optimizers.Adam(lr)


def groups():
    net = [L.Conv2D(3, 3, name="conv"), L.GroupNorm(1), L.Tanh(), L.DropConnect(6, 0.3), L.Dense(3)]
    groups = [
        Group("conv.*", frozen=True),
        Group("*.weight", 2.0, regularizer=[regularizers.L1(1e-3), regularizers.MaxNorm(1.0)]),
    ]
    lr = schedules.MultiStep(0.01, [1, 2], by="epoch")
    return L.Sequential(net, dtype="float64"), optimizers.Momentum(lr, groups=groups)


def shared():
    layer = L.Dense(6)
    net = [L.Dense(6), layer, L.ReLU(), layer, L.GaussianNoise(0.1), L.Dense(3)]
    return L.Sequential(net), optimizers.NAdam(schedules.OneCycle(0.02, 21))


# model, step after which it was interrupted (there are 7 an epoch, 4 in "groups"), average, fit
RUNS = {
    "plateau": (plateau, 10, lambda: [EMA(0.9)], {}),
    "groups": (
        groups, 6, lambda: [SWA(1, 2)], {"shuffle": False, "gradient_accumulation_steps": 2},
    ),
    "shared": (shared, 15, lambda: [], {}),
}  # fmt: skip


def run(name, folder, die=False):
    """Train until it is interrupted, or go on from there; return what came of it, as `answers`."""
    make, after, averages, settings = RUNS[name]
    rng = np.random.default_rng(6)
    x, y = rng.random((50, 1, 8, 8), np.float32), rng.integers(0, 3, 50)
    dfs.set_seed(4)
    network, optimizer = make()
    model = dfs.Model(network, losses.CrossEntropy(), optimizer, ["accuracy"])
    callbacks = [*averages(), Stop(after if die else None)]
    settings = settings | {"validation_data": (x[:20], y[:20]), "callbacks": callbacks}
    history = model.fit(
        x, y, 8, 3, verbose=0, checkpoint=folder, checkpoint_every=1, resume=not die, **settings
    )
    states = {f"{i} {k}": v for i, c in enumerate(callbacks) for k, v in c.state().items()}
    arrays = {name: value for name, value in states.items() if isinstance(value, np.ndarray)}
    rest = {name: value for name, value in states.items() if name not in arrays}
    after = model.predict(x[:4])
    return {
        "trained": digest(
            arrays | arrays_of(model), rest, dfs.random.get_state(),
            [model.steps, model.epochs, model.optimizer.rate(model.steps + 1, model.epochs)],
        ),
    }, {
        "trained predictions": after.ravel().tolist(),
        "loss": history.history["loss"],
        "val_loss": history.history["val_loss"],
    }  # fmt: skip
