"""A log of text that grows by lines, on a disk that may be full, in a run that may be resumed."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._warn import warn

# what a full disk, or a broken one, answers
FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG, errno.EIO}


class LogFile:
    """The lines of one training in a file.

    All lines of the training are kept in memory and in its checkpoints. So a resumed run makes the
    file that a run without an interruption has, whatever was written after the checkpoint; and what
    a full disk did not take is written as soon as there is room.

    Parameters
    ----------
    path : str or Path
        The file, written as UTF-8; its folder is made.
    append : bool
        Keep what the file has already.
    """

    def __init__(self, path: str | Path, append: bool) -> None:
        self.path = Path(path).expanduser().absolute()  # the process may go elsewhere
        self.append = append
        self.before = 0  # bytes that the file had before this training
        self.lines: list[str] = []
        self.done = 0  # bytes of these lines that are in the file
        self.started = self.warned = False

    def open(self) -> str:
        """Look whether the file can be written, without a change; return what it has to append to.

        Raises
        ------
        OSError
            If it cannot be, other than because the disk is full.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab"):
                pass
            if not self.append or not self.path.is_file():
                return ""
            content = self.path.read_bytes()
        except OSError as error:
            if error.errno not in FULL:
                raise
            self._warn(error)
            return ""
        self.before = len(content)
        if content and not content.endswith(b"\n"):  # a line that was cut off by an accident
            self.lines.append("\n")
        return content.decode("utf-8", "replace")

    def start(self) -> None:
        """Remove what the file has from elsewhere; once in a training."""
        if not self.started:
            self.started = True
            self._write()

    def add(self, line: str) -> None:
        """Append a line, which has no line end; warn once if the disk is full."""
        self.lines.append(line + "\n")
        self.started = True
        self._write()

    def _write(self) -> None:
        data = "".join(self.lines).encode()
        try:
            there = self.path.exists()
            if there and not self.path.is_file():  # a pipe or a device, which cannot go back
                with self.path.open("ab") as file:
                    file.write(data[self.done :])
            else:
                size = self.path.stat().st_size if there else 0
                if size < self.before + self.done:  # somebody has removed it, or its end
                    self.before, self.done = min(self.before, size), 0
                with self.path.open("r+b" if there else "w+b") as file:
                    file.truncate(self.before + self.done)
                    file.seek(0, 2)
                    file.write(data[self.done :])
            self.done, self.warned = len(data), False
        except OSError as error:  # a log is not worth a training
            self._warn(error)

    def _warn(self, error: OSError) -> None:
        if not self.warned:
            self.warned = True
            warn(
                f"{self.path} cannot be written: {error.strerror or error}; the training goes on, "
                "and the lines follow as soon as it can be"
            )

    def finish(self) -> None:
        """Write what a full disk did not take yet, if there is room now."""
        if self.warned:
            self._write()

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"before": self.before, "lines": self.lines}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go back to the lines that a checkpoint has; the file follows."""
        self.before, self.lines = int(state["before"]), [str(line) for line in state["lines"]]
        size = self.path.stat().st_size if self.path.exists() else 0
        if size < self.before:
            warn(
                f"{self.path} has lost lines from before this training: it has {size} bytes, and "
                f"had {self.before}"
            )
            self.before = size
        self.started, self.done = True, 0
        self._write()
