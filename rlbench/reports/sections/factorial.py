"""The factorial page: effects with paired and unpaired intervals, interaction plots, each environment, what pairing bought."""

from __future__ import annotations

import itertools

from rlbench import text
from rlbench.reports.configuration import Design
from rlbench.reports.document import (
    Block,
    Content,
    Figures,
    Heading,
    Picture,
    Section,
    badge,
    captioned,
    note,
    table,
)
from rlbench.reports.effects import Effects, EffectsReport
from rlbench.reports.figures import thinning
from rlbench.reports.forests import Row, draw_forest
from rlbench.reports.interaction_figure import draw_interaction
from rlbench.reports.ledger import Ledger, Shown
from rlbench.reports.sections.sentences import TONES, effect_key, grey_band
from rlbench.reports.summary import Summary
from rlbench.stats import Effect

_INTERVALS = {
    "Paired 95 %": Shown("paired_low", "signed", high="paired_high"),
    "Unpaired 95 %": Shown("unpaired_low", "signed", high="unpaired_high"),
}
_EFFECT = {
    "Estimate": Shown(how="signed", kind="strong"),
    **_INTERVALS,
    "p": Shown("p_value", "p"),
    "p corrected": Shown("p_adjusted", "p"),
    "Welch p, Holm": Shown("unpaired_p_adjusted", "p"),
    "Pairing worth": Shown("variance_ratio", "factor"),
}
_HETEROGENEITY = {"Cochran Q": Shown("cochran_q"), "p of Q": Shown("cochran_p", "p")}
_OF_ENVIRONMENT = {"Seeds": Shown("n", "count"), "Effect": Shown(how="signed"), **_INTERVALS}


def record_effects(report: EffectsReport, ledger: Ledger, *, is_declared: bool) -> None:
    """All effects into stats.json, before any sentence shows one."""
    # Headlines are one family: the average over environments, or every environment where there is no common scale.
    family = f"factors, {' and '.join(one.scope for one in report.headlines)}"
    for analysis in report.analyses:
        result = analysis.result
        for effect in result.effects:
            key = effect_key(analysis, effect)
            is_of_family = is_declared and analysis in report.headlines
            _record_effect(key, analysis, effect, family if is_of_family else "exploratory", ledger)
            for own in effect.environments if analysis.scope == "all" else ():
                how = {"family": "exploratory", "interval_method": "Student t", "level": result.level}
                ledger.add(f"{key}/{own.environment}", own, **how)
        ledger.add(
            f"pairing/{analysis.scope}", correlation=result.correlation, n=result.n, blocks_left_out=result.num_dropped
        )


def _record_effect(key: str, analysis: Effects, effect: Effect, family: str, ledger: Ledger) -> None:
    result = analysis.result
    ledger.add(
        key,
        effect,
        family=family,
        tests_in_family=analysis.num_together,
        unit=analysis.unit,
        method=result.test_method,
        correction=result.correction,
        interval_method=result.interval_method,
        n=result.n,
        blocks=result.num_blocks,
        blocks_left_out=result.num_dropped,
        smallest_p=result.smallest_p,
        level=result.level,
        resamples=result.resamples,
        seed=result.seed,
        verdict=analysis.word(effect),
        detectable=analysis.detectable[effect.name],
        smallest_effect=analysis.margin,
        equivalence_p=analysis.equivalence_p.get(effect.name),
        equivalence_p_adjusted=analysis.equivalence_p_adjusted.get(effect.name),
    )


def factorial_section(summary: Summary, design: Design, report: EffectsReport, ledger: Ledger) -> Section:
    """Which factor matters, or why that cannot be said."""
    blocks: list[Block] = []
    if report.problem:
        blocks.append(note(f"No factorial analysis: {report.problem}."))
        if not design.factors:
            blocks.append(
                note(
                    "An experiment file declares factors as factors: {factor: {level: [cell, ...], other level: [cell, ...]}}."
                )
            )
        return Section("factorial", "Which factor matters", tuple(blocks))
    how = (
        "declared in the experiment file"
        if design.is_declared
        else "read from the settings in which the variants differ"
    )
    told = "; ".join(f"{f.name} ({' against '.join(reversed(list(f.levels)))})" for f in design.factors)
    blocks.append(note(f"Factors, {how}: {told}. A positive effect says that the first of a pair scores higher."))
    blocks += [note(f"Left out: {one}.") for one in report.left_out]
    for place, analysis in enumerate(report.analyses):
        blocks += _analysis(summary, design, analysis, place, ledger, is_headline=analysis in report.headlines)
    blocks.append(_pairing_words(report))
    return Section("factorial", "Which factor matters", tuple(blocks))


def _analysis(
    summary: Summary, design: Design, analysis: Effects, place: int, ledger: Ledger, *, is_headline: bool
) -> list[Block]:
    where = f"All {len(analysis.envs)} environments, normalised" if analysis.scope == "all" else analysis.scope
    where += "" if is_headline else " alone, exploratory"
    pictures = [_forest(analysis, place)]
    pictures += (
        [_environments_forest(analysis)] if analysis.scope == "all" else _interactions(summary, design, analysis, place)
    )
    blocks: list[Block] = [Heading(where), Figures(tuple(pictures)), _effects_table(analysis, place, ledger)]
    if analysis.scope == "all":
        blocks.append(_environments_table(analysis, ledger))
    return blocks


