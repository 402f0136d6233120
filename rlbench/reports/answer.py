"""The answer that a report begins with: one sentence a question, in the direction that was observed.

In: analysed comparisons and effects. Out: `Answer`s, the same for the page, Markdown, the terminal and W&B. Never: tests anything,
calls a difference shown that its corrected p does not decide, or shows a number that is not in the ledger.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from rlbench import text
from rlbench.reports.answer_of_parts import parts_answers
from rlbench.reports.answer_of_plans import pairs_of_study, plan_answers, study_answers
from rlbench.reports.answer_words import AVERAGED, Seen, told_in_words
from rlbench.reports.comparisons import (
    EQUIVALENT,
    INCONCLUSIVE,
    LEVEL,
    POWER,
    Family,
    Pairwise,
    families_of,
    seeds_that_could_reject,
)
from rlbench.reports.configuration import Design, design_of
from rlbench.reports.document import Answer, Part, line
from rlbench.reports.effects import Effects, EffectsReport, effects_of
from rlbench.reports.ledger import Ledger
from rlbench.reports.parts import is_of_parts
from rlbench.reports.summary import Summary
from rlbench.stats import Effect, pilot_sd, seeds_needed

MOST_SENTENCES = 6


def answers_to(summary: Summary) -> list[Answer]:
    """The answers alone, for whoever shows no report."""
    design = design_of(summary)
    return answers_of(summary, families_of(summary), effects_of(summary, design), design, Ledger())


def answers_of(
    summary: Summary, families: Sequence[Family], effects: EffectsReport, design: Design, ledger: Ledger
) -> list[Answer]:
    """What a reader wants to know first: findings, then what is not decided, with what it would take."""
    found = study_answers(summary.study) if summary.study else []
    found += plan_answers(summary.plan.comparisons, str(summary.plan.rules["metric"])) if summary.plan else []
    if not any(cell.done for cell in summary.cells):
        return [*found, Answer(line("No run is done yet: there is nothing to answer from."))]
    if len(summary.variants) < 2:
        return [*found, *_levels(summary, ledger)]
    told_of_parts = parts_answers(summary, families, ledger)
    declared = [
        m for family in families if family.name for m in family.members
        if m.planned is None and not (told_of_parts and is_of_parts(summary.definition, m))
    ]  # fmt: skip
    factors = _questions_of_effects(effects) if design.is_declared or (not declared and len(design.factors) > 1) else []
    told_of_study = pairs_of_study(summary.study) if summary.study else set()
    pairs = _questions_of_pairs([m for m in declared if frozenset((m.x, m.y)) not in told_of_study])
    is_exploratory = not declared and not (factors and design.is_declared) and not told_of_parts
    found += told_of_parts
    if not factors and not declared and not told_of_parts:
        pairs = _questions_of_pairs([m for family in families for m in family.members if m.planned is None])
    questions = [(one, told_in_words(one, ledger)) for one in factors]
    told_of_pairs = [(one, told_in_words(one, ledger)) for one in pairs]
    if factors:  # a pair is one cell of what the factors say: it stands here only where it is shown alone
        questions += [(one, told) for one, told in told_of_pairs if told.is_decided]
        undecided = len([told for _, told in told_of_pairs if not told.is_decided])
    else:
        questions, undecided = questions + told_of_pairs, 0
    ranked = sorted((told for _, told in questions), key=lambda told: (not told.stands_out, not told.is_decided))
    shown = ranked[:MOST_SENTENCES]
    if shown and not any(told.is_decided for told in [*found, *shown]):
        found.append(
            Answer(line("Nothing is decided: no difference was shown, which does not show that there is none."))
        )
    found += [Answer(line("Exploratory, as nothing was declared:"))] if is_exploratory and shown else []
    found += shown
    found += _rest(len(ranked) - len(shown), undecided, len(told_of_pairs))
    return found or _levels(summary, ledger)


def _rest(cut: int, undecided: int, pairs: int) -> list[Answer]:
    """How many sentences are further down."""
    told = [Answer(line(f"{text.plural(cut, 'more comparison')}: see Verdicts."))] if cut else []
    if undecided:
        which = "None of" if undecided == pairs else f"{text.count(undecided)} of"
        verb = "is" if undecided in (1, pairs) else "are"
        end = "is decided alone" if undecided == pairs else f"{verb} not decided alone"
        told.append(Answer(line(f"{which} the {text.plural(pairs, 'declared pair')} {end}: see Verdicts.")))
    return told


def _questions_of_pairs(members: Sequence[Pairwise]) -> list[list[Seen]]:
    """The pairs, each on all its environments."""
    found: dict[tuple[str | None, str, str], list[Seen]] = {}
    for m in members:
        found.setdefault((m.family, m.x, m.y), []).append(_seen_pair(m))
    return list(found.values())


def _seen_pair(m: Pairwise) -> Seen:
    lost = ""
    if m.num_unscored:
        lost = f"{m.num_unscored} diverged, without a number to count them by"
    elif m.num_diverged:
        lost = f"{m.num_diverged} diverged, counted as random play"
    if m.test is None or m.difference is None:
        return Seen("", m.x, m.y, m.env, INCONCLUSIVE, None, n=min(m.n_x, m.n_y), lost=lost)
    seen = Seen(
        "", m.x, m.y, m.env, m.word, m.test.estimate, m.difference.low, m.difference.high, n=min(m.n_x, m.n_y),
        p=_p_that_decides(m), margin=m.smallest_effect,
        is_paired=m.is_paired, lost=lost,
    )  # fmt: skip
    if m.can_reject:
        spread = pilot_sd(m.x_values, m.y_values, paired=m.is_paired)
        needed = _needed(m.smallest_effect, spread, m.num_tests, paired=m.is_paired)
        return _turned(replace(seen, detectable=m.detectable, needed=needed))
    return _turned(replace(seen, needed=seeds_that_could_reject(m.num_tests) if m.is_paired else None))


def _p_that_decides(m: Pairwise) -> float | None:
    """Of the test of its word; none where no p decides, because runs have no number."""
    if m.num_unscored:
        return None
    return m.equivalence_p_adjusted if m.word == EQUIVALENT else m.p_adjusted


def _questions_of_effects(report: EffectsReport) -> list[list[Seen]]:
    """The contrasts, main effects first, each over all headlines."""
    names = [effect.name for effect in report.headlines[0].result.effects] if report.headlines else []
    names.sort(key=lambda name: name.count(":"))
    return [[_seen_effect(one, one.result[name]) for one in report.headlines] for name in names]


def _seen_effect(analysis: Effects, effect: Effect) -> Seen:
    names = effect.name.split(":")
    low, high = (str(level) for level in analysis.result.levels[names[0]])
    word = analysis.word(effect)
    where = analysis.scope
    if where == "all":
        where = f"{AVERAGED} {len(analysis.envs)} environments, from random play at 0 to the reference at 1"
    p = analysis.equivalence_p_adjusted.get(effect.name) if word == EQUIVALENT else effect.p_adjusted
    seen = Seen(
        " x ".join(names), high, low, where, word, effect.estimate, effect.paired_low, effect.paired_high, p,
        analysis.result.num_blocks, margin=analysis.margin,
        parts=tuple((one.environment, one.estimate, one.paired_low, one.paired_high) for one in effect.environments)
        if analysis.scope == "all" else (),
    )  # fmt: skip
    if analysis.can_reject:
        spread = math.sqrt(analysis.result.num_blocks) * effect.paired_error
        needed = _needed(analysis.margin, spread, analysis.num_together, paired=True)
        seen = replace(seen, detectable=analysis.detectable[effect.name], needed=needed)
    else:
        seen = replace(seen, needed=seeds_that_could_reject(1))
    if len(names) == 1:
        return _turned(seen)
    other, one = analysis.result.levels[names[1]]
    with_, than = (one, other) if effect.estimate >= 0 else (other, one)
    more = f"{high} gains more over {low} with {with_} than with {than}"
    return replace(_turned(seen), better=more, worse="")


def _turned(seen: Seen) -> Seen:
    """The same difference the way round in which it is above 0."""
    if seen.estimate is None or seen.estimate >= 0 or seen.low is None or seen.high is None:
        return seen
    parts = tuple((env, -estimate, -high, -low) for env, estimate, low, high in seen.parts)
    turned = replace(seen, better=seen.worse, worse=seen.better, parts=parts)
    return replace(turned, estimate=-seen.estimate, low=-seen.high, high=-seen.low)


def _needed(margin: float | None, spread: float, tests: int, *, paired: bool) -> int | None:
    if not margin:
        return None
    try:
        return seeds_needed(margin, spread, paired=paired, level=LEVEL, power=POWER, comparisons=tests)
    except ValueError:  # more than a million
        return None


def _levels(summary: Summary, ledger: Ledger) -> list[Answer]:
    """How good each variant is, where there is nothing to compare: the best of each environment."""
    found = []
    for env in summary.envs:
        cells = [cell for cell in summary.cells_of(env) if cell.metrics["final_return"].estimate is not None]
        for cell in sorted(cells, key=lambda one: -float(one.metrics["final_return"].estimate or 0.0))[:1]:
            metric = cell.metrics["final_return"]
            interval = metric.interval
            key = ledger.add(
                f"answer/{cell.variant}/{env}", estimate=metric.estimate, low=interval.low if interval else None,
                high=interval.high if interval else None, n=metric.n, statistic=metric.statistic, level=0.95,
            )  # fmt: skip
            of = {"mean": "a mean", "iqm": "an interquartile mean"}.get(str(metric.statistic), "a mean")
            more = " has the highest final return," if len(summary.variants) > 1 else " reaches a final return of"
            parts: list[str | Part] = [f"{cell.variant}{more} {of} of ", ledger.show(key), " "]
            parts += [*ledger.span(key), f" on {env} over {text.plural(metric.n, 'run')}."]
            found.append(Answer(line(parts)))
    single = len(summary.variants) < 2
    said = (
        "There is one variant: nothing to compare it with."
        if single
        else "Nothing is tested: no comparison was declared."
    )
    return [*found, Answer(line(said))]
