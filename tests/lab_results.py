"""Results of the lab's experiments: each quick form is computed once in a run of the tests.

from lab_results import quick

def test_the_best_step_is_near_the_cube_root_of_eps():
    assert quick("difference_errors").numbers["best h, central difference"] < 1e-4
"""

import functools
import time

from deepfs import lab

_seconds = {}


@functools.cache
def quick(name):
    """Return the result of an experiment's quick form, with seed 0; do not change it."""
    before = time.process_time()
    result = lab.find(name)(quick=True)
    _seconds[name] = time.process_time() - before
    return result


def seconds(name):
    """Return the CPU time of an experiment's quick form, over all threads."""
    quick(name)
    return _seconds[name]
