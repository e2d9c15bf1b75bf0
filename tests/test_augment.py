"""Augmentation: against NumPy and by hand, its random numbers, functions, what it refuses."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from cnn_core import image
from deepfs import augment as A
from deepfs import reference
from deepfs.testing import any_work_on

RAW = [np.uint8, np.float32, np.float64]
SEED = 2**40 + 5


def pictures(rng, raw, shape=(20, 3, 7, 6)):
    return rng.integers(0, 256, shape).astype(raw)


def everything():
    return A.pipeline(
        [
            A.RandomHorizontalFlip(),
            A.RandomVerticalFlip(0.3),
            A.RandomCrop(2, fill=(1, 2, 3)),
            A.RandomAffine(30, translate=(0.1, 0.2), scale=(0.8, 1.2), fill=7),
            A.ColorJitter(0.3, 0.4),
            A.Cutout((3, 2), fill=(9, 8, 7)),
            A.RandomCrop(1, padding_mode="reflect"),
            A.AlternatingFlip(),
        ]
    )


def by_hand(x, number, epoch, kind):
    """Return what `everything` makes of one image, by the definitions, in float64."""

    def draws(position, count, in_epoch=epoch):
        return reference.draws(number, count, SEED, in_epoch, position)

    x = x.astype(np.float64)
    (_, h, w), grey = x.shape, (0, 255) if kind == np.uint8 else (-np.inf, np.inf)
    x = reference.flip(x, False, draws(0, 1)[0] < 0.5)
    x = reference.flip(x, draws(1, 1)[0] < 0.3, False)
    x = reference.shift(x, *(int(5 * u) - 2 for u in draws(2, 2)), (1, 2, 3))
    angle, right, down, scale = draws(3, 4) * 2 - 1
    matrix = reference.affine_matrix(
        (h, w), 30 * angle, 0.1 * w * right, 0.2 * h * down, 1 + 0.2 * scale
    )
    x = reference.affine(x, matrix, (7, 7, 7))
    brightness, contrast = draws(4, 2) * 2 - 1
    x = reference.jitter(x, 1 + 0.3 * brightness, 1 + 0.4 * contrast, *grey)
    top, left = (int(u * extent) - size // 2
                 for u, extent, size in zip(draws(5, 2), (h, w), (3, 2), strict=True))  # fmt: skip
    x = reference.cutout(x, (top, top + 3, left, left + 2), (9, 8, 7))
    x = reference.shift(x, *(int(3 * u) - 1 for u in draws(6, 2)))
    return reference.flip(x, False, (draws(7, 1, 0)[0] < 0.5) != (epoch % 2 == 1))


@pytest.mark.parametrize("raw", RAW)
@pytest.mark.parametrize("epoch", [0, 3])
def test_matches_numpy(raw, epoch, dtype, threads, rng):
    x = pictures(rng, raw)
    before, index = x.copy(), np.array([4, 0, 19, 4, 7])
    numbers = np.array([3, 2**33 + 1, 0, 4, 11])
    scale, shift = rng.random(3), rng.random((3, 7, 6))
    y = everything().images(x, index, numbers, epoch, SEED, scale, shift, dtype)
    wanted = [by_hand(x[i], int(n), epoch, raw) for i, n in zip(index, numbers, strict=True)]
    assert y.dtype == dtype
    assert y.flags.c_contiguous
    tolerance = 2e-4 if dtype == np.float32 else 1e-11  # of values up to 255
    assert_allclose(y, np.array(wanted) * scale[:, None, None] + shift, rtol=0, atol=tolerance)
    assert_array_equal(x, before)


def run(transform, x, epoch=0, numbers=None, dtype="float64"):
    index = np.arange(len(x))
    return A.pipeline(transform).images(
        x, index, index if numbers is None else numbers, epoch, SEED, dtype=dtype
    )


def test_flips_by_hand():
    x = np.arange(6, dtype=np.uint8).reshape(1, 1, 2, 3)
    assert_array_equal(run(A.RandomHorizontalFlip(1), x)[0, 0], [[2, 1, 0], [5, 4, 3]])
    assert_array_equal(run(A.RandomVerticalFlip(1), x)[0, 0], [[3, 4, 5], [0, 1, 2]])
    assert_array_equal(run(A.RandomHorizontalFlip(0), x), x)


@pytest.mark.parametrize("mode", ["constant", "reflect"])
def test_a_crop_is_one_of_the_padded_image(mode, rng):
    x = pictures(rng, np.uint8, (1, 2, 5, 6))
    crop, sides = A.RandomCrop(2, mode), ((0, 0), (0, 0), (2, 2), (2, 2))
    padded = np.pad(x, sides, mode=mode)
    windows = {padded[0, :, i : i + 5, j : j + 6].tobytes() for i in range(5) for j in range(5)}
    many = np.repeat(x, 400, axis=0)
    assert {y.astype(np.uint8).tobytes() for y in run(crop, many)} == windows


def test_a_crop_wider_than_the_image():
    x = np.ones((200, 1, 1, 2))
    sums = run(A.RandomCrop(5, fill=0), x).sum(axis=(1, 2, 3))
    assert {*sums} == {0, 1, 2}


def matrix_of(degrees, right=0, down=0, scale=1, shape=(5, 5)):
    values = np.zeros((1, 1, 6))
    values[0, 0] = reference.affine_matrix(shape, degrees, right, down, scale).ravel()
    return values


def affine(x, values, fill=0.0):
    y = np.empty(x.shape)
    kinds, fills = np.array([2]), np.full((1, x.shape[1]), float(fill))
    image.augment(x, np.array([0]), kinds, values, fills, None, None, y)
    return y


def test_affine_by_hand(rng):
    x = rng.random((1, 2, 5, 5))
    assert_allclose(affine(x, matrix_of(90)), np.rot90(x, -1, (2, 3)), atol=1e-14)  # clockwise
    assert_allclose(affine(x, matrix_of(180)), x[..., ::-1, ::-1], atol=1e-14)
    moved = affine(x, matrix_of(0, right=2, down=-1))
    assert_allclose(moved[:, :, :4, 2:], x[:, :, 1:, :3], atol=1e-15)
    assert not moved[:, :, 4].any()
    assert not moved[..., :2].any()
    row = np.array([0.0, 10, 20, 30, 40]).reshape(1, 1, 1, 5)
    wider = affine(row, matrix_of(0, scale=2, shape=(1, 5)))
    assert_allclose(wider.ravel(), [10, 15, 20, 25, 30])  # about the middle
    half = affine(row, matrix_of(0, right=0.5, shape=(1, 5)), fill=100)
    assert_allclose(half.ravel(), [50, 5, 15, 25, 35])  # the first is half outside


def test_affine_is_that_of_scipy(rng):
    ndimage = pytest.importorskip("scipy.ndimage")
    x = rng.random((1, 1, 9, 7))
    for degrees, right, down, scale in rng.uniform(-1, 1, (30, 4)):
        values = matrix_of(180 * degrees, 2 * right, 2 * down, 1 + scale / 2, (9, 7))
        m = values.reshape(2, 3)
        wanted = ndimage.affine_transform(
            x[0, 0], m[:, :2], m[:, 2], order=1, mode="grid-constant", cval=0.3
        )
        assert_allclose(affine(x, values, 0.3)[0, 0], wanted, atol=1e-12)


def test_the_transform_that_changes_nothing_changes_no_bit(dtype, rng):
    x = rng.standard_normal((8, 3, 5, 4)).astype(dtype)
    same = [A.RandomAffine(), A.RandomCrop(0), A.ColorJitter(), A.RandomHorizontalFlip(0)]
    assert_array_equal(run(same, x, dtype=dtype), x)
    assert_array_equal(run(None, x, dtype=dtype), x)


def test_jitter_by_hand():
    x = np.array([[[[100, 200]], [[0, 50]], [[10, 30]]]], np.uint8)
    brighter = run(A.ColorJitter(brightness=(2, 2)), x)[0, :, 0]
    assert_array_equal(brighter, [[200, 255], [0, 100], [20, 60]])
    mean = 0.2989 * 150 + 0.587 * 25 + 0.114 * 20
    wanted = np.clip(mean + 2 * (x[0, :, 0] - mean), 0, 255)
    assert_allclose(run(A.ColorJitter(contrast=(2, 2)), x)[0, :, 0], wanted)
    free = run(A.ColorJitter((2, 2)), x.astype(np.float32))[0, :, 0]
    assert_array_equal(free, 2 * x[0, :, 0].astype(float))  # the range of floats is not known
    assert run(A.ColorJitter((2, 2), clip=(0, 90)), x).max() == 90
    assert_array_equal(run(A.ColorJitter(contrast=(0, 0)), x[:, :1])[0], [[[150, 150]]])


def test_the_hole_of_cutout():
    ones = np.ones((4000, 1, 6, 6), np.uint8)
    left = run(A.Cutout(2), ones)[:, 0]
    rows, columns = (left.min(axis=axis) for axis in (2, 1))
    sizes = {(int((r == 0).sum()), int((c == 0).sum())) for r, c in zip(rows, columns, strict=True)}
    assert sizes == {(1, 1), (1, 2), (2, 1), (2, 2)}  # cut off above and on the left
    times = (left == 0).mean(axis=0)
    assert_allclose(times[:5, :5], 4 / 36, atol=0.02)  # each pixel, but for the last row, column
    assert_allclose(times[5, 5], 1 / 36, atol=0.012)


def test_order_is_that_of_the_list():
    x = np.full((1, 1, 4, 4), 100, np.uint8)
    twice, hole = A.ColorJitter((2, 2)), A.Cutout(20, fill=50)
    assert {*run([twice, hole], x).ravel()} == {50}
    assert {*run([hole, twice], x).ravel()} == {100}


# --- random numbers ---


def test_pictures_depend_on_seed_epoch_and_number_alone(dtype, rng):
    """Not on threads, batches, their order, or what else was drawn."""
    x = pictures(rng, np.uint8, (64, 3, 9, 8))
    pipe, index = everything(), rng.permutation(64)
    whole = pipe.images(x, index, index, 5, SEED, 1 / 255, None, dtype)
    for n in (1, 2, 4):
        with any_work_on(n):
            assert_array_equal(pipe.images(x, index, index, 5, SEED, 1 / 255, None, dtype), whole)
    parts = [pipe.images(x, i, i, 5, SEED, 1 / 255, None, dtype) for i in np.split(index, 8)]
    assert_array_equal(np.concatenate(parts), whole)
    dfs.set_seed(3)
    again = pickle.loads(pickle.dumps(pipe)).images(x, index, index, 5, SEED, 1 / 255, None, dtype)
    assert_array_equal(again, whole)
    for other in ((index, 6, SEED), (index, 5, SEED + 1), (index + 64, 5, SEED)):
        assert (pipe.images(x, index, *other, 1 / 255, None, dtype) != whole).any()


def test_threads_do_not_meet(rng):
    """Each has a workspace of its own."""
    x, index = pictures(rng, np.uint8, (100, 3, 50, 50)), np.arange(100)
    pipe = A.pipeline([A.RandomAffine(90), A.RandomCrop(9)])
    with any_work_on(1):
        wanted = pipe.images(x, index, index, 0, SEED)
    for n in (2, 4):
        with any_work_on(n):
            for _ in range(5):
                assert_array_equal(pipe.images(x, index, index, 0, SEED), wanted)


def test_draws_are_those_of_the_reference_and_of_no_layer():
    numbers = np.array([0, 1, 2**32, 2**62])
    found = np.empty((4, 5))
    image.draw(found, numbers, SEED, 7, 2**31 + 32)
    for row, number in zip(found, numbers.tolist(), strict=True):
        assert_array_equal(row, reference.draws(number, 5, SEED, 7, 2))
    own = dfs.random.Random(SEED, 7).uniform((8,))
    assert not np.isin(found, own).any()


def test_flips_are_as_frequent_as_asked():
    x = np.arange(2.0).reshape(1, 1, 1, 2).repeat(10_000, axis=0)
    for p in (0.5, 0.1):
        flipped = run(A.RandomHorizontalFlip(p), x)[:, 0, 0, 0] == 1
        assert abs(flipped.mean() - p) < 4 * np.sqrt(p * (1 - p) / 10_000)
    first, second = (run(A.RandomHorizontalFlip(), x, epoch)[:, 0, 0, 0] for epoch in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.04
    both = run([A.RandomHorizontalFlip(), A.RandomHorizontalFlip()], x)[:, 0, 0, 0] == 1
    assert abs(both.mean() - 0.5) < 0.02  # each position draws its own


def test_alternating_flip():
    """Jordan 2024: at random in the first epoch, from then on the other way each time."""
    x = np.arange(2.0).reshape(1, 1, 1, 2).repeat(4000, axis=0)
    ways = [run(A.AlternatingFlip(), x, epoch)[:, 0, 0, 0] for epoch in range(4)]
    assert abs(ways[0].mean() - 0.5) < 0.04
    assert_array_equal(ways[1], 1 - ways[0])
    assert_array_equal(ways[2:], ways[:2])


def test_all_offsets_of_a_crop_are_equally_probable():
    x = np.arange(81.0).reshape(1, 1, 9, 9).repeat(20_000, axis=0)
    middle = run(A.RandomCrop(2), x)[:, 0, 4, 4]
    counts = np.unique(middle, return_counts=True)[1]
    assert len(counts) == 25
    chi_squared = np.square(counts - 800).sum() / 800
    assert chi_squared < 52  # 24 degrees of freedom: probability 0.001


def test_ranges_of_random_affine():
    u = np.random.default_rng(0).random((5000, 4))
    kind = A.RandomAffine((10, 20), translate=(0.5, 0.25), scale=(2, 4))
    m = np.stack(np.broadcast_arrays(*kind.numbers(u, (1, 9, 9), np.dtype("u1"), 0)), axis=1)
    scale = 1 / np.hypot(m[:, 0], m[:, 1])
    angle = np.rad2deg(np.arctan2(-m[:, 1], m[:, 0]))
    assert_allclose([scale.min(), scale.max(), angle.min(), angle.max()], [2, 4, 10, 20], rtol=0.01)
    forward = np.linalg.inv(m.reshape(-1, 2, 3)[:, :, :2])
    to = np.einsum("nij,nj->ni", forward, 4 - m[:, [2, 5]]) - 4  # where the centre goes
    assert_allclose(abs(to).max(axis=0), [9 * 0.25, 9 * 0.5], rtol=0.01)


# --- functions of one's own ---


def noise(picture, rng):
    return picture + rng.normal(size=picture.shape)


def test_a_function_gets_raw_values_and_its_own_generator(rng):
    x = pictures(rng, np.uint8, (6, 2, 4, 4))
    pipe, index = A.pipeline([A.RandomHorizontalFlip(1), noise, A.RandomVerticalFlip(1)]), range(6)
    index = np.arange(6)
    y = pipe.images(x, index, index, 2, SEED, 0.5, None, "float64")
    made = 2 * y[..., ::-1, ::-1] - x
    assert abs(made.mean()) < 0.3
    assert 0.8 < made.std() < 1.2
    assert len(np.unique(made[:, 0, 0, 0])) == 6
    part = pipe.images(x, index[4:], index[4:], 2, SEED, 0.5, None, "float64")
    assert_array_equal(part, y[4:])
    assert (pipe.images(x, index, index, 3, SEED, 0.5, None, "float64") != y).all()


def test_a_function_sees_what_those_before_it_have_made(rng):
    x, seen = pictures(rng, np.uint8, (1, 2, 4, 4)), []

    def look(picture, rng):
        seen.append(picture.copy())
        return picture

    y = run([A.RandomHorizontalFlip(1), look, A.RandomVerticalFlip(1), look], x)
    assert_array_equal(seen, [x[0, :, :, ::-1], y[0]])


def test_a_function_may_work_in_place_and_on_anything():
    def nothing_of(sample, rng):
        sample[:] = 0
        return sample

    x = np.ones((3, 5))
    assert not run(nothing_of, x).any()
    assert_array_equal(x, 1)
    assert_array_equal(run(None, np.arange(4.0)), np.arange(4.0))


def test_errors_of_a_function_name_the_sample():
    def wrong(picture, rng):
        return picture[:1]

    def broken(picture, rng):
        raise KeyError("none")

    x, numbers = np.ones((2, 3, 4, 4)), np.array([17, 18])
    message = r"augmentation by wrong must return an image \(3, 4, 4\), got float64 \(1, 4, 4\) for"
    with pytest.raises(ValueError, match=message + " sample 17"):
        run(wrong, x, numbers=numbers)
    with pytest.raises(KeyError) as caught:
        run(broken, x, numbers=numbers, epoch=1)
    assert caught.value.__notes__ == ["in augmentation by broken: sample 17, epoch=1"]


# --- sources and scaling ---


def test_sources_of_any_kind(tmp_path, rng):
    x = pictures(rng, np.uint8)
    path = tmp_path / "x.npy"
    np.save(path, x)
    pipe, index = everything(), np.array([3, 9, 3])
    wanted = pipe.images(x, index, index, 0, SEED)
    mapped = np.load(path, mmap_mode="r")
    assert not mapped.flags.writeable
    assert_array_equal(pipe.images(mapped, index, index, 0, SEED), wanted)
    strided = np.asfortranarray(x)
    assert_array_equal(pipe.images(strided, index, index, 0, SEED), wanted)
    floats = pipe.images(x.astype(np.float32), index, index, 0, SEED)
    for kind in (">f4", np.int16, np.uint16, ">i4"):
        assert_array_equal(pipe.images(x.astype(kind), index, index, 0, SEED), floats)
    assert_array_equal(run(None, x > 100), x > 100)
    with pytest.raises(TypeError, match="takes numbers as samples, got complex"):
        run(None, x.astype(complex))


@pytest.mark.parametrize("shape", [(4,), (4, 1, 1), (4, 5, 6), ()])
def test_scale_and_shift(shape, dtype, rng):
    x = pictures(rng, np.uint8, (7, 4, 5, 6))
    scale, shift = rng.random(shape), rng.random(shape)
    index = np.arange(7)
    pipe = A.pipeline(None)
    y = pipe.images(x, index, index, 0, 0, scale, shift, dtype)
    each = [part[:, None, None] if part.ndim == 1 else part for part in (scale, shift)]
    assert_allclose(y, each[0] * x + each[1], rtol=2e-6)
    assert_array_equal(
        pipe.images(x, index, index, 0, 0, None, shift, dtype),
        (x + each[1].astype(dtype)).astype(dtype),
    )
    assert_array_equal(
        pipe.images(x, index, index, 0, 0, scale, None, dtype), x * each[0].astype(dtype)
    )


def test_batches_of_none_and_one(rng):
    x = pictures(rng, np.uint8)
    none = np.array([], np.int64)
    assert everything().images(x, none, none, 0, 0).shape == (0, 3, 7, 6)
    assert everything().images(x, [5], [5], 0, 0).shape == (1, 3, 7, 6)
    assert A.pipeline(A.Cutout(2)).images(x[..., :0], [5], [5], 0, 0).shape == (1, 3, 7, 0)


# --- what it refuses ---


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: A.RandomHorizontalFlip(1.5), ValueError, r"p must be in \[0, 1\], got 1.5"),
        (lambda: A.RandomCrop(-1), ValueError, "padding must be at least 0, got -1"),
        (lambda: A.RandomCrop(2, "edge"), ValueError, "padding_mode must be one of 'constant'"),
        (lambda: A.RandomCrop(2, fill="white"), TypeError, "fill must be a number"),
        (lambda: A.RandomCrop(pad=4), TypeError, "no argument 'pad': it is called 'padding' here"),
        (lambda: A.RandomAffine(-5), ValueError, r"degrees must be in \[0, inf\), got -5"),
        (lambda: A.RandomAffine((5, -5)), ValueError, "with low <= high, got"),
        (lambda: A.RandomAffine(scale=1.2), TypeError, r"scale must be \(low, high\) or None"),
        (lambda: A.RandomAffine(scale=(0, 1)), ValueError, "each end of scale must be in"),
        (lambda: A.RandomAffine(translate=(1, 2)), ValueError, r"translate must be in \[0, 1\]"),
        (lambda: A.RandomAffine(translate=(1, 0, 1)), ValueError, "translate must be a number or"),
        (lambda: A.ColorJitter((1, 2, 3)), ValueError, "brightness must be a number or"),
        (lambda: A.ColorJitter(clip=1), TypeError, r"clip must be \(low, high\) or None, got 1"),
        (lambda: A.Cutout(0), ValueError, "size must be a positive int or two of them, got 0"),
        (lambda: A.pipeline(A.RandomCrop), TypeError, r"not their classes: RandomCrop\(\)"),
        (lambda: A.pipeline(["flip"]), TypeError, "must be a transform of deepfs.augment, a func"),
        (lambda: A.pipeline(lambda x: x), TypeError, r"takes functions f\(image, rng\), got <lam"),
        (lambda: A.RandomRotation, AttributeError, "it is called RandomAffine here"),
        (lambda: dfs.layers.RandomFlip, AttributeError, "deepfs.augment.RandomHorizontalFlip"),
        (lambda: A.Compose, AttributeError, "give a list of transforms"),
        (lambda: A.RandomResizedCrop, AttributeError, "has no attribute 'RandomResizedCrop'"),
    ],
)
def test_refuses_a_setting(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("transform", "shape", "message"),
    [
        (A.RandomCrop(4, "reflect"), (1, 4, 9), "needs images of at least 5 rows and columns to"),
        (A.RandomCrop(4, fill=(1, 2)), (3, 9, 9), "RandomCrop has fills of 2 channels, got images"),
        (A.RandomHorizontalFlip(), (9,), r"takes images \(c, h, w\), got samples of shape \(9,\)"),
    ],
)
def test_refuses_images_that_do_not_fit(transform, shape, message):
    pipe = A.pipeline(transform)
    with pytest.raises(ValueError, match=message):
        pipe.check(shape)
    with pytest.raises(ValueError, match=message):
        run(transform, np.zeros((1, *shape), np.uint8))


def test_refuses_wrong_arguments():
    x, pipe = np.zeros((4, 1, 2, 2)), A.pipeline(None)
    with pytest.raises(IndexError, match="index 4 is out of range for 4 samples"):
        pipe.images(x, [4], [0], 0, 0)
    with pytest.raises(IndexError, match="index -1 is out of range"):
        pipe.images(x, [-1], [0], 0, 0)
    with pytest.raises(IndexError, match="out of range for 4 samples"):
        pipe.images(x.astype(int), [-1], [0], 0, 0)
    with pytest.raises(ValueError, match="2 samples need as many numbers, got 1"):
        pipe.images(x, [0, 1], [0], 0, 0)
    with pytest.raises(TypeError, match=r"index must be an array \(n,\) of ints"):
        pipe.images(x, [0.5], [0], 0, 0)
    with pytest.raises(ValueError, match=r"a number per channel or the shape of a sample, \(1, 2"):
        pipe.images(x, [0], [0], 0, 0, scale=np.ones(2))
    with pytest.raises(
        ValueError, match=r"number per channel or the shape of a sample, .* \(1, 2\)"
    ):
        pipe.images(x, [0], [0], 0, 0, shift=np.ones((1, 2)))
    with pytest.raises(ValueError, match='dtype must be "float32" or "float64"'):
        pipe.images(x, [0], [0], 0, 0, dtype="float16")
    with pytest.raises(ValueError, match="epoch must be at least 0, got -1"):
        pipe.images(x, [0], [0], -1, 0)


def test_the_kernel_refuses_what_would_crash():
    x, y = np.zeros((2, 3, 4, 5)), np.zeros((1, 3, 4, 5))
    good = [x, np.array([1]), np.array([1]), np.zeros((1, 1, 6)), np.zeros((1, 3)), None, None, y]

    def wrong(at, value):
        return [*good[:at], value, *good[at + 1 :]]

    image.augment(*good)
    far, reflected, nan = (np.zeros((1, 1, 6)) for _ in range(3))
    far[0, 0, 0], nan[0, 0, 1], reflected[0, 0, :3] = 2.0**31, np.nan, (4, 0, 1)
    for at, value in [(2, np.array([5])), (2, np.array([-1])), (3, far), (3, nan), (3, reflected)]:
        with pytest.raises(ValueError, match="not known, or their numbers out of range"):
            image.augment(*wrong(at, value))
    for at, value in [(3, np.zeros((1, 1, 5))), (3, np.zeros((2, 1, 6))), (4, np.zeros((1, 2))),
                      (4, np.zeros((2, 3))), (7, np.zeros((1, 3, 4, 4)))]:  # fmt: skip
        with pytest.raises(ValueError, match="do not belong together"):
            image.augment(*wrong(at, value))
    with pytest.raises(ValueError, match="a number per channel or per entry"):
        image.augment(*wrong(5, np.ones((3, 2))))
    with pytest.raises(ValueError, match="each row needs the number of its sample"):
        image.draw(np.empty((2, 1)), np.array([0]), 0, 0, 0)


def test_settings_that_are_assigned():
    pipe = A.pipeline([A.RandomHorizontalFlip(0), A.RandomAffine((5, 10))])
    flip, affine = pipe.transforms
    with pytest.raises(ValueError, match="p must be in"):
        flip.p = 2
    with pytest.raises(AttributeError, match="has no attribute 'probability'"):
        flip.probability = 1
    flip.p, affine.degrees = 1, 0
    x = np.arange(2.0).reshape(1, 1, 1, 2)
    assert_array_equal(run(pipe, x), x[..., ::-1])
    pipe.transforms = [pipe, None, A.Cutout(1)]
    assert [type(t).__name__ for t in pipe.transforms][2] == "Cutout"
    assert repr(copy.deepcopy(pipe)).startswith("Pipeline([RandomHorizontalFlip(p=1.0)")
    assert len(pipe) == 3
