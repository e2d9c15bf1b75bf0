"""Which channels of a network must stay, and why."""

from __future__ import annotations

import numpy as np

from .._arrays import Array
from ._kinds import why_not_folded
from ._trace import Apart, Mixer, Trace


class Needed:
    """The channels that must stay for the outputs to be the same.

    A channel stays if the network returns it, if a layer takes it whose channels are all needed,
    or if a layer that mixes needs it: an output that stays depends on it, and it is not a constant
    that the bias can take over. A layer keeps at least one channel.

    Attributes
    ----------
    why : dict of str
        By the root of the channel.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace, self.why = trace, dict[int, str]()
        self._roots = np.zeros(len(trace.root), bool)
        for channels, why in trace.fixed:
            self._add(channels, [why] * len(channels))
        foldable = {id(mixer): mixer.foldable() for mixer in trace.mixers.values()}
        layers: list[Mixer | Apart] = [*trace.mixers.values(), *trace.aparts.values()]
        while True:
            before = self._roots.sum()
            for mixer in trace.mixers.values():
                read = mixer.reads[self.of(mixer.outputs)].any(axis=0) & ~foldable[id(mixer)]
                new = np.flatnonzero(read & ~self.of(mixer.inputs)).tolist()
                self._add(mixer.inputs[new], [self._reason(mixer, i) for i in new])
            if self._roots.sum() > before:
                continue
            empty = [layer for layer in layers if not self.of(layer.outputs).any()]
            if not empty:
                break
            self._add(empty[0].outputs[:1], [f"{empty[0].name} keeps one channel"])

    def of(self, channels: Array) -> Array:
        """Return a mask of the channels that stay."""
        kept: Array = self._roots[self.trace.root[channels]]
        return kept

    def _add(self, channels: Array, why: list[str]) -> None:
        for root, reason in zip(self.trace.root[channels].tolist(), why, strict=True):
            self.why.setdefault(root, reason)
            self._roots[root] = True

    def _reason(self, mixer: Mixer, i: int) -> str:
        """Return why a layer that mixes needs an input."""
        values = [constant[i] for constant in mixer.constants]
        if not np.isfinite(values).all():
            if int(mixer.inputs[i]) in self.trace.added:
                return f"it is added to a channel that {mixer.name} reads"
            return f"{mixer.name} reads it"
        if mixer.folds:
            return f"{mixer.name} is used {len(values)} times, with other constants"
        return f"{mixer.name} {why_not_folded(mixer.layer)} its constant, which is not 0"
