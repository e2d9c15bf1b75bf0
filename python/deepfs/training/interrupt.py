"""Ctrl-C that waits for the end of a training step."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupt:
    """Record Ctrl-C inside a ``with`` block instead of raising; a second one raises as usual.

    Only Python's own handler is replaced. SIGINT that is ignored stays ignored, as under ``nohup``
    or after a shell's ``&``; a handler of the caller goes on to decide what Ctrl-C does, and may
    end a training by ``model.stop_training = True``. Inside another such block, for instance when a
    callback calls `fit`, both take note. Python delivers signals to the main thread only; in other
    threads this does nothing.
    """

    def __init__(self) -> None:
        self._asked = self._over = False
        self._before: Any = None  # the handler that was replaced
        self._outer: Interrupt | None = None

    @property
    def asked(self) -> bool:
        """Whether Ctrl-C was pressed. Ask between steps, and between batches of a validation."""
        return self._asked or (self._outer is not None and self._outer.asked)

    def __enter__(self) -> Interrupt:
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread():
            return self
        if before == signal.default_int_handler:
            try:
                self._before = signal.signal(signal.SIGINT, self._note)
            except ValueError:  # the main thread of a subinterpreter, which gets no signals either
                self._before = None
        else:
            owner = getattr(before, "__self__", None)
            self._outer = owner if isinstance(owner, Interrupt) else None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over = True
        if self._before is not None and signal.getsignal(signal.SIGINT) == self._note:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        # After the block it is called by a handler that was installed inside and is there still.
        if self._asked or self._over:
            raise KeyboardInterrupt
        self._asked = True
