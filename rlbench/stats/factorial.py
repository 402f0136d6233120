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

from rlbench.stats.contrast_intervals import Sample, cochran, sample_of, sample_on
from rlbench.stats.grid import Grid, across, contrasts, read_grid
from rlbench.stats.multiplicity import SignFlips, holm, joint_blocks, sign_flip_family
from rlbench.stats.scores import Floats, check_name, check_resamples, scale_of, tails

# By name: what results call it.
CORRECTIONS = {"max-T": "max-T (step-down)", "holm": "Holm"}
INTERVALS = {"student": "Student t (Satterthwaite)", "bootstrap": "percentile bootstrap"}


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
    check_name("correction", correction, tuple(CORRECTIONS))
    check_name("interval", interval, tuple(INTERVALS))
    check_resamples(resamples)
    bounds = tails(level)
    scale = scale_of(frame[value].to_numpy(np.float64)) if value in frame and len(frame) else 1.0
    frame = frame if scale == 1.0 else frame.assign(**{value: frame[value] / scale})
    grid = read_grid(frame, factors, block, value, environment, duplicates, incomplete)
    if across_environments:
        grid = across(grid, block, incomplete)
    weights = contrasts(list(grid.levels))
    sample = sample_of(grid, np.array(list(weights.values())))
    tests = sign_flip_family(sample.contributions, resamples, seed)
    in_units = sample.bootstrap(bounds, resamples, seed) if interval == "bootstrap" else sample.student(bounds[1])
    in_units["paired_error"] = np.array([error for error, _ in sample.paired.errors])
    unitless = _unitless(sample, tests, correction)
    by_environment = [_by_environment(grid, weight, bounds[1], scale) for weight in weights.values()]
    effects = tuple(
        Effect(name=name, **_at(place, in_units, scale) | _at(place, unitless), environments=by_environment[place])
        for place, name in enumerate(weights)
    )
    return FactorialEffects(
        effects,
        grid.levels,
        min(part.shape[1] for part in sample.strata),
        sample.contributions.shape[1],
        grid.num_dropped,
        grid.correlation,
        tests.smallest_p,
        min(1.0, tests.smallest_p * len(effects)),
        INTERVALS[interval],
        f"sign-flip test of {_blocks_told(block, grid)} ({'exact' if tests.is_exact else 'Monte Carlo'})",
        CORRECTIONS[correction],
        level,
        resamples,
        seed,
        grid.block_names,
        sample.contributions * scale,
    )


def corrected_together(results: Sequence[FactorialEffects]) -> list[FactorialEffects]:
    """The same results with `p_adjusted` by step-down max-T over the effects of all of them, as one family.

    For the same contrasts on environments without a common scale. A seed flips in all results at once, so that results
    may depend on each other through it; seeds that only some have are allowed.
    """
    # Each contrast is judged by a ratio of its own, which has no scale.
    parts = [one.contributions / scale_of(one.contributions) for one in results]
    joint = joint_blocks(parts, [one.blocks for one in results])
    of_effect = iter(sign_flip_family(joint, results[0].resamples, results[0].seed).max_t)
    return [
        replace(
            result,
            effects=tuple(replace(effect, p_adjusted=float(next(of_effect))) for effect in result.effects),
            correction=f"{CORRECTIONS['max-T']} over {len(joint)} contrasts of {len(results)} analyses",
        )
        for result in results
    ]


def _unitless(sample: Sample, tests: SignFlips, correction: str) -> dict[str, Floats]:
    """What is known of the effects beside their intervals [effects], by the names in an `Effect`."""
    unpaired_p = sample.unpaired.p_values(sample.estimates)
    spread = np.array(cochran(sample.by_environment))
    return {
        "paired_freedom": np.array([freedom for _, freedom in sample.paired.errors]),
        "p_value": tests.p_values,
        "p_adjusted": tests.max_t if correction == "max-T" else holm(tests.p_values),
        "unpaired_p_value": unpaired_p,
        "unpaired_p_adjusted": holm(unpaired_p),
        "variance_ratio": sample.variance_ratios,
        "cochran_q": spread[:, 0],
        "cochran_p": spread[:, 1],
    }


def _at(place: int, columns: Mapping[str, Floats], scale: float = 1.0) -> dict[str, float]:
    """The values of one effect, in the units of scores that were divided by `scale`."""
    return {name: float(column[place]) * scale for name, column in columns.items()}


def _by_environment(grid: Grid, weight: Floats, upper: float, scale: float) -> tuple[EnvironmentEffect, ...]:
    """One effect on each environment by itself; weight [cells]."""
    return tuple(
        EnvironmentEffect(name, **_at(0, sample_on(table, weight).student(upper), scale), n=table.shape[1])
        for name, table in zip(grid.environments, grid.scores, strict=True)
    )


def _blocks_told(block: str, grid: Grid) -> str:
    if len(grid.environments) == 1:
        return f"{block}s"
    return f"{block}s over all environments" if grid.is_across else f"{block}s within environments"
