"""Networks of several inputs and outputs train by `fit`: two heads, a siamese pair, a U-Net."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs import losses, optimizers
from deepfs.testing import check_gradient

N = 60


def two_heads(dtype="float64"):
    image, row = L.Input((1, 8, 8)), L.Input((5,))
    h = L.Flatten()(L.Tanh()(L.Conv2D(4, 3)(image)))
    h = L.Tanh()(L.Dense(16)(L.Concat()([h, row])))
    outputs = {"kind": L.Dense(3)(h), "size": L.Dense(1)(h)}
    return L.Graph({"image": image, "row": row}, outputs, dtype=dtype)


def data_of_two_heads(rng, dtype=np.float64):
    x = {"image": rng.random((N, 1, 8, 8)).astype(dtype), "row": rng.random((N, 5)).astype(dtype)}
    size = x["image"].mean(axis=(1, 2, 3))[:, None] + x["row"][:, :1]
    return x, {"kind": x["row"][:, :3].argmax(axis=1), "size": size}


def model_of_two_heads(dtype="float64", **settings):
    loss = {"kind": losses.CrossEntropy(), "size": losses.MeanSquaredError()}
    settings = {"metrics": "auto", "seed": 0} | settings
    return dfs.Model(two_heads(dtype), loss, optimizers.Adam(0.01), **settings)


def test_two_heads_learn_and_are_measured(rng):
    x, y = data_of_two_heads(rng)
    model = model_of_two_heads()
    history = model.fit(x, y, 16, epochs=60, validation_data=(x, y), verbose=0).history
    assert history["val_kind_accuracy"][-1] > 0.9 > history["val_kind_accuracy"][0]
    assert history["size_loss"][-1] < 0.1 * history["size_loss"][0]
    measured = model.evaluate(x, y, 7)
    assert measured["loss"] == pytest.approx(measured["kind_loss"] + measured["size_loss"])
    outputs = model.predict(x, 11)
    found = losses.CrossEntropy()(outputs["kind"], y["kind"])
    assert measured["kind_loss"] == pytest.approx(found, rel=1e-12)


def test_two_heads_resume_to_the_same_bits(rng, tmp_path):
    x, y = data_of_two_heads(rng)
    whole, half, rest = (model_of_two_heads() for _ in range(3))
    whole.fit(x, y, 16, epochs=4, verbose=0)
    half.fit(x, y, 16, epochs=2, verbose=0, checkpoint=tmp_path)
    history = rest.fit(x, y, 16, epochs=4, verbose=0, checkpoint=tmp_path, resume=True)
    assert history.history == whole.history.history
    assert_array_equal(rest.arena.values, whole.arena.values)
    whole.save(tmp_path / "m.safetensors")
    loaded = dfs.load(tmp_path / "m.safetensors")
    for name, output in whole.predict(x).items():
        assert_array_equal(loaded.predict(x)[name], output)
    assert loaded.train_on_batch(x, y) == whole.train_on_batch(x, y)


def test_gradients_of_two_heads(rng):
    x, y = data_of_two_heads(rng)
    model = model_of_two_heads()
    model.predict(x)
    net, loss = model.network, model.loss
    parameters = net.parameters()
    outputs, cache = net.forward(x, training=True)
    value, loss_cache = loss.forward(outputs, y)
    net.zero_grad() if hasattr(net, "zero_grad") else None
    for parameter in parameters.values():
        parameter.grad[...] = 0
    net.backward(loss.backward(loss_cache), cache, need_dx=False)
    for name, parameter in parameters.items():
        before = parameter.value.copy()
        direction = rng.normal(size=before.shape)
        step = 1e-6
        found = []
        for sign in (1, -1):
            parameter.value = before + sign * step * direction
            found.append(loss(net(x), y))
        parameter.value = before
        slope = (found[0] - found[1]) / (2 * step)
        assert slope == pytest.approx((parameter.grad * direction).sum(), rel=1e-6, abs=1e-9), name


def test_accumulated_batches_of_two_heads_are_one_large_batch(rng):
    x, y = data_of_two_heads(rng)
    one, two = model_of_two_heads(), model_of_two_heads()
    one.fit(x, y, 60, shuffle=False, verbose=0)
    two.fit(x, y, 20, shuffle=False, verbose=0, gradient_accumulation_steps=3)
    np.testing.assert_allclose(one.arena.values, two.arena.values, rtol=1e-9)
    assert one.history["loss"] == pytest.approx(two.history["loss"], rel=1e-12)
    three = model_of_two_heads()
    three.loss = {"kind": losses.CrossEntropy(class_weight=[1, 2, 3]), "size": losses.Huber()}
    with pytest.raises(ValueError, match="losses that all divide by the number of samples"):
        three.fit(x, y, 20, verbose=0, gradient_accumulation_steps=3)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x, y: ([x["image"], x["row"]], y), TypeError, "as a dict of 'image', 'row', got l"),
        (lambda x, y: ({"image": x["image"]}, y), ValueError, "of 'image', 'row', got 'image'"),
        (lambda x, y: (x, y["kind"]), TypeError, "targets as a dict of 'kind', 'size', got ndarra"),
        (lambda x, y: (x, y | {"kind": y["kind"][1:]}), ValueError, r"targets\['kind'\] \(59,\)"),
        (lambda x, y: (x | {"row": x["row"][:9]}, y), ValueError, "inputs of one length, got sh"),
        (lambda x, y: (x | {"row": x["row"] * np.nan}, y), ValueError, r"inputs\['row'\], got NaN"),
        (lambda x, y: (x | {"row": "text"}, y), TypeError, r"inputs\['row'\] as an array, got"),
    ],
)
def test_refuses_trees_of_another_form(change, error, message, rng):
    model = model_of_two_heads()
    with pytest.raises(error, match=message):
        model.fit(*change(*data_of_two_heads(rng)), verbose=0)
    assert model.steps == 0


def contrastive(difference, same, margin=1.0):
    """Contrastive loss (Hadsell et al., 2006) of differences of pairs, and its gradient."""
    distance = np.sqrt(np.square(difference).sum(axis=1, keepdims=True) + 1e-12)
    gap = np.maximum(margin - distance, 0)
    same = same.reshape(-1, 1)
    value = same * distance**2 + (1 - same) * gap**2
    slope = 2 * same * difference - 2 * (1 - same) * gap * difference / distance
    return value[:, 0], slope


def siamese():
    a, b = L.Input((6,)), L.Input((6,))
    tower = L.Sequential([L.Dense(16), L.Tanh(), L.Dense(2)])
    return L.Graph((a, b), L.Subtract()([tower(a), tower(b)]), dtype="float64")


def test_a_siamese_network_learns_which_pairs_are_alike(rng):
    kind = rng.integers(0, 2, (200, 2))
    a, b = (rng.normal(size=(200, 6)) * 0.3 + np.where(k, 1, -1)[:, None] for k in kind.T)
    same = (kind[:, 0] == kind[:, 1]).astype(float)
    model = dfs.Model(siamese(), contrastive, optimizers.Adam(0.01), metrics=(), seed=0)
    model.fit((a, b), same, 20, epochs=20, verbose=0)
    distance = np.linalg.norm(model.predict((a, b)), axis=1)
    assert distance[same == 1].max() < 0.5 < distance[same == 0].min()
    assert len(model.network.parameters()) == 4  # of one tower
    check_gradient(
        lambda w: contrastive(w.reshape(200, 2), same)[0].mean(),
        model.predict((a, b)).ravel(),
        contrastive(model.predict((a, b)), same)[1].ravel() / 200,
    )


def unet():
    x = L.Input((1, 8, 8))
    down = L.ReLU()(L.Conv2D(8, 3, padding=1)(x))
    deep = L.ReLU()(L.Conv2D(16, 3, padding=1)(L.MaxPool2D(2)(down)))
    up = L.ConvTranspose2D(8, 2, stride=2)(deep)
    h = L.ReLU()(L.Conv2D(8, 3, padding=1)(L.Concat()([down, up])))
    return L.Graph(x, L.Conv2D(2, 1)(h))


def test_a_u_net_learns_masks(rng):
    x = rng.random((64, 1, 8, 8)).astype(np.float32)
    mask = (x[:, 0] > 0.5).astype(int)
    model = dfs.Model(unet(), losses.CrossEntropy(), optimizers.Adam(0.01), seed=0)
    history = model.fit(x, mask, 16, epochs=25, validation_data=(x, mask), verbose=0)
    assert history["val_accuracy"][-1] > 0.95
    classes = model.predict_classes(x)
    assert classes.shape == mask.shape
    assert (classes == mask).mean() == pytest.approx(history["val_accuracy"][-1], abs=1e-6)
