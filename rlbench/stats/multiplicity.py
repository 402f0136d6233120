"""Many tests of one family: p-values corrected so that a single false rejection in it stays as rare as the level.

In: p-values, or the contributions of blocks to several effects. Out: corrected p-values. A family is declared before looking;
what lies outside every family is exploratory. Never: chooses which tests belong together.
"""

import itertools
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rlbench.stats.permutation import MAX_EXACT, sign_flips_in_parts, smallest_sign_flip_p
from rlbench.stats.scores import Floats


def holm(p_values: ArrayLike) -> Floats:
    """Holm's adjusted p-values [tests] of one family, in the order given (Holm 1979): reject where they are <= level.

    Raises ValueError on NaN, on anything outside [0, 1] and on an empty family.
    """
    values = np.asarray(p_values, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"p-values must be [tests], at least one, not of shape {values.shape}")
    if not ((values >= 0.0) & (values <= 1.0)).all():
        raise ValueError("p-values must lie between 0 and 1, without NaN")
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(values.size, 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


@dataclass(frozen=True)
class SignFlips:
    """Sign-flip tests of a family of effects."""

    p_values: Floats  # [effects], of each alone
    max_t: Floats  # [effects], corrected by step-down max-T
    is_exact: bool  # all flips were counted
    smallest_p: float  # no data of this size could give a p-value below


def sign_flip_family(contributions: Floats, resamples: int, seed: int) -> SignFlips:
    """Sign-flip tests of sums over blocks, alone and as one family.

    `contributions` [effects, blocks]: a block's sign flips in all effects at once, which is how max-T knows of their
    dependence (Westfall and Young 1993, algorithm 2.8). Exact up to 16 blocks.
    """
    # One scale per effect that no flip changes: without it the effects in larger units, interactions, would rule.
    scale = np.sqrt((contributions**2).sum(axis=1))
    parts = contributions / np.where(scale > 0.0, scale, 1.0)[:, np.newaxis]
    flips = sign_flips_in_parts(parts.shape[1], resamples, seed)
    drawn = np.abs(np.concatenate([signs @ parts.T for signs in flips]))
    observed = np.abs(parts.sum(axis=1)) - 1e-9
    is_exact = 2 ** parts.shape[1] <= MAX_EXACT
    extra = 0 if is_exact else 1
    alone = (extra + (drawn >= observed).sum(axis=0)) / (extra + len(drawn))
    order = np.argsort(-observed, kind="stable")
    # The largest among an effect and all below it, for each arrangement.
    largest = np.maximum.accumulate(drawn[:, order[::-1]], axis=1)[:, ::-1]
    stepped = (extra + (largest >= observed[order]).sum(axis=0)) / (extra + len(drawn))
    adjusted = np.empty_like(alone)
    adjusted[order] = np.maximum.accumulate(stepped)
    smallest = smallest_sign_flip_p(parts.shape[1]) if is_exact else 1.0 / (1 + resamples)
    return SignFlips(alone, adjusted, is_exact, smallest)


def joint_blocks(parts: Sequence[Floats], blocks: Sequence[Sequence[Hashable]]) -> Floats:
    """Contributions [all effects, all blocks] of several analyses, for one family; 0 where an analysis lacks a block.

    `parts`: one [effects, blocks] per analysis, `blocks` the names of its columns. A block of one name is one block in
    all analyses and flips in all of them at once; a 0 says nothing for either sign.
    """
    places = {name: place for place, name in enumerate(dict.fromkeys(itertools.chain(*blocks)))}
    joint = np.zeros((sum(len(part) for part in parts), len(places)))
    start = 0
    for part, names in zip(parts, blocks, strict=True):
        joint[start : start + len(part), [places[name] for name in names]] = part
        start += len(part)
    return joint
