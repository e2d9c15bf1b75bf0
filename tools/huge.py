"""Convolve an array of more than 2^31 elements, forward and backward; needs 11 GB of memory.

    python tools/huge.py

An index of 32 bits anywhere in a kernel would read or write the wrong place, or crash.
"""

import numpy as np

from cnn_core import conv

N, SIZE, C = 36, 4096, 4
WINDOW = (4, 4, 0, 0, 1, 1, 1)  # stride 4, no padding, dilation 1, one group


def main() -> None:
    """Compare the first and the last window of all images with sums by hand."""
    x = np.zeros((N, SIZE, SIZE, C), np.float32)
    assert x.size > 2**31
    first, last = x[0, :3, :3], x[-1, -4:-1, -4:-1]
    first[...] = np.arange(36).reshape(3, 3, C)
    last[...] = 100 + first
    weight = np.ones((3, 3, C, 1), np.float32)
    y = np.empty((N, SIZE // 4, SIZE // 4, 1), np.float32)
    conv.conv2d_forward(x, weight, None, y, *WINDOW)
    assert (y[0, 0, 0], y[-1, -1, -1]) == (first.sum(), last.sum())
    assert np.count_nonzero(y) == 2
    dweight, dy = np.zeros_like(weight), np.zeros_like(y)
    dy[0, 0, 0], dy[-1, -1, -1] = 1, 2
    conv.conv2d_backward_weight(x, dy, dweight, None, *WINDOW)
    assert (dweight[..., 0] == first + 2 * last).all()
    conv.conv2d_backward_input(dy, weight, x, *WINDOW)
    assert (first == 1).all()
    assert (last == 2).all()
    assert [np.count_nonzero(image) for image in x[[0, 1, N // 2, N - 2, N - 1]]] == [
        36,
        0,
        0,
        0,
        36,
    ]
    print(f"right: {x.size:,} elements")


if __name__ == "__main__":
    main()
