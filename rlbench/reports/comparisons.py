"""Which of two variants is better: every comparison with its test, its size and one of four words.

In: a `Summary`. Out: `Pairwise` values, by family. Declared families come from the experiment's definition and are corrected
with Holm over all their pairs and environments; the rest is exploratory. Never: says "not significant" where no data of
this size could have rejected, or lets an interval decide.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rlbench.deciding.plan_state import Watched
from rlbench.reports.cells import Cell
from rlbench.reports.summary import Summary
from rlbench.stats import (
    Comparison,
    Equivalence,
    Interval,
    cliffs_delta,
    equivalence_test,
    hodges_lehmann,
    holm,
    minimum_detectable_effect,
    paired_permutation_test,
    permutation_test,
    pilot_sd,
    smallest_sign_flip_p,
    student_interval,
    welch_test,
)
from rlbench.stats.intervals import within

LEVEL = 0.05
POWER = 0.8
SUPPORTED, OPPOSITE, EQUIVALENT, INCONCLUSIVE = "supported", "opposite", "equivalent", "inconclusive"
UNDECIDED = "undecided"  # a sequential plan goes on
# All pairs of up to 8 variants; beyond, the undeclared ones would bury the declared ones.
MAX_EXPLORATORY = 28


@dataclass(frozen=True)
class Pairwise:
    """The claim that x is better than y on one environment, tested on final returns; statistics of x against y."""

    x: str
    y: str
    env: str
    family: str | None  # None: exploratory
    n_x: int
    n_y: int
    num_shared: int  # seeds with a done run on both sides
    num_diverged: int  # runs of either side that diverged: each counts as random play
    num_unscored: int  # those of them for which random play has no fixed return: in no number, so there is no verdict
    num_failed: int  # runs of either side that failed: in no number here
    is_paired: bool
    x_values: NDArray[np.float64]  # [runs]; paired: row i of both is one seed
    y_values: NDArray[np.float64]
    test: Comparison | None = None  # None: fewer than 2 runs on a side
    welch: Comparison | None = None
    difference: Interval | None = None
    together: Interval | None = None  # the same, wide enough that all of the family hold at once (Bonferroni)
    shift: float | None = None  # Hodges-Lehmann
    superiority: float | None = None  # P(x > y) + half the ties, A12
    correlation: float | None = None  # over shared seeds
    smallest_effect: float | None = None  # declared
    reach: float | None = None  # no two returns are further apart, where that is known
    equivalence: Equivalence | None = None
    planned: Watched | None = None  # the sequential plan that decides it instead of the test
    num_tests: int = 1  # in the family
    p_adjusted: float | None = None
    equivalence_p_adjusted: float | None = None
    detectable: float | None = None  # smallest effect found with POWER at the family's first step; inf: none

    @property
    def can_reject(self) -> bool:
        """Whether any data of this size could pass Holm's first step."""
        return self.test is not None and self.test.smallest_p * self.num_tests <= LEVEL

    @property
    def word(self) -> str:
        """One of the four verdicts, or UNDECIDED while a sequential plan goes on."""
        if self.planned is not None:
            return _decision(self.planned, self.x)
        if self.test is None or self.num_unscored:
            return INCONCLUSIVE
        return verdict(self.p_adjusted, self.test.estimate, self.equivalence_p_adjusted)


def _decision(planned: Watched, x: str) -> str:
    """A plan's decision on the claim that x is better."""
    word = planned.plan.decision
    if planned.first == x or word not in (SUPPORTED, OPPOSITE):
        return word
    return OPPOSITE if word == SUPPORTED else SUPPORTED


@dataclass(frozen=True)
class Family:
    """Comparisons corrected together; those that the experiment did not declare have the name ""."""

    name: str
    members: tuple[Pairwise, ...]
    num_unlisted: int = 0  # undeclared comparisons left out because there would be too many


def verdict(p_adjusted: float | None, estimate: float, equivalence_p: float | None) -> str:
    """The word for a claim that a difference is above 0, from its corrected p-values. A difference shown comes first."""
    if p_adjusted is not None and p_adjusted <= LEVEL and estimate != 0.0:
        return SUPPORTED if estimate > 0.0 else OPPOSITE
    if equivalence_p is not None and equivalence_p <= LEVEL:
        return EQUIVALENT
    return INCONCLUSIVE


def seeds_that_could_reject(num_tests: int) -> int:
    """The fewest shared seeds with which a sign-flip test can pass Holm's first step among so many tests."""
    n = 2
    while smallest_sign_flip_p(n) * num_tests > LEVEL:
        n += 1
    return n


def families_of(summary: Summary) -> list[Family]:
    """Declared families in their order, then everything else as one exploratory family, if there is anything."""
    families = []
    declared: set[frozenset[str]] = set()
    for given in summary.definition.get("comparisons") or []:
        pairs = [(str(first), str(second)) for first, second in given["pairs"]]
        declared |= {frozenset(pair) for pair in pairs}
        members = [
            _compared(summary, first, second, env, str(given["family"]))
            for first, second in pairs
            for env in summary.envs
            if summary.cell(first, env) or summary.cell(second, env)  # else the pair is of another environment
        ]
        families.append(Family(str(given["family"]), corrected(members)))
    rest = [pair for pair in itertools.combinations(summary.variants, 2) if frozenset(pair) not in declared]
    pairs_and_envs = [
        (x, y, env) for x, y in rest for env in summary.envs if summary.cell(x, env) and summary.cell(y, env)
    ]
    if len(rest) > MAX_EXPLORATORY:
        families.append(Family("", (), len(pairs_and_envs)))
    elif pairs_and_envs:
        # The other way round, so that what came later is claimed to beat what came first, the usual baseline.
        members = [_compared(summary, y, x, env, None) for x, y, env in pairs_and_envs]
        families.append(Family("", corrected(members)))
    return families


