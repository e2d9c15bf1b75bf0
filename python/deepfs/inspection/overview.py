"""What a `deepfs.Model` shows of itself: a few lines, or in notebooks a table and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .._html import preformatted
from .._repr import one_line
from .._table import WIDTH, clipped, html_of, size_text
from ..layers import Container, Layer
from ..layers._container import all_parts
from ..trainer import Trainer
from .curves import history_html
from .wiring import source_lines


def model_in_words(name: str, trainer: Trainer, history: Mapping[str, Sequence[float]]) -> str:
    """Return network, loss, optimizer, metrics and the state of the training, a line each."""
    lines = {
        "network": network_in_words(trainer.network),
        "loss": one_line(trainer.loss),
        "optimizer": one_line(trainer.optimizer),
        "metrics": ", ".join(trainer.metrics) or "none",
        "trained": f"{counted(trainer.epochs, 'epoch')}, {counted(trainer.steps, 'step')}",
    }
    facts = trainer.facts
    if facts.preprocess is not None:
        lines["preprocess"] = one_line(facts.preprocess)
        lines["preprocess"] += "" if facts.preprocess.fitted else ", not fitted yet"
    if facts.class_names is not None:
        lines["classes"] = ", ".join(facts.class_names)
    last = [f"{key} {values[-1]:.4g}" for key, values in history.items() if values]
    if last:
        lines["trained"] += f": {', '.join(last)}"
    inside = [clipped(f"    {key}: {text}", WIDTH) for key, text in lines.items()]
    return "\n".join([f"{name}(", *inside, ")"])


def model_html(name: str, trainer: Trainer, history: Mapping[str, Sequence[float]]) -> str:
    """Return the same lines, the table of the network, and the curves of the last `fit`."""
    parts = [preformatted(model_in_words(name, trainer, history))]
    if isinstance(trainer.network, Container) or trainer.network.built_dtype is not None:
        parts.append(html_of(trainer.network))
    if wiring := source_lines(trainer.network):
        parts.append(preformatted("\n".join(wiring)))
    return "\n".join([*parts, history_html(history)] if history else parts)


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


def counted(number: int, what: str) -> str:
    """Return ``1 epoch`` or ``1,234 epochs``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
