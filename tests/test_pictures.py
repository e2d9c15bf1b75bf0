"""Pictures are what a viewer shows, whatever their mode, depth and metadata, or are refused."""

import os
import struct
import zlib

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from deepfs.cli import read_image

D = np.linspace(0, 255, 28 * 28).astype("u1").reshape(28, 28)  # grey, darker above
C = np.stack([D, D.T, D[::-1]], axis=2)  # three colours
SHOWN = D / np.float32(255)
LUMA = (C / 255) @ [0.299, 0.587, 0.114]
ALPHA = D[:, ::-1].copy()


def read(picture, name, c=1, **options):
    """Save a picture and read it."""
    if not isinstance(picture, Image.Image):
        picture = Image.fromarray(picture)
    picture.save(name, **options)
    return read_image(str(name), c, 28, 28)


@pytest.fixture
def path(tmp_path):
    return lambda name: tmp_path / name


def close(images, wanted, atol=1e-6):
    wanted = np.asarray(wanted, "f8")
    assert images.dtype == np.float32
    assert images.flags.c_contiguous
    wanted = wanted.transpose(2, 0, 1) if wanted.ndim == 3 else wanted[None]
    assert_allclose(images, np.broadcast_to(wanted, images.shape[1:])[None], rtol=0, atol=atol)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.gif", "a.pgm", "A.PNG"])
def test_grey_of_8_bits(name, path):
    close(read(D, path(name)), SHOWN)
    close(read(D, path(name), 3), SHOWN)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_grey_of_16_bits_is_not_clipped(name, path):
    """Pillow's own conversion to 8 bits clips to white (Pillow#3011)."""
    fine = np.linspace(0, 65535, 784).astype("u2").reshape(28, 28)
    close(read(D.astype("u2") * 257, path(name)), SHOWN)
    close(read(fine, path(name)), fine / 65535)


def test_grey_of_16_bits_in_big_endian(path):
    picture = Image.frombytes("I;16B", (28, 28), (D.astype(">u2") * 257).tobytes())
    close(read(picture, path("a.tif")), SHOWN)


def test_the_same_digit_in_every_form(path):
    """The kind of all of these: one value of a pixel, whatever holds it."""
    forms = [
        read(D, path("8.png")),
        read(D.astype("u2") * 257, path("16.png")),
        read((D / 255).astype("f4"), path("f.tif")),
        read(np.dstack([np.full_like(D, 255)] * 3 + [D]), path("alpha.png")),
        read(np.dstack([D] * 3), path("rgb.png")),
        read(np.dstack([np.full_like(D, 255), D]), path("la.png")),
        read(Image.fromarray(D).convert("P"), path("p.png")),
        read(D.astype("u2") * 257, path("i.pgm")),
    ]
    for form in forms:
        close(form, SHOWN)


def test_colours_and_their_grey(path):
    close(read(C, path("a.png"), 3), C / 255)
    close(read(C, path("a.tif"), 3), C / 255)
    close(read(C, path("a.png")), LUMA)


def test_one_bit(path):
    close(read(Image.fromarray(D > 100), path("a.png")), D > 100)
    close(read(Image.fromarray(D > 100), path("a.tif"), 3), D > 100)


def test_palettes(path):
    picture = Image.new("P", (28, 28))
    picture.putpalette([10, 20, 30, 200, 100, 50] + [0] * 762)
    picture.putdata((D.ravel() > 100).astype(int).tolist())
    colours = np.where((D > 100)[:, :, None], [200, 100, 50], [10, 20, 30])
    close(read(picture, path("a.png"), 3), colours / 255)
    close(read(picture, path("a.gif"), 3), colours / 255)
    for transparency in (0, b"\0\xff"):  # one entry; one alpha of each
        shown = np.where((D > 100)[:, :, None], [200, 100, 50], 0)
        close(read(picture, path("b.png"), 3, transparency=transparency), shown / 255)
    close(
        read(picture, path("c.png"), 3, transparency=b"\x80\xff"),
        np.where((D > 100)[:, :, None], [200, 100, 50], np.array([10, 20, 30]) * 128 / 255) / 255,
    )
    close(read(picture, path("b.gif"), 3, transparency=1),
          np.where((D > 100)[:, :, None], 0, [10, 20, 30]) / 255)  # fmt: skip


