"""What PyTorch refuses, deepfs refuses, with a ValueError or a TypeError; skipped without PyTorch.

A row is one mistake, written down for both. That PyTorch refuses it is checked too, so a row that a
version of it comes to take shows itself. PyTorch calls most of them RuntimeErrors.
"""

import warnings

import numpy as np
import pytest

from deepfs import layers as L
from deepfs import losses, optimizers, schedules

torch = pytest.importorskip("torch")
nn, F, optim = torch.nn, torch.nn.functional, torch.optim

IMAGES, ROWS, SEQUENCES = (2, 4, 6, 5), (3, 4), (2, 4, 7)


def of_layers(*rows):
    """Return rows of (name, layer, PyTorch's, shape of what they are given or an array)."""
    for name, ours, theirs, given in rows:
        x = np.ones(given) if isinstance(given, tuple) else given

        def torch_call(theirs=theirs, x=x):
            return theirs()(torch.as_tensor(x))

        yield name, lambda ours=ours, x=x: ours().forward(x, training=True), torch_call


def windows(name, ours, theirs, *rows):
    """Return rows of (mistake, settings by the names that both have)."""
    return [
        (f"{name}: {mistake}", lambda k=k: ours(**k), lambda k=k: theirs(**k), IMAGES)
        for mistake, k in rows
    ]


def of_losses(*rows):
    """Return rows of (name, loss, PyTorch's function, targets, outputs if not (3, 4) zeros)."""
    for name, ours, theirs, t, *x in rows:
        given = x[0] if x else np.zeros((3, 4))

        def torch_call(theirs=theirs, given=given, t=t):
            return theirs(torch.as_tensor(given), torch.as_tensor(t))

        yield name, lambda ours=ours, given=given, t=t: ours()(given, t), torch_call


def of_training(*rows):
    """Return rows of (name, optimizer, PyTorch's for a list of parameters)."""
    for name, ours, theirs in rows:
        yield name, ours, lambda theirs=theirs: theirs([nn.Parameter(torch.zeros(3))])


def built(layer, shape):
    layer.build(shape, np.float64)
    return layer


def conv(filters=4, kernel_size=3, **settings):
    return nn.Conv2d(4, filters, kernel_size, **settings)


def our_conv(filters=4, kernel_size=3, **settings):
    return L.Conv2D(filters, kernel_size, **settings)


def transposed(**settings):
    return nn.ConvTranspose2d(4, 4, 3, **settings)


SETTINGS = [
    ("stride 0", {"stride": 0}),
    ("stride -1", {"stride": -1}),
    ("stride of a wrong length", {"stride": (1, 2, 3)}),
    ("stride of a wrong kind", {"stride": "2"}),
    ("padding -1", {"padding": -1}),
    ("padding of a wrong kind", {"padding": None}),
    ("dilation 0", {"dilation": 0}),
    ("dilation -1", {"dilation": -1}),
    ("groups 0", {"groups": 0}),
    ("groups -1", {"groups": -1}),
    ("groups that do not divide the channels", {"groups": 3}),
]
CONVOLUTIONS = of_layers(
    *windows("conv", our_conv, conv, *SETTINGS),
    *windows(
        "conv",
        our_conv,
        conv,
        ("window larger than the image", {"kernel_size": 7}),
        ("window larger when dilated", {"dilation": 3}),
        ("window 0", {"kernel_size": 0}),
        ("window -1", {"kernel_size": -1}),
        ("window of a wrong kind", {"kernel_size": 1.5}),
        ("window of a wrong length", {"kernel_size": (1, 2, 3)}),
        ("no filters", {"filters": 0}),
        ("-1 filters", {"filters": -1}),
        ("unknown padding", {"padding": "full"}),
        ("groups that do not divide the filters", {"filters": 6, "groups": 4}),
    ),
    ("conv: other channels", lambda: built(our_conv(), (3, 6, 5)), lambda: nn.Conv2d(3, 4, 3),
     IMAGES),
    ("conv: rows", our_conv, conv, ROWS),
    ("conv: bool", our_conv, conv, np.ones(IMAGES, bool)),
    ("conv: complex", our_conv, conv, np.ones(IMAGES, complex)),
    ("conv of sequences: images", lambda: L.Conv1D(2, 3), lambda: nn.Conv1d(4, 2, 3), IMAGES),
    ("conv of sequences: window", lambda: L.Conv1D(2, 9), lambda: nn.Conv1d(4, 2, 9),
     SEQUENCES),
    *windows("transposed", lambda **k: L.ConvTranspose2D(4, 3, **k), transposed, *SETTINGS),
    *windows(
        "transposed",
        lambda **k: L.ConvTranspose2D(4, 3, **k),
        transposed,
        ("padding that leaves nothing", {"padding": 5}),
        ("output padding of a stride", {"stride": 2, "output_padding": 2}),
        ("output padding -1", {"stride": 2, "output_padding": -1}),
    ),
)  # fmt: skip

