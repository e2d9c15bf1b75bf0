"""The progress display of `Model.fit`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

SHOWN_EVERY = 0.2  # seconds


def chosen(verbose: str | int) -> int:
    """Return 0 (silent), 1 (a bar) or 2 (a line per epoch); "auto" is a bar on a terminal."""
    if verbose == "auto":
        return 1 if sys.stderr.isatty() else 2
    if verbose not in (0, 1, 2):
        raise ValueError(f'verbose must be "auto", 0, 1 or 2, got {verbose!r}')
    return int(verbose)


def in_words(logs: dict[str, float]) -> str:
    """Return ``loss 0.1234  accuracy 0.9876``."""
    return "  ".join(f"{name} {value:.4f}" for name, value in logs.items())


BAR = "{desc} {percentage:3.0f}%|{bar:5}| {rate_fmt}, {remaining} left{postfix}"


class Progress:
    """A line per epoch, and on a terminal a progress bar during the epoch.

    The bar shows the means so far, images per second and the time left; it fits 80 columns.
    """

    def __init__(self, verbose: str | int, epochs: int, images: int | None) -> None:
        self.mode, self.epochs, self.images = chosen(verbose), epochs, images
        self.bar: Any = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def begin(self, epoch: int, done: int = 0) -> None:
        """Start the display of an epoch, counted from 1, of which ``done`` images are done."""
        self.title, self.started = f"epoch {epoch}/{self.epochs}", time.monotonic()
        self.done, self.shown = 0, 0.0
        if self.mode == 1:
            from tqdm import tqdm

            self.bar = tqdm(
                total=self.images, initial=done, desc=self.title, unit=" img", unit_scale=True,
                leave=False, bar_format=BAR, dynamic_ncols=True,
            )  # fmt: skip

    def step(self, images: int, means: Callable[[], dict[str, float]]) -> None:
        """Show that another ``images`` images are done, and now and then the means so far."""
        self.done += images
        if self.bar is not None:
            now = time.monotonic()
            if now - self.shown >= SHOWN_EVERY:  # metrics of a whole epoch take time
                self.bar.set_postfix_str(in_words(means()), refresh=False)
                self.shown = now
            self.bar.update(images)

    def trained(self) -> None:
        """Stop the clock before the validation."""
        self.seconds = time.monotonic() - self.started

    def end(self, logs: dict[str, float]) -> None:
        """Replace the bar by the line of the epoch."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None
        if self.mode:
            speed = f"  {self.done / max(self.seconds, 1e-9):,.0f} images/s  {self.seconds:.1f} s"
            print(f"{self.title}  {in_words(logs)}{speed if self.mode == 2 else ''}", flush=True)