def test_alpha_is_laid_over_black(path):
    close(read(np.dstack([C, ALPHA]), path("a.png"), 3), C / 255 * (ALPHA / 255)[:, :, None])
    close(read(np.dstack([C, ALPHA]), path("a.tif")), LUMA * ALPHA / 255)
    close(read(np.dstack([D, ALPHA]), path("b.png")), SHOWN * ALPHA / 255)


@pytest.mark.parametrize("mode", ["L", "RGB", "1"])
def test_one_transparent_colour(mode, path):
    picture = Image.fromarray(C if mode == "RGB" else D > 100 if mode == "1" else D)
    key = {"L": int(D[9, 9]), "RGB": tuple(map(int, C[9, 9])), "1": 255}[mode]
    pixels = np.asarray(picture.convert("RGB"))
    shown = np.where((pixels == np.asarray(key)).all(axis=2)[:, :, None], 0, pixels)
    assert (shown != pixels).any()
    close(read(picture, path("a.png"), 3, transparency=key), shown / 255)


def png(path, depth, kind, rows, *chunks):
    """Write a PNG of any depth: 0 for grey, 2 for colours; rows as bytes."""

    def chunk(name, content):
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    side = len(rows)
    parts = [chunk(b"IHDR", struct.pack(">2I5B", side, side, depth, kind, 0, 0, 0))]
    parts += [chunk(*each) for each in chunks]
    parts += [chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b""))
    return str(path)


def test_grey_of_4_bits_with_a_transparent_value(path):
    rows = [bytes([0x0F, 0x7F])] * 4  # 0, 15, 7, 15
    name = png(path("a.png"), 4, 0, rows)
    close(read_image(name, 1, 4, 4), [[0, 1, 7 / 15, 1]] * 4)
    name = png(path("b.png"), 4, 0, rows, (b"tRNS", struct.pack(">H", 7)))
    close(read_image(name, 1, 4, 4), [[0, 1, 0, 1]] * 4)


def test_grey_of_16_bits_with_a_transparent_value(path):
    rows = [struct.pack(">4H", 0, 65535, 300, 301)] * 4
    name = png(path("a.png"), 16, 0, rows, (b"tRNS", struct.pack(">H", 300)))
    close(read_image(name, 1, 4, 4), [[0, 1, 0, 301 / 65535]] * 4)


def test_colours_of_16_bits(path):
    rows = [struct.pack(">12H", *[257 * n for n in range(0, 240, 20)])] * 4
    name = png(path("a.png"), 16, 2, rows)
    close(read_image(name, 3, 4, 4), [np.arange(0, 240, 20).reshape(4, 3) / 255] * 4)
    name = png(path("b.png"), 16, 2, rows, (b"tRNS", struct.pack(">3H", 1, 2, 3)))
    with pytest.raises(ValueError, match=r"b.png cannot be taken: it has a transparent colour of"):
        read_image(name, 3, 4, 4)


def tiff(path, data, bits, *, photometric=1, kind=1, side=4):
    """Write a plain TIFF, little endian."""
    short = {
        256: side,
        257: side,
        258: bits,
        259: 1,
        262: photometric,
        277: 1,
        278: side,
        339: kind,
    }
    tags = sorted([(tag, 3, n) for tag, n in short.items()] + [(273, 4, 8), (279, 4, len(data))])
    entries = b"".join(struct.pack("<HHII", tag, form, 1, value) for tag, form, value in tags)
    head = b"II*\0" + struct.pack("<I", 8 + len(data)) + data
    path.write_bytes(head + struct.pack("<H", len(tags)) + entries + bytes(4))
    return str(path)


ROW = [0, 100, 200, 255]