POOLS = [
    ("window 0", {"kernel_size": 0}),
    ("window -1", {"kernel_size": -1}),
    ("window larger than the image", {"kernel_size": 7}),
    ("window of a wrong kind", {"kernel_size": "2"}),
    ("window of a wrong length", {"kernel_size": (1, 2, 3)}),
    ("stride 0", {"kernel_size": 2, "stride": 0}),
    ("stride -1", {"kernel_size": 2, "stride": -1}),
    ("padding of more than half", {"kernel_size": 3, "padding": 2}),
    ("padding -1", {"kernel_size": 3, "padding": -1}),
]
POOLING = of_layers(
    *windows("max pool", L.MaxPool2D, nn.MaxPool2d, *POOLS),
    *windows("average pool", L.AvgPool2D, nn.AvgPool2d, *POOLS),
    *windows("adaptive", L.AdaptiveAvgPool2D, nn.AdaptiveAvgPool2d,
             ("-1", {"output_size": -1}), ("of three", {"output_size": (1, 2, 3)})),
    ("max pool of sequences: window", lambda: L.MaxPool1D(9), lambda: nn.MaxPool1d(9), SEQUENCES),
    ("average pool of sequences: window", lambda: L.AvgPool1D(9), lambda: nn.AvgPool1d(9),
     SEQUENCES),
    ("max pool of sequences: padding", lambda: L.MaxPool1D(3, padding=2),
     lambda: nn.MaxPool1d(3, padding=2), SEQUENCES),
    ("average pool of sequences: padding", lambda: L.AvgPool1D(3, padding=2),
     lambda: nn.AvgPool1d(3, padding=2), SEQUENCES),
    ("max pool: rows", lambda: L.MaxPool2D(2), lambda: nn.MaxPool2d(2), ROWS),
    ("average pool: rows", lambda: L.AvgPool2D(2), lambda: nn.AvgPool2d(2), ROWS),
    ("max pool: no pixels", lambda: L.MaxPool2D(2), lambda: nn.MaxPool2d(2), (2, 4, 0, 5)),
    ("average pool: no pixels", lambda: L.AvgPool2D(2), lambda: nn.AvgPool2d(2), (2, 4, 0, 5)),
)  # fmt: skip

OTHERS = of_layers(
    ("batch norm: one row", L.BatchNorm, lambda: nn.BatchNorm1d(4), (1, 4)),
    ("batch norm: one pixel", L.BatchNorm, lambda: nn.BatchNorm2d(4), (1, 4, 1, 1)),
    ("batch norm: other channels", lambda: built(L.BatchNorm(), (3, 6, 5)),
     lambda: nn.BatchNorm2d(3), IMAGES),
    ("layer norm: other rows", lambda: built(L.LayerNorm(), (3,)), lambda: nn.LayerNorm(3), ROWS),
    ("group norm: 3 groups of 4", lambda: L.GroupNorm(3), lambda: nn.GroupNorm(3, 4), IMAGES),
    ("group norm: other channels", lambda: built(L.GroupNorm(2), (6, 6, 5)),
     lambda: nn.GroupNorm(2, 6), IMAGES),
    ("instance norm: rows", L.InstanceNorm, lambda: nn.InstanceNorm2d(4), ROWS),
    ("dropout: 1.1", lambda: L.Dropout(1.1), lambda: nn.Dropout(1.1), ROWS),
    ("dropout: -0.1", lambda: L.Dropout(-0.1), lambda: nn.Dropout(-0.1), ROWS),
    ("dropout: text", lambda: L.Dropout("a"), lambda: nn.Dropout("a"), ROWS),
    ("spatial dropout: 2", lambda: L.SpatialDropout(2), lambda: nn.Dropout2d(2), IMAGES),
    ("dense: other rows", lambda: built(L.Dense(2), (5,)), lambda: nn.Linear(5, 2), ROWS),
    ("dense: -1 units", lambda: L.Dense(-1), lambda: nn.Linear(4, -1), ROWS),
    ("dense: 1.5 units", lambda: L.Dense(1.5), lambda: nn.Linear(4, 1.5), ROWS),
    ("dense: units as text", lambda: L.Dense("2"), lambda: nn.Linear(4, "2"), ROWS),
    ("reshape: other size", lambda: L.Reshape((3, 3)), lambda: nn.Unflatten(1, (3, 3)), ROWS),
    ("reshape: two -1", lambda: L.Reshape((-1, -1)), lambda: nn.Unflatten(1, (-1, -1)), ROWS),
    ("reshape: -2", lambda: L.Reshape((-2,)), lambda: nn.Unflatten(1, (-2, 2)), ROWS),
    ("upsample: 0", lambda: L.Upsample2D(0), lambda: nn.Upsample(scale_factor=0), IMAGES),
    ("upsample: -1", lambda: L.Upsample2D(-1), lambda: nn.Upsample(scale_factor=-1), IMAGES),
    ("upsample: rows", lambda: L.Upsample2D(2), lambda: nn.Upsample(scale_factor=2), ROWS),
    ("zero pad: nothing left", lambda: L.ZeroPad2D(-4), lambda: nn.ZeroPad2d(-4), IMAGES),
    ("zero pad: 3 sides", lambda: L.ZeroPad2D((1, 2, 3)), lambda: nn.ZeroPad2d((1, 2, 3)), IMAGES),
    ("zero pad: 1.5", lambda: L.ZeroPad2D(1.5), lambda: nn.ZeroPad2d(1.5), IMAGES),
    ("flatten: one number", L.Flatten, nn.Flatten, np.array(1.0)),
    ("softmax: bool", L.Softmax, lambda: nn.Softmax(1), np.ones(ROWS, bool)),
    ("sequential: a number", lambda: L.Sequential([3]), lambda: nn.Sequential(3), ROWS),
    ("sequential: parts that do not fit",
     lambda: L.Sequential([L.Conv2D(2, 5), L.MaxPool2D(4)]),
     lambda: nn.Sequential(nn.Conv2d(4, 2, 5), nn.MaxPool2d(4)), IMAGES),
)  # fmt: skip

