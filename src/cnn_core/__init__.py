"""Typed kernels for convolutional networks: they compute; ``deepfs`` explains, checks and combines.

==================  ======================================================================
module              concept
==================  ======================================================================
`threads`           how many threads a kernel may use
`memory`            buffers for large arrays, used again
`random`            Philox4x32-10: numbers that depend on a key and an index, not on order
`gemm`              matrix product
`gemm_thin`         products of one row, and the last one to four columns of others
`transpose`         channels first and channels last
`im2col`            images to columns and back
`conv`              convolution and its gradients: checks, and chooses one of the next five
`conv_indirect`     any convolution, as matrix products without columns
`conv_depthwise`    convolution with a filter for each channel
`conv_one_channel`  convolution of one channel to few filters
`conv_col2im`       the input gradient of a convolution of few channels
`conv_winograd`     3x3 convolution with a quarter of the products
`dense`             a dense layer and its gradients
`reduce`            sums over the rows of a matrix
`pool`              max and average pooling
`batch_norm`        batch normalisation
`group_norm`        normalisation inside one sample: layer, group, instance
`activation`        ReLU, sigmoid, GELU and the like: functions of one number
`add`               the sum of two arrays, where two branches meet
`softmax`           softmax and cross-entropy
`dropout`           dropout
`optimizers`        optimizer steps
`image`             augmentation: images gathered, changed, converted and scaled
==================  ======================================================================

Kernels are compiled for each instruction-set level, into ``_v2``, ``_v3`` and ``_v4`` on x86-64,
``_wasm`` for browsers and ``_baseline`` elsewhere; ``_native`` is a local build
(``DEEPFS_NATIVE=1``). The best folder for this processor comes first on the package's path, so
``import cnn_core.pool`` and another package's ``cimport cnn_core.pool`` both get it, and no kernel
holds any dispatch code. A module that no instruction set makes faster is compiled once, for all
levels: the first line of its source says so. The environment variable ``DEEPFS_ISA`` (``v2``,
``v3``, ``v4``) picks a lower level. See ``docs/instruction_sets.md``.
"""

import importlib
import os

from cnn_core._levels import API_VERSION as API_VERSION
from cnn_core._levels import choose_level as _choose_level
from cnn_core._levels import extend_path as extend_path

level: str = _choose_level(os.path.dirname(os.path.abspath(__file__)), __name__)
__path__.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), f"_{level}"))


def _load_openmp() -> None:
    """Load GNU OpenMP so that waiting threads spin for 0.5 ms, unless the user has set how long.

    By default they spin for milliseconds. Much less, and threads fall asleep between the kernels of
    a step, to be woken on the processor that wakes them: virtual machines do that. A training step
    of lenet5 that took turns with another process had 1.6 processors of 2 then, and takes 2.7 ms
    instead of 4.0. Where others hold the processors, `threads_watch.pxd` puts an end to spinning.
    The library reads the variable once, when the first kernel loads it.
    """
    unset = "GOMP_SPINCOUNT" not in os.environ and "OMP_WAIT_POLICY" not in os.environ
    if unset:
        os.environ["GOMP_SPINCOUNT"] = "30000"
    try:
        importlib.import_module("cnn_core.threads")
    finally:
        if unset:
            del os.environ["GOMP_SPINCOUNT"]


_load_openmp()


def get_include() -> str:
    """Return the folder to pass as ``include_path`` to ``cythonize``, to ``cimport cnn_core``."""
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
