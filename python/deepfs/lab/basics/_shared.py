"""Measurement of CPU time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def cpu_seconds(call: Callable[[], Any], rounds: int) -> float:
    """Return the CPU time of a call, summed over threads: the least of several rounds.

    Other programs change it little, unlike the time of a clock on the wall. Windows counts it in
    ticks of 16 ms: there a round repeats the call until three of them have passed.
    """
    tick = time.get_clock_info("process_time").resolution
    call()  # the first call makes parameters and buffers
    best = float("inf")
    for _ in range(rounds):
        calls, spent, start = 0, 0.0, time.process_time()
        while spent < 3 * tick:
            call()
            calls, spent = calls + 1, time.process_time() - start
        best = min(best, spent / calls)
    return best
