"""What a `deepfs.Model` has of its network, by the names of other frameworks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NoReturn

from numpy.typing import ArrayLike

from ._arrays import Array
from ._elsewhere import MODEL_WAYS
from ._model_weights import ModelWeights
from .layers import Container, Layer, Parameter


class ModelNames(ModelWeights):
    """``model(x)``, ``model.layers``, ``model.parameters()``; other names are explained."""

    network: Layer
    _instead: ClassVar = MODEL_WAYS

    def __call__(self, x: ArrayLike) -> Array:
        """Return the outputs of the network in inference mode: short for ``predict(x)``."""
        return self.predict(x)

    def predict(self, x: ArrayLike, batch_size: int = 256) -> Array:
        """Return the outputs of the network; see `deepfs.Model`."""
        raise NotImplementedError  # Predictor, which is derived from this, has it

    @property
    def layers(self) -> Sequence[Layer]:
        """The layers of the network: of a container its parts, which ``network.layers`` sets."""
        if isinstance(self.network, Container):
            return tuple(self.network.named_parts().values())
        return (self.network,)

    @layers.setter
    def layers(self, new: Sequence[Layer]) -> NoReturn:
        raise AttributeError("Model.layers are the network's: write model.network.layers = [...]")

    def parameters(self) -> dict[str, Parameter]:
        """Return the parameters of the network by name; none before it is built."""
        return self.network.parameters()

    def buffers(self) -> dict[str, Array]:
        """Return the buffers of the network by name: arrays that are saved, but not learned."""
        return self.network.buffers()
