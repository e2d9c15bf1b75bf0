"""What inference needs of a model's file: network, loss, preprocessing, names of the classes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from .. import initializers, layers, losses, preprocessing
from .._arrays import empty
from .._check import checked_names, shown
from ..layers import Layer
from ..losses import Loss
from ..preprocessing import Preprocess
from ..saving.network import build, check_arrays, check_buffers, check_fields, description_in
from ..saving.settings import SettingsReader, kind_of, kinds_of
from ..saving.tensors import CheckpointError, TensorFile
from ._fixed import no_gradient

PREPROCESS = "preprocess/"  # prefix of its arrays in a file


class Read(NamedTuple):
    """The parts of a model that inference needs."""

    network: Layer
    loss: Loss
    preprocess: Preprocess | None
    class_names: tuple[str, ...] | None


def read(path: str | Path, own: Iterable[type], loss: Loss | None) -> Read:
    """Read them; see `deepfs.load`, which makes the same checks of what is read here."""
    kinds = kinds_of((layers, losses, initializers, preprocessing))
    reader = SettingsReader(kinds | {kind_of(kind): kind for kind in own})
    with TensorFile(path) as file:
        description = description_in(file)
        try:
            parts = ["network", "preprocess", *(["loss"] if loss is None else [])]
            reader.check_kinds([description.get(part) for part in parts])
            made = Read(
                part_of(Layer, reader.make(description["network"]), "network"),
                part_of(Loss, reader.make(description["loss"]), "loss") if loss is None else loss,
                preprocess_of(reader.make(description.get("preprocess")), file),
                checked_names(description.get("class_names")),
            )
            check_fields(description)
            build(made.network, description, file)
        except CheckpointError:
            raise
        except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError,
                TypeError, ValueError) as error:  # fmt: skip
            raise CheckpointError(f"{path} does not describe a model: {error}") from error
        read_weights(made.network, file)
    return made


def part_of(kind: type, made: Any, name: str) -> Any:
    """Return a part of a model; raise TypeError if it is of another kind."""
    if not isinstance(made, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, got {shown(made)}")
    return made


def preprocess_of(made: Any, file: TensorFile) -> Preprocess | None:
    """Return the preprocessing with what it has learned, or None."""
    if made is None:
        return None
    part_of(Preprocess, made, "preprocess")
    names = [name for name in file.entries if name.startswith(PREPROCESS)]
    made.load_arrays({name.removeprefix(PREPROCESS): file.read(name) for name in names})
    return made


def read_weights(network: Layer, file: TensorFile) -> None:
    """Read the weights of a network that is built and blank; they are read-only then."""
    parameters = network.parameters()
    wanted = {f"parameter/{name}": parameter.value for name, parameter in parameters.items()}
    wanted |= {f"buffer/{name}": buffer for name, buffer in network.buffers().items()}
    check_arrays(wanted, file, lambda name: name.startswith(("parameter/", "buffer/")))
    check_buffers(network, file)
    for name, parameter in parameters.items():
        storage = empty(parameter.storage.shape, parameter.storage.dtype)
        parameter._bind(storage, no_gradient(storage.shape, storage.dtype))
        file.read(f"parameter/{name}", parameter.value)
        storage.setflags(write=False)
    for name, buffer in network.buffers().items():
        file.read(f"buffer/{name}", buffer)
        buffer.setflags(write=False)