LABELS, THREE = np.array([0, 1, 3]), [1.0, 1.0, 1.0]


def weights():
    return torch.ones(3)


LOSSES = of_losses(
    ("cross entropy: label 4 of 4", losses.CrossEntropy, F.cross_entropy, np.array([0, 1, 4])),
    ("cross entropy: label -1", losses.CrossEntropy, F.cross_entropy, np.array([0, 1, -1])),
    ("cross entropy: 2 labels for 3", losses.CrossEntropy, F.cross_entropy, LABELS[:2]),
    ("cross entropy: labels 0.5", losses.CrossEntropy, F.cross_entropy, LABELS / 2),
    ("cross entropy: bool", losses.CrossEntropy, F.cross_entropy, LABELS > 0),
    ("cross entropy: a column", losses.CrossEntropy, F.cross_entropy, LABELS[:, None]),
    ("cross entropy: other classes", losses.CrossEntropy, F.cross_entropy, np.zeros((3, 5))),
    ("cross entropy: 3 weights for 4", lambda: losses.CrossEntropy(class_weight=THREE),
     lambda x, t: F.cross_entropy(x, t, weights()), LABELS),
    ("cross entropy: smoothing 1.1", lambda: losses.CrossEntropy(1.1),
     lambda x, t: F.cross_entropy(x, t, label_smoothing=1.1), LABELS),
    ("cross entropy: reduction", lambda: losses.CrossEntropy(reduction="avg"),
     lambda x, t: F.cross_entropy(x, t, reduction="avg"), LABELS),
    ("likelihood: label 4 of 4", losses.NegativeLogLikelihood, F.nll_loss, np.array([0, 1, 4])),
    ("likelihood: 2 labels for 3", losses.NegativeLogLikelihood, F.nll_loss, LABELS[:2]),
    ("likelihood: labels 0.5", losses.NegativeLogLikelihood, F.nll_loss, LABELS / 2),
    ("likelihood: 3 weights for 4", lambda: losses.NegativeLogLikelihood(class_weight=THREE),
     lambda x, t: F.nll_loss(x, t, weights()), LABELS),
    ("hinge: label 4 of 4", losses.Hinge, F.multi_margin_loss, np.array([0, 1, 4])),
    ("hinge: 2 labels for 3", losses.Hinge, F.multi_margin_loss, LABELS[:2]),
    ("squares: shapes", losses.MeanSquaredError, F.mse_loss, np.zeros((3, 5))),
    ("squares: reduction", lambda: losses.MeanSquaredError(reduction="x"),
     lambda x, t: F.mse_loss(x, t, reduction="x"), np.zeros((3, 4))),
    ("absolute: shapes", losses.MeanAbsoluteError, F.l1_loss, np.zeros((2, 4))),
    ("huber: shapes", losses.Huber, F.huber_loss, np.zeros((3, 5))),
    ("huber: delta 0", lambda: losses.Huber(0),
     lambda x, t: F.huber_loss(x, t, delta=0), np.zeros((3, 4))),
    ("huber: delta -1", lambda: losses.Huber(-1),
     lambda x, t: F.huber_loss(x, t, delta=-1.0), np.zeros((3, 4))),
    ("binary: shapes", losses.BinaryCrossEntropy, F.binary_cross_entropy_with_logits, np.zeros(3)),
    ("binary: 3 weights for 4", lambda: losses.BinaryCrossEntropy(THREE),
     lambda x, t: F.binary_cross_entropy_with_logits(x, t, pos_weight=weights()), np.zeros((3, 4))),
)  # fmt: skip


