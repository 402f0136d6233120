"""How uncertain the effects of a factorial grid are: variances, intervals and their spread over environments.

Scores come as one table [cells, blocks] a stratum, contrasts as one [effects, blocks]. A stratum is an environment, or all of them
where blocks lie across environments; each weighs the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from rlbench.stats.bootstrap import resampled_counts
from rlbench.stats.comparisons import satterthwaite, t_half_width, t_p_value
from rlbench.stats.grid import Grid
from rlbench.stats.scores import Floats, rounding_of

Ends = dict[str, Floats]  # estimates and ends of intervals [effects], by their names in an effect


@dataclass(frozen=True)
class Spread:
    """The variance of each effect as a sum over independent means."""

    shares: Floats  # [effects, means]
    freedoms: Floats  # degrees of freedom of each [means]

    @cached_property
    def errors(self) -> list[tuple[float, float]]:
        """The standard error of each effect and Satterthwaite's degrees of freedom."""
        return [satterthwaite(own, self.freedoms) for own in self.shares]

    def student(self, estimates: Floats, upper: float) -> Floats:
        """Ends [2, effects] of the t intervals up to the quantile `upper`."""
        half = np.array([t_half_width(error, freedom, upper) for error, freedom in self.errors])
        return np.stack([estimates - half, estimates + half])

    def p_values(self, estimates: Floats) -> Floats:
        """Two-sided p-values [effects] of Student's t."""
        tested = zip(estimates, self.errors, strict=True)
        return np.array([t_p_value(float(estimate), *error, "two-sided") for estimate, error in tested])


@dataclass(frozen=True)
class Sample:
    """What the runs of a grid say of its contrasts."""

    weights: Floats  # [effects, cells]
    tables: Sequence[Floats]  # scores of each stratum
    strata: Sequence[Floats]  # contrasts of each stratum
    by_environment: Sequence[Floats]  # contrasts on each environment

    @cached_property
    def estimates(self) -> Floats:
        """The effects [effects], averaged over environments."""
        return np.asarray(np.mean([part.mean(axis=1) for part in self.by_environment], axis=0))

    @cached_property
    def contributions(self) -> Floats:
        """What each block contributes [effects, blocks]: sums over blocks are the effects."""
        return np.concatenate([part / (part.shape[1] * len(self.strata)) for part in self.strata], axis=1)

    @cached_property
    def paired(self) -> Spread:
        """The spread of effects from the contrasts of blocks."""
        parts = [part.var(axis=1, ddof=1) / part.shape[1] / len(self.strata) ** 2 for part in self.strata]
        return Spread(np.stack(parts, axis=1), np.array([part.shape[1] - 1.0 for part in self.strata]))

    @cached_property
    def unpaired(self) -> Spread:
        """The spread of effects from the runs within each cell of each stratum."""
        tables, weights = self.tables, self.weights
        parts = [weights**2 * table.var(axis=1, ddof=1) / table.shape[1] / len(tables) ** 2 for table in tables]
        freedoms = np.repeat([table.shape[1] - 1.0 for table in tables], weights.shape[1])
        return Spread(np.concatenate(parts, axis=1), freedoms)

    @property
    def variance_ratios(self) -> Floats:
        """Of each effect [effects], its unpaired variance over the paired one."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.unpaired.shares.sum(axis=1) / self.paired.shares.sum(axis=1))

    def student(self, upper: float) -> Ends:
        """Student t intervals up to the quantile `upper`."""
        return self._named(self.paired.student(self.estimates, upper), self.unpaired.student(self.estimates, upper))

    def bootstrap(self, bounds: tuple[float, float], resamples: int, seed: int) -> Ends:
        """Percentile intervals between two quantiles, of blocks and of runs that are drawn again."""
        rng = np.random.default_rng(seed)
        paired = np.quantile(paired_resamples(self.strata, resamples, rng), bounds, axis=0)
        unpaired = np.quantile(unpaired_resamples(self.tables, self.weights, resamples, rng), bounds, axis=0)
        return self._named(paired, unpaired)

    def _named(self, paired: Floats, unpaired: Floats) -> Ends:
        names = ("estimate", "paired_low", "paired_high", "unpaired_low", "unpaired_high")
        return dict(zip(names, (self.estimates, *paired, *unpaired), strict=True))


def sample_of(grid: Grid, weights: Floats) -> Sample:
    """The contrasts of these weights [effects, cells] over the blocks of a grid."""
    # What rounding leaves of equal scores is nothing, rather than the whole evidence of an effect without any.
    rounding = rounding_of(grid.scores)
    parts = [weights @ table for table in grid.scores]
    parts = [np.where(np.abs(part) <= rounding, 0.0, part) for part in parts]
    if grid.is_across:
        return Sample(weights, [np.mean(grid.scores, axis=0)], [np.mean(parts, axis=0)], parts)
    return Sample(weights, grid.scores, parts, parts)


def sample_on(table: Floats, weight: Floats) -> Sample:
    """One contrast of this weight [cells] on one environment by itself; table [cells, blocks]."""
    weights = weight[np.newaxis]
    contrast = [weights @ table]
    return Sample(weights, [table], contrast, contrast)


def paired_resamples(strata: Sequence[Floats], resamples: int, rng: np.random.Generator) -> Floats:
    """Each effect [resamples, effects] with blocks drawn again within each stratum."""
    drawn = np.zeros((resamples, len(strata[0])))
    for part in strata:
        drawn += resampled_counts(part.shape[1], resamples, rng) @ part.T / (part.shape[1] * len(strata))
    return drawn


def unpaired_resamples(scores: Sequence[Floats], weights: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Each effect [resamples, effects] with runs drawn again within each cell of each environment."""
    drawn = np.zeros((resamples, len(weights)))
    for table in scores:
        for runs, weight in zip(table, weights.T, strict=True):
            means = resampled_counts(runs.size, resamples, rng) @ runs / (runs.size * len(scores))
            drawn += np.outer(means, weight)
    return drawn


def cochran(by_environment: Sequence[Floats]) -> list[tuple[float, float]]:
    """Cochran's Q over environments of each effect and its p-value by Welch 1951; NaN where it has no meaning."""
    count = len(by_environment)
    found = []
    for place in range(len(by_environment[0])):
        parts = [part[place] for part in by_environment]
        variances = np.array([part.var(ddof=1) / part.size for part in parts])
        if count < 2 or (variances == 0.0).any():
            found.append((np.nan, np.nan))
            continue
        means = np.array([part.mean() for part in parts])
        shares = (1.0 / variances) / (1.0 / variances).sum()
        q = float(((means - shares @ means) ** 2 / variances).sum())
        spare = float(((1.0 - shares) ** 2 / np.array([part.size - 1 for part in parts])).sum())
        f = q / (count - 1) / (1.0 + 2.0 * (count - 2) / (count**2 - 1) * spare)
        found.append((q, float(special.fdtrc(count - 1, (count**2 - 1) / (3.0 * spare), f))))
    return found
