"""Philox4xW-10 on Python's integers, for words of 32 or 64 bits: written from the paper, with nothing of the engine in it.

Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from collections.abc import Sequence

MULTIPLIERS = {32: (0xD2511F53, 0xCD9E8D57), 64: (0xD2E7470EE14C6C93, 0xCA5A826395121157)}
KEY_INCREMENTS = {32: (0x9E3779B9, 0xBB67AE85), 64: (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)}


def philox(counter: Sequence[int], key: Sequence[int], word_bits: int = 32) -> tuple[int, int, int, int]:
    """Four words from a counter of four words and a key of two."""
    mask = 2**word_bits - 1
    (m0, m1), (w0, w1) = MULTIPLIERS[word_bits], KEY_INCREMENTS[word_bits]
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        high0, low0 = divmod(m0 * c0, mask + 1)
        high1, low1 = divmod(m1 * c2, mask + 1)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + w0) & mask, (k1 + w1) & mask
    return c0, c1, c2, c3


def stream_words(*, seed: int, namespace: int, stream: int, step: int, index: int) -> tuple[int, int, int, int]:
    """The four words of one draw: the key is (seed, namespace), the counter (index, stream, low and high word of step)."""
    return philox((index, stream, step % 2**32, step >> 32), (seed, namespace))