def sgd(parameters):
    return optim.SGD(parameters, 0.1)


TRAINING = of_training(
    ("SGD: lr -1", lambda: optimizers.SGD(-1), lambda p: optim.SGD(p, -1)),
    ("SGD: decay -1", lambda: optimizers.SGD(0.1, weight_decay=-1),
     lambda p: optim.SGD(p, 0.1, weight_decay=-1)),
    ("momentum: -1", lambda: optimizers.Momentum(0.1, -1),
     lambda p: optim.SGD(p, 0.1, momentum=-1)),
    ("Adam: lr -1", lambda: optimizers.Adam(-1), lambda p: optim.Adam(p, -1)),
    ("Adam: beta1 1", lambda: optimizers.Adam(beta1=1), lambda p: optim.Adam(p, betas=(1, 0.9))),
    ("Adam: beta1 -0.1", lambda: optimizers.Adam(beta1=-0.1),
     lambda p: optim.Adam(p, betas=(-0.1, 0.9))),
    ("Adam: beta2 1", lambda: optimizers.Adam(beta2=1), lambda p: optim.Adam(p, betas=(0.9, 1))),
    ("Adam: eps -1", lambda: optimizers.Adam(eps=-1), lambda p: optim.Adam(p, eps=-1)),
    ("AdamW: decay -1", lambda: optimizers.AdamW(weight_decay=-1),
     lambda p: optim.AdamW(p, weight_decay=-1)),
    ("RMSProp: rho -1", lambda: optimizers.RMSProp(rho=-1), lambda p: optim.RMSprop(p, alpha=-1)),
    ("RMSProp: eps -1", lambda: optimizers.RMSProp(eps=-1), lambda p: optim.RMSprop(p, eps=-1)),
    ("RMSProp: momentum -1", lambda: optimizers.RMSProp(momentum=-1),
     lambda p: optim.RMSprop(p, momentum=-1)),
    ("AdaDelta: rho 1.5", lambda: optimizers.AdaDelta(rho=1.5),
     lambda p: optim.Adadelta(p, rho=1.5)),
    ("AdaGrad: lr -1", lambda: optimizers.AdaGrad(-1), lambda p: optim.Adagrad(p, lr=-1)),
    ("AdaGrad: eps -1", lambda: optimizers.AdaGrad(eps=-1), lambda p: optim.Adagrad(p, eps=-1)),
    ("NAdam: momentum decay -1", lambda: optimizers.NAdam(momentum_decay=-1),
     lambda p: optim.NAdam(p, momentum_decay=-1)),
    ("RAdam: beta2 2", lambda: optimizers.RAdam(beta2=2), lambda p: optim.RAdam(p, betas=(0.9, 2))),
    ("Adamax: eps -1", lambda: optimizers.Adamax(eps=-1), lambda p: optim.Adamax(p, eps=-1)),
    ("one cycle: 0 steps", lambda: schedules.OneCycle(0.1, 0),
     lambda p: optim.lr_scheduler.OneCycleLR(sgd(p), 0.1, total_steps=0)),
    ("one cycle: rise 1.5", lambda: schedules.OneCycle(0.1, 5, rise=1.5),
     lambda p: optim.lr_scheduler.OneCycleLR(sgd(p), 0.1, total_steps=5, pct_start=1.5)),
    ("plateau: factor 1", lambda: schedules.Plateau(0.1, 1),
     lambda p: optim.lr_scheduler.ReduceLROnPlateau(sgd(p), factor=1.0)),
    ("plateau: mode", lambda: schedules.Plateau(0.1, mode="x"),
     lambda p: optim.lr_scheduler.ReduceLROnPlateau(sgd(p), mode="x")),
    ("restarts: 0 steps", lambda: schedules.CosineRestarts(0.1, 0),
     lambda p: optim.lr_scheduler.CosineAnnealingWarmRestarts(sgd(p), 0)),
    ("restarts: 0 times as long", lambda: schedules.CosineRestarts(0.1, 2, 0),
     lambda p: optim.lr_scheduler.CosineAnnealingWarmRestarts(sgd(p), 2, 0)),
)  # fmt: skip

MISTAKES = [*CONVOLUTIONS, *POOLING, *OTHERS, *LOSSES, *TRAINING]


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)  # so that nothing is refused for its dtype alone
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("ours", "theirs"), [pytest.param(*calls, id=name) for name, *calls in MISTAKES]
)
def test_both_refuse(ours, theirs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises((ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)):
            theirs()
    with pytest.raises((TypeError, ValueError)):
        ours()
