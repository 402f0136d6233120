"""The confirmation: tuned candidates against the untuned default on seeds that tuning never saw.

In: one value a seed for the default and for each candidate, the same seeds for all; and the scores of tuning. Out: differences with tests
(Holm over the candidates), the optimism gap, and a verdict. Pure functions.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rlbench.stats import holm, iqm, minimum_detectable_effect, paired_permutation_test, pilot_sd, student_interval
from rlbench.text import number, place_of, signed
from rlbench.tuning.study_file import LEVEL

SUPPORTED, OPPOSITE, INCONCLUSIVE = "supported", "opposite", "inconclusive"


@dataclass(frozen=True)
class Compared:
    """One side against another on shared seeds: the mean difference with its t interval, and Holm's p-value in its family."""

    first: str
    second: str
    difference: float
    low: float
    high: float
    p_value: float
    adjusted_p: float
    n: int
    smallest_effect: float
    verdict: str

    @property
    def words(self) -> str:
        """The verdict as a sentence."""
        place = place_of(self.low, self.high, self.difference)
        difference, low, high = (signed(value, place) for value in (self.difference, self.low, self.high))
        effect = f"{self.first} minus {self.second}: {difference} [{low}, {high}], p = {self.adjusted_p:.3g}"
        if self.verdict == INCONCLUSIVE:
            shown = "no effect of any size" if math.isinf(self.smallest_effect) else number(self.smallest_effect)
            return f"inconclusive (smallest effect these seeds could show: {shown}): {effect}"
        return f"{self.verdict}: {effect}"


@dataclass(frozen=True)
class Fresh:
    """One configuration on the fresh seeds: the study's statistic, the mean that the test is about, seeds that count, runs lost.

    A lost run diverged, which counts as random play where that is known, or failed; without a value its seed does not count in `n`.
    """

    score: float
    mean: float
    n: int
    lost: int


@dataclass(frozen=True)
class Candidate:
    """One tuned configuration on fresh seeds. `gap` is its tuning score less its fresh score: what tuning was too optimistic by."""

    label: str
    tuning_score: float
    fresh: Fresh
    against_default: Compared | None
    """None where a seed has no value, or every run was lost: it is no winner."""

    @property
    def gap(self) -> float:
        return self.tuning_score - self.fresh.score


@dataclass(frozen=True)
class Confirmation:
    """What the fresh seeds say of one variant's tuning. `winner` is the highest fresh score, of the supported candidates if there are any.

    It is None where no candidate has a value for every seed.
    """

    variant: str
    default: Fresh
    candidates: tuple[Candidate, ...]
    winner: Candidate | None

    @property
    def verdict(self) -> str:
        """Whether a candidate is better than the untuned default: the winner is, where any is."""
        compared = self.winner.against_default if self.winner else None
        return compared.verdict if compared else INCONCLUSIVE


def compare(pairs: Sequence[tuple[str, str]], values: Mapping[str, Sequence[float]]) -> list[Compared]:
    """Sign-flip tests of the mean difference of each pair on shared seeds, corrected by Holm over all of them.

    A seed without a value on one side (NaN) is left out of that pair.
    """
    found = []
    for first, second in pairs:
        x, y = np.asarray(values[first], float), np.asarray(values[second], float)
        both = np.isfinite(x) & np.isfinite(y)
        found.append((first, second, x[both], y[both]))
    p_values = [paired_permutation_test(x, y).p_value if len(x) else 1.0 for _, _, x, y in found]
    adjusted: Sequence[float] = list(holm(p_values)) if p_values else []
    return [
        _compared(first, second, x, y, p_value, float(corrected), len(pairs))
        for (first, second, x, y), p_value, corrected in zip(found, p_values, adjusted, strict=True)
    ]


def _compared(
    first: str, second: str, x: np.ndarray, y: np.ndarray, p_value: float, adjusted: float, comparisons: int
) -> Compared:
    n = len(x)
    difference = float((x - y).mean()) if n else math.nan
    low = high = smallest = math.nan
    if n >= 2:
        interval = student_interval(x - y)
        low, high = interval.low, interval.high
        sd = pilot_sd(x, y, paired=True)
        smallest = minimum_detectable_effect(sd, n, paired=True, level=LEVEL, comparisons=comparisons)
    verdict = INCONCLUSIVE
    if adjusted <= LEVEL and difference != 0:
        verdict = SUPPORTED if difference > 0 else OPPOSITE
    return Compared(first, second, difference, low, high, p_value, adjusted, n, smallest, verdict)


def confirm(
    variant: str,
    default: Sequence[float],
    candidates: Mapping[str, Sequence[float]],
    tuning_scores: Mapping[str, float],
    statistic: str,
    lost: Mapping[str, int] | None = None,
) -> Confirmation:
    """Candidates against the default of one variant. `lost`: label -> runs that diverged or failed.

    `statistic` over seeds, "iqm" or "mean", is that of the scores. Every candidate is tested, and the winner chosen among them on the same
    seeds: Holm over all of them keeps the level all the same.
    """
    lost = lost or {}
    values = {variant: default, **candidates}
    whole = [
        label for label, own in candidates.items() if np.isfinite(own).all() and lost.get(label, 0) < max(1, len(own))
    ]
    compared = dict(zip(whole, compare([(label, variant) for label in whole], values), strict=True))
    fresh = {
        label: Fresh(score(own, statistic), score(own, "mean"), int(np.isfinite(own).sum()), lost.get(label, 0))
        for label, own in values.items()
    }
    made = tuple(Candidate(label, tuning_scores[label], fresh[label], compared.get(label)) for label in candidates)
    winner = max((one for one in made if one.against_default is not None), key=_rank, default=None)
    return Confirmation(variant, fresh[variant], made, winner)


def _rank(candidate: Candidate) -> tuple[bool, float]:
    compared = candidate.against_default
    return compared is not None and compared.verdict == SUPPORTED, candidate.fresh.score


def score(values: Sequence[float], statistic: str) -> float:
    """The aggregate over the seeds that have a value; a lower bound is for choosing, and is shown as the mean that it bounds."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return math.nan
    return iqm(finite) if statistic == "iqm" else math.fsum(finite) / len(finite)
