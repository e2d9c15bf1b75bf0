"""The progress display of `Model.fit`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from shutil import get_terminal_size
from typing import Any

SHOWN_EVERY = 0.2  # seconds


def chosen(verbose: str | int) -> int:
    """Return 0 (silent), 1 (a bar) or 2 (a line per epoch); "auto" is a bar where it is seen."""
    if verbose == "auto":
        return 1 if is_terminal(sys.stderr) or in_notebook() else 2
    if verbose not in (0, 1, 2):
        raise ValueError(f'verbose must be "auto", 0, 1 or 2, got {verbose!r}')
    return int(verbose)


def in_words(logs: dict[str, float], between: str = "  ") -> str:
    """Return ``loss 0.1234  accuracy 0.9876``."""
    return between.join(
        f"{name} {value:.3g}" if name == "lr" else f"{name} {value:.4f}"
        for name, value in logs.items()
    )


def is_terminal(stream: Any) -> bool:
    """Return whether a stream is a terminal; a process without a console has None for it."""
    return stream is not None and not stream.closed and bool(stream.isatty())


def in_kernel() -> bool:
    """Return whether the code runs in a kernel of Jupyter, whose output is no terminal."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython  # type: ignore[import-not-found]

    return getattr(get_ipython(), "kernel", None) is not None


def in_notebook() -> bool:
    """Return whether a person looks at the output of the kernel in a notebook.

    A kernel that nbconvert or papermill runs has no such sign: there, as in a file, a bar would
    leave a line for each of its states.
    """
    return in_kernel() and (has_widgets() or "VSCODE_PID" in os.environ)


def has_widgets() -> bool:
    """Return whether the notebook is one of Jupyter's or Colab's, which draw widgets."""
    return "JPY_SESSION_NAME" in os.environ or "google.colab" in sys.modules


def bar_of(total: int | None, **settings: Any) -> Any:
    """Return a progress bar of tqdm: a widget in a notebook, characters elsewhere."""
    text = BAR if total is not None else COUNT
    if text == BAR and not has_widgets() and get_terminal_size().columns < WIDE:
        text = NARROW
    if not in_kernel():
        from tqdm import tqdm

        return tqdm(total=total, bar_format=text, dynamic_ncols=True, **settings)
    if has_widgets() and find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm as widget

        return widget(total=total, bar_format=text.replace("{bar:5}", "{bar}"), **settings)
    from tqdm import tqdm

    # notebooks show what goes to stderr as an error
    return tqdm(total=total, bar_format=text, ncols=80, file=sys.stdout, **settings)


BAR = "{desc} {percentage:3.0f}%|{bar:5}| {rate_fmt}, {remaining} left{postfix}"
NARROW = "{desc} {percentage:3.0f}%| {rate_fmt}, {remaining} left{postfix}"
WIDE = 100  # columns that the bar, two numbers and the learning rate take
COUNT = "{desc} {n_fmt}{unit} in {elapsed}, {rate_fmt}{postfix}"  # of how many is not known


class Progress:
    """A line per epoch, and on a terminal or in a notebook a progress bar during the epoch.

    The bar shows images per second, the time left, the learning rate and the means so far; where 80
    columns are too few, the end is cut off. If ``images``, their number in an
    epoch, is None, it shows how many are done. A line says from where a run is resumed.
    """

    def __init__(self, verbose: str | int, epochs: int, images: int | None) -> None:
        self.mode, self.epochs, self.images = chosen(verbose), epochs, images
        self.bar: Any = None
        self.rate: Callable[[], float] | None = None  # the learning rate at this moment

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the bar."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def resumed(self, path: Path, steps: int, epoch: int, done: int) -> None:
        """Say from which checkpoint a run goes on, and when that was written."""
        if self.mode:
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(path.stat().st_mtime))
            of = "" if self.images is None else f" of {self.images:,}"
            at = f", {done:,}{of} images done" if done else ""
            where = f"epoch {epoch}/{self.epochs}{at}"
            if epoch > self.epochs:
                where = "all epochs done"
            self._print(f"resumed from {path}, written {when}: step {steps:,}, {where}")

    def begin(self, epoch: int, done: int = 0) -> None:
        """Start the display of an epoch, counted from 1, of which ``done`` images are done."""
        self.title, self.started = f"epoch {epoch}/{self.epochs}", time.monotonic()
        self.done, self.shown = 0, 0.0
        if self.mode == 1:
            self.bar = bar_of(
                self.images, initial=done, desc=self.title, unit=" img", unit_scale=True,
                leave=False,
            )  # fmt: skip

    def step(self, images: int, means: Callable[[], dict[str, float]]) -> None:
        """Show that another ``images`` images are done, and now and then the means so far."""
        self.done += images
        if self.bar is not None:
            now = time.monotonic()
            if now - self.shown >= SHOWN_EVERY:  # metrics of a whole epoch take time
                rate = f"lr {self.rate():.2g} " if self.rate is not None else ""
                self.bar.set_postfix_str(rate + in_words(means(), " "), refresh=False)
                self.shown = now
            self.bar.update(images)

    def trained(self) -> None:
        """Stop the clock before the validation."""
        self.seconds = time.monotonic() - self.started

    def end(self, logs: dict[str, float]) -> None:
        """Replace the bar by the line of the epoch."""
        self.close()
        if self.mode:
            speed = f"  {self.done / max(self.seconds, 1e-9):,.0f} images/s  {self.seconds:.1f} s"
            self._print(f"{self.title}  {in_words(logs)}{speed if self.mode == 2 else ''}")

    def _print(self, line: str) -> None:
        try:
            print(line, flush=True)
        except (OSError, ValueError):  # the stream is closed: the training does not need it
            self.mode = 0