def test_scientific_tiffs(path):
    name = tiff(path("16.tif"), struct.pack("<16H", *[257 * n for n in ROW] * 4), 16)
    close(read_image(name, 1, 4, 4), [np.array(ROW) / 255] * 4)
    name = tiff(path("white.tif"), struct.pack("<16H", *[257 * n for n in ROW] * 4), 16,
                photometric=0)  # fmt: skip
    close(read_image(name, 1, 4, 4), [1 - np.array(ROW) / 255] * 4)
    name = tiff(path("8white.tif"), bytes(ROW * 4), 8, photometric=0)
    close(read_image(name, 1, 4, 4), [1 - np.array(ROW) / 255] * 4)
    name = tiff(path("fwhite.tif"), struct.pack("<16f", *[n / 255 for n in ROW] * 4), 32,
                photometric=0, kind=3)  # fmt: skip
    close(read_image(name, 1, 4, 4), [1 - np.array(ROW) / 255] * 4)
    twelve = bytes([0x00, 0x0F, 0xFF, 0x7F, 0xF8, 0x00])  # 0, 4095, 2047, 2048
    name = tiff(path("12.tif"), twelve * 4, 12)
    close(read_image(name, 1, 4, 4), [np.array([0, 4095, 2047, 2048]) / 4095] * 4)


@pytest.mark.parametrize(
    ("data", "bits", "kind", "message"),
    [
        (struct.pack("<16I", *range(16)), 32, 1, "it holds 32-bit ints, whose range is not known"),
        (struct.pack("<16i", *range(16)), 32, 2, "it holds ints with a sign"),
        (struct.pack("<16h", *range(16)), 16, 2, "it holds ints with a sign"),
        (struct.pack("<16b", *range(16)), 8, 2, "it holds ints with a sign"),
        (struct.pack("<16f", *range(16)), 32, 3, "its floats go from 0 to 15, not from 0 to 1"),
        (struct.pack("<16f", -0.5, *[0] * 15), 32, 3, "its floats go from -0.5 to 0, not from"),
        (struct.pack("<16f", np.nan, *[0] * 15), 32, 3, "its floats go from nan to nan, not from"),
        (struct.pack("<16f", np.inf, *[0] * 15), 32, 3, "its floats go from 0 to inf, not from"),
    ],
)
def test_a_range_that_is_not_known_is_refused(data, bits, kind, message, path):
    name = tiff(path("a.tif"), data, bits, kind=kind)
    with pytest.raises(ValueError, match=f"a.tif cannot be taken: {message}"):
        read_image(name, 1, 4, 4)


def test_floats_from_0_to_1(path):
    close(read((D / 255).astype("f4"), path("a.tif")), SHOWN)
    close(read((D / 255).astype("f4"), path("a.tif"), 3), SHOWN)


def test_cmyk(path):
    ink = np.dstack([D, D.T, np.zeros_like(D), np.full_like(D, 51)])
    shown = np.dstack([(1 - n / 255) * (1 - 51 / 255) for n in (D, D.T, 0 * D)])
    close(read(cmyk(ink), path("a.tif"), 3), shown, 1 / 255)
    close(read(cmyk(ink), path("a.jpg"), 3, quality=100, subsampling=0), shown, 0.03)


def cmyk(ink):
    return Image.merge("CMYK", [Image.fromarray(part) for part in ink.transpose(2, 0, 1)])


def test_lab_is_refused(path):
    bands = [Image.fromarray(D)] * 3
    with pytest.raises(ValueError, match="Pillow's mode LAB is not known here: save it in 8 bits"):
        read(Image.merge("LAB", bands), path("a.tif"), 3)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_camera_is_applied(name, orientation, path):
    """Whatever a camera notes, the scene comes out upright: what it wrote is turned back."""
    upright = D if name != "a.jpg" else np.repeat(np.repeat(D[::4, ::4], 4, 0), 4, 1)
    wrote = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.T, 6: np.rot90(upright), 7: upright[::-1, ::-1].T, 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[274] = orientation
    options = (
        {"lossless": True} if name == "a.webp" else {"quality": 100} if name == "a.jpg" else {}
    )
    picture = Image.fromarray(np.ascontiguousarray(wrote))
    if name == "a.tif":
        images = read(picture, path(name), tiffinfo={274: orientation})
    else:
        images = read(picture, path(name), exif=exif, **options)
    close(images, upright / 255, 0.02 if name == "a.jpg" else 1e-6)


