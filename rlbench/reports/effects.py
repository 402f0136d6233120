"""Which factor matters: the contrasts of the grid, averaged over environments and on each.

In: a `Summary` and its `Design`. Out: `Effects`, or the reason why there are none. Never: averages raw returns of different
environments.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pandas as pd

from rlbench.envs.scores import normalise
from rlbench.errors import ConfigError
from rlbench.reports.comparisons import LEVEL, POWER, is_pairable, verdict
from rlbench.reports.configuration import Design
from rlbench.reports.summary import Summary
from rlbench.stats import (
    Effect,
    EnvironmentEffect,
    FactorialEffects,
    corrected_together,
    factorial_effects,
    holm,
    minimum_detectable_effect,
    smallest_sign_flip_p,
    two_one_sided_p,
)

Cuttable = TypeVar("Cuttable", Effect, EnvironmentEffect)


@dataclass(frozen=True)
class Effects:
    """The effects of one analysis: all environments on the normalised scale, or one environment in its returns."""

    scope: str  # the environment, or "all"
    unit: str  # "return" or "normalised return"
    envs: tuple[str, ...]
    result: FactorialEffects
    detectable: Mapping[str, float]  # effect -> the smallest that these blocks find, as one of the family
    margin: float | None  # the declared smallest effect, in the unit
    frame: pd.DataFrame  # one row per run: the factors' levels, seed, env, score
    equivalence_p: Mapping[str, float]  # effect -> two one-sided t tests against the margin; empty without one
    equivalence_p_adjusted: Mapping[str, float]  # Holm, over the same family
    num_together: int  # effects corrected as one family: these, or those of all headlines

    def word(self, effect: Effect) -> str:
        """The verdict on "the second level is better than the first"."""
        return verdict(effect.p_adjusted, effect.estimate, self.equivalence_p_adjusted.get(effect.name))

    def is_inside(self, effect: Effect) -> bool:
        """Whether the effect is shown to be smaller than what was declared to matter."""
        return self.equivalence_p_adjusted.get(effect.name, 1.0) <= LEVEL

    @property
    def can_reject(self) -> bool:
        """Whether any data of this size could reject one of the family."""
        return self.result.smallest_p <= LEVEL


@dataclass(frozen=True)
class EffectsReport:
    """All analyses of a grid: the first is the headline. `problem` says why there is none, `left_out` what is not in it."""

    analyses: tuple[Effects, ...]
    problem: str
    left_out: tuple[str, ...]

    @property
    def headlines(self) -> tuple[Effects, ...]:
        """The average over environments, or each of them where their returns have no common scale."""
        return self.analyses[:1] if self.analyses and self.analyses[0].scope == "all" else self.analyses


def effects_of(summary: Summary, design: Design) -> EffectsReport:
    """The factorial analysis as far as the runs allow it."""
    if design.problem or not design.factors:
        return EffectsReport((), design.problem or "the variants form no grid", ())
    if not design.is_two_level:
        many = ", ".join(f"{f.name} ({len(f.levels)} levels)" for f in design.factors if len(f.levels) > 2)
        return EffectsReport((), f"effects are contrasts of two levels, and there are more in {many}", ())
    frame = _frame(summary, design)
    complete = {env: _num_complete(frame[frame["env"] == env], design) for env in summary.envs}
    left_out = [
        f"{env}: {seeds} seeds have a done run in every cell of the grid, and effects need 2"
        for env, seeds in complete.items()
        if seeds < 2
    ]
    usable = [env for env, seeds in complete.items() if seeds >= 2]
    if not usable:
        return EffectsReport((), "no environment has two seeds with a done run in every cell", tuple(left_out))
    alone = [_on_one(summary, design, env, frame) for env in usable]
    scales = {env: scale for env in usable if (scale := _scale(env)) is not None}
    if len(usable) > 1:
        left_out += [f"{env}: it has no entry in the normalisation table" for env in usable if env not in scales]
    if len(scales) > 1:
        return EffectsReport((_averaged(summary, design, scales, frame), *alone), "", tuple(left_out))
    return EffectsReport(tuple(alone) if len(alone) == 1 else _together(alone), "", tuple(left_out))


def _num_complete(rows: pd.DataFrame, design: Design) -> int:
    """Seeds of one environment that have a score in every cell of the grid."""
    return len(set.intersection(*(set(rows.loc[rows["variant"] == v, "seed"]) for v in design.variants)))


def _on_one(summary: Summary, design: Design, env: str, frame: pd.DataFrame) -> Effects:
    rows, margin = frame[frame["env"] == env].copy(), summary.declared("smallest_effect", env)
    return _analysis(env, "return", (env,), rows, design, margin, {env: summary.reach(env)})


def _averaged(summary: Summary, design: Design, scales: Mapping[str, float], frame: pd.DataFrame) -> Effects:
    """Over the environments of `scales`: environment -> returns from random actions to the reference."""
    rows = frame[frame["env"].isin(list(scales))].copy()
    for env in scales:
        rows.loc[rows["env"] == env, "score"] = normalise(env, rows.loc[rows["env"] == env, "score"])
    margins = [(summary.declared("smallest_effect", env), scale) for env, scale in scales.items()]
    margin = float(np.mean([m / s for m, s in margins if m])) if all(m for m, _ in margins) else None
    reaches = {env: reach / scale for env, scale in scales.items() if (reach := summary.reach(env))}
    return _analysis("all", "normalised return", tuple(scales), rows, design, margin, reaches)


def _together(analyses: Sequence[Effects]) -> tuple[Effects, ...]:
    """Environments without a common scale: each is a headline, and all their contrasts are one family."""
    results = corrected_together([one.result for one in analyses])
    size = sum(len(result.effects) for result in results)
    judged = [(one.scope, name, p) for one in analyses for name, p in one.equivalence_p.items()]
    same = map(float, holm([p for *_, p in judged])) if judged else ()
    adjusted = {(scope, name): p for (scope, name, _), p in zip(judged, same, strict=True)}
    return tuple(
        replace(
            one,
            result=result,
            detectable=_detectable(result, size),
            equivalence_p_adjusted={name: adjusted[one.scope, name] for name in one.equivalence_p},
            num_together=size,
        )
        for one, result in zip(analyses, results, strict=True)
    )


def _analysis(
    scope: str,
    unit: str,
    envs: tuple[str, ...],
    rows: pd.DataFrame,
    design: Design,
    margin: float | None,
    reaches: Mapping[str, float | None],
) -> Effects:
    levels: dict[str, tuple[object, object]] = {}
    for factor in design.factors:
        first, second = factor.levels
        levels[factor.name] = (first, second)
    result = factorial_effects(
        rows, levels, incomplete="drop", across_environments=_shares_seeds(rows, len(design.variants))
    )
    result = replace(result, effects=tuple(_within(effect, envs, reaches) for effect in result.effects))
    detectable = _detectable(result, len(result.effects))
    same = _equivalence(result, margin)
    adjusted = dict(zip(same, map(float, holm(list(same.values()))), strict=True)) if same else {}
    return Effects(scope, unit, envs, result, detectable, margin, rows, same, adjusted, len(result.effects))


def _within(effect: Effect, envs: tuple[str, ...], reaches: Mapping[str, float | None]) -> Effect:
    """The effect with intervals no wider than returns allow, where it is known how far apart two returns on each environment can be.

    A main effect is a difference of two returns, an interaction of two factors one of two such differences, and so on.
    """
    times = 2.0 ** effect.name.count(":")
    parts = tuple(_cut(one, reaches.get(one.environment), times) for one in effect.environments)
    known = [reach for env in envs if (reach := reaches.get(env)) is not None]
    whole = float(np.mean(known)) if len(known) == len(envs) else None
    return replace(_cut(effect, whole, times), environments=parts)


def _cut(effect: Cuttable, reach: float | None, times: float) -> Cuttable:
    if reach is None:
        return effect
    most = reach * times
    ends = ("paired_low", "paired_high", "unpaired_low", "unpaired_high")
    return replace(effect, **{name: min(max(getattr(effect, name), -most), most) for name in ends})


def _equivalence(result: FactorialEffects, margin: float | None) -> dict[str, float]:
    """P-values of two one-sided t tests on the blocks' contrasts, by effect; none without a margin."""
    if not margin:
        return {}
    return {
        effect.name: two_one_sided_p(effect.estimate, effect.paired_error, effect.paired_freedom, margin)
        for effect in result.effects
    }


