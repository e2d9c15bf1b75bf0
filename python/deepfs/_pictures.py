"""Pictures and arrays of pictures in files, as numbers from 0 to 1: what a viewer shows."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from ._arrays import Array

# Plain pictures only: Pillow would also run other programs, for PostScript.
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM")
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow and most viewers
MAX_PIXELS = 50_000_000  # as floats, they and their copies take 2 GB
BITS, PHOTOMETRIC, ORIENTATION, SAMPLES = 258, 262, 274, 339  # tags of TIFF and EXIF
UNSIGNED, WHITE_IS_ZERO = 1, 0
PNG_END, JPEG_START = b"IEND\xaeB`\x82", b"\xff\xd8"
SPECIAL = frozenset(("transparency", "exif", "icc_profile", "gamma", "Raw profile type exif"))
DEPTH = 24  # offset in a PNG of the number of bits of a sample
TURNS = {  # what to do with the pixels, by the orientation of EXIF
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


class _RefusedError(Exception):
    """Why a picture is not taken, in words."""


def read_image(name: str, c: int, h: int, w: int) -> Array:
    """Return the image or images of a file as ``(n, c, h, w)``, floats from 0 to 1.

    Parameters
    ----------
    name : str
        A picture (PNG, JPEG, TIFF, BMP, GIF, WebP, PPM) or an array (``.npy``).
    c : int
        Channels: 1 for grey, 3 for red, green and blue. A picture is converted.
    h, w : int
        Height and width in pixels. A picture is resized (bicubic), an array is not.

    Returns
    -------
    array (n, c, h, w)
        float32. A picture is one image.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If the file is a picture and Pillow is not installed.
    ValueError
        If it is neither a picture nor an array of the right size, or if what a viewer would show is
        not known: several frames, 32-bit ints, floats beyond 0 to 1.

    Notes
    -----
    8 bits are divided by 255, 16 bits by 65,535 (16-bit colours are read with 8). Palettes and CMYK
    become colours, colours become grey as 0.299 red + 0.587 green + 0.114 blue. The orientation
    that a camera notes is applied. What is transparent is laid over black, since digits of MNIST
    are light on black. Colour profiles are not applied; there is a warning for one that is not
    sRGB.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/a.npy", np.full((28, 28), 51, np.uint8))
    ...     images = read_image(f"{folder}/a.npy", 1, 28, 28)
    >>> images.shape, round(float(images.mean()), 6)
    ((1, 1, 28, 28), 0.2)
    """
    path = Path(name)
    if not path.is_file():
        other = ", but something that is no regular file" if path.exists() else ""
        raise FileNotFoundError(f"{name}: no such file{other}")
    if path.suffix.lower() == ".npy":
        return read_array(path, c, h, w)
    need_pillow(name)
    if c not in (1, 3):
        raise ValueError(
            f"{name}: a picture has 1 or 3 channels, {c} are needed: save an .npy file"
        )
    colours = of_channels(read_picture(path), c)
    if colours.shape[:2] != (h, w):
        colours = resized(colours, h, w)
    return np.clip(colours, 0, 1, dtype=np.float32).transpose(2, 0, 1)[None].copy()


def need_pillow(name: object) -> None:
    """Raise ImportError with the line that installs Pillow, if it is not there."""
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        raise ImportError(
            f"{name}: pictures need Pillow, which is not installed: pip install 'deepfs[images]'"
        ) from None


def of_channels(colours: Array, c: int) -> Array:
    """Return a picture ``(h, w, 1 or 3)`` with ``c`` channels, 1 or 3: grey or colours."""
    if colours.shape[2] > c:
        return (colours @ GREY)[:, :, None]
    return np.repeat(colours, c, axis=2) if colours.shape[2] < c else colours


def resized(colours: Array, h: int, w: int, interpolation: str = "bicubic") -> Array:
    """Return a picture ``(h, w, c)`` of another size; its values may leave 0 to 1 a little."""
    from PIL import Image

    way = Image.Resampling[interpolation.upper()]
    channels = [Image.fromarray(np.ascontiguousarray(part)) for part in colours.transpose(2, 0, 1)]
    return np.stack([np.asarray(channel.resize((w, h), way)) for channel in channels], axis=2)


def read_array(path: Path, c: int, h: int, w: int) -> Array:
    """Return the images of an ``.npy`` file; see `read_image`."""
    try:
        with path.open("rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # a damaged header raises whatever its parser does
        raise ValueError(f"{path} must be an .npy file of numbers: {error}") from None
    image = array.shape[-2:] if c == 1 and array.shape[-3:] != (1, h, w) else array.shape[-3:]
    if image not in ((h, w), (c, h, w)) or array.ndim > len(image) + 1 or not array.size:
        raise ValueError(
            f"{path} must hold images of {c}x{h}x{w}, got {array.dtype} of shape {array.shape}"
        )
    images: Array = array.reshape(-1, c, h, w)
    if array.dtype.kind in "fiu":
        images = images.astype(np.float32)
        images = images / 255 if array.dtype.kind in "iu" else images
    if array.dtype.kind not in "fiu" or not (images.min() >= 0 and images.max() <= 1):
        raise ValueError(
            f"{path} must hold floats from 0 to 1 or ints from 0 to 255, got {array.dtype} "
            "beyond them"
        )
    return images


def read_picture(path: Path) -> Array:
    """Return the pixels of a picture as ``(h, w, 1)`` or ``(h, w, 3)``, floats from 0 to 1."""
    from PIL import Image

    try:
        with Image.open(path, formats=FORMATS) as picture:
            frames = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)
            if frames > 1:  # those of MPO, which cameras write, are copies and depths of the first
                raise _RefusedError(f"it has {frames} frames: save the one that is meant")
            if picture.width * picture.height > MAX_PIXELS:
                size = f"{picture.width:,} x {picture.height:,}"
                raise _RefusedError(f"it has {size} pixels, at most {MAX_PIXELS:,} are taken")
            profile, gamma = picture.info.get("icc_profile"), picture.info.get("gamma")
            picture.verify()  # a truncated file would be an image with black at the end
        with Image.open(path, formats=FORMATS) as picture:
            picture.load()
            colours, alpha = colours_in(picture, path)
            turn = TURNS.get(picture.getexif().get(ORIENTATION, 1))  # Pillow has turned a TIFF
    except _RefusedError as error:
        raise ValueError(f"{path} cannot be taken: {error}") from None
    except Exception as error:  # a damaged file raises whatever its parser does
        raise unreadable(path, error) from None
    if not is_srgb(profile, gamma):
        text = f"{path}: its colour profile is not applied, a viewer may show other colours"
        warnings.warn(text, stacklevel=3)
    if alpha is not None:
        colours = colours * alpha[:, :, None]
    return colours if turn is None else turn(colours)


def picture_shape(path: Path) -> tuple[int, int, int]:
    """Return channels (1 for grey, 3 for colours), height and width, from the header alone."""
    from PIL import Image

    try:
        with Image.open(path, formats=FORMATS) as picture:
            w, h = picture.size
            turned = picture.getexif().get(ORIENTATION, 1) >= 5 and picture.format != "TIFF"
            grey = picture.mode[:1] in ("1", "L", "I", "F") and picture.mode != "LAB"
    except Exception as error:  # a damaged file raises whatever its parser does
        raise unreadable(path, error) from None
    return (1 if grey else 3, *((w, h) if turned else (h, w)))


def unreadable(path: Path, error: Exception) -> Exception:
    """Return the error for a file that is no picture, or is not there."""
    import PIL

    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
        return error  # not there, or not to be opened: it names the file
    reason = "" if isinstance(error, PIL.UnidentifiedImageError) else f": {error}"
    return ValueError(f"{path} must be a PNG, a JPEG or an .npy file, got neither{reason}")


def read_bytes(path: Path) -> Array:
    """Return the pixels of `read_picture` as bytes, ``(h, w, 1 or 3)`` of uint8.

    A whole picture of 8 bits without anything special, as most are, is read in half the time.
    """
    from PIL import Image

    try:
        content = path.read_bytes()
        if content.endswith(PNG_END) or content.startswith(JPEG_START):
            with Image.open(BytesIO(content), formats=("PNG", "JPEG")) as picture:
                plain = picture.mode in ("L", "RGB") and picture.format in ("PNG", "JPEG")
                if plain and picture.width * picture.height <= MAX_PIXELS:
                    picture.load()
                    if SPECIAL.isdisjoint(picture.info) and getattr(picture, "n_frames", 1) == 1:
                        pixels = np.asarray(picture)
                        return pixels if pixels.ndim == 3 else pixels[:, :, None]
    except Exception:  # a damaged file raises whatever its parser does: it is explained below
        pass
    return np.rint(read_picture(path) * 255).astype(np.uint8)


def colours_in(picture: Any, path: Path) -> tuple[Array, Array | None]:
    """Return grey or colours, ``(h, w, 1 or 3)``, and alpha, ``(h, w)`` if there is any."""
    mode, key = picture.mode, picture.info.get("transparency")
    tags = getattr(picture, "tag_v2", {})
    if any(kind != UNSIGNED for kind in tags.get(SAMPLES, ())) and mode != "F":
        raise _RefusedError("it holds ints with a sign, whose range is not known")
    if mode[:1] in "IF":
        values = np.asarray(picture, np.float32)[:, :, None]
        alpha = None if key is None else values[:, :, 0] != key
        values = values / largest(picture, values)
        return (1 - values if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO else values), alpha
    if mode in ("1", "L", "RGB"):
        values = np.asarray(picture.convert("L") if mode == "1" else picture)
        alpha = None if key is None else opaque(values, key, picture, path)
    elif mode in ("LA", "La"):
        values, alpha = split(picture.convert("LA"))
    elif mode in ("P", "PA", "RGBA", "RGBa"):
        values, alpha = split(picture.convert("RGBA"))
    elif mode in ("CMYK", "YCbCr", "HSV", "RGBX"):
        values, alpha = np.asarray(picture.convert("RGB")), None
    else:
        raise _RefusedError(f"Pillow's mode {mode} is not known here: save it in 8 bits, as RGB")
    if values.ndim == 2:
        values = values[:, :, None]
    return values.astype(np.float32) / 255, alpha


def largest(picture: Any, values: Array) -> float:
    """Return the value that stands for white, of pictures with more than 8 bits."""
    if picture.mode == "F":
        low, high = values.min(), values.max()
        if not (low >= 0 and high <= 1):
            raise _RefusedError(f"its floats go from {low:.4g} to {high:.4g}, not from 0 to 1")
        return 1
    if picture.mode == "I" and picture.format == "TIFF":
        raise _RefusedError("it holds 32-bit ints, whose range is not known: save it in 16 bits")
    bits: int = getattr(picture, "tag_v2", {}).get(BITS, (16,))[0]
    return 2**bits - 1


def opaque(values: Array, key: Any, picture: Any, path: Path) -> Array:
    """Return where a picture is not of the colour that is declared transparent."""
    if picture.format == "PNG":
        with path.open("rb") as file:
            file.seek(DEPTH)
            depth = file.read(1)[0]
        if depth == 16:
            raise _RefusedError("it has a transparent colour of 16 bits: save it with alpha")
        if picture.mode == "L":  # the key is of the file's bits, the values are of 8
            key = key * 255 // (2**depth - 1)
    different: Any = values != np.asarray(key)
    return np.asarray(different if values.ndim == 2 else different.any(axis=2))


def split(picture: Any) -> tuple[Array, Array]:
    """Return colours, and alpha from 0 to 1."""
    values = np.asarray(picture)
    return values[:, :, :-1], values[:, :, -1].astype(np.float32) / 255


def is_srgb(profile: bytes | None, gamma: float | None) -> bool:
    """Return whether a profile or a gamma is that of sRGB, or there is none."""
    if profile:
        return any("sRGB".encode(code) in profile for code in ("ascii", "utf-16-be"))
    return gamma is None or abs(gamma - 1 / 2.2) < 0.01
