"""Reading one batch ahead in a background thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from queue import Empty, Queue
from typing import Any, TypeVar

T = TypeVar("T")
LOOK = 0.2  # seconds between two looks at whether the reader is still alive


def ahead(read: Callable[[Any], T], items: Iterable[Any], depth: int = 1) -> Generator[T]:
    """Yield ``read(item)`` of each item in order; a thread reads up to ``depth`` items ahead.

    An error of ``read`` is raised when its result is asked for, so what was read before is used.
    Closing the generator ends the thread, at the latest when it has read the item it is at. Where
    no thread can be started, each item is read when it is asked for.

    Examples
    --------
    >>> list(ahead(str, [1, 2, 3]))
    ['1', '2', '3']
    """
    results: Queue[tuple[bool, Any]] = Queue(depth)
    closed = threading.Event()

    def run() -> None:
        try:
            for item in items:
                if closed.is_set():
                    return
                results.put((True, read(item)))
            results.put((False, None))
        except BaseException as error:  # also what ends a thread: the step must not wait forever
            results.put((False, error))

    thread = threading.Thread(target=run, name="deepfs-loader", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # none can be started, as in a browser
        yield from map(read, items)
        return
    try:
        while True:
            try:
                good, result = results.get(timeout=LOOK)
            except Empty:
                if thread.is_alive() or not results.empty():
                    continue
                raise RuntimeError("the thread that reads the data has ended") from None
            if good:
                yield result
            elif result is None:
                return
            else:
                raise result
    finally:
        closed.set()
        while thread.is_alive():  # it may wait for a place in the queue
            try:
                results.get_nowait()
            except Empty:
                thread.join(0.01)