def _shares_seeds(rows: pd.DataFrame, num_cells: int) -> bool:
    """Whether the environments share seeds, and with them random streams: then a block is a seed on all of them."""
    counted = rows.groupby(["env", "seed"]).size()
    complete = counted[counted == num_cells].reset_index()
    by_env = [set(part["seed"]) for _, part in complete.groupby("env")]
    return len(by_env) > 1 and is_pairable(len(by_env[0]), max(map(len, by_env)), len(set.intersection(*by_env)))


def _detectable(result: FactorialEffects, num_effects: int) -> dict[str, float]:
    """The smallest effect that as many blocks find with POWER as one of the family, by effect."""
    # Holm's first step; max-T can do with fewer blocks, as one arrangement serves all effects.
    comparisons = max(1, min(num_effects, math.floor(LEVEL / smallest_sign_flip_p(result.num_blocks))))
    return {
        effect.name: minimum_detectable_effect(
            math.sqrt(result.num_blocks) * effect.paired_error,
            result.num_blocks,
            paired=True,
            level=LEVEL,
            power=POWER,
            comparisons=comparisons,
        )
        for effect in result.effects
    }


def _frame(summary: Summary, design: Design) -> pd.DataFrame:
    level = {(f.name, variant): f.level_of(variant) for f in design.factors for variant in design.variants}
    rows = [
        {
            "variant": cell.variant,
            "env": cell.env,
            "seed": seed,
            "score": score,
            **{f.name: level[f.name, cell.variant] for f in design.factors},
        }
        for cell in summary.cells
        if cell.variant in design.variants
        for seed, score in cell.scores.items()
    ]
    columns = ["variant", "env", "seed", "score", *(factor.name for factor in design.factors)]
    return pd.DataFrame(rows, columns=columns)


def _scale(env: str) -> float | None:
    """Returns from random actions to the reference; None without an entry in the table."""
    try:
        zero, one = normalise(env, [0.0, 1.0])
    except ConfigError:
        return None
    return float(1.0 / (one - zero))
