"""Over environments: aggregates of normalised scores, performance profile, probability of improvement; time to threshold.

In: a `Summary`. Out: plain values. Scores are normalised by the fixed table alone. Never: normalises by the compared runs,
or drops a run that did not get to the threshold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlbench.envs.scores import normalise
from rlbench.errors import ConfigError
from rlbench.reports.cells import Cell
from rlbench.reports.summary import Summary
from rlbench.stats import (
    Interval,
    Profile,
    TimeToThreshold,
    align_previous,
    bootstrap_intervals,
    performance_profile,
    probability_of_improvement,
    time_to_threshold,
)
from rlbench.stats.aggregates import AGGREGATES

RESAMPLES = 4_000
# Where nothing is declared: this far from random actions to the reference.
DEFAULT_THRESHOLD_SCORE = 0.8
_NUM_THRESHOLDS = 101


@dataclass(frozen=True)
class Across:
    """Scores over environments: those of the table on which every listed variant has a done run."""

    envs: tuple[str, ...]
    variants: tuple[str, ...]
    left_out: tuple[str, ...]  # sentences
    aggregates: Mapping[str, Mapping[str, Interval]]  # variant -> statistic -> interval
    profiles: Mapping[str, Profile]


@dataclass(frozen=True)
class Improvement:
    """P(x > y) for every pair of variants, over the environments on which both have done runs."""

    variants: tuple[str, ...]
    pairs: Mapping[tuple[str, str], Interval]


@dataclass(frozen=True)
class Arrival:
    """When a cell's runs first reach the threshold."""

    cell: Cell
    threshold: float
    is_declared: bool
    result: TimeToThreshold


def across_environments(summary: Summary) -> Across:
    """Aggregates and profiles of normalised final returns."""
    known, left_out = [], []
    for env in summary.envs:
        try:
            normalise(env, [0.0])
            known.append(env)
        except ConfigError:
            left_out.append(f"{env} has no entry in the normalisation table")
    with_runs = [env for env in known if any(cell.scores for cell in summary.cells_of(env))]
    variants = []
    for variant in summary.variants:
        lacking = [env for env in with_runs if not _scores(summary, variant, env)]
        if lacking:
            left_out.append(f"{variant} has no done run on {', '.join(lacking)}")
        elif with_runs:
            variants.append(variant)
    aggregates: dict[str, Mapping[str, Interval]] = {}
    by_variant: dict[str, dict[str, NDArray[np.float64]]] = {}
    for variant in variants:
        scores = {env: normalise(env, _scores(summary, variant, env)) for env in with_runs}
        aggregates[variant] = bootstrap_intervals(scores, tuple(AGGREGATES), resamples=RESAMPLES)
        by_variant[variant] = scores
    every = np.concatenate([[0.0, 1.0], *(own for scores in by_variant.values() for own in scores.values())])
    # Up to the highest score there is: one that is above the reference must not fall off the edge.
    thresholds = np.round(np.linspace(every.min(), every.max(), _NUM_THRESHOLDS), 10)
    profiles = {variant: performance_profile(scores, thresholds) for variant, scores in by_variant.items()}
    return Across(tuple(with_runs), tuple(variants), tuple(left_out), aggregates, profiles)


def improvement_matrix(summary: Summary) -> Improvement:
    """The probability of improvement of every pair of variants; the other direction is one minus it."""
    variants = [v for v in summary.variants if any(_scores(summary, v, env) for env in summary.envs)]
    pairs = {}
    for place, y in enumerate(variants):
        for x in variants[place + 1 :]:
            both = [env for env in summary.envs if _scores(summary, x, env) and _scores(summary, y, env)]
            if both:
                pairs[x, y] = probability_of_improvement(
                    {env: _scores(summary, x, env) for env in both},
                    {env: _scores(summary, y, env) for env in both},
                    resamples=RESAMPLES,
                )
    return Improvement(tuple(variants), pairs)


def arrivals(summary: Summary, env: str) -> list[Arrival]:
    """Time to threshold of each cell on an environment, all to one horizon.

    A diverged run never gets there: taking it for one that might have would favour the variant that diverges. A failed run is
    censored where it was last seen, and so is a run of other people's that ended early.
    """
    threshold, is_declared = threshold_of(summary, env)
    if threshold is None:
        return []
    last = max(
        (int(run.env_steps[-1]) for cell in summary.cells_of(env) for run in cell.runs if len(run.env_steps)), default=0
    )
    goes_on = ("diverged",) if summary.is_foreign else ("done", "diverged")
    found: list[tuple[Cell, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]] = []
    for cell in summary.cells_of(env):
        runs = [run for run in cell.runs if run.status in ("done", "diverged", "failed") and len(run.env_steps)]
        if not runs:
            continue
        grid = np.unique(np.concatenate([[last], *(run.env_steps for run in runs)])).astype(np.float64)
        curves = np.stack([align_previous(run.env_steps, run.returns, grid) for run in runs])
        # Before its first evaluation a run has not been seen to reach anything.
        curves = np.where(np.isnan(curves), -np.inf, curves)
        ends = np.array([last if run.status in goes_on else run.env_steps[-1] for run in runs], np.float64)
        found.append((cell, curves, grid, ends))
    if not found:
        return []
    horizon = min(time_to_threshold(c, grid, threshold, ends=ends).horizon for _, c, grid, ends in found)
    return [
        Arrival(cell, threshold, is_declared, time_to_threshold(curves, grid, threshold, ends=ends, horizon=horizon))
        for cell, curves, grid, ends in found
    ]


def threshold_of(summary: Summary, env: str) -> tuple[float | None, bool]:
    """The return to reach, and whether the experiment declares it; None where there is nothing to take it from."""
    declared = summary.declared("threshold", env)
    if declared is not None:
        return declared, True
    try:
        zero, one = normalise(env, [0.0, 1.0])
    except ConfigError:
        return None, False
    return float((DEFAULT_THRESHOLD_SCORE - zero) / (one - zero)), False


def _scores(summary: Summary, variant: str, env: str) -> Sequence[float]:
    cell = summary.cell(variant, env)
    return list(cell.scores.values()) if cell else []
