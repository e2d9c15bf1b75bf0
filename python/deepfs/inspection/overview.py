"""What a `deepfs.Model` shows of itself: a few lines, or in notebooks a table and curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._repr import one_line
from .._settings import Settings
from ..layers import Container, Layer
from ..layers._container import all_parts
from .curves import history_html
from .html import network_html, preformatted
from .layer_table import WIDTH, clipped, size_text

if TYPE_CHECKING:
    from ..inspector import Inspector


def model_in_words(model: Inspector) -> str:
    """Return network, loss, optimizer, metrics and the state of the training, a line each."""
    trainer = model.trainer
    lines = {
        "network": network_in_words(trainer.network),
        "loss": setting_in_words(trainer.loss),
        "optimizer": setting_in_words(trainer.optimizer),
        "metrics": ", ".join(trainer.metrics) or "none",
        "trained": f"{counted(trainer.epochs, 'epoch')}, {counted(trainer.steps, 'step')}",
    }
    history = getattr(model, "history", None)
    if history is not None and history.history:
        last = {name: values[-1] for name, values in history.history.items() if values}
        lines["trained"] += ": " + ", ".join(f"{name} {value:.4g}" for name, value in last.items())
    inside = [clipped(f"    {name}: {text}", WIDTH) for name, text in lines.items()]
    return "\n".join([f"{type(model).__name__}(", *inside, ")"])


def model_html(model: Inspector) -> str:
    """Return the same lines, the table of the network, and the curves of the last `fit`."""
    history = getattr(model, "history", None)
    parts = [preformatted(model_in_words(model)), network_html(model.trainer.network)]
    if history is not None and history.history:
        parts.append(history_html(history))
    return "\n".join(parts)


def network_in_words(network: Layer) -> str:
    """Return ``Sequential of 6 layers, 237 parameters, float32, 948 B``."""
    parts = {id(part): part for part in all_parts(network)}.values()
    count = sum(not isinstance(part, Container) for part in parts)
    kind = type(network).__name__
    kind += f" of {counted(count, 'layer')}" if isinstance(network, Container) else ""
    if network.built_dtype is None:
        return f"{kind}, not built yet: the first data or summary(in_shape) will"
    learned = {id(p): p for p in network.parameters().values()}.values()
    size, nbytes = sum(p.storage.size for p in learned), sum(p.storage.nbytes for p in learned)
    return f"{kind}, {counted(size, 'parameter')}, {network.built_dtype}, {size_text(nbytes)}"


def setting_in_words(made: Any) -> str:
    """Return a loss or optimizer on one line."""
    return one_line(made) if isinstance(made, Settings) else " ".join(repr(made).split())


def counted(number: int, what: str) -> str:
    """Return ``1 epoch`` or ``1,234 epochs``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