def _forest(analysis: Effects, place: int) -> Picture:
    rows = [
        Row(
            effect.name.replace(":", " x "),
            analysis.word(effect),
            effect.estimate,
            effect.paired_low,
            effect.paired_high,
            second=(effect.unpaired_low, effect.unpaired_high),
        )
        for effect in analysis.result.effects
    ]
    told = "; ".join(
        f"{row.label} {text.signed(row.estimate, row.place)}"
        f" [{text.signed(row.low, row.place)}, {text.signed(row.high, row.place)}]"
        for row in rows
    )
    drawing = draw_forest(
        rows,
        xlabel=f"effect, {analysis.unit}",
        name=f"effects{place}",
        summary=f"Effects: {told}",
        margin=analysis.margin,
    )
    says = f"Filled: paired over seeds; dashed: the same seeds taken as unpaired; 95 %, {analysis.result.interval_method}, each for itself."
    return captioned(drawing, f"effects-{place}", "Effects", says, grey_band(analysis.margin))


def _interactions(summary: Summary, design: Design, analysis: Effects, place: int) -> list[Picture]:
    """For each pair of factors: a line per level of the second over the levels of the first; parallel is additive."""
    found = []
    for number, (first, second) in enumerate(itertools.combinations(design.factors, 2)):
        drawing = draw_interaction(
            analysis.frame,
            (first.name, list(first.levels)),
            (second.name, list(second.levels)),
            name=f"interaction{place}x{number}",
            possible=summary.possible(analysis.scope),
        )
        says = (
            "Line: mean over runs, with a 95 % interval of each mean alone; faint: a run. Parallel lines: one factor does the same "
            "whatever the other is."
        )
        thinned = thinning(int(analysis.frame.groupby([first.name, second.name]).size().max()), "runs.csv")
        title = f"{first.name} x {second.name}"
        found.append(captioned(drawing, f"interaction-{place}-{number}", title, says, thinned))
    return found


def _effects_table(analysis: Effects, place: int, ledger: Ledger) -> Block:
    heterogeneity = _HETEROGENEITY if analysis.scope == "all" else {}
    titles = ["Effect", "Verdict", *_EFFECT, "Could show", *heterogeneity]
    rows: list[list[Content]] = []
    for effect in analysis.result.effects:
        key, word = effect_key(analysis, effect), analysis.word(effect)
        row = [effect.name.replace(":", " x "), badge(word, TONES[word]), *ledger.cells(key, _EFFECT.values())]
        row.append(ledger.show(key, "detectable") if analysis.can_reject else "nothing")
        rows.append([*row, *ledger.cells(key, heterogeneity.values())])
    return table(f"Effects, {analysis.scope}", titles, rows, name=f"effects-{place}", texts=("Verdict",))


def _environments_forest(analysis: Effects) -> Picture:
    rows = [
        Row(
            f"{effect.name.replace(':', ' x ')}, {own.environment}",
            f"n = {own.n}",
            own.estimate,
            own.paired_low,
            own.paired_high,
            style=place,
            second=(own.unpaired_low, own.unpaired_high),
        )
        for place, effect in enumerate(analysis.result.effects)
        for own in effect.environments
    ]
    told = "; ".join(f"{row.label} {text.signed(row.estimate, row.place)}" for row in rows)
    drawing = draw_forest(
        rows,
        xlabel=f"effect, {analysis.unit}",
        name="effects-by-env",
        summary=f"Effects by environment: {told}",
        margin=analysis.margin,
    )
    says = (
        "The same effects by environment, Student t, 95 %; exploratory. Whether they differ is what Cochran's Q tests."
    )
    return captioned(drawing, "effects-by-environment", "Each environment", says)


def _environments_table(analysis: Effects, ledger: Ledger) -> Block:
    groups: dict[str, list[list[Content]]] = {}
    for effect in analysis.result.effects:
        for own in effect.environments:
            key = f"{effect_key(analysis, effect)}/{own.environment}"
            row = [own.environment, *ledger.cells(key, _OF_ENVIRONMENT.values())]
            groups.setdefault(effect.name.replace(":", " x "), []).append(row)
    titles = ["Environment", *_OF_ENVIRONMENT]
    return table("Effects by environment", titles, groups, name="effects_by_environment")


def _pairing_words(report: EffectsReport) -> Block:
    says = []
    for analysis in report.analyses:
        result = analysis.result
        where = "over all environments" if analysis.scope == "all" else f"on {analysis.scope}"
        dropped = (
            f", {text.plural(result.num_dropped, 'seed')} left out for want of a run in some cell"
            if result.num_dropped
            else ""
        )
        several = len(analysis.envs) > 1
        whole = "every cell of every environment" if several and result.num_blocks == result.n else "every cell"
        blocks = f", {text.count(result.num_blocks)} over all" if result.num_blocks != result.n else ""
        says.append(
            f"{where} {text.plural(result.n, 'seed')} with a run in {whole}{blocks}{dropped}, correlation between "
            f"cells over seeds {text.share(result.correlation)}"
        )
    family = "all these environments together" if len(report.headlines) > 1 else "a heading"
    tests = " and ".join(dict.fromkeys(analysis.result.test_method for analysis in report.analyses))
    return note(
        f"What pairing bought: {'; '.join(says)}. Pairing worth: what a paired seed was worth in "
        "unpaired ones; below 1 the pairing cost precision. "
        "Effects are coefficients with codes of ±0.5; an interaction is a difference of differences. "
        f"p: {tests}; the runs of a seed share random streams, and flip together. "
        f"Corrected by step-down max-T over all contrasts of {family}. "
        "Equivalent: two one-sided t tests on the seeds' contrasts against the declared smallest effect, Holm over the "
        "same contrasts. Intervals: Student t of the seeds' contrasts, and of the means of cells where unpaired, cut where "
        "the possible returns are known and allow no larger effect."
    )