def test_a_turned_picture_that_is_no_square(path):
    exif = Image.Exif()
    exif[274] = 6
    high = np.zeros((40, 20), "u1")
    high[:20] = 200  # light above
    Image.fromarray(np.ascontiguousarray(np.rot90(high))).save(path("a.png"), exif=exif)
    images = read_image(str(path("a.png")), 1, 40, 20)
    close(images, high / 255)


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tif"])
def test_several_frames_are_refused(name, path):
    frames = [Image.fromarray(D), Image.fromarray(D.T.copy()), Image.fromarray(D)]
    frames[0].save(path(name), save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match=r"cannot be taken: it has 3 frames: save the one that is"):
        read_image(str(path(name)), 1, 28, 28)


def test_the_second_picture_of_a_camera_is_no_frame(path):
    """MPO: a JPEG, then a small copy or a map of depths."""
    first, second = Image.fromarray(C), Image.fromarray(255 - C)
    first.save(path("a.jpg"), "MPO", save_all=True, append_images=[second], quality=100)
    with Image.open(path("a.jpg")) as picture:
        assert picture.format == "MPO"
        assert picture.n_frames == 2
    assert abs(read_image(str(path("a.jpg")), 1, 28, 28) - LUMA).mean() < 0.02


def profile(name):
    return b"\0" * 36 + b"acsp" + b"\0" * 88 + name


def test_a_colour_profile_is_ignored_and_said(path):
    for name in (b"sRGB IEC61966-2.1", "sRGB".encode("utf-16-be")):
        close(read(D, path("a.png"), icc_profile=profile(name)), SHOWN)
    Image.fromarray(D).save(path("b.png"), icc_profile=profile(b"Display P3"))
    with pytest.warns(UserWarning, match=r"b.png: its colour profile is not applied, a viewer may"):
        images = read_image(str(path("b.png")), 1, 28, 28)
    close(images, SHOWN)
    png(path("c.png"), 8, 0, [bytes(ROW)] * 4, (b"gAMA", struct.pack(">I", 45455)))
    close(read_image(str(path("c.png")), 1, 4, 4), [np.array(ROW) / 255] * 4)
    png(path("d.png"), 8, 0, [bytes(ROW)] * 4, (b"gAMA", struct.pack(">I", 100000)))
    with pytest.warns(UserWarning, match=r"d.png: its colour profile is not applied"):
        read_image(str(path("d.png")), 1, 4, 4)


def test_resizing_keeps_means_and_bounds(path):
    Image.fromarray(np.kron(D, np.ones((3, 3), "u1"))).save(path("a.png"))
    images = read_image(str(path("a.png")), 1, 28, 28)
    assert_allclose(images[0, 0], SHOWN, atol=0.02)
    checks = np.kron(np.indices((14, 14)).sum(0) % 2, np.full((5, 5), 255)).astype("u1")
    Image.fromarray(checks).save(path("b.png"))
    images = read_image(str(path("b.png")), 3, 28, 28)
    assert images.min() >= 0
    assert images.max() <= 1
    assert images.mean() == pytest.approx(checks.mean() / 255, abs=0.01)


def test_what_is_transparent_does_not_bleed_when_resized(path):
    """White beneath full transparency is black, also between pixels."""
    clear = np.zeros((56, 56, 4), "u1")
    clear[:, :, :3] = 255
    Image.fromarray(clear).save(path("a.png"))
    assert_array_equal(read_image(str(path("a.png")), 3, 28, 28), 0)


def test_too_many_pixels(path, monkeypatch):
    monkeypatch.setattr("deepfs._pictures.MAX_PIXELS", 783)
    with pytest.raises(ValueError, match=r"it has 28 x 28 pixels, at most 783 are taken"):
        read(D, path("a.png"))


def test_channels_that_no_picture_has(path):
    Image.fromarray(C).save(path("a.png"))
    with pytest.raises(
        ValueError, match=r"a picture has 1 or 3 channels, 2 are needed: save an .npy"
    ):
        read_image(str(path("a.png")), 2, 28, 28)