def corrected(members: Sequence[Pairwise]) -> tuple[Pairwise, ...]:
    """The members with p-values corrected over those that could be tested, and the effect that they could show."""
    tested = [place for place, member in enumerate(members) if member.test is not None]
    if not tested:
        return tuple(members)
    p_values = holm([members[place].test.p_value for place in tested])  # type: ignore[union-attr]
    judged = [place for place in tested if members[place].equivalence is not None]
    same = dict(zip(judged, holm([members[p].equivalence.p_value for p in judged]), strict=True)) if judged else {}  # type: ignore[union-attr]
    found = list(members)
    for place, p_adjusted in zip(tested, p_values, strict=True):
        member = members[place]
        n = min(member.n_x, member.n_y)
        spread = pilot_sd(member.x_values, member.y_values, paired=member.is_paired)
        found[place] = replace(
            member,
            num_tests=len(tested),
            together=_difference(member, 1.0 - LEVEL / len(tested)),
            p_adjusted=float(p_adjusted),
            equivalence_p_adjusted=float(same[place]) if place in same else None,
            detectable=minimum_detectable_effect(
                spread, n, paired=member.is_paired, level=LEVEL, power=POWER, comparisons=len(tested)
            ),
        )
    return tuple(found)


def _compared(summary: Summary, x: str, y: str, env: str, family: str | None) -> Pairwise:
    cell_x, cell_y = summary.cell(x, env), summary.cell(y, env)
    scores_x, scores_y = _scores(cell_x), _scores(cell_y)
    shared = [seed for seed in scores_x if seed in scores_y]
    is_paired = is_pairable(len(scores_x), len(scores_y), len(shared))
    values_x = np.array([scores_x[seed] for seed in (shared if is_paired else scores_x)])
    values_y = np.array([scores_y[seed] for seed in (shared if is_paired else scores_y)])
    cells = [cell for cell in (cell_x, cell_y) if cell]
    found = Pairwise(
        x,
        y,
        env,
        family,
        len(values_x),
        len(values_y),
        len(shared),
        sum(cell.counts["diverged"] for cell in cells),
        sum(cell.num_unscored for cell in cells),
        sum(cell.counts["failed"] for cell in cells),
        is_paired,
        values_x,
        values_y,
        smallest_effect=summary.declared("smallest_effect", env),
        reach=summary.reach(env),
        planned=_planned(summary, x, y, env),
    )
    return found if min(found.n_x, found.n_y) < 2 else _tested(found)


def _planned(summary: Summary, x: str, y: str, env: str) -> Watched | None:
    watched = summary.plan.comparisons if summary.plan else ()
    return next((one for one in watched if {one.first, one.second} == {x, y} and one.env == env), None)


def is_pairable(n_x: int, n_y: int, num_shared: int) -> bool:
    """Whether seeds are shared: at least 2, and no side has more than a fifth of its runs without a partner."""
    return num_shared >= max(2, math.ceil(0.8 * max(n_x, n_y)))


def _tested(pair: Pairwise) -> Pairwise:
    x, y = pair.x_values, pair.y_values
    # Unpaired sides often differ in n and in spread, where the plain difference of means does not hold its level.
    test = paired_permutation_test(x, y) if pair.is_paired else permutation_test(x, y, statistic="welch_t")
    varies = pair.is_paired and len(x) > 2 and np.ptp(x) > 0.0 and np.ptp(y) > 0.0
    return replace(
        pair,
        test=test,
        welch=welch_test(x, y),
        difference=_difference(pair, 1.0 - LEVEL),
        shift=hodges_lehmann(x, y),
        superiority=(cliffs_delta(x, y) + 1.0) / 2.0,
        correlation=_correlation(x, y) if varies else None,
        equivalence=equivalence_test(x, y, pair.smallest_effect, paired=pair.is_paired, level=LEVEL, reach=pair.reach)
        if pair.smallest_effect is not None
        else None,
    )


def _difference(pair: Pairwise, level: float) -> Interval:
    """The difference of means with an interval, cut where no difference can be."""
    possible = None if pair.reach is None else (-pair.reach, pair.reach)
    if pair.is_paired:
        return student_interval(pair.x_values - pair.y_values, level, possible)
    welch = welch_test(pair.x_values, pair.y_values, level=level)
    assert welch.low is not None
    assert welch.high is not None
    low, high, is_cut = within(np.array(welch.low), np.array(welch.high), possible)
    n = min(pair.n_x, pair.n_y)
    return Interval(welch.estimate, float(low), float(high), "mean", "Welch t", n, level, is_cut=is_cut)


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    # By standard scores, whose products leave no float's range however large the returns are.
    one, other = (side / np.abs(side).max() for side in (x, y))
    return float(np.corrcoef(one, other)[0, 1])


def _scores(cell: Cell | None) -> dict[int, float]:
    return cell.scores if cell else {}
