"""What runs in Python on the playground: the code of the reader, and what it tells the page.

Code of the reader says ``from playground import page``. `page` sends messages: a kind, and a dict
of numbers, texts, lists, and flat arrays of bytes, which are pictures. It hears what the reader
does meanwhile where the code says ``await page.step(logs)``, and nowhere else: a worker of a
browser runs Python up to an ``await`` before it reads its messages.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import io
import linecache
import logging
import os
import platform
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import deepfs as dfs
import insides

NAME = "code.py"  # of the code of the reader, in tracebacks
LISTEN = 0.04  # seconds between two looks at the messages of the page
DRAW = 0.1  # seconds between two messages with points of the curves
LOOK, COUNT = 0.4, 1.0  # seconds between two looks into the network, two counts of dead units
SHARE = 0.1  # of the time, which neither of these may exceed
PROBES = 100  # images by which dead units are counted


class Stopped(BaseException):
    """The reader has pressed Stop. It is no Exception, which code of the reader may catch."""


class Due:
    """Whether it is time to do something again, which shall not take more than `SHARE` of it."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.next = seconds, 0.0

    def __call__(self) -> bool:
        return time.perf_counter() >= self.next

    def done(self, since: float) -> None:
        """Note that it has been done, from `since` until now."""
        now = time.perf_counter()
        self.next = now + max(self.seconds, (now - since) / SHARE)


