"""What a check has found: all failures, each with what was looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

# what errors of kernels mean, which know neither the layer nor its axes
MEANINGS = {
    "not C-contiguous": "a kernel was given a view of another memory layout: give it "
    "channels_last(x) or np.ascontiguousarray(x)",
    "Buffer dtype mismatch": "a kernel was given an array of another dtype: `_forward` gets "
    "the dtype that `_build` was given",
    "buffer source array is read-only": "a kernel asks for an array to write into and was given "
    "an argument: declare it const in Cython",
}


class Findings:
    """Failures and passed checks, in their order."""

    def __init__(self, who: str) -> None:
        self.who = who
        self.where = ""  # at which input, if there are several
        self.passed: list[str] = []
        self.failed: list[str] = []
        self.first: Exception | None = None

    @contextmanager
    def looking_at(self, what: str) -> Iterator[None]:
        """Note how a check inside a ``with`` block ends."""
        try:
            yield
        except AssertionError as error:
            self._fail(what, str(error), error)
        except Exception as error:
            self._fail(what, f"{type(error).__name__}: {error}{meaning_of(error)}", error)
        else:
            self.passed.append(what)  # once for each input

    def _fail(self, what: str, text: str, error: Exception) -> None:
        self.failed.append(f"{self.where}{what}: {' '.join(text.split())}")
        self.first = self.first or error

    def close(self) -> None:
        """Raise AssertionError with all failures, if there are any."""
        if self.failed:
            number = len(self.failed) + len(self.passed)
            head = f"{self.who} fails {len(self.failed)} of {number} checks"
            raise AssertionError("\n".join([head, *self.failed])) from self.first


def meaning_of(error: Exception) -> str:
    """Return what to say after the message of a kernel."""
    return "".join(f" ({text})" for part, text in MEANINGS.items() if part in str(error))
