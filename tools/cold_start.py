"""Measure how long a process takes from its start to its first prediction, beyond NumPy's import.

    python tools/cold_start.py [RUNS]

It starts processes in turns: one that imports numpy alone, and one for each way to load a model
(simple_convnet on MNIST's images) and predict one image. The table has medians of RUNS (15) runs:
seconds of the clock and of the processor, each less those of ``import numpy``.
"""

import os
import pickle
import statistics
import sys
import tempfile
import time

import numpy as np

import deepfs as dfs

ALONE = "import numpy"
ASK = "; model.predict_classes(np.zeros((1, 1, 28, 28), np.float32))"
WAYS = {
    "pickle of model.predictor()": (
        "import pickle, numpy as np; model = pickle.load(open('m.pickle', 'rb'))"
    ),
    "InferenceModel.load(file)": (
        "import numpy as np, deepfs; model = deepfs.InferenceModel.load('m.safetensors')"
    ),
    "deepfs.load(file)": "import numpy as np, deepfs; model = deepfs.load('m.safetensors')",
}


def seconds(code):
    """Run code in a new process; return the seconds of the clock and of the processor."""
    begin = time.perf_counter()
    process = os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ)
    _, status, used = os.wait4(process, 0)
    assert status == 0, code
    return time.perf_counter() - begin, used.ru_utime + used.ru_stime


def main():
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    model = dfs.Model(dfs.networks.simple_convnet(), "cross_entropy", "adam")
    model.predict(np.zeros((1, 1, 28, 28), np.float32))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        model.save("m.safetensors")
        with open("m.pickle", "wb") as file:
            pickle.dump(model.predictor(), file)
        codes = [ALONE, *(way + ASK for way in WAYS.values())]
        found = [[seconds(code) for code in codes] for _ in range(runs + 1)][1:]  # files are cached
        os.chdir("/")
    medians = [[statistics.median(run[i][j] for run in found) for j in (0, 1)] for i in
               range(len(codes))]  # fmt: skip
    print(f"{'ms above import numpy':30}{'clock':>8}{'processor':>11}")
    for name, took in zip(WAYS, medians[1:], strict=True):
        clock, processor = (1e3 * (took[i] - medians[0][i]) for i in (0, 1))
        print(f"{name:30}{clock:8.0f}{processor:11.0f}")


if __name__ == "__main__":
    main()