class Page(dfs.callbacks.Callback):
    """The page, as the code of the reader sees it; also a callback of `Model.fit`."""

    def __init__(self) -> None:
        self.send: Callable[[str, dict[str, Any]], None] = lambda kind, message: None
        self.watched: dfs.Model | None = None  # the model that is shown
        self.images: np.ndarray | None = None  # by which dead units are counted
        self.drawn: np.ndarray | None = None  # the digit that the reader has drawn
        self.example = 0  # which of the images is shown in place of it
        self.begin()

    def begin(self) -> None:
        """Begin a run. The model of the run before stays: digits can be tried on it."""
        self.paused = self.stopped = False
        self.steps = self.epochs = 0
        self.points: list[float] = []
        self.listen, self.draw = Due(LISTEN), Due(DRAW)
        self.look, self.count = Due(LOOK), Due(COUNT)
        self.since = time.perf_counter()  # the epoch began; pauses do not count

    def watch(self, model: dfs.Model, images: np.ndarray) -> None:
        """Show a model and what it answers to images, such as those of the test."""
        self.watched, self.images = model, images[:PROBES]
        rate = model.optimizer.lr
        self.send("rate", {"rate": float(rate) if isinstance(rate, (int, float)) else None})

    async def step(self, logs: Mapping[str, float]) -> None:
        """Show a training step; here the reader may pause, stop, and change the learning rate."""
        self._step(logs)
        if self.listen():
            await self._hear()

    async def epoch(self, logs: Mapping[str, float]) -> None:
        """Show how far the training has come, by loss and accuracy on the test images."""
        self._epoch(logs)
        await self._hear()

    def result(self, result: dfs.lab.Result) -> None:
        """Show what an experiment of the lab has found, in both languages."""
        words = {
            lang: {"title": result.title.get(lang, result.name), "see": result.see[lang]}
            | {"verdict": result.verdict(lang)}
            for lang in ("en", "zh")
        }
        rows = [list(row) for row in result.rows()]
        message = {"name": result.name, "rows": rows, "found": result.found, **words}
        self.send("result", message | {"picture": picture(result)})

    def on_train_begin(self, logs: dict[str, float]) -> None:
        if self.watched is not self.model:
            self.watch(self.model, dfs.datasets.mnist_mini()[1][0])

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self._step(logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        test = "val_" if "val_loss" in logs else ""
        self._epoch({name: logs[test + name] for name in ("loss", "accuracy") if name in logs})

    def hear(self, kind: str, value: Any = None) -> None:
        """Do what the reader has asked for, while the code waits or when it has ended."""
        if kind == "pause":
            self.paused = True
        elif kind == "go":
            self.paused = False
        elif kind == "stop":
            self.stopped = True
        elif kind == "rate" and self.watched is not None:
            try:
                self.watched.optimizer.lr = float(value)
            except (TypeError, ValueError) as error:  # an optimizer without a rate to set
                print(f"The learning rate stays as it is: {error}")
        elif kind == "digit":
            self.drawn = np.array(value, "f4").reshape(1, insides.SIDE, insides.SIDE)
            self.show()
        elif kind == "example":
            self.drawn, self.example = None, self.example + int(value)
            self.show()

    def show(self) -> None:
        """Show what the layers make of the digit that was drawn, or else of a test image."""
        model, images = self.watched, self.images
        if model is None or images is None or model.network.built_dtype is None:
            return
        since = time.perf_counter()
        example = images[self.example % len(images)]
        image = (example if self.drawn is None else self.drawn)[None]
        message = {"drawn": self.drawn is not None, "image": insides.tiles(image[0])}
        try:
            message["layers"] = insides.outputs(model, image)
            message["filters"] = insides.filters(model.network)
            message["classes"] = [float(p) for p in model.predict_proba(image)[0]]
        except (TypeError, ValueError) as error:  # a network of the reader's takes other images
            message["error"] = str(error)
        self.send("insides", message)
        self.look.done(since)

    async def _hear(self) -> None:
        """Let the worker read its messages; wait where they say so."""
        since = time.perf_counter()
        await asyncio.sleep(0)
        if self.paused:
            self.send("paused", {})
        while self.paused and not self.stopped:
            await asyncio.sleep(0.03)
        self.since += time.perf_counter() - since
        self.listen.done(time.perf_counter())
        if self.stopped:
            raise Stopped

    def _step(self, logs: Mapping[str, float]) -> None:
        self.steps += 1
        self.points += [self.steps, logs["loss"], logs.get("accuracy", float("nan"))]
        if self.draw():
            self._send_points()
        if self.count() and self.watched is not None and self.images is not None:
            since = time.perf_counter()
            self.send("dead", {"dead": insides.dead(self.watched, self.images)})
            self.count.done(since)
        if self.look():
            self.show()

    def _epoch(self, logs: Mapping[str, float]) -> None:
        now = time.perf_counter()
        self.epochs += 1
        self._send_points()
        told = {"epoch": self.epochs, "step": self.steps, "seconds": now - self.since}
        self.send("epoch", {**told, "loss": logs["loss"], "accuracy": logs.get("accuracy")})
        self.show()
        self.since = time.perf_counter()

    def _send_points(self) -> None:
        if self.points:
            self.send("points", {"points": self.points})
            self.points = []
        self.draw.done(time.perf_counter())


page = Page()
os.environ.setdefault("MPLBACKEND", "agg")  # where there is Matplotlib: a worker has no window


async def run(code: str) -> dict[str, Any]:
    """Run code of the reader; return how it ended, with the traceback of its own lines."""
    page.begin()
    lines = code.splitlines(keepends=True)
    linecache.cache[NAME] = (len(code), None, lines, NAME)  # so that a traceback shows them
    try:
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        waiting = eval(compile(code, NAME, "exec", flags=flags), {"__name__": "__main__"})
        if inspect.isawaitable(waiting):
            await waiting
    except Stopped:
        return {"ended": "stopped"}
    except BaseException as error:
        return {"ended": "error", "traceback": own_traceback(error)}
    finally:
        page._send_points()
    page.show()
    return {"ended": "done"}


def own_traceback(error: BaseException) -> str:
    """Return the traceback from the first line of the reader's code on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != NAME:
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))


def picture(result: dfs.lab.Result) -> np.ndarray | None:
    """Return the picture of an experiment as the bytes of a PNG; None without Matplotlib."""
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # it tells of its cache
    try:
        figure = result.plot()
    except ImportError:
        return None
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return np.frombuffer(file.getvalue(), np.uint8)


def connect(send: Callable[[str, dict[str, Any]], None]) -> None:
    """Let `page` send its messages by a function of the worker."""
    page.send = send


def versions() -> dict[str, str]:
    """Return what runs here."""
    return {
        "version": dfs.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
