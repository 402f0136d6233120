"""Over environments: aggregates of normalised scores, the performance profile, and probabilities of improvement."""

from __future__ import annotations

from rlbench import text
from rlbench.envs.scores import normalisation
from rlbench.reports.across import Across, Improvement
from rlbench.reports.document import Block, Content, Figures, Picture, Section, captioned, note, table
from rlbench.reports.forests import Row, draw_forest
from rlbench.reports.heat_map import MOST_ON_A_PHONE, draw_heat_map
from rlbench.reports.ledger import Ledger
from rlbench.reports.lines import Curve, draw_lines
from rlbench.reports.sections.design import name_of
from rlbench.reports.summary import Summary
from rlbench.stats.aggregates import AGGREGATES


def aggregates_section(summary: Summary, across: Across, ledger: Ledger) -> Section:
    """One number a variant over environments, on the fixed scale."""
    blocks: list[Block] = []
    if not across.variants:
        why = f" ({'; '.join(across.left_out)})" if across.left_out else ""
        blocks.append(note(f"No aggregate: no variant has normalised scores{why}."))
        return Section("aggregates", "Aggregates", tuple(blocks))
    for variant in across.variants:
        for statistic in AGGREGATES:
            ledger.add(
                f"aggregate/{statistic}/{variant}", across.aggregates[variant][statistic], environments=across.envs
            )
        profile = across.profiles[variant]
        ledger.add(
            f"profile/{variant}",
            profile,
            thresholds=profile.thresholds,
            estimate=profile.estimate,
            low=profile.low,
            high=profile.high,
        )
    # On one environment the distribution of its returns says the same in its own unit.
    pictures = [_iqm_forest(summary, across), *([_profile(summary, across)] if len(across.envs) > 1 else [])]
    blocks += [Figures(tuple(pictures)), _table(summary, across, ledger)]
    few = any(across.aggregates[v]["iqm"].n < 10 for v in across.variants)
    says = (
        "Final returns as a share of the way from random actions (0) to the reference (1), by a fixed "
        "table, never by the compared runs: "
    )
    says += "; ".join(
        f"{env} {text.number(normalisation(env).random)} to {text.number(normalisation(env).reference)}"
        for env in across.envs
    )
    says += ". 95 % percentile bootstrap, runs resampled within each environment; IQM pools runs and environments."
    says += " Below 10 runs these intervals are too narrow." if few else ""
    blocks.append(note(says))
    blocks += [note(f"Left out: {'; '.join(across.left_out)}.")] if across.left_out else []
    title = "Aggregates over environments" if len(across.envs) > 1 else "Aggregates, normalised"
    return Section("aggregates", title, tuple(blocks))


def _iqm_forest(summary: Summary, across: Across) -> Picture:
    rows = []
    for variant in across.variants:
        interval = across.aggregates[variant]["iqm"]
        style = summary.variants.index(variant)
        note_of_n = f"n = {interval.n}"
        ends = (interval.estimate, interval.low, interval.high)
        rows.append(Row(variant, note_of_n, *ends, style=style, variants=(style,)))
    told = "; ".join(f"{row.label} {text.number(row.estimate)}" for row in rows)
    drawing = draw_forest(
        rows,
        xlabel="IQM of normalised scores",
        name="aggregate",
        summary=f"IQM of normalised scores: {told}",
        zero=None,
    )
    return captioned(drawing, "aggregates", "IQM over runs and environments", "Bar: 95 % stratified bootstrap.")


def _profile(summary: Summary, across: Across) -> Picture:
    curves = [
        Curve(v, summary.variants.index(v), p.thresholds, p.estimate, p.low, p.high) for v, p in across.profiles.items()
    ]
    drawing = draw_lines(
        curves,
        xlabel="normalised score",
        ylabel="share of runs above",
        name="profile",
        summary="Performance profile: the share of runs above each normalised score, by variant",
        ylim=(-0.02, 1.02),
    )
    says = "Share of runs that score above x, with a pointwise 95 % Wilson band; higher is better."
    return captioned(drawing, "profile", "Performance profile", says)


def _table(summary: Summary, across: Across, ledger: Ledger) -> Block:
    titles = ["Variant", "n"]
    for title, _ in AGGREGATES.values():
        titles += [title, f"95 % of {title}"]
    rows: list[list[Content]] = []
    for variant in across.variants:
        row: list[Content] = [name_of(summary, variant), ledger.show(f"aggregate/iqm/{variant}", "n", "count")]
        for statistic in AGGREGATES:
            key = f"aggregate/{statistic}/{variant}"
            row += [ledger.show(key), ledger.span(key)]
        rows.append(row)
    return table("Aggregates of normalised scores", titles, rows, name="aggregates")


def improvement_section(summary: Summary, improvement: Improvement, ledger: Ledger) -> Section:
    """How often a run of the row's variant beats one of the column's."""
    if not improvement.pairs:
        return Section("improvement", "Probability of improvement", (note("It takes two variants with done runs."),))
    for (x, y), interval in improvement.pairs.items():
        ledger.add(f"improvement/{x} over {y}", interval, family="descriptive")
        turned = {"estimate": 1.0 - interval.estimate, "low": 1.0 - interval.high, "high": 1.0 - interval.low}
        same = {k: getattr(interval, k) for k in ("statistic", "method", "n", "level", "resamples", "seed")}
        ledger.add(f"improvement/{y} over {x}", **turned, **same, family="descriptive")
    rows: list[list[Content]] = []
    for x in improvement.variants:
        row: list[Content] = [name_of(summary, x)]
        for y in improvement.variants:
            key = f"improvement/{x} over {y}"
            if key in ledger.records:
                row.append([ledger.show(key, how="share", kind="strong"), " ", *ledger.span(key, how="share")])
            else:
                row.append(text.NOTHING)
        rows.append(row)
    titles = ["Row beats column", *improvement.variants]
    says = (
        "Probability that a run of the row's variant has a higher final return than one of the "
        "column's, ties half, averaged over environments; 95 % percentile bootstrap. It describes; "
        "verdicts are above."
    )
    heat_map = Figures((_heat_map(summary, improvement),))
    blocks = (heat_map, table("Probability of improvement", titles, rows, name="improvement"), note(says))
    return Section("improvement", "Probability of improvement", blocks)


def _heat_map(summary: Summary, improvement: Improvement) -> Picture:
    variants = improvement.variants
    styles = [summary.variants.index(variant) for variant in variants]
    narrow, *wide = [
        draw_heat_map(variants, styles, improvement.pairs, name="improvement", is_wide=is_wide)
        for is_wide in ((False, True) if len(variants) > MOST_ON_A_PHONE else (False,))
    ]
    says = "Blue: more often than not; orange: less often; bold: the 95 % interval leaves out 0.5."
    title = "How often the row's run beats the column's"
    return captioned(narrow, "improvement", title, says, wide=wide[0] if wide else None)
