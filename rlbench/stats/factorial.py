"""Which factor matters: main effects and interactions of a two-level grid, paired over seeds, corrected as one family.

In: a frame with one row per run. Out: `FactorialEffects`: each contrast with paired and unpaired intervals, sign-flip and
Welch p-values, corrected for the number of contrasts, per environment too, and what pairing bought. Never: calls two
effects different because one is significant and the other is not; the interaction says that.

Measured on 2 x 2 x 2 grids without effects, seeds shared (1 500 or 3 000 data sets each): share of families with a rejection
at 0.05, max-T 0.05 0.05 0.04 with 5, 10, 30 seeds on three environments and 0.05 0.05 0.05 with 9, 10, 30 on one; Holm 0.02
to 0.05; uncorrected 0.28 to 0.33. Coverage of paired 95 % intervals: Student 0.96 with 5 seeds and 0.95 with 9; bootstrap
with 10 and 30 seeds 0.92 0.93 on three environments, 0.90 0.93 on one: an effect is a mean, and its interval is Student's t
whatever n. Unpaired ones cover 0.98 to 0.99 where half of the variance is shared. Cochran's Q rejects 0.046 to 0.048.

Where half of the variance is a seed's own on all of four environments (2 x 2 grids, 7 seeds, 600 data sets), (seed,
environment) blocks reject 0.38 of families and cover 0.80; blocks across environments 0.047 and 0.95. Cochran's Q takes
environments as independent, and rejects 0.003 there.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import pandas as pd

from rlbench.stats.comparisons import satterthwaite, t_p_value
from rlbench.stats.contrast_intervals import (
    cochran,
    paired_resamples,
    paired_variances,
    student,
    unpaired_resamples,
    unpaired_variances,
)
from rlbench.stats.grid import Grid, across, contrasts, read_grid
from rlbench.stats.multiplicity import holm, joint_blocks, sign_flip_family
from rlbench.stats.permutation import smallest_sign_flip_p
from rlbench.stats.scores import Floats, check_name, check_resamples, rounding_of, scale_of, tails

CORRECTIONS = ("max-T", "holm")
INTERVALS = ("student", "bootstrap")


@dataclass(frozen=True)
class EnvironmentEffect:
    """An effect on one environment, with Student t intervals: exploratory, not part of the corrected family."""

    environment: str
    estimate: float
    paired_low: float
    paired_high: float
    unpaired_low: float
    unpaired_high: float
    n: int  # complete blocks


@dataclass(frozen=True)
class Effect:
    """One contrast, averaged over environments: the coefficient with codes of -0.5 and +0.5."""

    name: str  # "target", or "target:loss" for an interaction: a difference of differences
    estimate: float
    paired_low: float
    paired_high: float
    paired_error: float  # standard error of the estimate, from the blocks' contrasts
    paired_freedom: float  # its degrees of freedom
    unpaired_low: float
    unpaired_high: float
    p_value: float  # sign-flip test over blocks, for this contrast alone
    p_adjusted: float  # within the family of all contrasts
    unpaired_p_value: float  # Welch's t on the contrast of cell means
    unpaired_p_adjusted: float  # Holm
    variance_ratio: float  # of the estimate, unpaired over paired: above 1, pairing was worth that many times the seeds
    cochran_q: float  # spread of the effect over environments
    cochran_p: float  # NaN on one environment
    environments: tuple[EnvironmentEffect, ...]


@dataclass(frozen=True)
class FactorialEffects:
    """The contrasts of a grid as one family of tests, and how they were computed."""

    effects: tuple[Effect, ...]
    levels: Mapping[str, tuple[object, object]]  # factor -> (coded -0.5, coded +0.5): an effect is the second's gain
    n: int  # complete blocks; the fewest on any environment, where they are counted on each
    num_blocks: int  # whose signs flip: all of them, over all environments
    num_dropped: int  # blocks left out because a cell lacks them
    correlation: float  # realised between cells over blocks, averaged; NaN where nothing varies
    smallest_p: float  # no data of this size could give a sign-flip p-value below
    smallest_p_holm: float  # nor a Holm-corrected one, for the first of the family
    interval_method: str
    test_method: str
    correction: str
    level: float
    resamples: int
    seed: int
    blocks: tuple[Hashable, ...] = field(repr=False)  # the seeds, or (environment, seed) where those are the blocks
    contributions: Floats = field(
        repr=False, compare=False
    )  # [effects, blocks], whose sums over blocks are the effects

    def __getitem__(self, name: str) -> Effect:
        """The effect of this name; raises KeyError that lists them."""
        for effect in self.effects:
            if effect.name == name:
                return effect
        raise KeyError(f"no effect {name!r}; there are {[effect.name for effect in self.effects]}")

    def to_frame(self) -> pd.DataFrame:
        """One row per effect, without the single environments."""
        rows = [{k: v for k, v in asdict(effect).items() if k != "environments"} for effect in self.effects]
        return pd.DataFrame(rows)


def factorial_effects(
    frame: pd.DataFrame,
    factors: Sequence[str] | Mapping[str, tuple[object, object]],
    block: str = "seed",
    *,
    value: str = "score",
    environment: str | None = "env",
    across_environments: bool = False,
    correction: str = "max-T",
    interval: str = "student",
    duplicates: str = "error",
    incomplete: str = "error",
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> FactorialEffects:
    """All contrasts of a complete two-level grid from a frame with one row per run, environments weighing the same.

    `factors`: the columns, each with two levels in the order in which they appear (or of the categories), the first
    coded -0.5; or a mapping column -> (level at -0.5, level at +0.5). A block is one `block` value on one environment,
    its runs in all cells; with `across_environments` it is the same value on all environments, for runs whose seeds
    make them depend on each other there, as they do where one seed gives them the same random streams. `environment`
    None: there is one.

    Intervals are Student's t with Satterthwaite's degrees of freedom ("student"), paired ones of the blocks' contrasts,
    unpaired ones of the cells' means; or percentile bootstraps of blocks and of runs within each cell ("bootstrap"),
    which cover less with few blocks. P-values flip the
    signs of whole blocks (exact up to 16 blocks), and `correction` is step-down "max-T" (Westfall and Young 1993),
    which uses that contrasts of the same runs depend on each other, or "holm". Cochran's Q has Welch's (1951) small-
    sample p-value. Raises ValueError on NaN, duplicated runs (unless `duplicates` is "mean", "first" or "last"), blocks
    without a run in some cell, or on some environment if across them (unless `incomplete` is "drop"), and factors without
    two levels.
    """
    check_name("correction", correction, CORRECTIONS)
    check_name("interval", interval, INTERVALS)
    check_resamples(resamples)
    bounds = tails(level)
    scale = scale_of(frame[value].to_numpy(np.float64)) if value in frame and len(frame) else 1.0
    frame = frame if scale == 1.0 else frame.assign(**{value: frame[value] / scale})
    grid = read_grid(frame, factors, block, value, environment, duplicates, incomplete)
    if across_environments:
        grid = across(grid, block, incomplete)
    named = contrasts(list(grid.levels))
    weights = np.array(list(named.values()))  # [effects, cells]
    by_environment = [weights @ scores for scores in grid.scores]  # [effects, blocks] each
    # What rounding leaves of equal scores is nothing, rather than the whole evidence of an effect without any.
    rounding = rounding_of(grid.scores)
    by_environment = [np.where(np.abs(part) <= rounding, 0.0, part) for part in by_environment]
    strata, cells = by_environment, list(grid.scores)
    if across_environments:
        strata, cells = [np.mean(by_environment, axis=0)], [np.mean(grid.scores, axis=0)]
    n = min(part.shape[1] for part in strata)
    estimates = np.mean([part.mean(axis=1) for part in by_environment], axis=0)
    paired_parts, paired_freedoms = paired_variances(strata)
    unpaired_parts, unpaired_freedoms = unpaired_variances(cells, weights)
    errors = [satterthwaite(parts, paired_freedoms) for parts in paired_parts]
    if interval == "bootstrap":
        rng = np.random.default_rng(seed)
        paired = np.quantile(paired_resamples(strata, resamples, rng), bounds, axis=0)
        unpaired = np.quantile(unpaired_resamples(cells, weights, resamples, rng), bounds, axis=0)
    else:
        paired = student(estimates, paired_parts, paired_freedoms, bounds[1])
        unpaired = student(estimates, unpaired_parts, unpaired_freedoms, bounds[1])
    shares = [part / (part.shape[1] * len(strata)) for part in strata]  # whose sums over blocks are the effects
    contributions = np.concatenate(shares, axis=1)
    p_values, p_max_t, is_exact = sign_flip_family(contributions, resamples, seed)
    p_adjusted = p_max_t if correction == "max-T" else holm(p_values)
    unpaired_p = np.array(
        [
            t_p_value(float(estimate), *satterthwaite(parts, unpaired_freedoms), "two-sided")
            for estimate, parts in zip(estimates, unpaired_parts, strict=True)
        ]
    )
    unpaired_adjusted = holm(unpaired_p)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = unpaired_parts.sum(axis=1) / paired_parts.sum(axis=1)
    spread = cochran(by_environment)
    effects = tuple(
        Effect(
            name=name,
            estimate=float(estimates[place]),
            paired_low=float(paired[0, place]),
            paired_high=float(paired[1, place]),
            paired_error=errors[place][0],
            paired_freedom=errors[place][1],
            unpaired_low=float(unpaired[0, place]),
            unpaired_high=float(unpaired[1, place]),
            p_value=float(p_values[place]),
            p_adjusted=float(p_adjusted[place]),
            unpaired_p_value=float(unpaired_p[place]),
            unpaired_p_adjusted=float(unpaired_adjusted[place]),
            variance_ratio=float(ratios[place]),
            cochran_q=spread[place][0],
            cochran_p=spread[place][1],
            environments=_by_environment(grid.environments, grid.scores, weights[place], bounds[1]),
        )
        for place, name in enumerate(named)
    )
    effects = tuple(_rescaled(effect, scale) for effect in effects)
    num_blocks = sum(part.shape[1] for part in strata)
    smallest = smallest_sign_flip_p(num_blocks) if is_exact else 1.0 / (1 + resamples)
    return FactorialEffects(
        effects,
        grid.levels,
        n,
        num_blocks,
        grid.num_dropped,
        _correlation(grid.scores),
        smallest,
        min(1.0, smallest * len(effects)),
        "percentile bootstrap" if interval == "bootstrap" else "Student t (Satterthwaite)",
        f"sign-flip test of {_blocks_told(block, grid.environments, across_environments)} "
        f"({'exact' if is_exact else 'Monte Carlo'})",
        "max-T (step-down)" if correction == "max-T" else "Holm",
        level,
        resamples,
        seed,
        _names(grid, across_environments),
        contributions * scale,
    )


def corrected_together(results: Sequence[FactorialEffects]) -> list[FactorialEffects]:
    """The same results with `p_adjusted` by step-down max-T over the effects of all of them, as one family.

    For the same contrasts on environments without a common scale. A seed flips in all results at once, so that results
    may depend on each other through it; seeds that only some have are allowed.
    """
    # Each contrast is judged by a ratio of its own, which has no scale.
    parts = [one.contributions / scale_of(one.contributions) for one in results]
    joint = joint_blocks(parts, [one.blocks for one in results])
    _, adjusted, _ = sign_flip_family(joint, results[0].resamples, results[0].seed)
    of_effect = iter(adjusted)
    return [
        replace(
            result,
            effects=tuple(replace(effect, p_adjusted=float(next(of_effect))) for effect in result.effects),
            correction=f"max-T (step-down) over {len(joint)} contrasts of {len(results)} analyses",
        )
        for result in results
    ]


def _rescaled(effect: Effect, scale: float) -> Effect:
    """An effect in the units of scores that were divided by `scale`."""
    ends = ("paired_low", "paired_high", "unpaired_low", "unpaired_high")

    def of(one: Effect | EnvironmentEffect, *names: str) -> dict[str, float]:
        return {name: getattr(one, name) * scale for name in ("estimate", *ends, *names)}

    parts = tuple(replace(one, **of(one)) for one in effect.environments)  # type: ignore[arg-type]
    return replace(effect, environments=parts, **of(effect, "paired_error"))  # type: ignore[arg-type]


def _names(grid: Grid, is_across: bool) -> tuple[Hashable, ...]:
    if is_across or len(grid.blocks) == 1:
        return grid.blocks[0]
    return tuple((name, one) for name, part in zip(grid.environments, grid.blocks, strict=True) for one in part)


def _blocks_told(block: str, environments: Sequence[str], is_across: bool) -> str:
    if len(environments) == 1:
        return f"{block}s"
    return f"{block}s over all environments" if is_across else f"{block}s within environments"


def _by_environment(
    names: Sequence[str], scores: Sequence[Floats], weight: Floats, upper: float
) -> tuple[EnvironmentEffect, ...]:
    """One effect on each environment by itself; weight [cells]."""
    found = []
    for name, table in zip(names, scores, strict=True):
        contrast = [weight[np.newaxis] @ table]
        estimate = contrast[0].mean(axis=1)
        paired = student(estimate, *paired_variances(contrast), upper)[:, 0]
        unpaired = student(estimate, *unpaired_variances([table], weight[np.newaxis]), upper)[:, 0]
        found.append(
            EnvironmentEffect(
                environment=name,
                estimate=float(estimate[0]),
                paired_low=float(paired[0]),
                paired_high=float(paired[1]),
                unpaired_low=float(unpaired[0]),
                unpaired_high=float(unpaired[1]),
                n=table.shape[1],
            )
        )
    return tuple(found)


def _correlation(scores: Sequence[Floats]) -> float:
    """Mean correlation over blocks between two cells of an environment, of all pairs that vary; NaN without any."""
    found: list[float] = []
    for table in scores:
        varying = table[table.std(axis=1) > 0.0]
        if len(varying) > 1:
            found.extend(np.corrcoef(varying)[np.triu_indices(len(varying), 1)])
    return float(np.mean(found)) if found else float("nan")
