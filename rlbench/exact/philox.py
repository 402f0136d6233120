"""Philox4x32-10, the counter-based random generator, in integer operations on tensors: the same words on any machine.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from rlbench.deferred import Tensor

LOW32 = 0xFFFFFFFF


def philox(
    counter_0: Tensor, counter_1: Tensor, counter_2: Tensor, counter_3: Tensor, key_0: Tensor, key_1: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Ten rounds of Philox4x32 on int64 tensors that hold 32-bit words and broadcast; returns four words, each int64 in [0, 2**32)."""
    for _ in range(10):
        # The 64-bit product wraps into the sign bit; the mask after the arithmetic shift restores the unsigned high word.
        product_0, product_1 = counter_0 * 0xD2511F53, counter_2 * 0xCD9E8D57
        high_0, high_1 = (product_0 >> 32) & LOW32, (product_1 >> 32) & LOW32
        counter_0, counter_1, counter_2, counter_3 = (
            high_1 ^ counter_1 ^ key_0,
            product_1 & LOW32,
            high_0 ^ counter_3 ^ key_1,
            product_0 & LOW32,
        )
        key_0, key_1 = (key_0 + 0x9E3779B9) & LOW32, (key_1 + 0xBB67AE85) & LOW32
    return counter_0, counter_1, counter_2, counter_3
