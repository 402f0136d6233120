"""How uncertain the effects of a factorial grid are: variances, intervals and their spread over environments.

Scores come as one table [cells, blocks] an environment, contrasts as one [effects, blocks] a stratum: an environment, or all of them
where blocks lie across environments. Each stratum weighs the same.
"""

from collections.abc import Sequence

import numpy as np
from scipy import special

from rlbench.stats.bootstrap import resampled_counts
from rlbench.stats.comparisons import satterthwaite
from rlbench.stats.scores import Floats


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


def paired_variances(strata: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Each stratum's share [effects, strata] of the variance of each effect, and its degrees of freedom [strata]."""
    parts = [part.var(axis=1, ddof=1) / part.shape[1] / len(strata) ** 2 for part in strata]
    return np.stack(parts, axis=1), np.array([part.shape[1] - 1.0 for part in strata])


def unpaired_variances(scores: Sequence[Floats], weights: Floats) -> tuple[Floats, Floats]:
    """As `paired_variances`, from the cells of all environments: [effects, environments x cells]."""
    parts = [weights**2 * table.var(axis=1, ddof=1) / table.shape[1] / len(scores) ** 2 for table in scores]
    return np.concatenate(parts, axis=1), np.repeat([t.shape[1] - 1.0 for t in scores], weights.shape[1])


def student(estimates: Floats, parts: Floats, freedoms: Floats, upper: float) -> Floats:
    """Ends [2, effects] of the t intervals."""
    errors = [satterthwaite(part, freedoms) for part in parts]
    half = np.array([float(special.stdtrit(freedom, upper)) * error for error, freedom in errors])
    return np.stack([estimates - half, estimates + half])


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
