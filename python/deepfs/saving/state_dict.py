"""Files of weights alone, such as PyTorch's: safetensors without what deepfs writes beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .._arrays import Array
from .._safetensors import checked_entries
from .tensors import CheckpointError, TensorFile

# What PyTorch may have; BF16 is read as the upper half of a float32.
FOREIGN = {
    "BOOL": np.dtype(np.bool_), "U8": np.dtype(np.uint8), "I8": np.dtype(np.int8),
    "U16": np.dtype(np.uint16), "I16": np.dtype(np.int16), "F16": np.dtype(np.float16),
    "BF16": np.dtype(np.uint16), "U32": np.dtype(np.uint32), "I32": np.dtype(np.int32),
    "F32": np.dtype(np.float32), "U64": np.dtype(np.uint64), "I64": np.dtype(np.int64),
    "F64": np.dtype(np.float64),
}  # fmt: skip
# How other files of weights begin, and what to do.
PICKLE = (
    "as torch.save writes it, which is not read because it may execute code; with PyTorch write "
    "safetensors.torch.save_file(module.state_dict(), 'weights.safetensors')"
)
ELSE = {
    b"PK": f"a zip archive, {PICKLE} (of an .npz file: model.set_weights(dict(np.load(path))))",
    b"\x80": f"a pickle, {PICKLE}",
    b"\x89HDF": "HDF5, as Keras writes it: read it with h5py, then call model.set_weights",
}


class StateDictFile(TensorFile):
    """A safetensors file of any origin, opened; ``of_deepfs`` tells whether `write` wrote it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CheckpointError
        If it is no safetensors file.
    """

    def _open(self) -> None:
        header = self._header()
        metadata = header.pop("__metadata__", None)
        self.of_deepfs = isinstance(metadata, dict) and "deepfs" in metadata
        try:
            self.entries = checked_entries(header, self.nbytes, FOREIGN)
        except (LookupError, MemoryError, TypeError, ValueError) as error:
            raise CheckpointError(f"{self.path} is not a safetensors file: {error}") from error

    def dtype(self, name: str) -> np.dtype[Any]:
        code = self.entries[name]["dtype"]
        return np.dtype(np.float32) if code == "BF16" else FOREIGN[code]

    def read(self, name: str, out: Array | None = None) -> Array:
        made = np.empty(self.shape(name), FOREIGN[self.entries[name]["dtype"]])
        for _ in self._pieces(self.entries[name], made.reshape(-1).view(np.uint8)):
            pass  # one, as large as the array
        if self.entries[name]["dtype"] == "BF16":
            made = (made.astype(np.uint32) << 16).view(np.float32)
        return made


def open_weights(path: str | Path) -> TensorFile:
    """Open a file of weights: of deepfs with all checksums compared, or of others.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CheckpointError
        If it is no safetensors file, or one of deepfs that is damaged.
    """
    try:
        file = StateDictFile(path)
    except CheckpointError as error:
        with Path(path).expanduser().open("rb") as other:
            start = other.read(8)
        for magic, way in ELSE.items():
            if start.startswith(magic):
                raise CheckpointError(f"{path} is no safetensors file, but {way}") from error
        raise
    if file.of_deepfs:
        file.__exit__()
        return TensorFile(path)
    return file