def test_programs_are_not_run_for_a_picture(path):
    """Pillow would start Ghostscript for PostScript."""
    path("a.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n%%EndComments\n")
    with pytest.raises(ValueError, match=r"must be a PNG, a JPEG or an .npy file, got neither$"):
        read_image(str(path("a.png")), 1, 28, 28)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.gif", "a.bmp", "a.webp", "a.pgm"])
def test_damaged_pictures_are_refused_or_read_and_never_crash(name, path):
    noise = np.random.default_rng(0).integers(0, 256, (28, 28)).astype("u1")
    exif = Image.Exif()
    exif[274] = 3
    options = {"exif": exif} if name in ("a.jpg", "a.png", "a.webp") else {}
    Image.fromarray(noise).save(path(name), **options)
    good = path(name).read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(60):
        bad = bytearray(good)
        for at in rng.integers(0, min(len(bad), 300), 3):
            bad[at] = rng.integers(0, 256)
        path(name).write_bytes(bad)
        try:
            with np.errstate(all="ignore"):
                images = read_image(str(path(name)), 1, 28, 28)
        except ValueError as error:
            assert str(path(name)) in str(error)  # noqa: PT017
        except UserWarning:
            pass
        else:
            assert images.shape == (1, 1, 28, 28)
            assert ((images >= 0) & (images <= 1)).all()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
def test_pipes_are_not_waited_for(path):
    os.mkfifo(path("a.png"))
    with pytest.raises(FileNotFoundError, match="no such file, but something that is no regular"):
        read_image(str(path("a.png")), 1, 28, 28)


@pytest.mark.parametrize("dtype", ["f8", "?", "u2", "i8", "c8"])
def test_arrays_that_are_no_pictures(dtype, path):
    wrong = {"f8": np.nan, "?": True, "u2": 256, "i8": -1, "c8": 0.5}
    np.save(path("a.npy"), np.full((28, 28), wrong[dtype], dtype))
    with pytest.raises(ValueError, match=r"a.npy must hold floats from 0 to 1 or ints"):
        read_image(str(path("a.npy")), 1, 28, 28)


def test_no_arrays_at_all(path):
    np.save(path("a.npy"), np.zeros((0, 28, 28)))
    with pytest.raises(ValueError, match=r"must hold images of 1x28x28, got float64 of shape \(0,"):
        read_image(str(path("a.npy")), 1, 28, 28)


def test_arrays(path):
    for array in (D, D[None], D[None, None], D.astype(">i4"), SHOWN, SHOWN.astype("f2")):
        np.save(path("a.npy"), array)
        close(
            read_image(str(path("a.npy")), 1, 28, 28), SHOWN, 1e-3 if array.dtype == "f2" else 1e-6
        )


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "tif", "webp"])
def test_bytes_are_what_floats_are(mode, suffix, tmp_path):
    """Also those that are read the short way."""
    from deepfs._pictures import read_bytes, read_picture

    random = np.random.default_rng(0)
    path = tmp_path / f"a.{suffix}"
    values = random.integers(0, 256, (5, 7, 3), np.uint8)
    try:
        if mode == "I;16":
            Image.fromarray(random.integers(0, 65536, (5, 7), np.uint16)).save(path)
        else:
            Image.fromarray(values).convert(mode).save(path)
    except (OSError, KeyError, ValueError):
        pytest.skip(f"no {mode} in {suffix}")
    pixels = read_bytes(path)
    assert pixels.dtype == np.uint8
    assert_array_equal(pixels, np.rint(read_picture(path) * 255))


def test_what_is_special_is_not_read_the_short_way(tmp_path):
    from deepfs._pictures import read_bytes, read_picture

    grey = np.arange(35, dtype=np.uint8).reshape(5, 7)
    exif = Image.Exif()
    exif[274] = 6
    for name, settings in (("a.png", {"transparency": 3}), ("b.jpg", {"exif": exif}),
                           ("c.png", {"exif": exif})):  # fmt: skip
        Image.fromarray(grey).save(tmp_path / name, **settings)
        pixels = read_bytes(tmp_path / name)
        assert_array_equal(pixels, np.rint(read_picture(tmp_path / name) * 255))
    assert pixels.shape == (7, 5, 1)
