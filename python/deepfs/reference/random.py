"""Random numbers that depend on a key and a counter alone."""

from __future__ import annotations

import numpy as np

from ._types import Array, Pair


def philox(counter: Array, key: Pair) -> Array:
    """Return Philox4x32-10 of counters ``(n, 4)``, uint32 (Salmon et al. 2011)."""
    a, b, c, d = (counter[:, i].astype(np.uint64) for i in range(4))
    k0, k1, low = key[0], key[1], np.uint64(2**32 - 1)
    for _ in range(10):
        left, right = np.uint64(0xD2511F53) * a, np.uint64(0xCD9E8D57) * c
        high, other = right >> np.uint64(32), left >> np.uint64(32)
        a, b, c, d = high ^ b ^ np.uint64(k0), right & low, other ^ d ^ np.uint64(k1), left & low
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return np.stack([a, b, c, d], axis=1).astype(np.uint32)


def words(count: int, seed: int, stream: int, call: int) -> Array:
    """Return the first random words, uint32, of a call of a stream."""
    blocks = np.arange(-(-count // 4), dtype=np.uint64)
    same = np.ones_like(blocks)
    counter = np.stack([blocks, blocks >> np.uint64(32), same * stream, same * call], axis=1)
    return philox(counter, (seed % 2**32, seed >> 32)).reshape(-1)[:count]
