"""Names of classes: do they fit the outputs, and which is whose."""

from __future__ import annotations

from .._check import shown
from .._trees import is_shape
from ..losses import Loss
from ..losses._ends import outputs_of
from ..losses._output_kinds import BINARY_LOGITS, SeveralOutputs
from ..trainer import Trainer


def check_names(trainer: Trainer, names: tuple[str, ...] | None) -> None:
    """Raise ValueError if there are not as many names as the network has classes."""
    if names is None:
        return
    kind, loss = trainer.loss.output_kind, name_of(trainer.loss)
    if isinstance(kind, SeveralOutputs):
        raise ValueError(f"class_names are of one output, got a loss of {list(kind.kinds)}")
    if kind.no_classes:
        raise ValueError(f"class_names need a loss of classes, got {loss}: {kind.no_classes}")
    outputs = number_of_outputs(trainer)
    if outputs is None:
        return
    yes_or_no = kind is BINARY_LOGITS
    needed = 2 if yes_or_no and outputs == 1 else outputs
    if len(names) != needed:
        raise ValueError(
            f"the network has {outputs} output{'s' * (outputs > 1)}, so class_names must be "
            f"{needed}{' (no, yes)' if yes_or_no and outputs == 1 else ''}, got {len(names)}: "
            f"{shown(names)}; Dense({len(names)}) as the last layer fits them, "
            "model.class_names = None takes them away"
        )


def number_of_outputs(trainer: Trainer) -> int | None:
    """Return the number of outputs along axis 1, if it is known."""
    network = trainer.network
    if network.in_shape is not None:
        shape = network.out_shape(network.in_shape)
        return int(shape[0]) if is_shape(shape) and shape else None
    return outputs_of(network)


def name_of(loss: Loss) -> str:
    """Return what messages call a loss."""
    return str(getattr(loss, "label", type(loss).__name__))
