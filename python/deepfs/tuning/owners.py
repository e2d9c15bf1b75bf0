"""Which process works on a trial, and whether it still does."""

from __future__ import annotations

import contextlib
import os
import platform
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.exceptions import OptunaError
from optuna.storages import BaseStorage

BEAT = 10.0  # seconds between two signs of life
SILENT = 120.0  # seconds without any after which a process of another machine counts as ended
OWNER, ALIVE = "owner", "alive"  # attributes of a trial
_at_work: set[int] = set()  # trials of this process


def machine() -> str:
    """Return what tells the processes of this machine, since it was started, from others."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):  # Linux
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))  # numbers of processes, of a container
    return "/".join(parts)


def started(pid: int | str = "self") -> str:
    """Return when a process was started; "" if that is not known, or if it has ended."""
    if platform.system() != "Linux":
        return ""
    try:
        numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if numbers[0] in "ZX" else numbers[19]  # a zombie waits for its parent only


def owner() -> list[Any]:
    """Return what a trial notes of this process."""
    return [machine(), os.getpid(), started()]


def is_alive(attributes: dict[str, Any], trial_id: int = -1) -> bool:
    """Return whether the process that has a trial is still there, and at work on it."""
    where, pid, begin = attributes.get(OWNER, ["", 0, ""])
    if [where, pid, begin] == owner():  # an earlier call may have ended by an error
        return trial_id in _at_work
    if where != machine() or sys.platform == "win32":  # a signal 0 would end it there
        return time.time() - float(attributes.get(ALIVE, 0)) < SILENT
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return started(pid) == begin


@contextlib.contextmanager
def beating(storage: BaseStorage, trial_id: int) -> Iterator[None]:
    """Give signs of life of a trial inside a ``with`` block."""
    end = threading.Event()
    _at_work.add(trial_id)

    def beat() -> None:
        while not end.wait(BEAT):
            with contextlib.suppress(OptunaError, RuntimeError, OSError):  # the next may succeed
                storage.set_trial_user_attr(trial_id, ALIVE, time.time())

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
        _at_work.discard(trial_id)
